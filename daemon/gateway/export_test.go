package gateway

import (
	"sealgate/appliance/model"
	"sealgate/daemon/gateway/waf"
)

// NewEngines is how the role makes the engines of web services.
func NewEngines() func(*model.Snapshot, *model.SnapshotService) (waf.Engine, error) {
	return newJudges().engine
}
