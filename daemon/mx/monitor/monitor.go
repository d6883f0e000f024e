// Package monitor is the operations of the REST API that tell how things are:
// violations, jobs, alarms.
package monitor

import (
	"net/http"
	"time"

	"sealgate/appliance/store"
	"sealgate/daemon/mx/openapi"
)

// Config is what the operations work on.
type Config struct {
	Store *store.Store
	Now   func() time.Time
}

// Operations are what a router needs.
func (c Config) Operations() []openapi.Operation {
	return []openapi.Operation{
		{Method: http.MethodGet, Path: "/v1/monitor/violations", Query: parameters, Codes: queryCodes, Do: c.violations},
	}
}
