// Package monitor is the operations of the REST API that tell how things are and
// have been: violations, jobs, alarms; and the export that needs no administrator.
package monitor

import (
	"net/http"
	"slices"
	"time"

	"sealgate/appliance/store"
	"sealgate/daemon/mx/openapi"
)

// Config is what the operations work on.
type Config struct {
	Store  *store.Store
	Daemon Daemon
	Jobs   *Jobs
	Alarms *Alarms
	Now    func() time.Time
}

// Operations are what a router needs.
func (c Config) Operations() []openapi.Operation {
	violations := openapi.Operation{Method: http.MethodGet, Path: "/v1/monitor/violations", Query: parameters, Codes: queryCodes, Do: c.violations}
	return slices.Concat([]openapi.Operation{violations}, c.Jobs.operations(), c.Alarms.operations(), c.settings())
}
