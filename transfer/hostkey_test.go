package transfer_test

import (
	"context"
	"crypto/sha256"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/skeema/knownhosts"
	"golang.org/x/crypto/ssh"
	xknownhosts "golang.org/x/crypto/ssh/knownhosts"

	"sealgate/internal/peers"
	"sealgate/transfer"
)

// manyKeys is an sshd with a key of each type.
func manyKeys(t *testing.T) *place {
	t.Helper()
	return alone(t, endpoint{"scp", "scp", func() (*peers.Server, error) {
		return peers.StartSSHD(peers.SSHDConfig{Account: account, KeyTypes: []string{"ed25519", "ecdsa", "rsa"}})
	}, true})
}

func TestHostKeyUnknown(t *testing.T) {
	p := manyKeys(t)
	best := p.server.HostKeys[0]
	file := filepath.Join(t.TempDir(), "known_hosts")
	for _, known := range []string{"", file} {
		p.options.KnownHosts = known
		_, err := p.upload(t, t.Context(), "file", text("x"))
		fault := mustFail(t, err, transfer.OpHostKey, transfer.HostKeyUnknown, p.options.Password)
		if fault.Hint != "impctl known-hosts add "+p.addr || !strings.Contains(fault.Error(), ssh.FingerprintSHA256(best)) {
			t.Errorf("%v, %s", fault, fault.Hint)
		}
		// A certificate that need not verify is about TLS.
		p.options.Insecure = true
		_, err = p.upload(t, t.Context(), "file", text("x"))
		mustFail(t, err, transfer.OpHostKey, transfer.HostKeyUnknown)
	}

	var asked []string
	answer, failure := false, error(nil)
	p.options.AskHostKey = func(_ context.Context, host, keyType, fingerprint string) (bool, error) {
		asked = append(asked, host+" "+keyType+" "+fingerprint)
		return answer, failure
	}
	_, err := p.upload(t, t.Context(), "file", text("x"))
	mustFail(t, err, transfer.OpHostKey, transfer.HostKeyUnknown)
	failure = errors.New("nobody is there to ask")
	_, err = p.upload(t, t.Context(), "file", text("x"))
	mustFail(t, err, transfer.OpHostKey, transfer.HostKeyUnknown)
	if _, err := os.Stat(file); err == nil {
		t.Error("a key that was refused was written")
	}
	p.mustBeEmpty(t)

	answer, failure, asked = true, nil, nil
	for range 2 { // the second time it is known
		if _, err := p.upload(t, t.Context(), "file", text("x")); err != nil {
			t.Fatal(err)
		}
	}
	want := "[127.0.0.1]:" + strings.TrimPrefix(p.addr, "127.0.0.1:") + " ssh-ed25519 " + ssh.FingerprintSHA256(best)
	if len(asked) != 1 || asked[0] != want {
		t.Errorf("asked %q, want %q once", asked, want)
	}
	if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info, err)
	}
	// Without a file the answer holds for the transfer, and is asked for again in the next.
	p.options.KnownHosts = ""
	if _, err := p.upload(t, t.Context(), "again", text("x")); err != nil || len(asked) != 2 {
		t.Errorf("%v, asked %q", err, asked)
	}
	p.mustHold(t, "again", sha256.Sum256([]byte("x")))
}

// Whichever of a server's keys is known, and however its name is written, it is the same server.
func TestHostKeyKnown(t *testing.T) {
	p := manyKeys(t)
	name := knownhosts.Normalize(p.addr)
	for i, key := range p.server.HostKeys {
		for _, host := range []string{name, xknownhosts.HashHostname(name), "other," + name, "127.0.0.*"} {
			line := strings.Replace(knownhosts.Line([]string{"x"}, key), "x", host, 1) + "\n"
			write(t, p.options.KnownHosts, line)
			if _, err := p.upload(t, t.Context(), "file", text("x")); err != nil {
				t.Errorf("key %d as %s: %v", i, host, err)
			}
		}
	}
}

