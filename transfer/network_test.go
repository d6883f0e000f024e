package transfer_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"sealgate/internal/faultproxy"
	"sealgate/internal/peers"
	"sealgate/transfer"
)

// setting is a number from the environment: SEALGATE_FAULTS is how many faults are tried for each protocol and
// direction, SEALGATE_FAULT_SEED the first of them.
func setting(name string, otherwise int) int {
	if n, err := strconv.Atoi(os.Getenv(name)); err == nil {
		return n
	}
	return otherwise
}

// Whatever the network does, and with protected protocols whatever it changes: the file arrives bit for bit under its
// final name, or a clear error comes and nothing wrong lies there.
func TestBadNetwork(t *testing.T) {
	count := 100
	if testing.Short() {
		count = 10
	}
	count = setting("SEALGATE_FAULTS", count)
	first := setting("SEALGATE_FAULT_SEED", 1)
	var all sync.WaitGroup // not t.Parallel: they wait more than they work
	defer all.Wait()
	for _, e := range endpoints() {
		for i, direction := range []faultproxy.Direction{faultproxy.Up, faultproxy.Down} {
			test := func(t *testing.T) {
				n := newNetwork(t, e, fmt.Sprintf("127.0.0.%d", 2+i))
				try := n.upload
				if direction == faultproxy.Down {
					try = n.download
				}
				n.mustWork(t)
				for seed := first; seed < first+count; seed++ {
					try(t, uint64(seed))
				}
				t.Logf("%d plans, %d of them struck, %d files arrived all the same", count, n.struck, n.arrived)
				if count > 1 && n.struck == 0 {
					t.Error("no fault has struck")
				}
				for path, may := range n.allowed {
					mustBeOneOf(t, path, may)
				}
			}
			all.Go(func() { t.Run(e.name+" "+direction.String(), test) })
		}
	}
}

// Half-way the data connection of ftp dies. After a cut the server takes what it has for the file; in a black hole it
// notices nothing and keeps the part locked.
func TestDataConnectionDies(t *testing.T) {
	for _, kind := range []faultproxy.Kind{faultproxy.Cut, faultproxy.Hole} {
		t.Run(string(kind), func(t *testing.T) {
			t.Parallel()
			n := newNetwork(t, endpoints()[0], "127.0.0.2")
			n.options.ConnectTimeout, n.options.IdleTimeout = 0, 5*time.Second
			source := &random{size: 1 << 20}
			defer n.follow(t, faultproxy.Plan{Faults: []faultproxy.Fault{{Kind: kind, Direction: faultproxy.Up, At: source.size / 2}}})()
			if _, err := n.place.upload(t, t.Context(), "file", source); err != nil {
				t.Fatal(err)
			}
			n.mustHold(t, "file", source.sum())
			if names := n.names(t); len(names) != 1 {
				t.Errorf("left on the server: %q", names)
			}
		})
	}
}

// network is a place behind a bad network.
type network struct {
	*place
	address string // where the server seems to be
	ports   []int  // what it listens on there

	struck, arrived int
	allowed         map[string][][]byte // what each final name may hold, nil for nothing
}

func newNetwork(t *testing.T, e endpoint, address string) *network {
	t.Helper()
	n := &network{address: address, allowed: make(map[string][][]byte)}
	if e.protocol == "ftp" {
		start := peers.VSFTPDConfig{Account: account, TLS: e.name == "ftps", RequireReuse: e.name == "ftps", Passive: 16}
		n.place = alone(t, endpoint{e.name, e.protocol, func() (*peers.Server, error) { return peers.StartVSFTPD(start) }, true})
		n.ports = n.server.Passive
	} else {
		n.place = at(t, e)
	}
	n.ports = append(n.ports, n.server.Port)
	n.addr = net.JoinHostPort(address, strconv.Itoa(n.server.Port))
	if e.protocol == "scp" {
		n.trust(t)
	}
	n.options.ConnectTimeout, n.options.IdleTimeout = time.Second, 300*time.Millisecond
	if e.protocol == "scp" {
		n.options.IdleTimeout = 600 * time.Millisecond // for a whole login with a slow hash of its password
	}
	n.options.TotalTimeout = time.Minute
	n.options.Retries, n.options.RetryWait = 2, time.Millisecond
	return n
}

// mustWork sends a file through the network while it is good, with time for a busy machine.
func (n *network) mustWork(t *testing.T) {
	t.Helper()
	hurried := n.options
	n.options.ConnectTimeout, n.options.IdleTimeout = 0, 0
	release := n.follow(t, faultproxy.Plan{})
	_, err := n.place.upload(t, t.Context(), "first", text("hello"))
	release()
	if err != nil {
		t.Fatal(err)
	}
	n.options, n.struck = hurried, 0
}

