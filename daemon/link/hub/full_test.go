package hub_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"sealgate/appliance/disk"
	"sealgate/appliance/model"
	"sealgate/appliance/spool"
	"sealgate/appliance/store"
	"sealgate/appliance/store/storetest"
	"sealgate/daemon/gateway/event"
	"sealgate/daemon/link"
	"sealgate/internal/trial"
)

// small is a folder on a disk of a few MiB.
func small(t *testing.T, size string) string {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("a small disk is for root to mount")
	}
	dir := t.TempDir()
	must(t, syscall.Mount("tmpfs", dir, "tmpfs", 0, "size="+size+",mode=0700"))
	t.Cleanup(func() { syscall.Unmount(dir, syscall.MNT_DETACH) })
	return dir
}

// fill leaves no room on a disk, until the file that it returns is removed.
func fill(t *testing.T, dir string) string {
	t.Helper()
	path := filepath.Join(dir, "filler")
	f, err := os.Create(path)
	must(t, err)
	defer f.Close()
	for block := make([]byte, 4096); ; {
		if _, err := f.Write(block); err != nil {
			return path
		}
	}
}

// While the management server's disk is full events wait at the gateway, and none is
// lost or doubled when there is room again.
func TestAFullDiskOfTheManagementServer(t *testing.T) {
	dir := small(t, "32m")
	m := newMXIn(t, dir)
	s := m.delivering(m.client("gw1"))
	n := 0
	more := func(count int) {
		for range count {
			put(t, s, violation(n))
			n++
		}
	}
	more(100)
	eventually(t, "the first ones", func() bool { return s.Stats().Records == 0 })
	filler := fill(t, dir)
	more(3000)
	for range 50 { // the server has no room for them all
		if s.Stats().Records == 0 {
			t.Fatal("a full disk has taken everything")
		}
		link.Rest(t.Context(), 20*time.Millisecond)
	}
	must(t, os.Remove(filler))
	eventually(t, "the rest", func() bool { return s.Stats().Records == 0 && m.stored() == int64(n) })
	storetest.CheckAlerts(t, m.store)
	if s.Stats().Dropped != 0 {
		t.Errorf("%d events were dropped", s.Stats().Dropped)
	}
}

// What a gateway's full disk does not take is counted, and told of.
func TestAFullDiskOfAGateway(t *testing.T) {
	dir := small(t, "1m")
	m := newMX(t)
	id, _ := m.register("gw1")
	s, err := spool.Open(filepath.Join(dir, "events"), spool.Options{})
	must(t, err)
	defer s.Close()
	client, err := link.NewClient(id.Server, id.Registration.Pin, id)
	must(t, err)
	defer client.Close()
	poll := func() {
		t.Helper()
		_, err := client.Poll(t.Context(), link.Poll{Version: link.Version, Now: true, Clock: time.Now().UnixMilli(), Spool: link.Spool{Epoch: s.Epoch(), Dropped: int64(s.Stats().Dropped), Max: s.Stats().Max}})
		must(t, err)
	}
	poll()
	filler := fill(t, dir)
	v := violation(1)
	body, err := json.Marshal(event.Record{Kind: event.Violation, Violation: &v})
	must(t, err)
	refused := 0
	for range 100 {
		if _, err := s.Append(body); err != nil {
			refused++
		}
	}
	if refused == 0 || s.Stats().Dropped != uint64(refused) {
		t.Errorf("%d were refused, %d are counted", refused, s.Stats().Dropped)
	}
	must(t, os.Remove(filler))
	if _, err := s.Append(body); err != nil {
		t.Errorf("with room again: %v", err)
	}
	poll()
	if types, words := m.alarms("gw1"); types != "gateway-events-dropped" {
		t.Errorf("%s: %s", types, words)
	}
}

// The hole: violations filled the disk, and from its reserve on every command is refused.
// The attack: anybody attacks a site for long enough. What must hold: old days make room
// and are told of, today's stay, and configuring goes on throughout.
func TestEventsLeaveRoomOnTheDisk(t *testing.T) {
	m := newMXIn(t, small(t, "64m"))
	m.stop()
	clock := noon()
	m.start("127.0.0.1:0", clock)
	s := m.delivering(m.client("gw1"))

	n := 0
	more := func(count, daysAgo int) {
		for range count {
			v := violation(n)
			v.Time = clock.Now().AddDate(0, 0, -daysAgo).UnixMilli()
			v.Query = strings.Repeat("x", 2000)
			put(t, s, v)
			n++
		}
	}
	days := func() []string {
		t.Helper()
		list, err := m.store.EventDays(t.Context())
		must(t, err)
		return list
	}
	more(2000, 2)
	more(2000, 1)
	eventually(t, "two days", func() bool { return s.Stats().Records == 0 })
	if len(days()) != 2 {
		t.Fatalf("days %v", days())
	}
	yesterday := days()[1]
	fill := func() {
		t.Helper()
		for range 100 {
			more(500, 0)
			if eventually(t, "they are taken, or wait", func() bool { return s.Stats().Records == 0 || m.full() }); m.full() {
				more(500, 0)
				return
			}
		}
		t.Fatal("the disk does not get full")
	}
	fill()
	eventually(t, "the oldest day goes", func() bool { return len(m.happened("mx1", "old-events-dropped")) == 1 })
	eventually(t, "what waited", func() bool { return s.Stats().Records == 0 || m.full() })
	if list := days(); list[0] != yesterday && len(list) != 1 {
		t.Errorf("days %v", list)
	}
	fill()
	eventually(t, "the other one goes, too", func() bool { return len(m.happened("mx1", "old-events-dropped")) == 2 })
	fill()
	for range 3 { // looks at the disk
		link.Rest(t.Context(), time.Second)
	}
	if list := days(); len(list) != 1 || list[0] <= yesterday || s.Stats().Records == 0 || s.Stats().Dropped != 0 {
		t.Errorf("days %v, %+v", list, s.Stats())
	}
	m.write(func(tx *store.Tx) error { m.create(tx, model.RootID, model.Site, "made meanwhile", nil); return nil })
	if space, err := disk.Of(string(m.home)); err != nil || space.Free < space.Reserve {
		t.Errorf("the reserve is touched: %+v, %v", space, err)
	}
	storetest.CheckAlerts(t, m.store)
}

// noon is a clock by which no day ends in a test.
func noon() *trial.Clock {
	c := new(trial.Clock)
	now := c.Now()
	c.Pass(now.Truncate(24 * time.Hour).Add(36 * time.Hour).Sub(now))
	return c
}

// full says whether events stop.
func (m *mx) full() bool {
	m.t.Helper()
	space, err := disk.Of(string(m.home))
	must(m.t, err)
	return space.Free < 2*space.Reserve
}
