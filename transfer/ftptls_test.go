package transfer_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"sealgate/internal/peers"
	"sealgate/transfer"
)

// Somebody takes the place of a server and offers no TLS, to be told the password.
func TestFTPStopsOfferingTLS(t *testing.T) {
	p := alone(t, ftpKinds[0].endpoint(peers.FTPConfig{TLS: true}))
	p.options.TLSServers = filepath.Join(t.TempDir(), "tls_servers")
	for range 2 {
		if _, err := p.upload(t, t.Context(), "file", text("x")); err != nil {
			t.Fatal(err)
		}
	}
	servers, err := transfer.TLSServers(p.options.TLSServers)
	if err != nil || !slices.Equal(servers, []string{p.addr}) {
		t.Fatalf("remembered are %q, %v", servers, err)
	}

	p.server.Kill()
	f := newFakeAt(t, p.addr, speakFTP("220 hi\r\n", map[string]string{"USER": "331 ok\r\n", "PASS": "530 got it\r\n"}))
	fault := mustFail(t, second(p.upload(t, t.Context(), "file", text("x"))), transfer.OpTLS, transfer.TLSWithdrawn, p.options.Password)
	if want := "impctl known-hosts remove " + p.addr; !strings.Contains(fault.Hint, want) {
		t.Errorf("the hint %q does not say %q", fault.Hint, want)
	}
	dst, _, err := p.download(t, t.Context(), "file")
	mustFail(t, err, transfer.OpTLS, transfer.TLSWithdrawn, p.options.Password)
	mustBeGone(t, dst)
	strict := peers.Squid(t, peers.ProxyConfig{Account: account})
	direct := p.options.Proxy
	p.behind(t, strict) // whose gateway knows no TLS
	mustFail(t, second(p.upload(t, t.Context(), "file", text("x"))), transfer.OpTLS, transfer.TLSWithdrawn, p.options.Password)
	_, _, err = p.download(t, t.Context(), "file")
	mustFail(t, err, transfer.OpTLS, transfer.TLSWithdrawn, p.options.Password)
	p.options.Proxy = direct
	if f.heard("USER") || f.heard("PASS") {
		t.Errorf("it heard %q", f.said)
	}

	target := p.target(t, "file")
	for _, want := range []bool{true, false} {
		if forgotten, err := transfer.ForgetTLSServer(p.options.TLSServers, target.Host, target.Port); forgotten != want || err != nil {
			t.Errorf("forgotten: %v, %v", forgotten, err)
		}
	}
	mustFail(t, second(p.upload(t, t.Context(), "file", text("x"))), transfer.OpLogin, transfer.LoginRefused, p.options.Password)
}

// The memory is bounded. One that cannot be kept is said and stops nothing, one that cannot be read stops what would go
// in the clear.
func TestTLSServersFile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "tls_servers")
	var lines strings.Builder
	for i := range 10_000 {
		fmt.Fprintf(&lines, "host%d.example.com:21\n", i)
	}
	write(t, file, strings.TrimSuffix(lines.String(), "\n"))
	p := alone(t, ftpKinds[0].endpoint(peers.FTPConfig{TLS: true}))
	p.options.TLSServers = file
	if _, err := p.upload(t, t.Context(), "file", text("x")); err != nil {
		t.Fatal(err)
	}
	servers, err := transfer.TLSServers(file)
	if err != nil || len(servers) != 10_000 || servers[0] != "host1.example.com:21" || servers[9999] != p.addr {
		t.Errorf("%d are remembered, from %q, %v", len(servers), servers[0], err)
	}
	if info, err := os.Stat(file); err != nil || info.Mode() != 0o600 {
		t.Errorf("%v, %v", info, err)
	}

	p.options.TLSServers = t.TempDir()
	result, err := p.upload(t, t.Context(), "file", text("x"))
	if err != nil || !strings.Contains(strings.Join(result.Notices, "\n"), "cannot be remembered") {
		t.Errorf("%v, said: %q", err, result.Notices)
	}
	plain := at(t, endpoints()[0])
	plain.options.TLSServers = t.TempDir()
	mustFail(t, second(plain.upload(t, t.Context(), "file", text("x"))), transfer.OpTLS, transfer.LocalFailure)
}
