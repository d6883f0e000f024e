package crs

import (
	"sealgate/daemon/gateway/waf/crs/libinjection"

	"github.com/corazawaf/coraza/v3/experimental/plugins/plugintypes"
)

// sqli is Coraza's detectSQLi within the budget, in time that grows with the value's length alone.
type sqli struct{}

func newSqli(plugintypes.OperatorOptions) (plugintypes.Operator, error) { return sqli{}, nil }

func (sqli) Evaluate(tx plugintypes.TransactionState, value string) bool {
	stateOf(tx).spend(len(value) + 1)
	found, fingerprint := libinjection.IsSQLi(value)
	if found {
		tx.CaptureField(0, fingerprint)
	}
	return found
}
