// Package monitor is the operations of the REST API that tell how things are and
// have been: violations, jobs, alarms; and the export that needs no administrator.
package monitor

import (
	"net/http"
	"slices"
	"strings"
	"time"

	"sealgate/appliance/model"
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
	violations := openapi.Operation{Method: http.MethodGet, Path: "/v1/monitor/violations", Summary: "list violations, the newest first",
		Query: parameters, Codes: queryCodes, Out: listOf("violations", violationFields), Do: c.violations}
	return slices.Concat([]openapi.Operation{violations}, c.Jobs.operations(), c.Alarms.operations(), c.settings())
}

// fields reads "name", "name:int" or "name:bool".
func fields(declarations ...string) []model.Field {
	types := map[string]model.Type{"": model.Text, "int": model.Int, "bool": model.Bool}
	list := make([]model.Field, len(declarations))
	for i, d := range declarations {
		name, form, _ := strings.Cut(d, ":")
		list[i] = model.Field{Name: name, Type: types[form]}
	}
	return list
}

// listOf is a list of objects under a key.
func listOf(key string, of []model.Field) []model.Field {
	return []model.Field{{Name: key, Type: model.List, Of: &model.Field{Type: model.Record, Fields: of}}}
}
