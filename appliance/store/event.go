package store

// Alert is what an administrator sees of violations of one kind from one source or
// against one target, over at most twelve hours. Its day is that of its first
// violation.
type Alert struct {
	ID          string `json:"id"`
	Number      int64  `json:"number"`
	Time        int64  `json:"time"`     // of the first violation, milliseconds since 1970
	LastTime    int64  `json:"lastTime"` // of the last
	Severity    string `json:"severity"`
	Type        string `json:"type"`
	Description string `json:"description"`
	SourceIP    string `json:"sourceIp"`
	Gateway     string `json:"gateway"`
	Site        string `json:"site"`
	ServerGroup string `json:"serverGroup"`
	Service     string `json:"service"`
	Application string `json:"application"`
	Policy      string `json:"policy"`
	Action      string `json:"action"`
	Count       int64  `json:"count"`
	Comment     string `json:"comment,omitempty"`
}

// Violation is one breach of one rule by one request.
type Violation struct {
	ID            string `json:"id"`
	EventNumber   int64  `json:"eventNumber"`
	AlertNumber   int64  `json:"alertNumber"`
	Time          int64  `json:"time"` // milliseconds since 1970
	Severity      string `json:"severity"`
	Type          string `json:"violationType"`
	Description   string `json:"description"`
	ViolatedItem  string `json:"violatedItem"`
	Policy        string `json:"policy"`
	Signature     string `json:"signature,omitempty"` // what matched
	SignatureName string `json:"signatureName,omitempty"`
	Action        string `json:"action"`
	SourceIP      string `json:"sourceIp"`
	SourcePort    int    `json:"sourcePort"`
	DestIP        string `json:"destIp"`
	DestPort      int    `json:"destPort"`
	Gateway       string `json:"gatewayName"`
	Site          string `json:"siteName"`
	ServerGroup   string `json:"serverGroupName"`
	Service       string `json:"serviceName"`
	Application   string `json:"applicationName"`
	Method        string `json:"method"`
	Host          string `json:"host"`
	Path          string `json:"requestUrlPath"`
	Query         string `json:"query,omitempty"`
	UserAgent     string `json:"userAgent,omitempty"`
	Session       string `json:"session,omitempty"`
	User          string `json:"user,omitempty"`
	Comment       string `json:"comment,omitempty"`
	Origin        string `json:"origin,omitempty"` // the spool that it came from, a digest of its epoch
}

// AuditRecord is a request and its answer, recorded because an audit policy says
// so. Texts are UTF-8: what is not, the gateway writes as base64.
type AuditRecord struct {
	ID              string      `json:"id"`
	Time            int64       `json:"time"`     // of the request, milliseconds since 1970
	Duration        int64       `json:"duration"` // to the end of the answer, microseconds
	Policy          string      `json:"policy"`
	Gateway         string      `json:"gateway"`
	Site            string      `json:"site"`
	ServerGroup     string      `json:"serverGroup"`
	Service         string      `json:"service"`
	Application     string      `json:"application"`
	SourceIP        string      `json:"sourceIp"`
	SourcePort      int         `json:"sourcePort"`
	User            string      `json:"user,omitempty"`
	Session         string      `json:"session,omitempty"`
	Method          string      `json:"method"`
	Host            string      `json:"host"`
	Path            string      `json:"path"`
	Query           string      `json:"query,omitempty"`
	Version         string      `json:"version"`
	Headers         [][2]string `json:"headers"`
	Parameters      [][2]string `json:"parameters,omitempty"`
	Body            string      `json:"body,omitempty"`
	Status          int         `json:"status"`
	ResponseHeaders [][2]string `json:"responseHeaders"`
	ResponseSize    int64       `json:"responseSize"` // bytes
	Comment         string      `json:"comment,omitempty"`
}

// Batch is events to append, of any days.
type Batch struct {
	Alerts     []Alert
	Violations []Violation
	Audit      []AuditRecord
}

// eventTable is how one kind of events is kept.
type eventTable struct {
	name    string
	kind    Kind
	columns string
	insert  string
}

// insertion is the statement that stores a row.
func (t eventTable) insertion() string {
	return "INSERT INTO " + t.name + " (" + t.columns + ") VALUES (" + t.insert + ")"
}

// passOver makes an insertion pass over what is stored already.
const passOver = " ON CONFLICT (id) DO NOTHING"

var (
	alertTable = eventTable{"alerts", Alerts,
		"id, number, time, severity, source_ip, server_group, service, application, document", placeholders(9)}
	violationTable = eventTable{"violations", Violations,
		"id, number, alert_number, time, severity, source_ip, path, site, server_group, service, application, document", placeholders(12)}
	auditTable = eventTable{"audit_data", Audit,
		"id, time, source_ip, user_name, path, status, service, application, document", placeholders(9)}
	eventTables = []eventTable{alertTable, violationTable, auditTable}
)

// row is an event as it is stored: the values of its columns, document last.
type row struct {
	time    int64
	values  []any
	segment int64 // of a violation, as its facet
	facet   facet
}

func (a *Alert) row(document string) row {
	return row{time: a.Time, values: []any{a.ID, a.Number, a.Time, a.Severity, a.SourceIP, a.ServerGroup, a.Service, a.Application, document}}
}

func (v *Violation) row(document string) row {
	return row{
		time:    v.Time,
		values:  []any{v.ID, v.EventNumber, v.AlertNumber, v.Time, v.Severity, v.SourceIP, v.Path, v.Site, v.ServerGroup, v.Service, v.Application, document},
		segment: v.EventNumber / segmentSize,
		facet:   facet{v.Site, v.ServerGroup, v.Service, v.Application, v.Severity},
	}
}

func (a *AuditRecord) row(document string) row {
	return row{time: a.Time, values: []any{a.ID, a.Time, a.SourceIP, a.User, a.Path, int64(a.Status), a.Service, a.Application, document}}
}
