package transfer_test

import (
	"context"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"sealgate/internal/peers"
	"sealgate/transfer"
)

// ftpKind is one of the ftp servers that people have.
type ftpKind struct {
	name  string
	start func(peers.FTPConfig) (*peers.Server, error)
	// noEPSV is configuration that refuses EPSV; nil: it has none.
	noEPSV []string
	// noREST is configuration with which REST and STOR do not go together.
	noREST []string
	// goesOn is configuration with which they do; nil: as it comes.
	goesOn []string
}

var ftpKinds = []ftpKind{
	{
		name: "vsftpd",
		start: func(c peers.FTPConfig) (*peers.Server, error) {
			return peers.StartVSFTPD(peers.VSFTPDConfig{Account: c.Account, TLS: c.TLS, RequireReuse: c.TLS, IPv6: c.IPv6, Extra: c.Extra})
		},
		noEPSV: []string{"cmds_denied=EPSV"},
		noREST: []string{"cmds_denied=REST"},
	},
	{
		name:   "proftpd",
		start:  peers.StartProFTPD,
		noEPSV: []string{"<Limit EPSV>", "DenyAll", "</Limit>"},
		noREST: []string{}, // as it is installed
		goesOn: []string{"AllowStoreRestart on"},
	},
	{
		name:  "pure-ftpd",
		start: peers.StartPureFTPD,
	},
}

func (k ftpKind) endpoint(c peers.FTPConfig) endpoint {
	c.Account = account
	return endpoint{k.name, "ftp", func() (*peers.Server, error) { return k.start(c) }, true}
}

// eachFTP runs test against each ftp server, started with what config says.
func eachFTP(t *testing.T, config func(k ftpKind) peers.FTPConfig, test func(t *testing.T, p *place)) {
	for _, k := range ftpKinds {
		t.Run(k.name, func(t *testing.T) {
			noGoroutineLeft(t)
			test(t, alone(t, k.endpoint(config(k))))
		})
	}
}

// goAndBack sends files and fetches them again.
func goAndBack(t *testing.T, p *place, names ...string) {
	t.Helper()
	for _, name := range names {
		for _, source := range []*random{{size: 3 << 20}, {size: 0}, {size: 1<<20 + 1}} { // each replaces the one before
			if _, err := p.upload(t, t.Context(), name, source); err != nil {
				t.Fatal(err)
			}
			p.mustHold(t, name, source.sum())
			dst, fetched, err := p.download(t, t.Context(), name)
			mustBe(t, dst, fetched, err, source.sum())
			if strings.Contains(strings.Join(fetched.Notices, "\n"), "does not tell the size") {
				t.Errorf("notices: %q", fetched.Notices)
			}
		}
	}
	if left := p.names(t); len(left) != len(names) {
		t.Errorf("the folder holds %q", left)
	}
}

func TestFTPThereAndBack(t *testing.T) {
	for _, config := range []struct {
		name string
		peers.FTPConfig
	}{
		{"plain", peers.FTPConfig{}},
		{"TLS", peers.FTPConfig{TLS: true}},
		{"IPv6", peers.FTPConfig{IPv6: true}},
		{"IPv6 with TLS", peers.FTPConfig{IPv6: true, TLS: true}},
	} {
		t.Run(config.name, func(t *testing.T) {
			eachFTP(t, func(ftpKind) peers.FTPConfig { return config.FTPConfig }, func(t *testing.T, p *place) {
				var said []string
				p.options.Notice = func(line string) { said = append(said, line) }
				goAndBack(t, p, "ü–名 .tgz", "-rf")
				if inTheClear := strings.Contains(strings.Join(said, "\n"), "travel in the clear"); inTheClear == config.TLS {
					t.Errorf("said: %q", said)
				}
			})
		})
	}
}

// A server that refuses EPSV is asked with PASV.
func TestFTPWithoutEPSV(t *testing.T) {
	for _, k := range ftpKinds {
		t.Run(k.name, func(t *testing.T) {
			p := alone(t, k.endpoint(peers.FTPConfig{Extra: k.noEPSV}))
			if k.noEPSV == nil {
				p.through(t, func(line string) string {
					if strings.HasPrefix(line, "229") {
						return "500 Unknown command\r\n"
					}
					return line
				})
			}
			goAndBack(t, p, "file")
		})
	}
}

// Where EPSV names a port that nobody listens on, PASV may name one that works.
func TestFTPWithoutDataConnection(t *testing.T) {
	eachFTP(t, func(ftpKind) peers.FTPConfig { return peers.FTPConfig{} }, func(t *testing.T, p *place) {
		closed := closedPort(t)
		var epsv atomic.Int32
		p.through(t, func(line string) string {
			if strings.HasPrefix(line, "229") {
				epsv.Add(1)
				return "229 Entering Extended Passive Mode (|||" + closed + "|)\r\n"
			}
			return line
		})
		goAndBack(t, p, "file")
		if epsv.Load() == 0 {
			t.Error("EPSV was not asked")
		}
	})
}

