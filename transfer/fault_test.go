package transfer_test

import (
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"sealgate/internal/peers"
	"sealgate/transfer"
)

const half = 4 << 20

// halfway is a source of 8 MiB that calls hook once when the first half was read.
func halfway(hook func(ctx context.Context) error) *random {
	return &random{size: 2 * half, at: func(ctx context.Context, offset int64) error {
		if offset == half {
			return hook(ctx)
		}
		return nil
	}}
}

func TestConnectionCutHalfWay(t *testing.T) {
	eachPlace(t, func(t *testing.T, p *place) {
		noGoroutineLeft(t)
		w := p.through(t, nil)
		result, err := p.upload(t, t.Context(), "file", halfway(func(context.Context) error { w.cut(); return nil }))
		mustFail(t, err, "", transfer.ConnectionLost, p.options.Password)
		if result.Bytes < half {
			t.Errorf("the result says %d bytes", result.Bytes)
		}
		p.mustBeEmpty(t)
	})
}

// Nothing moves although nothing is closed: only the idle time-out notices.
func TestConnectionFrozenHalfWay(t *testing.T) {
	for _, e := range endpoints() {
		if e.name == "ftps" {
			continue // its data connections cannot be led over a wire; the time-outs are those of ftp
		}
		t.Run(e.name, func(t *testing.T) {
			t.Parallel()
			p := at(t, e)
			p.options.IdleTimeout = 5 * time.Second // the handshake must fit too, on a busy machine
			w := p.through(t, nil)
			started := time.Now()
			_, err := p.upload(t, t.Context(), "file", halfway(func(context.Context) error { w.freeze(); return nil }))
			mustFail(t, err, "", transfer.ConnectionLost)
			if took := time.Since(started); took < p.options.IdleTimeout {
				t.Errorf("it took %v", took)
			}
			if _, err := os.Stat(filepath.Join(p.folder, "file")); err == nil {
				t.Error("the final name exists")
			}
		})
	}
}

func TestServerKilledHalfWay(t *testing.T) {
	for _, e := range endpoints() {
		t.Run(e.name, func(t *testing.T) {
			noGoroutineLeft(t)
			p := alone(t, e)
			_, err := p.upload(t, t.Context(), "file", halfway(func(context.Context) error { p.server.Kill(); return nil }))
			fault := mustFail(t, err, "", transfer.ConnectionLost)
			for _, name := range p.names(t) {
				if p.name == "apache" && strings.HasPrefix(name, ".davfs.tmp") {
					continue // its own affair
				}
				if !strings.HasPrefix(name, "file.") || !strings.HasSuffix(name, ".part") {
					t.Errorf("%q is on the server", name)
				}
				if !strings.Contains(fault.Hint, name) {
					t.Errorf("the hint does not name %q: %s", name, fault.Hint)
				}
			}
		})
	}
}

// promptly is sooner than any time-out would end what hangs, however slow the machine is.
const promptly = transfer.DefaultIdleTimeout / 2

func TestCancelHalfWay(t *testing.T) {
	for _, test := range []struct {
		name string
		then func(ctx context.Context) error // what the source does after the cancel
	}{
		{"while data flows", func(context.Context) error { return nil }},
		{"while the source waits", func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }},
	} {
		t.Run(test.name, func(t *testing.T) {
			eachPlace(t, func(t *testing.T, p *place) {
				noGoroutineLeft(t)
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				var cancelled time.Time
				_, err := p.upload(t, ctx, "file", halfway(func(ctx context.Context) error {
					cancelled = time.Now()
					cancel()
					return test.then(ctx)
				}))
				if took := time.Since(cancelled); took > promptly {
					t.Errorf("it went on for %v", took)
				}
				fault := mustFail(t, err, "", transfer.Cancelled)
				if !errors.Is(err, context.Canceled) || fault.Hint != "" {
					t.Errorf("got %v, hint %q", err, fault.Hint)
				}
				p.mustBeEmpty(t)
			})
		})
	}
}

