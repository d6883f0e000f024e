package monitor

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"

	"sealgate/appliance"
	"sealgate/appliance/certificate"
	"sealgate/appliance/disk"
	"sealgate/daemon/link/hub"
	"sealgate/daemon/mx/openapi"
)

// alarm is an alarm as it is answered.
type alarm struct {
	Discovered string `json:"discoveredDate"`
	Type       string `json:"alarmTypeId"`
	Short      string `json:"shortDescription"`
	Element    string `json:"elementType"`
	Name       string `json:"elementName"`
	IP         string `json:"elementIp,omitempty"`
	Deployment string `json:"elementDeploymentName,omitempty"`
	SubSystem  string `json:"subSystem"`
}

var alarmFields = fields("discoveredDate", "alarmTypeId", "shortDescription", "elementType", "elementName", "elementIp", "elementDeploymentName", "subSystem")

// When there is an alarm.
const (
	lowSpace   = 4                   // as many reserves of disk are free, or fewer
	expiryNear = 30 * 24 * time.Hour // before a certificate ends
)

// fault is what one check found.
type fault struct{ typ, subSystem, words string }

// checks say what is wrong with the appliance now.
var checks = []func(*Alarms) (*fault, error){checkDisk, checkCertificate}

func checkDisk(a *Alarms) (*fault, error) {
	space, err := disk.Of(string(a.home))
	if err != nil || space.Free > lowSpace*space.Reserve {
		return nil, err
	}
	return &fault{"disk-space-low", "storage", fmt.Sprintf("%d MiB of disk are free, %d MiB are kept for records", space.Free>>20, space.Reserve>>20)}, nil
}

func checkCertificate(a *Alarms) (*fault, error) {
	info, err := certificate.Show(a.home)
	if err != nil || info.NotAfter.Sub(a.now()) > expiryNear {
		return nil, err
	}
	return &fault{"certificate-expires", "management", "the management address's certificate ends at " + info.NotAfter.UTC().Format(timeLayout)}, nil
}

// Gateways know what is wrong with gateways: *hub.Hub.
type Gateways interface{ Alarms() []hub.Alarm }

// Alarms are what is wrong with this appliance and its gateways. It is looked for when
// it is asked for: an alarm is as old as its cause, or as the first answer that had
// it, and ends with its cause.
type Alarms struct {
	home     appliance.Home
	config   appliance.Config
	gateways Gateways
	now      func() time.Time
	log      *slog.Logger

	mu    sync.Mutex
	since map[string]time.Time // by type and name
}

// NewAlarms returns the alarms of an appliance.
func NewAlarms(home appliance.Home, config appliance.Config, gateways Gateways, now func() time.Time, log *slog.Logger) *Alarms {
	return &Alarms{home: home, config: config, gateways: gateways, now: now, log: log, since: make(map[string]time.Time)}
}

func (a *Alarms) operations() []openapi.Operation {
	return []openapi.Operation{{Method: http.MethodGet, Path: "/v1/status/alarms/active", Summary: "list what is wrong now",
		Query: []string{"deployment"}, Out: alarmFields, BareOut: true, Do: a.active}}
}

func (a *Alarms) active(_ context.Context, call *openapi.Call) (any, error) {
	list := []alarm{}
	if deployment := call.Query.Get("deployment"); deployment != "" && deployment != a.config.Name {
		return list, nil
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	since := make(map[string]time.Time)
	raise := func(r alarm, begin time.Time) {
		key := r.Type + "\x00" + r.Element + "\x00" + r.Name
		known, ok := a.since[key]
		if begin.IsZero() {
			if begin = known; !ok {
				begin = a.now()
			}
		}
		if !ok {
			a.log.Warn("an alarm was raised", "type", r.Type, "of", r.Name, "words", r.Short)
		}
		since[key] = begin
		r.Discovered, r.Deployment = begin.UTC().Format(timeLayout), a.config.Name
		list = append(list, r)
	}
	host, _, _ := net.SplitHostPort(a.config.Listen)
	for _, check := range checks {
		f, err := check(a)
		if err != nil {
			return nil, err
		}
		if f != nil {
			raise(alarm{Type: f.typ, Short: f.words, SubSystem: f.subSystem, Element: "managementServer", Name: a.config.Name, IP: host}, time.Time{})
		}
	}
	for _, f := range a.gateways.Alarms() {
		r := alarm{Type: f.Type, Short: f.Words, SubSystem: "gateways", Element: "gateway", Name: f.Gateway, IP: f.Address}
		if f.Gateway == "" {
			r.Element, r.Name = "gatewayGroup", f.Group
		}
		raise(r, f.Since)
	}
	a.since = since
	return list, nil
}
