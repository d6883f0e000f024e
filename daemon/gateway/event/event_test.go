package event_test

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sealgate/appliance/model"
	"sealgate/appliance/spool"
	"sealgate/appliance/store"
	"sealgate/daemon/gateway/event"
	"sealgate/internal/peers"
)

// TestMain lets the process trust authorities that tests make: the file is read when
// the first certificate is verified.
func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "event")
	if err != nil {
		panic(err)
	}
	os.Setenv("SSL_CERT_FILE", filepath.Join(dir, "authorities.pem"))
	status := m.Run()
	os.RemoveAll(dir)
	os.Exit(status)
}

func newLog(t *testing.T) (*event.Log, *spool.Spool) {
	t.Helper()
	s, err := spool.Open(filepath.Join(t.TempDir(), "spool"), spool.Options{})
	if err != nil {
		t.Fatal(err)
	}
	l := event.New(s, slog.New(slog.NewTextHandler(t.Output(), nil)))
	t.Cleanup(func() { l.Close() })
	return l, s
}

var violation = store.Violation{ID: "ABC", Time: 1767322800000, Severity: "high", Type: "SQL|Injection", Description: "a = b\nCEF:0|forged", Policy: "p", Action: "block",
	SourceIP: "192.0.2.7", SourcePort: 4711, DestIP: "192.0.2.1", DestPort: 443, Gateway: "gw1", Site: "s", ServerGroup: "g", Service: "shop", Path: "/a", Query: "x=<y>"}

func TestViolationsReachSyslog(t *testing.T) {
	plain, secure := peers.Rsyslog(t, false), peers.Rsyslog(t, true)
	authority, err := os.ReadFile(secure.CertFile)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(os.Getenv("SSL_CERT_FILE"), authority, 0o644); err != nil {
		t.Fatal(err)
	}
	const cef = `sealgate - violation - CEF:0|Sealgate|Sealgate|dev|SQL\|Injection|a = b CEF:0\|forged|8|rt=1767322800000 externalId=ABC act=block src=192.0.2.7 spt=4711 dst=192.0.2.1 dpt=443 dvchost=gw1 request=/a cs1Label=policy cs1=p `
	for _, c := range []struct {
		protocol, format, begin, want string
		server                        *peers.Server
	}{
		{"UDP", "Gateway Log (CEF)", "<133>1 ", cef, plain},
		{"TCP", "Gateway Log (JSON)", "<133>1 ", `"violationType":"SQL|Injection"`, plain},
		{"TLS", "", "<130>1 ", cef, secure},
	} {
		t.Run(c.protocol, func(t *testing.T) {
			l, s := newLog(t)
			a := model.Action{Type: model.ActionSyslog, Protocol: c.protocol, Host: "127.0.0.1", Port: c.server.Port, Interface: c.format}
			if c.protocol == "TLS" {
				a.LogLevel = "CRIT"
			}
			l.Put(&violation, []model.Action{a, {Type: model.ActionIPBlock}})
			found := awaitLine(t, c.server, c.want)
			if !strings.HasPrefix(found, c.begin) || !strings.Contains(found, " gw1 ") {
				t.Errorf("%q", found)
			}
			if stats := s.Stats(); stats.Records != 1 || l.Lost() != 0 {
				t.Errorf("the spool: %+v, lost %d", stats, l.Lost())
			}
		})
	}
}

func awaitLine(t *testing.T, s *peers.Server, want string) string {
	t.Helper()
	for range 3000 {
		for _, line := range s.Received() {
			if strings.Contains(line, want) {
				return line
			}
		}
		time.Sleep(20 * time.Millisecond)
	}
	t.Fatalf("%q did not come, but %q", want, s.Received())
	return ""
}

func TestASyslogServerThatIsAwayDelaysNothing(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port := ln.Addr().(*net.TCPAddr).Port
	ln.Close()
	l, s := newLog(t)
	a := []model.Action{{Type: model.ActionSyslog, Protocol: "TCP", Host: "127.0.0.1", Port: port}}
	for range 2000 {
		l.Put(&violation, a)
	}
	if s.Stats().Records != 2000 || l.Lost() == 0 {
		t.Errorf("the spool: %+v, lost %d", s.Stats(), l.Lost())
	}
	list, err := s.Read(0, 1)
	if err != nil || len(list) != 1 {
		t.Fatal(list, err)
	}
	var r event.Record
	if err := json.Unmarshal(list[0].Body, &r); err != nil || r.Kind != event.Violation || *r.Violation != violation {
		t.Errorf("%s, %v", list[0].Body, err)
	}
}

