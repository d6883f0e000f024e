package joined

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"

	"sealgate/appliance/spool"
	"sealgate/appliance/store"
	"sealgate/appliance/store/storetest"
	"sealgate/daemon/gateway/event"
	"sealgate/internal/faultproxy"
	"sealgate/internal/peers"
)

const (
	lostTime = "SEALGATE_JOINED_TIME" // how long the faults last
	lostSeed = "SEALGATE_JOINED_SEED"
)

// killer kills machines of one side again and again: the daemon, its role, or both at
// once.
type killer struct {
	rand     *rand.Rand
	machines []*machine
	kills    map[string]int
}

// run goes on until end. A machine is back before the next is killed.
func (k *killer) run(end time.Time) error {
	for time.Now().Before(end) {
		time.Sleep(time.Duration(k.rand.IntN(1500)) * time.Millisecond)
		m := k.machines[k.rand.IntN(len(k.machines))]
		switch k.rand.IntN(3) {
		case 0:
			if role := m.role(); role != 0 {
				syscall.Kill(role, syscall.SIGKILL)
				k.kills["role"]++
			}
			continue // the daemon starts another
		case 1:
			m.Kill()
			k.kills["daemon"]++
		case 2:
			m.cut()
			k.kills["both"]++
		}
		time.Sleep(time.Duration(k.rand.IntN(300)) * time.Millisecond)
		if err := m.Start(); err != nil {
			return fmt.Errorf("%s: %w", m.name, err)
		}
	}
	return nil
}

// witness keeps each segment of a gateway's spool under a second name, so that it knows
// what was written there, also when that was taken and removed.
type witness struct{ from, kept string }

func (w witness) look() {
	segments, _ := filepath.Glob(filepath.Join(w.from, "*.seg"))
	for _, s := range segments {
		os.Link(s, filepath.Join(w.kept, filepath.Base(s))) // most are there
	}
}

// read gives the records that were written; nothing may write any more.
func (w witness) read(t *testing.T, each func(event.Record)) {
	t.Helper()
	w.look()
	s, err := spool.Open(w.kept, spool.Options{Max: 1 << 40})
	must(t, err)
	defer s.Close()
	for after := uint64(0); ; {
		records, err := s.Read(after, 10_000)
		must(t, err)
		if len(records) == 0 {
			break
		}
		for _, r := range records {
			var e event.Record
			must(t, json.Unmarshal(r.Body, &e))
			each(e)
			after = r.Sequence
		}
	}
}

// waits is how many records of the spool, as it is on the disk, the management server
// has not taken.
func (w witness) waits(t *testing.T) int64 {
	t.Helper()
	dir := t.TempDir()
	files, err := os.ReadDir(w.from)
	must(t, err)
	for _, f := range files {
		data, err := os.ReadFile(filepath.Join(w.from, f.Name()))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		must(t, err)
		must(t, os.WriteFile(filepath.Join(dir, f.Name()), data, 0o600))
	}
	s, err := spool.Open(dir, spool.Options{})
	must(t, err)
	defer s.Close()
	return s.Stats().Records
}

// attackers attack until they are told to stop, each attack at a path of its own, and
// remember the events that answers name.
type attackers struct {
	stop chan struct{}
	wg   sync.WaitGroup
	mu   sync.Mutex
	told map[string]string // the path, by the event
}

func newAttackers(gateways []*gateway) *attackers {
	a := &attackers{stop: make(chan struct{}), told: make(map[string]string)}
	for i := range 2 * len(gateways) {
		a.wg.Go(func() {
			client := &http.Client{Timeout: 5 * time.Second}
			for n := 0; ; n++ {
				select {
				case <-a.stop:
					return
				case <-time.After(20 * time.Millisecond):
				}
				path := fmt.Sprintf("/attack/%d/%d", i, n)
				resp, err := client.Get("http://" + gateways[i%len(gateways)].serves + path + injection)
				if err != nil {
					continue
				}
				body, err := io.ReadAll(resp.Body)
				resp.Body.Close()
				if found := eventID.FindSubmatch(body); err == nil && resp.StatusCode == 403 && found != nil {
					a.mu.Lock()
					a.told[string(found[1])] = path
					a.mu.Unlock()
				}
			}
		})
	}
	return a
}

// end stops them, and returns the paths of the events.
func (a *attackers) end() map[string]string {
	close(a.stop)
	a.wg.Wait()
	return a.told
}

// stored are the paths of the violations in the database, by their ids.
func stored(t *testing.T, db *store.Store) map[string]string {
	t.Helper()
	paths := make(map[string]string)
	_, violations := storetest.History(t, db)
	for _, v := range violations {
		if _, twice := paths[v.ID]; twice {
			t.Errorf("violation %s is there twice", v.ID)
		}
		paths[v.ID] = v.Path
	}
	return paths
}

type systemEvent struct{ gateway, code, id string }

// systemEvents are those in the database that gateways tell of.
func systemEvents(t *testing.T, db *store.Store) map[systemEvent]bool {
	t.Helper()
	list, err := db.SystemEvents(t.Context(), store.SystemEventFilter{}, 100_000)
	must(t, err)
	all := make(map[systemEvent]bool)
	for _, e := range list {
		key := systemEvent{e.Source, e.Code, e.ID}
		if all[key] {
			t.Errorf("system event %+v is there twice", key)
		}
		if all[key] = true; e.Source == "mx1" {
			delete(all, key)
		}
	}
	return all
}