// A server that accepts and then says nothing, at every step that waits for it.
func TestCancelWhileServerIsSilent(t *testing.T) {
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	for _, protocol := range []string{"ftp", "http", "https", "scp"} {
		t.Run(protocol, func(t *testing.T) {
			noGoroutineLeft(t)
			target, err := transfer.ParseTarget(protocol, silent.Addr().String()+"/x", "")
			if err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
			defer cancel()
			started := time.Now()
			_, err = transfer.Upload(ctx, target, text("x"), transfer.Options{Policy: loopback, User: "u", Password: "p"})
			mustFail(t, err, "", transfer.Cancelled)
			if took := time.Since(started); took > promptly {
				t.Errorf("it took %v", took)
			}
			started = time.Now()
			_, err = transfer.Upload(t.Context(), target, text("x"),
				transfer.Options{Policy: loopback, User: "u", Password: "p", ConnectTimeout: 2 * time.Second, IdleTimeout: 2 * time.Second, Retries: -1})
			mustFail(t, err, "", transfer.ConnectionLost)
			if took := time.Since(started); took > promptly {
				t.Errorf("it took %v", took)
			}
		})
	}
}

// Whoever watches the final name sees the old file or the new one.
func TestNoHalfFileUnderFinalName(t *testing.T) {
	eachPlace(t, func(t *testing.T, p *place) {
		t.Parallel()
		const old = "the old file"
		final := filepath.Join(p.folder, "file")
		if err := os.WriteFile(final, []byte(old), 0o644); err != nil {
			t.Fatal(err)
		}
		if err := os.Chown(final, account.UID, account.GID); err != nil {
			t.Fatal(err)
		}
		var looks atomic.Int32
		source := &random{size: 32 << 20, at: func(ctx context.Context, offset int64) error {
			for want := looks.Load() + 1; offset > 0 && looks.Load() < want && ctx.Err() == nil; {
				time.Sleep(50 * time.Microsecond)
			}
			return ctx.Err()
		}}
		done, over := make(chan struct{}), make(chan struct{})
		go func() {
			defer close(over)
			for ; ; looks.Add(1) {
				select {
				case <-done:
					return
				default:
				}
				info, err := os.Stat(final)
				if err != nil || info.Size() != int64(len(old)) && info.Size() != source.size {
					t.Errorf("look %d: %v, %v", looks.Load(), info, err)
				}
				time.Sleep(100 * time.Microsecond)
			}
		}()
		_, err := p.upload(t, t.Context(), "file", source)
		close(done)
		<-over
		if err != nil {
			t.Fatal(err)
		}
		p.mustHold(t, "file", source.sum())
	})
}

func TestSourceFails(t *testing.T) {
	broken := errors.New("the disk is on fire")
	eachPlace(t, func(t *testing.T, p *place) {
		noGoroutineLeft(t)
		for _, hidden := range []bool{false, true} {
			source := halfway(func(context.Context) error { return broken })
			source.hidden = hidden
			_, err := p.upload(t, t.Context(), "file", source)
			mustFail(t, err, transfer.OpSource, transfer.SourceFailed)
			if !errors.Is(err, broken) {
				t.Errorf("%v does not unwrap to its cause", err)
			}
			p.mustBeEmpty(t)
		}
	})
}

// misjudged is a source that gives another number of bytes than it says.
type misjudged struct {
	text
	size int64
}

func (m misjudged) Size() int64 { return m.size }

func TestSourceChanges(t *testing.T) {
	eachPlace(t, func(t *testing.T, p *place) {
		if _, err := p.upload(t, t.Context(), "file", misjudged{"shorter", 100}); err == nil {
			t.Error("a source that is too short is no error")
		} else {
			mustFail(t, err, transfer.OpSource, transfer.SizeMismatch)
		}
		p.mustBeEmpty(t)
	})
}

func TestLoginRefused(t *testing.T) {
	eachPlace(t, func(t *testing.T, p *place) {
		t.Parallel()
		p.options.Password = "not-the-password"
		_, err := p.upload(t, t.Context(), "file", text("x"))
		mustFail(t, err, transfer.OpLogin, transfer.LoginRefused, p.options.Password)
		p.mustBeEmpty(t)
	})
}

func TestUnreachable(t *testing.T) {
	closed := net.JoinHostPort("127.0.0.1", strconv.Itoa(peers.FreePort(t, "127.0.0.1")))
	for _, protocol := range []string{"ftp", "http", "https", "scp"} {
		for _, test := range []struct {
			host string
			op   transfer.Op
		}{
			{closed, transfer.OpConnect},
			{"no-such-host.invalid", transfer.OpResolve},
		} {
			target, err := transfer.ParseTarget(protocol, test.host+"/x", "")
			if err != nil {
				t.Fatal(err)
			}
			_, err = transfer.Upload(t.Context(), target, text("x"), transfer.Options{Policy: loopback, User: "u", Password: "secret", ConnectTimeout: time.Second, Retries: -1})
			mustFail(t, err, test.op, transfer.Unreachable, "secret")
		}
	}
}