func TestTheSecondServerStandsIn(t *testing.T) {
	second := peers.Rsyslog(t, false)
	l, _ := newLog(t)
	l.Put(&violation, []model.Action{{Type: model.ActionSyslog, Protocol: "TCP", Host: "127.0.0.1", Port: 1, SecondaryHost: second.Host, SecondaryPort: second.Port}})
	awaitLine(t, second, "externalId=ABC")
	v := violation
	v.ID = "DEF"
	l.Put(&v, []model.Action{{Type: model.ActionSyslog, Protocol: "TCP", Host: "127.0.0.1", Port: 1, SecondaryHost: second.Host, SecondaryPort: second.Port}})
	awaitLine(t, second, fmt.Sprint("externalId=", v.ID))
	// Without a port of its own it is at the first one's.
	v.ID = "GHI"
	l.Put(&v, []model.Action{{Type: model.ActionSyslog, Protocol: "TCP", Host: "127.0.0.9", Port: second.Port, SecondaryHost: second.Host}})
	awaitLine(t, second, fmt.Sprint("externalId=", v.ID))
}

// An action's own words go to syslog in place of CEF. What a client sent begins no line.
func TestAMessageIsInTheActionsWords(t *testing.T) {
	server := peers.Rsyslog(t, false)
	l, _ := newLog(t)
	a := model.Action{Type: model.ActionSyslog, Protocol: "TCP", Host: server.Host, Port: server.Port, Interface: "Gateway Log (JSON)",
		Message: "${Alert.severity}: ${Alert.description} from ${Event.sourceInfo.sourceIp}:${Event.sourceInfo.sourcePort} at ${Alert.createTime} ${Alert.username}$ {x} ${Nobody.knows}${"}
	l.Put(&violation, []model.Action{a})
	awaitLine(t, server, "sealgate - violation - high: a = b CEF:0|forged from 192.0.2.7:4711 at 2026-01-02T03:00:00.000Z $ {x} ${")
	for _, name := range model.MessagePlaceholders {
		a.Message = "a ${" + name + "} b"
		v := store.Violation{Time: 1, Type: "x", Application: "x", Description: "x", ID: "x", Gateway: "gw1", Action: "x", ServerGroup: "x", Service: "x", Severity: "x", Site: "x", User: "x",
			DestIP: "x", DestPort: 1, SourceIP: "x", SourcePort: 1, Host: "x", Method: "x", Path: "x", Query: "x", UserAgent: "x", Policy: "x", Signature: "x", SignatureName: "x", ViolatedItem: "x"}
		if text := string(event.Format(&v, &a)); strings.Contains(text, "${") || strings.Contains(text, "a  b") {
			t.Errorf("%s is not filled: %s", name, text)
		}
	}
}

// What the API takes has a number.
func TestSyslogWordsHaveNumbers(t *testing.T) {
	begins := make(map[string]bool)
	for _, facility := range model.SyslogFacilities {
		text := string(event.Format(&violation, &model.Action{Facility: facility, LogLevel: "EMERG"}))
		begins[text[:strings.IndexByte(text, '>')]] = true
	}
	if len(begins) != len(model.SyslogFacilities) {
		t.Errorf("facilities: %v", begins)
	}
	usual := string(event.Format(&violation, &model.Action{LogLevel: "NOTICE"}))
	for _, level := range model.SyslogLevels {
		if text := string(event.Format(&violation, &model.Action{LogLevel: level})); level != "NOTICE" && text[:5] == usual[:5] {
			t.Errorf("level %s: %s", level, text)
		}
	}
}

// An action that does not run on every event is told once of each alert.
func TestAnActionRunsOnEveryEventOrOnEachAlert(t *testing.T) {
	server := peers.Rsyslog(t, false)
	l, s := newLog(t)
	once, each := false, true
	actions := []model.Action{{Name: "each", RunOnEveryEvent: &each, Message: "each ${Alert.dn}."}, {Name: "once", RunOnEveryEvent: &once, Message: "once ${Alert.dn}."}, {Name: "unsaid", Message: "unsaid ${Alert.dn}."}}
	for i := range actions {
		actions[i].Type, actions[i].Protocol, actions[i].Host, actions[i].Port = model.ActionSyslog, "TCP", server.Host, server.Port
	}
	second, other := violation, violation
	second.ID, other.ID, other.SourceIP = "DEF", "GHI", "192.0.2.8"
	for _, v := range []*store.Violation{&violation, &second, &other} {
		l.Put(v, actions)
	}
	for _, want := range []string{"each ABC.", "once ABC.", "each DEF.", "unsaid DEF.", "each GHI.", "once GHI.", "unsaid GHI."} {
		awaitLine(t, server, want)
	}
	if all := strings.Join(server.Received(), "\n"); strings.Contains(all, "once DEF.") {
		t.Errorf("an alert was told of twice:\n%s", all)
	}
	if s.Stats().Records != 3 {
		t.Errorf("the spool: %+v", s.Stats())
	}
}
