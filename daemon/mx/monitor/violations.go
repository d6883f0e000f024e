package monitor

import (
	"context"
	"time"

	"sealgate/appliance/store"
	"sealgate/daemon/mx/openapi"
)

// maxViolations is how many violations one answer has at most.
const maxViolations = 5000

// timeLayout is how answers write a time; it is UTC.
const timeLayout = "2006-01-02T15:04:05.000Z"

// violation is a violation as it is answered.
type violation struct {
	Time          string `json:"time"`
	Severity      string `json:"severity,omitempty"`
	Type          string `json:"violationType,omitempty"`
	SourceIP      string `json:"sourceIp,omitempty"`
	SourcePort    int    `json:"sourcePort,omitempty"`
	DestIP        string `json:"destIp,omitempty"`
	DestPort      int    `json:"destPort,omitempty"`
	Description   string `json:"description,omitempty"`
	ServerGroup   string `json:"serverGroupName,omitempty"`
	Service       string `json:"serviceName,omitempty"`
	ViolatedItem  string `json:"violatedItem,omitempty"`
	Application   string `json:"applicationName,omitempty"`
	Action        string `json:"action,omitempty"`
	AlertNumber   int64  `json:"alertNumber"`
	EventNumber   int64  `json:"eventNumber"`
	Gateway       string `json:"gatewayName,omitempty"`
	Path          string `json:"requestUrlPath,omitempty"`
	ID            string `json:"violationId"`
	Signature     string `json:"signature,omitempty"`
	SignatureName string `json:"signatureName,omitempty"`
}

// violationFields describe it.
var violationFields = fields("time", "severity", "violationType", "sourceIp", "sourcePort:int", "destIp", "destPort:int", "description",
	"serverGroupName", "serviceName", "violatedItem", "applicationName", "action", "alertNumber:int", "eventNumber:int", "gatewayName",
	"requestUrlPath", "violationId", "signature", "signatureName")

func answerOf(v *store.Violation) violation {
	return violation{
		Time: time.UnixMilli(v.Time).UTC().Format(timeLayout), Severity: v.Severity, Type: v.Type,
		SourceIP: v.SourceIP, SourcePort: v.SourcePort, DestIP: v.DestIP, DestPort: v.DestPort, Description: v.Description,
		ServerGroup: v.ServerGroup, Service: v.Service, ViolatedItem: v.ViolatedItem, Application: v.Application, Action: v.Action,
		AlertNumber: v.AlertNumber, EventNumber: v.EventNumber, Gateway: v.Gateway, Path: v.Path, ID: v.ID,
		Signature: v.Signature, SignatureName: v.SignatureName,
	}
}

// violations lists what meets all filters, the newest first. A caller of some sites
// sees theirs alone. With limit the newest are answered; without it all of them, or
// none when there are more than maxViolations.
func (c Config) violations(ctx context.Context, call *openapi.Call) (any, error) {
	q, err := readQuery(call.Query, c.Now())
	if err != nil {
		return nil, err
	}
	q.filter.Sites = call.Caller.Sites
	limit := q.limit
	if limit == 0 {
		limit = maxViolations + 1
	}
	found, err := c.Store.Violations(ctx, q.filter, limit)
	if err != nil {
		return nil, err
	}
	if len(found) > maxViolations {
		return nil, openapi.Faultf(codeTooMany, "more than %d violations meet the filters; add a filter, or limit (1 to %d), which takes the newest", maxViolations, maxViolations)
	}
	list := make([]violation, len(found))
	for i := range found {
		list[i] = answerOf(&found[i])
	}
	return map[string]any{"violations": list}, nil
}
