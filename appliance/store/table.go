package store

import "strings"

// Kind is what an export takes or leaves as a whole.
type Kind string

// The kinds.
const (
	Config         Kind = "configuration" // objects, references, revisions, configuration files
	Users          Kind = "users"         // revisions, which are configuration, name them
	SSLKeys        Kind = "ssl-keys"
	Credentials    Kind = "credentials"
	Archives       Kind = "archives"        // good ones, rows and files
	FailedArchives Kind = "failed-archives" // rows and files
	Jobs           Kind = "jobs"
	SystemEvents   Kind = "system-events"
	Alerts         Kind = "alerts"
	Violations     Kind = "violations"
	Audit          Kind = "audit"
)

// Kinds are all kinds, in the order of tables.
var Kinds = []Kind{Config, Users, SSLKeys, Credentials, Archives, FailedArchives, Jobs, SystemEvents, Alerts, Violations, Audit}

// Table is one table of a snapshot.
type Table struct {
	Name string `json:"name"`
	Kind Kind   `json:"kind"`          // what most of its rows are; refs, secrets and archives are filtered row by row
	Day  string `json:"day,omitempty"` // "" for configuration
}

// ConfigTables are the tables of the configuration, in the order of a snapshot.
func ConfigTables() []Table {
	var list []Table
	for _, t := range configTables {
		list = append(list, Table{Name: t.name, Kind: t.kind})
	}
	return list
}

// EventTables are the tables of a day, in the order of a snapshot.
func EventTables() []Table {
	var list []Table
	for _, t := range eventTables {
		list = append(list, Table{Name: t.name, Kind: t.kind})
	}
	return list
}

// configTable says how the rows of a configuration table become lines.
type configTable struct {
	name    string
	kind    Kind
	columns []column
	order   string
}

// column is a column and the key of its value in a line.
type column struct {
	name string
	form form
}

// form is how a value is written in a line.
type form int

const (
	text form = iota
	integer
	document // JSON, as it is
	sealed   // a secret: the line has it in the clear, as base64, under "value"
	verifier // text that is as worth guessing at as a secret: empty where secrets are left out
)

// configTables are the tables of the configuration database in the order in which
// they are exported and loaded. Lines come in the order of keys, which is the same
// in every engine.
var configTables = []configTable{
	{"objects", Config, columns("id", "parent_id", "kind", "name", "document:document", "created:integer", "updated:integer", "revision:integer"), "id"},
	{"refs", Config, columns("from_id", "field", "to_id", "to_kind"), "from_id, field, to_id"},
	{"revisions", Config, columns("number:integer", "at:integer", "author", "summary", "difference:document"), "number"},
	{"users", Users, columns("id", "name", "role", "verifier:verifier", "document:document", "created:integer", "updated:integer"), "id"},
	{"ssl_keys", SSLKeys, columns("id", "service_id", "name", "certificate", "issuer", "valid_from:integer", "valid_to:integer", "hsm:integer", "secret_id", "created:integer"), "id"},
	{"credentials", Credentials, columns("id", "kind", "name", "user_name", "document:document", "secret_id", "created:integer"), "id"},
	{"secrets", Config, columns("id", "owner", "sealed:sealed"), "id"},
	{"archives", Archives, columns("id", "name", "status", "size:integer", "sha256", "error", "created:integer"), "id"},
	{"jobs", Jobs, columns("id", "number:integer", "name", "author", "abortable:integer", "state", "message", "started:integer", "finished:integer"), "id"},
	{"system_events", SystemEvents, columns("gateway_id", "id", "source", "time:integer", "severity", "code", "text"), "gateway_id, id"},
}

// addedTables are those that older schemas lack, with the first schema that has them.
var addedTables = map[string]int64{"system_events": 6}

var forms = map[string]form{"": text, "integer": integer, "document": document, "sealed": sealed, "verifier": verifier}

// columns reads "name" or "name:form".
func columns(declarations ...string) []column {
	list := make([]column, len(declarations))
	for i, d := range declarations {
		name, f, _ := strings.Cut(d, ":")
		list[i] = column{name: name, form: forms[f]}
	}
	return list
}

func (t configTable) names() string {
	names := make([]string, len(t.columns))
	for i, c := range t.columns {
		names[i] = c.name
	}
	return strings.Join(names, ", ")
}

// lookupConfigTable returns the table of a name.
func lookupConfigTable(name string) (configTable, bool) {
	for _, t := range configTables {
		if t.name == name {
			return t, true
		}
	}
	return configTable{}, false
}