func TestHostKeyChanged(t *testing.T) {
	p := manyKeys(t)
	p.options.AskHostKey = func(context.Context, string, string, string) (bool, error) {
		t.Error("a changed key is nothing to ask about")
		return true, nil
	}
	one := alone(t, endpoint{"scp", "scp", func() (*peers.Server, error) {
		return peers.StartSSHD(peers.SSHDConfig{Account: account})
	}, true})
	one.options.AskHostKey = p.options.AskHostKey
	other, otherType := newKey(t), newECDSAKey(t)
	for _, test := range []struct {
		name   string
		p      *place
		marker string
		known  ssh.PublicKey
		got    ssh.PublicKey
	}{
		{"another key of the same type", p, "", other, p.server.HostKeys[0]},
		{"another key of a type that is not the first choice", p, "", otherType, p.server.HostKeys[1]},
		{"a key of a type that the server no longer has", one, "", otherType, one.server.HostKeys[0]},
		{"a revoked key", one, "@revoked ", one.server.HostKeys[0], one.server.HostKeys[0]},
	} {
		t.Run(test.name, func(t *testing.T) {
			write(t, test.p.options.KnownHosts, test.marker+knownhosts.Line([]string{test.p.addr}, test.known)+"\n")
			_, err := test.p.upload(t, t.Context(), "file", text("x"))
			fault := mustFail(t, err, transfer.OpHostKey, transfer.HostKeyChanged, test.p.options.Password)
			for _, key := range []ssh.PublicKey{test.known, test.got} {
				if !strings.Contains(fault.Error(), ssh.FingerprintSHA256(key)) {
					t.Errorf("%v does not name %s", fault, ssh.FingerprintSHA256(key))
				}
			}
			test.p.mustBeEmpty(t)
		})
	}
}

func TestHostKeyFileBroken(t *testing.T) {
	p := at(t, endpoints()[4])
	write(t, p.options.KnownHosts, "nonsense\n")
	_, err := p.upload(t, t.Context(), "file", text("x"))
	mustFail(t, err, transfer.OpHostKey, transfer.LocalFailure)
}

func TestHostKeyFetched(t *testing.T) {
	p := manyKeys(t)
	target := p.target(t, "x")
	noGoroutineLeft(t)
	keys, err := transfer.HostKeys(t.Context(), target.Host, target.Port, transfer.Options{Policy: loopback})
	if err != nil || len(keys) != 3 {
		t.Fatalf("%d keys, %v", len(keys), err)
	}
	for i, key := range keys {
		if ssh.FingerprintSHA256(key) != ssh.FingerprintSHA256(p.server.HostKeys[i]) {
			t.Errorf("key %d is %s", i, key.Type())
		}
	}
	proxy := peers.Squid(t, peers.ProxyConfig{Account: account, Auth: "basic", Connect: []string{portOf(p.server)}})
	p.behind(t, proxy)
	p.options.Proxy.User, p.options.Proxy.Password = proxy.User, proxy.Password
	if keys, err := transfer.HostKeys(t.Context(), target.Host, target.Port, p.options); err != nil || len(keys) != 3 {
		t.Fatalf("through a proxy: %d keys, %v", len(keys), err)
	}
	p.options.KnownHosts = ""
	fault := mustFail(t, second(p.upload(t, t.Context(), "x", text("x"))), transfer.OpHostKey, transfer.HostKeyUnknown, proxy.Password)
	if want := "impctl known-hosts add " + p.addr + " --proxy " + proxy.Addr + " --proxy-user " + proxy.User + ":-"; fault.Hint != want {
		t.Errorf("the hint is %q, want %q", fault.Hint, want)
	}
	p.server.Kill()
	_, err = transfer.HostKeys(t.Context(), target.Host, target.Port, transfer.Options{Policy: loopback})
	mustFail(t, err, transfer.OpConnect, transfer.Unreachable)
}