// Processes of both sides are killed at any instant, and the network between them cuts,
// resets and damages: what gateways wrote to their spools is in the database at the end,
// each once and nothing else, and with it every attack that was answered. A request that
// was under way when its gateway was killed has no answer, and is not counted.
func TestNothingIsLost(t *testing.T) {
	length, err := time.ParseDuration(os.Getenv(lostTime))
	if err != nil {
		length = 10 * time.Second
	}
	kinds := []faultproxy.Kind{faultproxy.Cut, faultproxy.Reset, faultproxy.Corrupt}
	if length > time.Minute { // one that swallows is noticed after half a minute
		kinds = append(kinds, faultproxy.Hole)
	}
	seed := uint64(time.Now().UnixNano())
	fmt.Sscan(os.Getenv(lostSeed), &seed)
	t.Logf("%s=%d", lostSeed, seed)
	source := func(n uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, n)) }

	origin := newOrigin(t)
	mx := newManagement(t, "mx1", "127.0.0.21")
	network := faultproxy.New(faultproxy.Plan{})
	reached, err := network.Lead("127.0.0.20:0", mx.address)
	must(t, err)
	become := func(plan faultproxy.Plan) {
		network.Close()
		network = faultproxy.New(plan)
		_, err := network.Lead(reached, mx.address)
		must(t, err)
	}
	defer func() { network.Close() }()
	port := peers.FreePort(t, "127.0.0.31")
	var gateways []*gateway
	var witnesses []witness
	killers := []*killer{{source(1), []*machine{mx.machine}, map[string]int{}}, {source(2), nil, map[string]int{}}}
	for i := range 3 {
		g := newGateway(t, fmt.Sprintf("gw%d", i+1), fmt.Sprintf("127.0.0.3%d", i+1), port, "--management-server", reached)
		gateways = append(gateways, g)
		witnesses = append(witnesses, witness{filepath.Join(g.Home, "spool/events"), t.TempDir()})
		killers[1].machines = append(killers[1].machines, g.machine)
	}
	for _, g := range gateways {
		g.connected()
	}
	mx.protect(port, origin)
	mx.mode("active")
	for _, g := range gateways {
		eventually(t, "the service at "+g.name, func() bool { status, _ := g.attack("/first"); return status == 403 })
	}

	ended := make(chan struct{})
	var watching sync.WaitGroup
	watching.Go(func() {
		for {
			for _, w := range witnesses {
				w.look()
			}
			select {
			case <-ended:
				return
			case <-time.After(20 * time.Millisecond):
			}
		}
	})
	become(faultproxy.Storm(source(0), kinds...))
	a := newAttackers(gateways)
	var killing sync.WaitGroup
	end := time.Now().Add(length)
	for _, k := range killers {
		killing.Go(func() {
			if err := k.run(end); err != nil {
				t.Error(err)
			}
		})
	}
	killing.Wait()
	told := a.end()
	left := len(network.Left())
	t.Logf("%d attacks were answered; killed: management server %v, gateways %v; %d faults are left", len(told), killers[0].kills, killers[1].kills, left)
	if t.Failed() {
		return
	}

	become(faultproxy.Plan{})
	for i, w := range witnesses {
		eventually(t, gateways[i].name+" has told everything", func() bool { return w.waits(t) == 0 })
	}
	close(ended)
	watching.Wait()
	for _, m := range append(killers[1].machines, mx.machine) {
		must(t, m.Stop())
	}

	db, err := store.Open(t.Context(), mx.Home, store.Options{ReadOnly: true})
	must(t, err)
	defer db.Close()
	paths := stored(t, db)
	for event, path := range told {
		if paths[event] != path {
			t.Errorf("the attack at %s was answered with event %s, whose violation is at %q", path, event, paths[event])
		}
	}
	total := len(paths)
	events := systemEvents(t, db)
	happened := len(events)
	for i, w := range witnesses {
		waits := w.waits(t) // that it stopped now, once everything was told
		w.read(t, func(r event.Record) {
			if r.Kind == event.System {
				e := systemEvent{gateways[i].name, r.System.Code, r.System.ID}
				if waits == 1 && !events[e] && e.code == event.Stopped {
					waits--
				} else if !events[e] {
					t.Errorf("system event %+v was in a spool, and is not in the database", e)
				}
				delete(events, e)
				return
			}
			v := r.Violation
			if _, ok := paths[v.ID]; !ok {
				t.Errorf("violation %s at %s was in a spool, and is not in the database", v.ID, v.Path)
			}
			delete(paths, v.ID)
		})
	}
	for e := range events {
		t.Errorf("system event %+v is in the database, and was in no spool", e)
	}
	for id, path := range paths {
		t.Errorf("violation %s at %s is in the database, and was in no spool", id, path)
	}
	if len(told) == 0 {
		t.Error("no attack was answered")
	}
	t.Logf("%d violations and %d system events were written and are stored, each once", total, happened)
	storetest.CheckAlerts(t, db)
	must(t, db.Check(t.Context()))
}
