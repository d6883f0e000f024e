package transfer_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"sealgate/internal/peers"
	"sealgate/transfer"
)

var account *peers.Account

func TestMain(m *testing.M) {
	var err error
	if account, err = peers.NewAccount(); err != nil {
		fmt.Fprintln(os.Stderr, "transfer:", err)
		os.Exit(1)
	}
	code := m.Run()
	running.stop()
	if err := account.Remove(); err != nil {
		fmt.Fprintln(os.Stderr, "transfer:", err)
		code = 1
	}
	os.Exit(code)
}

// loopback is where everything here lies.
var loopback = transfer.Policy{
	{Network: netip.MustParsePrefix("127.0.0.0/8"), Allow: true},
	{Network: netip.MustParsePrefix("::1/128"), Allow: true},
}

// endpoint is a kind of server to upload to.
type endpoint struct {
	name, protocol string
	start          func() (*peers.Server, error)
	atomic         bool // writes to a part and renames
}

func endpoints() []endpoint {
	vsftpd := func(c peers.VSFTPDConfig) func() (*peers.Server, error) {
		c.Account = account
		return func() (*peers.Server, error) { return peers.StartVSFTPD(c) }
	}
	nginx := func(tls bool) func() (*peers.Server, error) {
		return func() (*peers.Server, error) {
			return peers.StartNginx(peers.NginxConfig{Account: account, TLS: tls})
		}
	}
	return []endpoint{
		{"ftp", "ftp", vsftpd(peers.VSFTPDConfig{}), true},
		{"ftps", "ftp", vsftpd(peers.VSFTPDConfig{TLS: true, RequireReuse: true}), true},
		{"http", "http", nginx(false), false},
		{"https", "https", nginx(true), false},
		{"scp", "scp", func() (*peers.Server, error) { return peers.StartSSHD(peers.SSHDConfig{Account: account}) }, true},
		{"apache", "https", func() (*peers.Server, error) {
			return peers.StartApache(peers.ApacheConfig{Account: account, TLS: true, Digest: true})
		}, false},
	}
}

// running are the servers that tests share; a test that harms its server starts one of its own.
var running = &sharedServers{byName: make(map[string]*peers.Server)}

type sharedServers struct {
	mu     sync.Mutex
	byName map[string]*peers.Server
}

func (s *sharedServers) get(e endpoint) (*peers.Server, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if server := s.byName[e.name]; server != nil {
		return server, nil
	}
	server, err := e.start()
	if err == nil {
		s.byName[e.name] = server
	}
	return server, err
}

func (s *sharedServers) stop() {
	for _, server := range s.byName {
		server.Stop()
	}
}

// place is a folder of its own on a server.
type place struct {
	endpoint
	server  *peers.Server
	folder  string // here, on the disk
	addr    string // HOST:PORT to dial, the server's or a proxy's
	options transfer.Options
}

// at gives a test its folder on the shared server of e.
func at(t *testing.T, e endpoint) *place {
	t.Helper()
	server, err := running.get(e)
	if err != nil {
		t.Fatal(err)
	}
	return on(t, e, server)
}

// alone gives a test a server that it may harm.
func alone(t *testing.T, e endpoint) *place {
	t.Helper()
	server, err := e.start()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Stop)
	return on(t, e, server)
}

func on(t *testing.T, e endpoint, server *peers.Server) *place {
	t.Helper()
	folder, err := os.MkdirTemp(server.Root, "test")
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(os.Chmod(folder, 0o755), os.Chown(folder, account.UID, account.GID)); err != nil {
		t.Fatal(err)
	}
	p := &place{endpoint: e, server: server, folder: folder, addr: server.Addr}
	p.options = transfer.Options{
		User: server.User, Password: server.Password, RootCAs: server.CAs, Policy: loopback,
		Retries: -1,
	}
	if e.protocol == "scp" {
		p.options.KnownHosts = filepath.Join(t.TempDir(), "known_hosts")
		p.trust(t)
	}
	return p
}

// trust writes the server's host key under the address that is dialled.
func (p *place) trust(t *testing.T) {
	t.Helper()
	target := p.target(t, "x")
	if _, err := transfer.AddKnownHost(p.options.KnownHosts, target.Host, target.Port, p.server.HostKeys...); err != nil {
		t.Fatal(err)
	}
}

// url is HOST:PORT/path of rest within the test's folder.
func (p *place) url(rest string) string {
	if p.protocol == "scp" {
		return p.addr + p.folder + "/" + rest
	}
	return p.addr + "/" + filepath.Base(p.folder) + "/" + rest
}

func (p *place) target(t *testing.T, rest string) transfer.Target {
	t.Helper()
	target, err := transfer.ParseTarget(p.protocol, p.url(rest), "own.name")
	if err != nil {
		t.Fatal(err)
	}
	return target
}

func (p *place) upload(t *testing.T, ctx context.Context, rest string, src transfer.Source) (transfer.Result, error) {
	t.Helper()
	return transfer.Upload(ctx, p.target(t, rest), src, p.options)
}

