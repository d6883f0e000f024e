package event

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"sealgate/appliance/model"
	"sealgate/appliance/store"
	"sealgate/control"
)

// facilities and severities are numbers of RFC 5424.
var facilities = map[string]int{"KERN": 0, "USER": 1, "MAIL": 2, "DAEMON": 3, "AUTH": 4, "SYSLOG": 5, "LPR": 6, "NEWS": 7, "UUCP": 8, "CRON": 9, "AUTHPRIV": 10, "FTP": 11,
	"LOCAL0": 16, "LOCAL1": 17, "LOCAL2": 18, "LOCAL3": 19, "LOCAL4": 20, "LOCAL5": 21, "LOCAL6": 22, "LOCAL7": 23}

var levels = map[string]int{"EMERG": 0, "EMERGENCY": 0, "ALERT": 1, "CRIT": 2, "CRITICAL": 2, "ERROR": 3, "ERR": 3, "WARN": 4, "WARNING": 4, "NOTICE": 5, "INFO": 6, "DEBUG": 7}

// format is a message of RFC 5424 with a violation: in the action's own words, in JSON or
// in CEF.
func format(v *store.Violation, a *model.Action, now time.Time) []byte {
	facility, ok := facilities[strings.ToUpper(a.Facility)]
	if !ok {
		facility = facilities["LOCAL0"]
	}
	level, ok := levels[strings.ToUpper(a.LogLevel)]
	if !ok {
		level = levels["NOTICE"]
	}
	var b bytes.Buffer
	fmt.Fprintf(&b, "<%d>1 %s %s sealgate - violation - ", facility*8+level, now.UTC().Format("2006-01-02T15:04:05.000Z"), header(v.Gateway))
	if a.Message != "" {
		fill(&b, a.Message, v)
		return b.Bytes()
	}
	if strings.Contains(strings.ToUpper(a.Interface), "JSON") {
		e := json.NewEncoder(&b)
		e.SetEscapeHTML(false)
		e.Encode(v)
		return bytes.TrimRight(b.Bytes(), "\n")
	}
	cef(&b, v)
	return b.Bytes()
}

func header(name string) string {
	if name == "" {
		return "-"
	}
	return name
}

// cefSeverity is 0 to 10.
func cefSeverity(severity string) int {
	switch severity {
	case "high":
		return 8
	case "medium":
		return 5
	case "low":
		return 3
	}
	return 1
}

// cef writes a violation in ArcSight's Common Event Format, version 0.
func cef(b *bytes.Buffer, v *store.Violation) {
	fmt.Fprintf(b, "CEF:0|Sealgate|Sealgate|%s|%s|%s|%d|", cefHeader(control.Version), cefHeader(v.Type), cefHeader(v.Description), cefSeverity(v.Severity))
	fields := []struct{ key, value string }{
		{"rt", fmt.Sprint(v.Time)}, {"externalId", v.ID}, {"act", v.Action}, {"src", v.SourceIP}, {"spt", number(v.SourcePort)}, {"dst", v.DestIP}, {"dpt", number(v.DestPort)},
		{"dvchost", v.Gateway}, {"requestMethod", v.Method}, {"dhost", v.Host}, {"request", v.Path}, {"requestClientApplication", v.UserAgent}, {"suser", v.User},
		{"cs1Label", "policy"}, {"cs1", v.Policy}, {"cs2Label", "serverGroup"}, {"cs2", v.ServerGroup}, {"cs3Label", "webService"}, {"cs3", v.Service},
		{"cs4Label", "application"}, {"cs4", v.Application}, {"cs5Label", "violatedItem"}, {"cs5", v.ViolatedItem}, {"cs6Label", "signature"}, {"cs6", v.Signature},
	}
	space := ""
	for _, f := range fields {
		if f.value == "" {
			continue
		}
		fmt.Fprintf(b, "%s%s=%s", space, f.key, cefValue(f.value))
		space = " "
	}
}

func number(n int) string {
	if n == 0 {
		return ""
	}
	return fmt.Sprint(n)
}

var (
	headerEscapes = strings.NewReplacer(`\`, `\\`, "|", `\|`, "\n", " ", "\r", " ")
	valueEscapes  = strings.NewReplacer(`\`, `\\`, "=", `\=`, "\n", `\n`, "\r", `\r`)
)

func cefHeader(s string) string { return headerEscapes.Replace(s) }
func cefValue(s string) string  { return valueEscapes.Replace(s) }
