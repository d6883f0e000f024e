package transfer_test

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
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

// hold puts a file of source's bytes on the server, an hour old: servers tell a file that has just changed by nothing that
// could be relied on.
func (p *place) hold(t *testing.T, name string, source *random) {
	t.Helper()
	content, _ := source.Open(t.Context())
	file, err := os.Create(filepath.Join(p.folder, name))
	if err != nil {
		t.Fatal(err)
	}
	_, err = io.Copy(file, content)
	earlier := time.Now().Add(-time.Hour)
	if err := errors.Join(err, file.Close(), os.Chtimes(file.Name(), earlier, earlier)); err != nil {
		t.Fatal(err)
	}
}

func (p *place) download(t *testing.T, ctx context.Context, rest string) (string, transfer.Result, error) {
	t.Helper()
	dst := filepath.Join(t.TempDir(), "fetched.part")
	fetched, err := transfer.Download(ctx, p.target(t, rest), dst, p.options)
	return dst, fetched, err
}

// mustBe checks what lies here, and what was said about it.
func mustBe(t *testing.T, dst string, fetched transfer.Result, err error, want [sha256.Size]byte) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	content, err := os.ReadFile(dst)
	if err != nil {
		t.Fatal(err)
	}
	if sha256.Sum256(content) != want || fetched.Bytes != int64(len(content)) {
		t.Errorf("%d bytes are here, %d are told, and they are not what lies on the server", len(content), fetched.Bytes)
	}
}

func mustBeGone(t *testing.T, dst string) {
	t.Helper()
	if _, err := os.Lstat(dst); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the unfinished file is left: %v", err)
	}
}

func TestDownloadArrives(t *testing.T) {
	eachPlace(t, func(t *testing.T, p *place) {
		noGoroutineLeft(t)
		for _, size := range []int64{0, 1, 48 << 20} {
			source := &random{size: size}
			p.hold(t, "file name", source)
			var last int64
			p.options.Progress = func(n int64) { last = n }
			dst, fetched, err := p.download(t, t.Context(), "file%20name")
			mustBe(t, dst, fetched, err, source.sum())
			if last != size {
				t.Errorf("the last report is %d", last)
			}
			if info, _ := os.Stat(dst); info.Mode() != 0o600 {
				t.Errorf("its mode is %v", info.Mode())
			}
		}
	})
}

// The connection breaks again and again: what is here already is not fetched again.
func TestDownloadGoesOn(t *testing.T) {
	eachPlace(t, func(t *testing.T, p *place) {
		noGoroutineLeft(t)
		p.again()
		source := &random{size: 48 << 20}
		p.hold(t, "file", source)
		if p.name == "ftps" { // its data connections cannot be led over a wire
			return
		}
		w := p.through(t, nil)
		w.cutAfter(32 << 20)
		cut := 0
		p.options.Notice = func(line string) {
			if strings.Contains(line, "trying again") && cut == 0 {
				cut++
				w.cutAfter(32 << 20) // enough for the rest and not for the whole
			}
		}
		dst, fetched, err := p.download(t, t.Context(), "file")
		mustBe(t, dst, fetched, err, source.sum())
		if cut != 1 {
			t.Error("it was not cut")
		}
	})
}

// Between two attempts the file becomes another one: the halves are not put together.
func TestDownloadOfChangedFile(t *testing.T) {
	eachPlace(t, func(t *testing.T, p *place) {
		p.again()
		p.hold(t, "file", &random{size: 8 << 20})
		if p.name == "ftps" {
			return
		}
		w := p.through(t, nil)
		w.cutAfter(4 << 20)
		other := []byte(strings.Repeat("another file ", 1<<19))
		p.options.Notice = func(line string) {
			if strings.Contains(line, "trying again") {
				w.cutAfter(1 << 40)
				if err := os.WriteFile(filepath.Join(p.folder, "file"), other[:4<<20], 0o644); err != nil {
					t.Error(err)
				}
				later := time.Now().Add(time.Minute)
				os.Chtimes(filepath.Join(p.folder, "file"), later, later)
			}
		}
		dst, fetched, err := p.download(t, t.Context(), "file")
		mustBe(t, dst, fetched, err, sha256.Sum256(other[:4<<20]))
	})
}