// An upload that breaks goes on where the server lets it, and else begins again. It arrives in any case.
func TestFTPGoesOn(t *testing.T) {
	t.Run("with REST", func(t *testing.T) {
		for _, k := range ftpKinds {
			t.Run(k.name, func(t *testing.T) { ftpGoesOn(t, alone(t, k.endpoint(peers.FTPConfig{Extra: k.goesOn})), true) })
		}
	})
	t.Run("without", func(t *testing.T) {
		for _, k := range ftpKinds {
			if k.noREST != nil {
				t.Run(k.name, func(t *testing.T) { ftpGoesOn(t, alone(t, k.endpoint(peers.FTPConfig{Extra: k.noREST})), false) })
			}
		}
	})
}

func ftpGoesOn(t *testing.T, p *place, goes bool) {
	p.again()
	w := p.through(t, nil)
	cut := false
	source := &random{size: 32 << 20, at: func(_ context.Context, offset int64) error {
		if offset == 24<<20 && !cut {
			time.Sleep(200 * time.Millisecond)
			cut = true
			w.cut()
		}
		return nil
	}}
	if _, err := p.upload(t, t.Context(), "file", source); err != nil {
		t.Fatal(err)
	}
	p.mustHold(t, "file", source.sum())
	if sent := w.quota.up.Load(); (sent < 44<<20) != goes {
		t.Errorf("in all %d bytes were sent", sent)
	}
	if names := p.names(t); len(names) != 1 {
		t.Errorf("the folder holds %q", names)
	}

	w.cutAfter(16 << 20)
	p.options.Notice = func(line string) {
		if strings.Contains(line, "trying again") {
			rest := int64(1 << 40)
			if goes {
				rest = 24 << 20 // enough for the rest and not for the whole
			}
			w.cutAfter(rest)
		}
	}
	dst, fetched, err := p.download(t, t.Context(), "file")
	mustBe(t, dst, fetched, err, source.sum())
}

// A server that hashes is asked, and what it holds must be what was sent.
func TestFTPChecksum(t *testing.T) {
	p := alone(t, ftpKinds[1].endpoint(peers.FTPConfig{Extra: []string{"LoadModule mod_digest.c", "DigestEngine on"}}))
	asked, wrong := 0, false
	p.through(t, func(line string) string {
		if len(line) > 64 && strings.HasPrefix(line, "250 ") && strings.Trim(line[4:68], "0123456789abcdefABCDEF") == "" {
			asked++
			if wrong {
				line = "250 " + strings.Repeat("0", 64) + line[68:]
			}
		}
		return line
	})
	goAndBack(t, p, "file")
	if asked != 4 { // proftpd hashes no empty file
		t.Errorf("the server was asked %d times", asked)
	}
	wrong = true
	mustFail(t, second(p.upload(t, t.Context(), "other", text("x"))), transfer.OpVerify, transfer.ChecksumMismatch, p.options.Password)
	dst, _, err := p.download(t, t.Context(), "file")
	mustFail(t, err, transfer.OpVerify, transfer.ChecksumMismatch, p.options.Password)
	mustBeGone(t, dst)
	if names := p.names(t); len(names) != 1 {
		t.Errorf("the folder holds %q", names)
	}
}

// What servers refuse is said in their words, and leaves nothing there.
func TestFTPRefusals(t *testing.T) {
	eachFTP(t, func(ftpKind) peers.FTPConfig { return peers.FTPConfig{TLS: true} }, func(t *testing.T, p *place) {
		source := &random{size: 1 << 20}
		fault := mustFail(t, second(p.upload(t, t.Context(), "missing/file", source)), transfer.OpCreate, transfer.Refused, p.options.Password)
		if !strings.Contains(fault.Error(), `folder "missing"`) {
			t.Errorf("%v does not name the folder", fault)
		}
		dst, _, err := p.download(t, t.Context(), "missing")
		mustFail(t, err, transfer.OpReceive, transfer.Refused, p.options.Password)
		mustBeGone(t, dst)
		p.options.Password = "not-the-password"
		mustFail(t, second(p.upload(t, t.Context(), "file", source)), transfer.OpLogin, transfer.LoginRefused, p.options.Password)
		p.options.Password, p.options.RootCAs = p.server.Password, nil
		fault = mustFail(t, second(p.upload(t, t.Context(), "file", source)), transfer.OpTLS, transfer.CertificateInvalid, p.options.Password)
		if !strings.Contains(fault.Hint, "--insecure") {
			t.Errorf("the hint is %q", fault.Hint)
		}
		p.mustBeEmpty(t)
		p.options.Insecure = true
		if _, err := p.upload(t, t.Context(), "file", source); err != nil {
			t.Fatal(err)
		}
		p.mustHold(t, "file", source.sum())
	})
}

// Whoever cancels leaves neither a final name nor a part behind.
func TestFTPCancelled(t *testing.T) {
	eachFTP(t, func(ftpKind) peers.FTPConfig { return peers.FTPConfig{TLS: true} }, func(t *testing.T, p *place) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		source := halfway(func(context.Context) error { cancel(); return nil })
		mustFail(t, second(p.upload(t, ctx, "file", source)), "", transfer.Cancelled)
		p.mustBeEmpty(t)
	})
}