// planOf is seed's plan for a transfer of about so many bytes in each direction.
func (n *network) planOf(seed uint64, size [2]int64) faultproxy.Plan {
	// A black hole costs time-outs, so there are fewer.
	kinds := []faultproxy.Kind{faultproxy.Cut, faultproxy.Cut, faultproxy.Reset, faultproxy.Reset, faultproxy.Hole}
	if n.name != "ftp" && n.name != "http" {
		kinds = append(kinds, faultproxy.Corrupt, faultproxy.Corrupt)
	}
	return faultproxy.Random(seed, size, kinds...)
}

// follow makes the network follow plan until release is called.
func (n *network) follow(t *testing.T, plan faultproxy.Plan) (release func()) {
	t.Helper()
	proxy := faultproxy.New(plan)
	for _, port := range n.ports {
		at := strconv.Itoa(port)
		if _, err := proxy.Lead(net.JoinHostPort(n.address, at), net.JoinHostPort(n.server.Host, at)); err != nil {
			proxy.Close()
			t.Fatal(err)
		}
	}
	return func() {
		if len(proxy.Left()) < len(plan.Faults) {
			n.struck++
		}
		proxy.Close()
	}
}

// fileOf is seed's file: 64 KiB to 1 MiB.
func fileOf(seed uint64) (*random, []byte) {
	r := rand.New(rand.NewPCG(seed, 1))
	source := &random{size: 64<<10 + r.Int64N(1<<20-64<<10), hidden: r.IntN(3) == 0}
	reader, _ := source.Open(context.Background())
	content, _ := io.ReadAll(reader)
	return source, content
}

// chatter is about what is said beside the file.
const chatter = 6 << 10

func (n *network) upload(t *testing.T, seed uint64) {
	t.Helper()
	source, whole := fileOf(seed)
	plan := n.planOf(seed, [2]int64{source.size + chatter, chatter})
	release := n.follow(t, plan)
	name := fmt.Sprintf("file-%d", seed)
	path := filepath.Join(n.folder, name)
	var old []byte
	if seed%2 == 0 {
		old = []byte("the old file")
		if err := errors.Join(os.WriteFile(path, old, 0o644), os.Chown(path, account.UID, account.GID)); err != nil {
			t.Fatal(err)
		}
	}
	result, err := n.place.upload(t, t.Context(), name, source)
	release()
	n.allowed[path] = [][]byte{old, whole}
	if err == nil {
		n.arrived++
		n.allowed[path] = [][]byte{whole}
	}
	hint := n.clear(t, err)
	mustBeOneOf(t, path, n.allowed[path])
	parts, _ := filepath.Glob(path + ".*.part")
	for _, part := range parts {
		if !strings.Contains(hint+strings.Join(result.Notices, " "), filepath.Base(part)) {
			t.Errorf("%s is left, the hint is %q, the notices are %q", part, hint, result.Notices)
		}
	}
	if t.Failed() {
		t.Fatalf("seed %d: %s: %v", seed, plan, err)
	}
}

func (n *network) download(t *testing.T, seed uint64) {
	t.Helper()
	source, whole := fileOf(seed)
	n.hold(t, "file", source)
	plan := n.planOf(seed, [2]int64{chatter, source.size + chatter})
	release := n.follow(t, plan)
	path, fetched, err := n.place.download(t, t.Context(), "file")
	release()
	n.clear(t, err)
	if err == nil {
		n.arrived++
		mustBe(t, path, fetched, err, source.sum())
		mustBeOneOf(t, path, [][]byte{whole})
	} else {
		mustBeGone(t, path)
	}
	if t.Failed() {
		t.Fatalf("seed %d: %s: %v", seed, plan, err)
	}
}

// clear checks that an error says what happened and what to try, and returns the latter.
func (n *network) clear(t *testing.T, err error) (hint string) {
	t.Helper()
	if err == nil {
		return ""
	}
	fault, ok := errors.AsType[*transfer.Error](err)
	if !ok {
		t.Fatalf("%T: %v", err, err)
	}
	for _, text := range []string{fault.Error(), fault.Hint} {
		if text == "" || text != transfer.SafeText(text) || strings.Contains(text, n.options.Password) {
			t.Errorf("not clear: %q, hint %q", err, fault.Hint)
		}
	}
	return fault.Hint
}

// mustBeOneOf checks what a file holds; nil stands for no file.
func mustBeOneOf(t *testing.T, path string, may [][]byte) {
	t.Helper()
	got, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
	for _, content := range may {
		if bytes.Equal(got, content) && (content == nil) == (err != nil) {
			return
		}
	}
	t.Errorf("%s holds %d bytes that nobody sent (%v)", path, len(got), err)
}
