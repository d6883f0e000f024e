package model

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// actionFields are the fields of an action of an action set.
var actionFields = []Field{
	text("name").within(1, 250).required(13206), text("type").oneOf("syslog", "email", "ipBlock", "sessionBlock", "userBlock").code(13201).required(13201),
	flag("runOnEveryEvent"), text("protocol").oneOf("udp", "tcp", "tls"), text("host").within(1, 253).valid(host).code(13206), port("port"),
	text("secondaryHost").valid(hostOrNone), port("secondaryPort"), text("syslogLogLevel").valid(among(SyslogLevels...)), text("syslogFacility").valid(among(SyslogFacilities...)),
	text("fromAddress").within(0, 320), text("toAddress").within(0, 2000), text("ccAddress").within(0, 2000), text("emailSubject").within(0, 1000).valid(placeholders).code(13207),
	text("emailBody").within(0, 64<<10).valid(placeholders).code(13207), text("emailFormat").oneOf("text", "html"), text("actionInterface").within(0, 250),
	text("message").within(0, 16<<10).valid(messagePlaceholders).code(13207), number("seconds").within(1, 86400*365),
}

func hostOrNone(s string) error {
	if s == "" {
		return nil
	}
	return host(s)
}

// What syslog actions may name, as RFC 5424 numbers the facilities, and with the usual
// words for severities.
var (
	SyslogLevels     = []string{"EMERG", "EMERGENCY", "ALERT", "CRIT", "CRITICAL", "ERROR", "ERR", "WARN", "WARNING", "NOTICE", "INFO", "DEBUG"}
	SyslogFacilities = []string{"KERN", "USER", "MAIL", "DAEMON", "AUTH", "SYSLOG", "LPR", "NEWS", "UUCP", "CRON", "AUTHPRIV", "FTP",
		"LOCAL0", "LOCAL1", "LOCAL2", "LOCAL3", "LOCAL4", "LOCAL5", "LOCAL6", "LOCAL7"}
)

// MessagePlaceholders are what gateways put into the message of a syslog action, behind
// ${ and before }.
var MessagePlaceholders = []string{
	"Alert.alertMetadata.alertName", "Alert.alertType", "Alert.applicationName", "Alert.createTime", "Alert.description", "Alert.dn", "Alert.gatewayName", "Alert.immediateAction",
	"Alert.serverGroupName", "Alert.serviceName", "Alert.severity", "Alert.siteName", "Alert.username",
	"Event.createTime", "Event.destInfo.serverIp", "Event.destInfo.serverPort", "Event.dn", "Event.sourceInfo.ipProtocol", "Event.sourceInfo.sourceIp", "Event.sourceInfo.sourcePort",
	"Event.struct.httpRequest.host", "Event.struct.httpRequest.method", "Event.struct.httpRequest.url.path", "Event.struct.httpRequest.url.query", "Event.struct.httpRequest.userAgent",
	"Event.struct.user.user", "Policy.displayName", "Rule.displayName", "Rule.parent.displayName", "System.version",
	"Violation.signature", "Violation.signatureName", "Violation.violatedItem",
}

func messagePlaceholders(s string) error {
	for _, found := range placeholder.FindAllString(s, -1) {
		name, ended := strings.CutSuffix(strings.TrimPrefix(found, "${"), "}")
		if !ended || !slices.Contains(MessagePlaceholders, name) {
			return errAllowed("has the placeholder " + shown(found) + "; known are " + strings.Join(MessagePlaceholders, ", "))
		}
	}
	return nil
}

var placeholder = regexp.MustCompile(`\$\{[^}]*\}?`)

// placeholders wants those that an event fills: ${Alert.name} and the like.
func placeholders(s string) error {
	for _, found := range placeholder.FindAllString(s, -1) {
		about, _, _ := strings.Cut(strings.TrimPrefix(found, "${"), ".")
		switch strings.TrimSuffix(about, "}") {
		case "Alert", "Event", "Violation", "Rule", "Policy", "Job", "System":
		default:
			return errAllowed("has the placeholder " + shown(found) + "; known are those that begin with Alert., Event., Violation., Rule., Policy., Job. and System.")
		}
	}
	return nil
}

// checkActions wants of each action what its type needs.
func checkActions(_ string, document map[string]any) []Fault {
	list, _ := document["actions"].([]any)
	var faults []Fault
	for i, entry := range list {
		a, ok := entry.(map[string]any)
		if !ok {
			continue
		}
		kind := textOf(a, "type")
		blocks := strings.HasSuffix(kind, "Block")
		switch {
		case textOf(document, "type") == "block" && kind != "" && !blocks:
			faults = append(faults, Fault{13205, fmt.Sprintf("actions[%d] is of type %s; a set of type block takes ipBlock, sessionBlock and userBlock", i, kind)})
		case kind == "syslog" && textOf(a, "host") == "":
			faults = append(faults, Fault{13206, fmt.Sprintf("actions[%d].host must not be empty for type syslog", i)})
		case kind == "email" && textOf(a, "toAddress") == "":
			faults = append(faults, Fault{13206, fmt.Sprintf("actions[%d].toAddress must not be empty for type email", i)})
		}
	}
	return faults
}

// attackFields describe the attack that a signature is for.
var attackFields = []Field{
	text("summary"), text("className"), text("complexity"), text("risk"), text("details"), text("affectedSystems"), text("cert"), text("cve"),
	text("bugTraq"), text("snortId"), text("exploitValue"), text("accuracy"), text("falsePositive"), text("falseNegative"), text("additionalInfo"),
}