// Without the same size and the same time of the last change there is nothing to go on with.
func TestDownloadWithoutMDTMOrREST(t *testing.T) {
	for _, denied := range []string{"MDTM", "SIZE", "REST"} {
		t.Run(denied, func(t *testing.T) {
			p := alone(t, endpoint{"ftp", "ftp", func() (*peers.Server, error) {
				return peers.StartVSFTPD(peers.VSFTPDConfig{Account: account, Extra: []string{"cmds_denied=" + denied}})
			}, true})
			p.again()
			source := &random{size: 8 << 20}
			p.hold(t, "file", source)
			w := p.through(t, nil)
			w.cutAfter(4 << 20)
			p.options.Notice = func(line string) {
				if strings.Contains(line, "trying again") {
					w.cutAfter(1 << 40)
				}
			}
			dst, fetched, err := p.download(t, t.Context(), "file")
			mustBe(t, dst, fetched, err, source.sum())
			if said := strings.Contains(strings.Join(fetched.Notices, "\n"), "does not tell the size"); said != (denied == "SIZE") {
				t.Errorf("notices: %q", fetched.Notices)
			}
		})
	}
}

func TestDownloadFails(t *testing.T) {
	eachPlace(t, func(t *testing.T, p *place) {
		noGoroutineLeft(t)
		dst, _, err := p.download(t, t.Context(), "missing")
		mustFail(t, err, transfer.OpReceive, transfer.Refused, p.options.Password)
		mustBeGone(t, dst)

		p.hold(t, "secret", &random{size: 1})
		if err := os.Chmod(filepath.Join(p.folder, "secret"), 0); err != nil {
			t.Fatal(err)
		}
		dst, _, err = p.download(t, t.Context(), "secret")
		mustFail(t, err, transfer.OpReceive, transfer.Refused, p.options.Password)
		mustBeGone(t, dst)

		p.hold(t, "file", &random{size: 8 << 20})
		w := p.through(t, nil)
		if p.name != "ftps" {
			w.cutAfter(4 << 20)
			dst, _, err = p.download(t, t.Context(), "file")
			mustFail(t, err, "", transfer.ConnectionLost, p.options.Password)
			mustBeGone(t, dst)
			w.cutAfter(1 << 40)
		}
		p.options.Password = "not-the-password"
		dst, _, err = p.download(t, t.Context(), "file")
		mustFail(t, err, transfer.OpLogin, transfer.LoginRefused, p.options.Password)
		mustBeGone(t, dst)

		full := filepath.Join(t.TempDir(), "there")
		if err := os.WriteFile(full, []byte("mine"), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err = transfer.Download(t.Context(), p.target(t, "file"), full, p.options)
		mustFail(t, err, transfer.OpSave, transfer.LocalFailure)
		if text, _ := os.ReadFile(full); string(text) != "mine" {
			t.Errorf("a file that was there holds %q", text)
		}
	})
}

func TestDownloadCancelled(t *testing.T) {
	eachPlace(t, func(t *testing.T, p *place) {
		noGoroutineLeft(t)
		p.hold(t, "file", &random{size: 64 << 20})
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		p.options.Progress = func(n int64) {
			if n > 0 {
				cancel()
			}
		}
		dst, _, err := p.download(t, ctx, "file")
		mustFail(t, err, "", transfer.Cancelled)
		mustBeGone(t, dst)
	})
}

func TestDownloadThroughProxy(t *testing.T) {
	open := peers.Squid(t, peers.ProxyConfig{Account: account, Auth: "digest", Connect: []string{"1024-65535"}})
	strict := peers.Squid(t, peers.ProxyConfig{Account: account, Auth: "basic"})
	eachPlace(t, func(t *testing.T, p *place) {
		source := &random{size: 4 << 20}
		p.hold(t, "file", source)
		p.behind(t, open)
		p.options.Proxy.User, p.options.Proxy.Password = open.User, open.Password
		dst, fetched, err := p.download(t, t.Context(), "file")
		mustBe(t, dst, fetched, err, source.sum())
		if p.name != "ftp" {
			return
		}
		p.behind(t, strict)
		p.options.Proxy.User, p.options.Proxy.Password = strict.User, strict.Password
		dst, fetched, err = p.download(t, t.Context(), "file")
		mustBe(t, dst, fetched, err, source.sum())
		if !strings.Contains(strings.Join(fetched.Notices, " "), "FTP gateway") {
			t.Errorf("notices: %q", fetched.Notices)
		}
		dst, _, err = p.download(t, t.Context(), "missing")
		mustFail(t, err, transfer.OpReceive, transfer.Refused, p.options.Password)
		mustBeGone(t, dst)
	})
}

// A redirect may lead elsewhere; the password does not go there.
func TestDownloadRedirect(t *testing.T) {
	p := at(t, endpoints()[2])
	other := newFake(t, speakHTTP("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nover"))
	back := newFake(t, speakHTTP("HTTP/1.1 401 x\r\nWWW-Authenticate: Basic realm=\"r\"\r\nContent-Length: 0\r\n\r\n", "HTTP/1.1 302 x\r\nLocation: http://"+other.addr+"/elsewhere\r\n\r\n"))
	p.addr, p.folder = back.addr, "/x"
	dst, fetched, err := p.download(t, t.Context(), "file")
	mustBe(t, dst, fetched, err, sha256.Sum256([]byte("over")))
	if other.heard("Authorization") || !back.heard("Authorization") {
		t.Errorf("elsewhere heard %q", other.said)
	}
	down := newFake(t, speakHTTP("HTTP/1.1 302 x\r\nLocation: file:///etc/passwd\r\n\r\n"))
	p.addr = down.addr
	dst, _, err = p.download(t, t.Context(), "file")
	mustFail(t, err, "", transfer.Refused, p.options.Password)
	mustBeGone(t, dst)
}

// A server that knows Range and not If-Range gives a part of what is now another file: the halves are not put together.
// A date that says no more than this second is nothing to go on with.
func TestDownloadWithoutIfRange(t *testing.T) {
	now := time.Now()
	date := func(t time.Time) string { return t.UTC().Format(http.TimeFormat) }
	const before, after = "0123456789", "abcdefghij"
	for _, test := range []struct {
		name, header  string
		first, second string // what the header says, and then
		content       string // then
		asks          bool   // for the rest
	}{
		{"another tag", "ETag", `"1"`, `"2"`, after, true},
		{"another tag and size", "ETag", `"1"`, `"2"`, after + after, true},
		{"another date", "Last-Modified", date(now.Add(-time.Hour)), date(now.Add(-time.Minute)), after, true},
		{"this second", "Last-Modified", date(now), date(now), after, false},
		{"a weak tag", "ETag", `W/"1"`, `W/"1"`, after, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			var asked atomic.Int32
			var asks atomic.Bool
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Date", date(now))
				if asked.Add(1) == 1 {
					w.Header().Set(test.header, test.first)
					w.Header().Set("Content-Length", strconv.Itoa(len(before)))
					io.WriteString(w, before[:5]) // and it hangs up
					return
				}
				w.Header().Set(test.header, test.second)
				content := test.content
				if r.Header.Get("Range") != "" {
					asks.Store(true)
					w.Header().Set("Content-Range", fmt.Sprintf("bytes 5-%d/%d", len(content)-1, len(content)))
					w.WriteHeader(http.StatusPartialContent)
					content = content[5:]
				}
				io.WriteString(w, content)
			}))
			t.Cleanup(server.Close)
			target, err := transfer.ParseURL(server.URL + "/file")
			if err != nil {
				t.Fatal(err)
			}
			dst := filepath.Join(t.TempDir(), "x.part")
			fetched, err := transfer.Download(t.Context(), target, dst, transfer.Options{Policy: loopback, Retries: 1, RetryWait: time.Millisecond})
			mustBe(t, dst, fetched, err, sha256.Sum256([]byte(test.content)))
			if asks.Load() != test.asks {
				t.Errorf("the rest was asked for: %v", asks.Load())
			}
		})
	}
}

