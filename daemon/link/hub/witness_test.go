package hub_test

import (
	"strings"
	"testing"
	"time"

	"sealgate/appliance/audit"
	"sealgate/daemon/errand"
	"sealgate/daemon/link"
	"sealgate/internal/trial"
)

// The hole: each head that does not continue the one before, and each of another
// machine, was a record of the audit log here. The attack: a gateway that was taken over
// tells another one at each poll, of names that no appliance has, to push old records
// out and those of other gateways' heads past the bound. What must hold: it has one
// record of either kind in five minutes, and the name is one.
func TestAGatewayDoesNotFillTheAuditLogWithHeads(t *testing.T) {
	m := newMX(t)
	id, _ := m.register("gw1")
	client, err := link.NewClient(m.address, id.Registration.Pin, id)
	must(t, err)
	defer client.Close()
	for i := range 20 {
		for _, of := range []string{"one", "two", "\x1b[2J", strings.Repeat("中", 100)} {
			said := link.Poll{Version: link.Version, Now: true, Clock: time.Now().UnixMilli(), AuditHead: audit.Head{Seq: uint64(100 - i), Hash: strings.Repeat("a", 64)}.Line(of)}
			var answer link.Polled
			must(t, client.Call(t.Context(), link.PathPoll, said, &answer))
		}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.notes) != 2 || m.notes[0].Kind != errand.AuditHead || m.notes[1].Kind != errand.AuditRewritten {
		t.Errorf("%d records: %+v", len(m.notes), m.notes[:min(len(m.notes), 4)])
	}
}

// The management server's audit log keeps the heads of a gateway's at intervals, and
// says at once that one does not continue what it kept.
func TestHeadsOfAuditLogsAreWitnessed(t *testing.T) {
	m := newMX(t)
	m.stop()
	c := new(trial.Clock)
	m.start(m.address, c)
	id, _ := m.register("gw1")
	client, err := link.NewClient(m.address, id.Registration.Pin, id)
	must(t, err)
	defer client.Close()
	tell := func(of string, records uint64, hash string) {
		t.Helper()
		said := link.Poll{Version: link.Version, Clock: c.Now().UnixMilli(), AuditHead: audit.Head{Seq: records, Hash: strings.Repeat(hash, 64)}.Line(of)}
		var answer link.Polled
		must(t, client.Call(t.Context(), link.PathPoll, said, &answer))
	}
	kept := func(want ...string) {
		t.Helper()
		m.mu.Lock()
		defer m.mu.Unlock()
		var got []string
		for _, n := range m.notes {
			_, head, ok := audit.ParseLine(n.Detail)
			if !ok || n.Gateway != "gw1" || n.Origin != "127.0.0.1" {
				t.Errorf("the note %+v", n)
			}
			word := "kept "
			if n.Kind == errand.AuditRewritten {
				word = "rewritten "
			}
			got = append(got, word+head.Hash[:1])
		}
		if strings.Join(got, ", ") != strings.Join(want, ", ") {
			t.Errorf("%q, want %q", got, want)
		}
	}
	tell("one", 5, "a")
	tell("one", 5, "a")
	tell("one", 6, "b")
	kept("kept a")
	c.Pass(6 * time.Minute)
	tell("one", 7, "c")
	kept("kept a", "kept c")
	const alarm = "gateway-audit-rewritten"
	if types, _ := m.alarms("gw1"); strings.Contains(types, alarm) {
		t.Errorf("alarms %q", types)
	}
	tell("one", 7, "d")
	kept("kept a", "kept c", "rewritten d")
	if types, _ := m.alarms("gw1"); !strings.Contains(types, alarm) {
		t.Errorf("alarms %q", types)
	}
	c.Pass(6 * time.Minute)
	tell("two", 1, "e") // another machine in its place
	kept("kept a", "kept c", "rewritten d", "kept e")
}
