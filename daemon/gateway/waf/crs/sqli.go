package crs

import (
	"github.com/corazawaf/libinjection-go"

	"github.com/corazawaf/coraza/v3/experimental/plugins/plugintypes"
)

// sqli is Coraza's detectSQLi within the budget. For each quote that does not end a string,
// since it is doubled or behind a backslash, libinjection searches the string from its
// begin: a text of quotes alone, of a MiB, takes it minutes.
type sqli struct{}

func newSqli(plugintypes.OperatorOptions) (plugintypes.Operator, error) { return sqli{}, nil }

// searched is how many bytes are searched in the time that an automaton passes over one.
const searched = 64

func (sqli) Evaluate(tx plugintypes.TransactionState, value string) bool {
	stateOf(tx).spend(goneOn(value) * len(value) / searched)
	found, fingerprint := libinjection.IsSQLi(value)
	if found {
		tx.CaptureField(0, fingerprint)
	}
	return found
}

// goneOn counts the quotes behind which a string may go on.
func goneOn(value string) (n int) {
	before := byte(0)
	for i := range len(value) {
		c := value[i]
		if (c == '\'' || c == '"' || c == '`') && (before == c || before == '\\') {
			n++
		}
		before = c
	}
	return n
}
