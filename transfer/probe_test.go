package transfer_test

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"sealgate/internal/faultproxy"
	"sealgate/internal/peers"
	"sealgate/transfer"
)

// probe returns the steps as words, with a ! behind one that failed and a ? behind one that was skipped.
func (p *place) probe(t *testing.T, ctx context.Context, rest string) (steps []string, notes string, err error) {
	t.Helper()
	err = transfer.Probe(ctx, p.target(t, rest), p.options, func(s transfer.Step) {
		word := string(s.Name)
		switch {
		case s.Err != nil:
			word += "!"
		case s.Skipped:
			word += "?"
		}
		steps = append(steps, word)
		notes += s.Note + "\n"
		t.Logf("%-9s %v %s %v", s.Name, s.Took, s.Note, s.Err)
	})
	for _, secret := range []string{p.options.Password, p.options.Proxy.Password} {
		if secret != "" && strings.Contains(notes, secret) {
			t.Errorf("the notes repeat a secret: %s", notes)
		}
	}
	return steps, notes, err
}

// way are the steps of each protocol.
var way = map[string]string{
	"ftp":   "resolve connect tls login write delete",
	"http":  "resolve connect login write delete",
	"https": "resolve connect tls login write delete",
	"scp":   "resolve connect host key login write delete",

	"apache": "resolve connect tls login write delete",
}

// until is the way to a step, which fails.
func until(way, step string) string {
	before, _, _ := strings.Cut(way+" ", step+" ")
	return before + step + "!"
}

func TestProbe(t *testing.T) {
	eachPlace(t, func(t *testing.T, p *place) {
		noGoroutineLeft(t)
		for _, rest := range []string{"", "file"} {
			steps, notes, err := p.probe(t, t.Context(), rest)
			if got := strings.Join(steps, " "); err != nil || got != way[p.protocol] {
				t.Errorf("%v after %s", err, got)
			}
			if said := strings.Contains(notes, "in the clear"); said != (p.name == "ftp" || p.name == "http") {
				t.Errorf("notes: %s", notes)
			}
			p.mustBeEmpty(t)
		}
	})
}

// Each thing that is wrong fails at its own step, and leaves nothing.
func TestProbeFindsWhatIsWrong(t *testing.T) {
	for _, test := range []struct {
		name    string
		prepare func(t *testing.T, p *place)
		rest    string
		step    transfer.Op
		kind    transfer.Kind
		only    []string // kinds of servers; empty: all
	}{
		{"wrong password", func(_ *testing.T, p *place) { p.options.Password = "not-the-password" }, "", transfer.OpLogin, transfer.LoginRefused, nil},
		{"closed port", func(_ *testing.T, p *place) { p.addr = "127.0.0.1:1" }, "", transfer.OpConnect, transfer.Unreachable, nil},
		{"no such name", func(_ *testing.T, p *place) { p.addr = "no-such-host.invalid" }, "", transfer.OpResolve, transfer.Unreachable, nil},
		{"forbidden", func(_ *testing.T, p *place) { p.options.Policy = nil }, "", transfer.OpConnect, transfer.Forbidden, nil},
		{"self-signed certificate", func(_ *testing.T, p *place) { p.options.RootCAs = nil }, "", transfer.OpTLS, transfer.CertificateInvalid, []string{"ftps", "https", "apache"}},
		{"unknown host key", func(_ *testing.T, p *place) { os.Remove(p.options.KnownHosts) }, "", transfer.OpHostKey, transfer.HostKeyUnknown, []string{"scp"}},
		{"read-only folder", func(t *testing.T, p *place) {
			if err := os.Mkdir(filepath.Join(p.folder, "closed"), 0o555); err != nil {
				t.Fatal(err)
			}
		}, "closed/", transfer.OpWrite, transfer.Refused, nil},
		{"missing folder", func(*testing.T, *place) {}, "missing/", transfer.OpWrite, transfer.Refused, nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			eachPlace(t, func(t *testing.T, p *place) {
				if test.only != nil && !slices.Contains(test.only, p.name) {
					return
				}
				noGoroutineLeft(t)
				test.prepare(t, p)
				steps, _, err := p.probe(t, t.Context(), test.rest)
				fault := mustFail(t, err, "", test.kind, p.options.Password)
				if got, want := strings.Join(steps, " "), until(way[p.protocol], string(test.step)); got != want {
					t.Errorf("got %s, want %s", got, want)
				}
				if fault.Hint == "" {
					t.Error("there is no hint")
				}
				for _, name := range p.names(t) {
					if name != "closed" {
						t.Errorf("left on the server: %q", name)
					}
				}
			})
		})
	}
}

