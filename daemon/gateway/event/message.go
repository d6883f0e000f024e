package event

import (
	"bytes"
	"strings"
	"time"
	"unicode"

	"sealgate/appliance/model"
	"sealgate/appliance/store"
	"sealgate/control"
)

// places are what stands for each of model.MessagePlaceholders.
var places = map[string]func(*store.Violation) string{
	"Alert.alertMetadata.alertName":      func(v *store.Violation) string { return v.Type },
	"Alert.alertType":                    func(v *store.Violation) string { return v.Type },
	"Alert.applicationName":              func(v *store.Violation) string { return v.Application },
	"Alert.createTime":                   when,
	"Alert.description":                  func(v *store.Violation) string { return v.Description },
	"Alert.dn":                           func(v *store.Violation) string { return v.ID },
	"Alert.gatewayName":                  func(v *store.Violation) string { return v.Gateway },
	"Alert.immediateAction":              func(v *store.Violation) string { return v.Action },
	"Alert.serverGroupName":              func(v *store.Violation) string { return v.ServerGroup },
	"Alert.serviceName":                  func(v *store.Violation) string { return v.Service },
	"Alert.severity":                     func(v *store.Violation) string { return v.Severity },
	"Alert.siteName":                     func(v *store.Violation) string { return v.Site },
	"Alert.username":                     func(v *store.Violation) string { return v.User },
	"Event.createTime":                   when,
	"Event.destInfo.serverIp":            func(v *store.Violation) string { return v.DestIP },
	"Event.destInfo.serverPort":          func(v *store.Violation) string { return number(v.DestPort) },
	"Event.dn":                           func(v *store.Violation) string { return v.ID },
	"Event.sourceInfo.ipProtocol":        func(*store.Violation) string { return "TCP" },
	"Event.sourceInfo.sourceIp":          func(v *store.Violation) string { return v.SourceIP },
	"Event.sourceInfo.sourcePort":        func(v *store.Violation) string { return number(v.SourcePort) },
	"Event.struct.httpRequest.host":      func(v *store.Violation) string { return v.Host },
	"Event.struct.httpRequest.method":    func(v *store.Violation) string { return v.Method },
	"Event.struct.httpRequest.url.path":  func(v *store.Violation) string { return v.Path },
	"Event.struct.httpRequest.url.query": func(v *store.Violation) string { return v.Query },
	"Event.struct.httpRequest.userAgent": func(v *store.Violation) string { return v.UserAgent },
	"Event.struct.user.user":             func(v *store.Violation) string { return v.User },
	"Policy.displayName":                 func(v *store.Violation) string { return v.Policy },
	"Rule.displayName":                   func(v *store.Violation) string { return v.Type },
	"Rule.parent.displayName":            func(v *store.Violation) string { return v.Policy },
	"System.version":                     func(*store.Violation) string { return control.Version },
	"Violation.signature":                func(v *store.Violation) string { return v.Signature },
	"Violation.signatureName":            func(v *store.Violation) string { return v.SignatureName },
	"Violation.violatedItem":             func(v *store.Violation) string { return v.ViolatedItem },
}

func when(v *store.Violation) string {
	return time.UnixMilli(v.Time).UTC().Format("2006-01-02T15:04:05.000Z")
}

// fill writes a text with its placeholders replaced. What a client sent begins no new
// line.
func fill(b *bytes.Buffer, text string, v *store.Violation) {
	for {
		before, rest, found := strings.Cut(text, "${")
		b.WriteString(before)
		if !found {
			return
		}
		name, after, ends := strings.Cut(rest, "}")
		if !ends {
			b.WriteString("${" + rest)
			return
		}
		if value := places[name]; value != nil {
			b.WriteString(strings.Map(printable, value(v)))
		}
		text = after
	}
}

func printable(r rune) rune {
	if unicode.IsControl(r) {
		return ' '
	}
	return r
}

// alert is what the management server makes of violations of one kind and source. An
// action that does not run on every event is told the first of each.
type alert struct {
	action, host, service, kind, policy, severity, done, source string
}

const (
	alertLasts = 12 * time.Hour
	maxAlerts  = 4096 // beyond that they are told of again
)

// again says whether a violation belongs to an alert of which the action was told, with
// l.mu held.
func (l *Log) again(v *store.Violation, a *model.Action, now time.Time) bool {
	key := alert{a.Name, a.Host, v.Site + "/" + v.ServerGroup + "/" + v.Service, v.Type, v.Policy, v.Severity, v.Action, v.SourceIP}
	if first, ok := l.alerts[key]; ok && now.Sub(first) < alertLasts {
		return true
	}
	if l.alerts == nil || len(l.alerts) >= maxAlerts {
		l.alerts = make(map[alert]time.Time)
	}
	l.alerts[key] = now
	return false
}