// names lists what lies in the test's folder, or below it.
func (p *place) names(t *testing.T) []string {
	t.Helper()
	entries, err := os.ReadDir(p.folder)
	if err != nil {
		t.Fatal(err)
	}
	names := []string{}
	for _, entry := range entries {
		names = append(names, entry.Name())
	}
	return names
}

// patience is longer than anything takes that does not hang, however busy the machine is.
const patience = 30 * time.Second

// mustBeEmpty waits: a server whose connection broke needs a moment to notice.
func (p *place) mustBeEmpty(t *testing.T) {
	t.Helper()
	var names []string
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); {
		if names = p.names(t); len(names) == 0 {
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
	t.Errorf("%s: left on the server: %q", p.name, names)
}

func (p *place) mustHold(t *testing.T, name string, want [sha256.Size]byte) {
	t.Helper()
	stored, err := os.Open(filepath.Join(p.folder, name))
	if err != nil {
		t.Fatal(err)
	}
	defer stored.Close()
	hash := sha256.New()
	if _, err := io.Copy(hash, stored); err != nil {
		t.Fatal(err)
	}
	if [sha256.Size]byte(hash.Sum(nil)) != want {
		t.Errorf("%s: the stored file differs from what was sent", p.name)
	}
}

// eachPlace runs test against every kind of server.
func eachPlace(t *testing.T, test func(t *testing.T, p *place)) {
	for _, e := range endpoints() {
		t.Run(e.name, func(t *testing.T) { test(t, at(t, e)) })
	}
}

// mustFail checks an error's kind and the rules that every error obeys.
func mustFail(t *testing.T, err error, op transfer.Op, kind transfer.Kind, secrets ...string) *transfer.Error {
	t.Helper()
	var fault *transfer.Error
	if !errors.As(err, &fault) {
		t.Fatalf("got %v, want an error of kind %q", err, kind)
	}
	if fault.Kind != kind || op != "" && fault.Op != op {
		t.Errorf("got %q at %q (%v), want %q at %q", fault.Kind, fault.Op, err, kind, op)
	}
	for _, text := range []string{fault.Error(), fault.Hint} {
		if safe := transfer.SafeText(text); safe != text && !strings.HasSuffix(safe, "…") {
			t.Errorf("not safe on a terminal: %q", text)
		}
		for _, secret := range secrets {
			if strings.Contains(text, secret) {
				t.Errorf("repeats a secret: %q", text)
			}
		}
	}
	t.Logf("%v\n\thint: %s", err, fault.Hint)
	return fault
}

// random is a source of size bytes that are the same at every opening.
type random struct {
	size   int64
	hidden bool // does not tell its size
	// at is called before the byte at each offset that is a multiple of 64 KiB is read; an error ends the read.
	at func(ctx context.Context, offset int64) error

	opened atomic.Int32
}

func (r *random) Size() int64 {
	if r.hidden {
		return -1
	}
	return r.size
}

func (r *random) Open(ctx context.Context) (io.ReadCloser, error) {
	r.opened.Add(1)
	return &randomReader{source: r, ctx: ctx, bytes: rand.NewChaCha8([32]byte{1})}, nil
}

func (r *random) sum() [sha256.Size]byte {
	plain := &random{size: r.size}
	reader, _ := plain.Open(context.Background())
	hash := sha256.New()
	io.Copy(hash, reader)
	return [sha256.Size]byte(hash.Sum(nil))
}

type randomReader struct {
	source *random
	ctx    context.Context
	bytes  *rand.ChaCha8
	offset int64
}

const step = 64 << 10

func (r *randomReader) Read(p []byte) (int, error) {
	if r.offset == r.source.size {
		return 0, io.EOF
	}
	if r.offset%step == 0 && r.source.at != nil {
		if err := r.source.at(r.ctx, r.offset); err != nil {
			return 0, err
		}
	}
	n := min(int64(len(p)), r.source.size-r.offset, step-r.offset%step)
	r.bytes.Read(p[:n])
	r.offset += n
	return int(n), nil
}

func (r *randomReader) Close() error { return nil }

// text is a small source.
type text string

func (s text) Size() int64 { return int64(len(s)) }
func (s text) Open(context.Context) (io.ReadCloser, error) {
	return io.NopCloser(bytes.NewReader([]byte(s))), nil
}

// noGoroutineLeft fails the test when something of this module still runs in the background after it.
func noGoroutineLeft(t *testing.T) {
	t.Helper()
	t.Cleanup(func() {
		var stacks string
		for deadline := time.Now().Add(patience); time.Now().Before(deadline); {
			buffer := make([]byte, 1<<20)
			stacks = string(buffer[:runtime.Stack(buffer, true)])
			left := 0
			for stack := range strings.SplitSeq(stacks, "\n\n") {
				if strings.Contains(stack, "sealgate/transfer.") || strings.Contains(stack, "pkg/sftp.") ||
					strings.Contains(stack, "crypto/ssh.") || strings.Contains(stack, "net/http.(*persistConn)") {
					left++
				}
			}
			if left == 0 {
				return
			}
			time.Sleep(10 * time.Millisecond)
		}
		t.Errorf("goroutines are left:\n%s", stacks)
	})
}