func TestProbeThroughProxy(t *testing.T) {
	open := peers.Squid(t, peers.ProxyConfig{Account: account, Auth: "digest", Connect: []string{"1024-65535"}})
	strict := peers.Squid(t, peers.ProxyConfig{Account: account, Auth: "basic"})
	eachPlace(t, func(t *testing.T, p *place) {
		proxied := strings.Replace(way[p.protocol], "resolve", "resolve proxy", 1)
		p.behind(t, open)
		steps, _, err := p.probe(t, t.Context(), "")
		mustFail(t, err, transfer.OpProxy, transfer.LoginRefused)
		if got := strings.Join(steps, " "); got != until(proxied, "proxy") {
			t.Errorf("without a user: %s", got)
		}
		p.options.Proxy.User, p.options.Proxy.Password = open.User, open.Password
		steps, _, err = p.probe(t, t.Context(), "")
		if got := strings.Join(steps, " "); err != nil || got != proxied {
			t.Errorf("%v after %s", err, got)
		}
		p.mustBeEmpty(t)
		there := p.addr
		p.addr = "127.0.0.1:" + closedPort(t)
		if p.protocol == "scp" {
			p.trust(t)
		}
		steps, _, err = p.probe(t, t.Context(), "")
		if got := strings.Join(steps, " "); got != until(proxied, "connect") {
			t.Errorf("a closed port: %v after %s", err, got)
		}
		p.addr = there

		p.behind(t, strict)
		p.options.Proxy.User, p.options.Proxy.Password = strict.User, strict.Password
		steps, notes, err := p.probe(t, t.Context(), "")
		got := strings.Join(steps, " ")
		switch p.name {
		case "ftp": // nothing can be deleted behind the gateway
			if err != nil || got != "resolve proxy connect tls login write?" || !strings.Contains(notes, "FTP gateway") {
				t.Errorf("%v after %s: %s", err, got, notes)
			}
			p.options.Password = "not-the-password"
			steps, _, err = p.probe(t, t.Context(), "")
			if got := strings.Join(steps, " "); got != until(proxied, "login") {
				t.Errorf("%v after %s", err, got)
			}
		case "scp":
			mustFail(t, err, transfer.OpProxy, transfer.Refused)
			if got != until(proxied, "proxy") {
				t.Errorf("%v after %s", err, got)
			}
		}
		p.mustBeEmpty(t)
	})
}

// Where nobody may delete, nothing is written.
func TestProbeThatWouldStay(t *testing.T) {
	p := alone(t, endpoint{"http", "http", func() (*peers.Server, error) {
		return peers.StartNginx(peers.NginxConfig{Account: account, Server: []string{"if ($request_method = DELETE) { return 405; }"}})
	}, false})
	steps, notes, err := p.probe(t, t.Context(), "")
	if got := strings.Join(steps, " "); err != nil || got != "resolve connect login write?" || !strings.Contains(notes, "405") {
		t.Errorf("%v after %s: %s", err, got, notes)
	}
	p.mustBeEmpty(t)
}

// Where uploads are redirected, what is written is deleted; where deleting is not, nothing is written.
func TestProbeIsRedirected(t *testing.T) {
	p := alone(t, endpoint{"http", "http", func() (*peers.Server, error) {
		return peers.StartNginx(peers.NginxConfig{Account: account, Server: []string{
			`location ~ ^/both/(.*)$ { return 307 /$1; }`,
			`location ~ ^/put/(.*)$ { if ($request_method = DELETE) { return 302 /$1; } return 308 /$1; }`,
		}})
	}, false})
	for folder, want := range map[string]string{"both": way["http"], "put": "resolve connect login write?"} {
		target, err := transfer.ParseTarget("http", p.addr+"/"+folder+"/"+filepath.Base(p.folder)+"/", "x")
		if err != nil {
			t.Fatal(err)
		}
		var steps []string
		err = transfer.Probe(t.Context(), target, p.options, func(s transfer.Step) {
			word := string(s.Name)
			if s.Skipped {
				word += "?"
			}
			steps = append(steps, word)
		})
		if got := strings.Join(steps, " "); err != nil || got != want {
			t.Errorf("%s: %v after %s", folder, err, got)
		}
		p.mustBeEmpty(t)
	}
}

// The old scp has rm, or nothing is written.
func TestProbeWithoutSFTP(t *testing.T) {
	for extra, want := range map[string]string{"PrintMotd no": way["scp"], "SetEnv PATH=/nowhere": "resolve connect host key login write?"} {
		p := alone(t, endpoint{"scp", "scp", func() (*peers.Server, error) {
			return peers.StartSSHD(peers.SSHDConfig{Account: account, NoSFTP: true, Extra: []string{extra}})
		}, true})
		steps, _, err := p.probe(t, t.Context(), "")
		if got := strings.Join(steps, " "); err != nil || got != want {
			t.Errorf("%s: %v after %s", extra, err, got)
		}
		p.mustBeEmpty(t)
	}
}

// Cancelled when it has just been written.
func TestProbeCancelled(t *testing.T) {
	eachPlace(t, func(t *testing.T, p *place) {
		noGoroutineLeft(t)
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		err := transfer.Probe(ctx, p.target(t, ""), p.options, func(s transfer.Step) {
			if s.Name == transfer.OpWrite {
				cancel()
			}
		})
		mustFail(t, err, "", transfer.Cancelled)
		p.mustBeEmpty(t)
	})
}

// A network that breaks anywhere leaves no probe, or its name is told.
func TestProbeOverBadNetwork(t *testing.T) {
	for _, e := range endpoints() {
		t.Run(e.name, func(t *testing.T) {
			n := newNetwork(t, e, "127.0.0.2")
			for seed := range uint64(10) {
				plan := faultproxy.Random(seed, [2]int64{chatter, chatter}, faultproxy.Cut, faultproxy.Reset)
				release := n.follow(t, plan)
				_, _, err := n.probe(t, t.Context(), "")
				release()
				hint := n.clear(t, err)
				for _, name := range n.names(t) {
					if !strings.Contains(hint, name) {
						t.Fatalf("seed %d: %s: %s is left, %v, hint %q", seed, plan, name, err, hint)
					}
					if err := os.Remove(filepath.Join(n.folder, name)); err != nil {
						t.Fatal(err)
					}
				}
			}
		})
	}
}
