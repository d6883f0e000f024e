package hub_test

import (
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"sync"
	"testing"
	"time"

	"sealgate/appliance"
	"sealgate/appliance/model"
	"sealgate/appliance/secret"
	"sealgate/appliance/store"
	"sealgate/appliance/store/storetest"
	"sealgate/internal/faultproxy"
	"sealgate/internal/peers"
	"sealgate/internal/trial"
)

// A child is a process of this program that is a management server or a gateway until
// it is killed, or its parent ends.
const (
	childHome    = "SEALGATE_HUB_HOME"
	childAddress = "SEALGATE_HUB_ADDRESS" // of a management server
	faultTime    = "SEALGATE_LINK_TIME"   // how long the faults last
	faultSeed    = "SEALGATE_LINK_SEED"
)

func TestChild(t *testing.T) {
	home, address := appliance.Home(os.Getenv(childHome)), os.Getenv(childAddress)
	if home == "" {
		t.Skip("it is for the other tests")
	}
	if address != "" {
		keys, err := secret.Open(string(home))
		must(t, err)
		(&mx{t: t, home: home, keys: keys}).start(address, new(trial.Clock))
	} else {
		(&gw{t: t, name: "gw1", home: home}).start()
	}
	io.Copy(io.Discard, os.Stdin)
	os.Exit(0)
}

// child is one that is started again and again.
type child struct {
	t     testing.TB
	env   []string
	cmd   *exec.Cmd
	stdin io.WriteCloser
}

func newChild(t testing.TB, home appliance.Home, address string) *child {
	c := &child{t: t, env: append(os.Environ(), childHome+"="+string(home), childAddress+"="+address)}
	c.start()
	t.Cleanup(c.kill)
	return c
}

func (c *child) start() {
	c.t.Helper()
	c.cmd = exec.Command(os.Args[0], "-test.run=^TestChild$")
	c.cmd.Env = c.env
	if testing.Verbose() {
		c.cmd.Args = append(c.cmd.Args, "-test.v")
		c.cmd.Stdout = c.t.Output()
	}
	var err error
	c.stdin, err = c.cmd.StdinPipe()
	must(c.t, err)
	must(c.t, c.cmd.Start())
}

func (c *child) kill() {
	c.cmd.Process.Kill()
	c.cmd.Wait()
	c.stdin.Close()
}

// attacker attacks until it is told to stop, and remembers the events that answers
// name.
type attacker struct {
	stop chan struct{}
	wg   sync.WaitGroup
	mu   sync.Mutex
	told map[string]bool
}

var named = regexp.MustCompile(`Event ([^<]+)<`)

func attack(url string) *attacker {
	a := &attacker{stop: make(chan struct{}), told: make(map[string]bool)}
	client := &http.Client{Timeout: 5 * time.Second}
	for range 4 {
		a.wg.Go(func() {
			for {
				select {
				case <-a.stop:
					return
				case <-time.After(2 * time.Millisecond):
				}
				resp, err := client.Get(url + "admin/x")
				if err != nil {
					time.Sleep(20 * time.Millisecond)
					continue
				}
				body, err := io.ReadAll(resp.Body)
				resp.Body.Close()
				if event := named.FindStringSubmatch(string(body)); err == nil && resp.StatusCode == 403 && event != nil {
					a.mu.Lock()
					a.told[event[1]] = true
					a.mu.Unlock()
				}
			}
		})
	}
	return a
}

// end stops, and returns the events.
func (a *attacker) end() map[string]bool {
	close(a.stop)
	a.wg.Wait()
	return a.told
}

// Both ends are killed at any instant, and connections between them cut, reset and
// damaged: each attack that got an answer is in the database, once, and alerts count
// what is there.
func TestFaultsLoseNothing(t *testing.T) {
	length, err := time.ParseDuration(os.Getenv(faultTime))
	if err != nil {
		length = 8 * time.Second
		if testing.Short() {
			length = 3 * time.Second
		}
	}
	kinds := []faultproxy.Kind{faultproxy.Cut, faultproxy.Reset, faultproxy.Corrupt}
	if length > time.Minute { // one that swallows is noticed after half a minute
		kinds = append(kinds, faultproxy.Hole)
	}
	seed := uint64(time.Now().UnixNano())
	fmt.Sscan(os.Getenv(faultSeed), &seed)
	t.Logf("%s=%d", faultSeed, seed)
	r := rand.New(rand.NewPCG(seed, 0))

	server := peers.Nginx(t, peers.NginxConfig{Open: true, Server: []string{`location / { return 200 "hello"; }`}})
	m := newMX(t)
	id, object := m.register("gw1")
	port := peers.FreePort(t, "127.0.0.1")
	m.write(func(tx *store.Tx) error {
		m.newShop(tx, m.aliasOf(tx, object), port, "127.0.0.1", server.Port, model.ModeActive)
		return nil
	})
	m.stop()
	m.stop = func() {}
	network := faultproxy.New(faultproxy.Storm(r, kinds...))
	defer network.Close()
	id.Server, err = network.Lead("127.0.0.1:0", m.address)
	must(t, err)
	home := newHome(t, "gw1")
	must(t, id.Write(home))

	management, role := newChild(t, m.home, m.address), newChild(t, home, "")
	url := fmt.Sprintf("http://127.0.0.1:%d/", port)
	eventually(t, "the service", func() bool { status, _ := get(url); return status == 200 })
	a := attack(url)
	kills := map[string]int{}
	for end := time.Now().Add(length); time.Now().Before(end); {
		time.Sleep(time.Duration(r.IntN(1500)) * time.Millisecond)
		who, name := management, "management server"
		if r.IntN(2) == 0 {
			who, name = role, "gateway"
		}
		who.kill()
		kills[name]++
		time.Sleep(time.Duration(r.IntN(300)) * time.Millisecond)
		who.start()
	}
	told := a.end()
	id.Server = m.address // the network is good again
	must(t, id.Write(home))
	t.Logf("%d attacks were answered; killed: %v; %d faults are left", len(told), kills, len(network.Left()))
	db, err := store.Open(t.Context(), string(m.home), store.Options{ReadOnly: true})
	must(t, err)
	defer db.Close()
	var missing []string
	for begin := time.Now(); time.Since(begin) < 2*time.Minute; time.Sleep(200 * time.Millisecond) {
		if missing = lacks(t, db, told); len(missing) == 0 {
			break
		}
	}
	if len(missing) > 0 || len(told) == 0 {
		t.Errorf("of %d attacks that were answered %d are not in the database, such as %q", len(told), len(missing), missing[:min(len(missing), 3)])
	}
	management.kill()
	storetest.CheckAlerts(t, db)
	must(t, db.Check(t.Context()))
}

// lacks returns which events are not in the database. One that is there twice is an
// error.
func lacks(t *testing.T, db *store.Store, told map[string]bool) []string {
	t.Helper()
	left := maps.Clone(told)
	seen := make(map[string]bool)
	_, violations := storetest.History(t, db)
	for _, v := range violations {
		if seen[v.ID] {
			t.Errorf("violation %q is there twice", v.ID)
		}
		seen[v.ID] = true
		delete(left, v.ID)
	}
	return slices.Sorted(maps.Keys(left))
}