func TestCertificateThatDoesNotVerify(t *testing.T) {
	for _, e := range endpoints() {
		if e.name != "ftps" && e.name != "https" {
			continue
		}
		t.Run(e.name, func(t *testing.T) {
			p := at(t, e)
			p.options.RootCAs = nil
			_, err := p.upload(t, t.Context(), "file", text("x"))
			mustFail(t, err, transfer.OpTLS, transfer.CertificateInvalid, p.options.Password)
			p.mustBeEmpty(t)
			p.options.Insecure = true
			if _, err := p.upload(t, t.Context(), "file", text("x")); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestRefusedPlaces(t *testing.T) {
	for _, test := range []struct {
		name, url string
		prepare   func(folder string) error
		op        map[string]transfer.Op
	}{
		{"missing folder", "missing/file", func(string) error { return nil },
			map[string]transfer.Op{"ftp": transfer.OpCreate, "http": transfer.OpWrite, "https": transfer.OpWrite, "scp": transfer.OpCreate}},
		{"read-only folder", "closed/file", func(folder string) error { return os.Mkdir(filepath.Join(folder, "closed"), 0o555) },
			map[string]transfer.Op{"ftp": transfer.OpCreate, "http": transfer.OpWrite, "https": transfer.OpWrite, "scp": transfer.OpCreate}},
		{"a folder has the name", "closed", func(folder string) error { return os.Mkdir(filepath.Join(folder, "closed"), 0o755) },
			map[string]transfer.Op{"ftp": transfer.OpRename, "http": transfer.OpWrite, "https": transfer.OpWrite, "scp": transfer.OpCreate}},
	} {
		t.Run(test.name, func(t *testing.T) {
			eachPlace(t, func(t *testing.T, p *place) {
				if err := test.prepare(p.folder); err != nil {
					t.Fatal(err)
				}
				_, err := p.upload(t, t.Context(), test.url, text("x"))
				mustFail(t, err, test.op[p.protocol], transfer.Refused, p.options.Password)
				for _, name := range p.names(t) {
					if name != "closed" {
						t.Errorf("left on the server: %q", name)
					}
				}
			})
		})
	}
}

func TestHTTPRefusesBeforeTheBody(t *testing.T) {
	p := alone(t, endpoint{"http", "http", func() (*peers.Server, error) {
		return peers.StartNginx(peers.NginxConfig{Account: account, Server: []string{"location /small/ { client_max_body_size 1k; }"}})
	}, false})
	target, err := transfer.ParseTarget("http", p.addr+"/small/x", "")
	if err != nil {
		t.Fatal(err)
	}
	result, err := transfer.Upload(t.Context(), target, &random{size: 64 << 20}, p.options)
	mustFail(t, err, transfer.OpWrite, transfer.Refused)
	if result.Bytes != 0 {
		t.Errorf("%d bytes were sent", result.Bytes)
	}
}

// A data connection that EPSV cannot bring about is tried with PASV.
func TestFTPPassiveFallBack(t *testing.T) {
	p := at(t, endpoints()[0])
	port := strconv.Itoa(peers.FreePort(t, "127.0.0.1"))
	var epsv atomic.Int32
	p.through(t, func(line string) string {
		if strings.HasPrefix(line, "229") {
			epsv.Add(1)
			return "229 Entering Extended Passive Mode (|||" + port + "|)\r\n"
		}
		return line
	})
	source := &random{size: 1 << 20}
	if _, err := p.upload(t, t.Context(), "file", source); err != nil {
		t.Fatal(err)
	}
	if n := epsv.Load(); n != 1 {
		t.Errorf("EPSV was asked %d times", n)
	}
	p.mustHold(t, "file", source.sum())
}

// The disk or the quota ends half-way: the server's own words must come through.
func TestFTPServerRefusesHalfWay(t *testing.T) {
	p := at(t, endpoints()[0])
	p.through(t, func(line string) string {
		if strings.HasPrefix(line, "226") {
			return "552 Quota exceeded.\r\n"
		}
		return line
	})
	_, err := p.upload(t, t.Context(), "file", &random{size: 1 << 20})
	fault := mustFail(t, err, transfer.OpWrite, transfer.Refused)
	if !strings.Contains(fault.Error(), "552 Quota exceeded") {
		t.Errorf("%v does not repeat the server's words", fault)
	}
	p.mustBeEmpty(t)
}
