package hub_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sealgate/appliance/spool"
	"sealgate/appliance/store"
	"sealgate/daemon/link"
)

// copyOf is a gateway of the same disk, started beside it.
func (g *gw) copyOf() *gw {
	g.t.Helper()
	g.stop()
	c := &gw{t: g.t, id: g.id, name: g.name, home: newHome(g.t, g.name), restarts: make(chan bool, 1)}
	c.daemon = c
	must(g.t, os.CopyFS(filepath.Join(string(c.home), "copy"), os.DirFS(string(g.home))))
	for _, folder := range []string{c.home.Link(), c.home.Spool()} {
		name := filepath.Base(folder)
		must(g.t, os.RemoveAll(folder))
		must(g.t, os.Rename(filepath.Join(string(c.home), "copy", name), folder))
	}
	g.start()
	c.start()
	g.t.Cleanup(func() { c.stop() })
	return c
}

// A machine that was copied with its identity and its spool: both deliver, what both have
// is there once, and an alarm says so until one of them is shut out by new keys.
func TestACopyOfAGateway(t *testing.T) {
	m := newMX(t)
	g := m.newGateway("gw1")
	eventually(t, "its polls", func() bool { _, running := m.hub.Live(g.id); return running })
	if types, _ := m.alarms("gw1"); strings.Contains(types, "copied") {
		t.Fatalf("alarms of one that is alone: %q", types)
	}
	g.stop()
	add := func(g *gw, from, to int) {
		t.Helper()
		s, err := spool.Open(filepath.Join(g.home.Spool(), "events"), spool.Options{})
		must(t, err)
		for i := from; i < to; i++ {
			put(t, s, violation(i))
		}
		must(t, s.Close())
	}
	add(g, 0, 100)
	g.start()
	c := g.copyOf()
	c.stop()
	add(c, 100, 150)
	c.start()
	eventually(t, "the alarm", func() bool { types, _ := m.alarms("gw1"); return strings.Contains(types, "gateway-copied") })
	eventually(t, "its event", func() bool { return len(m.happened("mx1", "gateway-copied")) == 1 })
	eventually(t, "all violations", func() bool { return m.stored() == 150 })

	before, err := link.ReadIdentity(g.home)
	must(t, err)
	if c := m.ask(g, link.Renew); c.State != store.CommandDone {
		t.Errorf("%+v", c)
	}
	shutOut := func(g *gw) bool {
		s, err := link.ReadStatus(g.home)
		return err == nil && !s.Connected && strings.Contains(s.Error, "deleted")
	}
	changed := func(g *gw) bool {
		id, err := link.ReadIdentity(g.home)
		must(t, err)
		return id.Pin() != before.Pin()
	}
	eventually(t, "one of them is shut out", func() bool { return shutOut(g) && changed(c) || shutOut(c) && changed(g) })
	if changed(g) && changed(c) {
		t.Error("both have new keys")
	}
}