// Servers that are wrong about parts, sizes and marks: the file is right or there is none.
func TestHostileDownload(t *testing.T) {
	const whole = "0123456789"
	first := "HTTP/1.1 200 OK\r\nETag: \"1\"\r\nContent-Length: 10\r\n\r\n01234" // and it hangs up
	for _, test := range []struct {
		name   string
		second string
		kind   transfer.Kind // "": it arrives
	}{
		{"goes on", "HTTP/1.1 206 x\r\nETag: \"1\"\r\nContent-Range: bytes 5-9/10\r\nContent-Length: 5\r\n\r\n56789", ""},
		{"starts again", "HTTP/1.1 200 OK\r\nETag: \"1\"\r\nContent-Length: 10\r\n\r\n" + whole, ""},
		{"another part", "HTTP/1.1 206 x\r\nContent-Range: bytes 4-9/10\r\nContent-Length: 6\r\n\r\n456789", transfer.ProtocolBroken},
		{"a part that ends early", "HTTP/1.1 206 x\r\nContent-Range: bytes 5-8/10\r\nContent-Length: 4\r\n\r\n5678", transfer.ProtocolBroken},
		{"a part of another size", "HTTP/1.1 206 x\r\nContent-Range: bytes 5-10/11\r\nContent-Length: 6\r\n\r\n56789x", transfer.ProtocolBroken},
		{"a part without a range", "HTTP/1.1 206 x\r\nContent-Length: 5\r\n\r\n56789", transfer.ProtocolBroken},
		{"a negative range", "HTTP/1.1 206 x\r\nContent-Range: bytes -5--9/-10\r\nContent-Length: 5\r\n\r\n56789", transfer.ProtocolBroken},
		{"too long a part", "HTTP/1.1 206 x\r\nContent-Range: bytes 5-9/10\r\n\r\n56789abc", transfer.SizeMismatch},
		{"too short a part, and the same again", "HTTP/1.1 206 x\r\nContent-Range: bytes 5-9/10\r\n\r\n5678", transfer.ProtocolBroken},
		{"escapes in the range", "HTTP/1.1 206 x\r\nContent-Range: " + base64.StdEncoding.EncodeToString([]byte(nasty)) + "\r\n\r\n5", transfer.ProtocolBroken},
	} {
		t.Run(test.name, func(t *testing.T) {
			noGoroutineLeft(t)
			f := newFake(t, speakHTTP(first, test.second))
			target, err := transfer.ParseTarget("http", f.addr+"/file", "")
			if err != nil {
				t.Fatal(err)
			}
			dst := filepath.Join(t.TempDir(), "x.part")
			fetched, err := transfer.Download(t.Context(), target, dst, transfer.Options{Policy: loopback, Retries: 1, RetryWait: time.Millisecond})
			if test.kind == "" {
				mustBe(t, dst, fetched, err, sha256.Sum256([]byte(whole)))
				if !f.heard("Range: bytes=5-") || !f.heard(`If-Range: "1"`) {
					t.Errorf("the server heard %q", f.said)
				}
				return
			}
			mustFail(t, err, "", test.kind)
			mustBeGone(t, dst)
		})
	}
	for answer, kind := range map[string]transfer.Kind{
		"213 -5":                    transfer.ProtocolBroken,
		"213 99999999999999999999":  transfer.ProtocolBroken,
		"213 " + nasty:              transfer.ProtocolBroken,
		"213 10\r\n213 and another": transfer.Refused,
	} {
		f := newFake(t, speakFTP("220 hi\r\n", map[string]string{"USER": "331 ok\r\n", "PASS": "230 ok\r\n", "TYPE": "200 ok\r\n", "SIZE": answer + "\r\n", "EPSV": "229 )(\r\n", "PASV": "227 )(\r\n"}))
		target, err := transfer.ParseTarget("ftp", f.addr+"/file", "")
		if err != nil {
			t.Fatal(err)
		}
		dst := filepath.Join(t.TempDir(), "x.part")
		_, err = transfer.Download(t.Context(), target, dst, transfer.Options{Policy: loopback, Retries: -1})
		mustFail(t, err, "", kind)
		mustBeGone(t, dst)
	}
}
