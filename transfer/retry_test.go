package transfer_test

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"sealgate/internal/peers"
	"sealgate/transfer"
)

// again allows retries that a test need not wait for.
func (p *place) again() {
	p.options.Retries, p.options.RetryWait = 5, time.Millisecond
}

// The connection breaks again and again; ftp and scp go on from where the server has it, http starts again.
func TestUploadGoesOn(t *testing.T) {
	eachPlace(t, func(t *testing.T, p *place) {
		noGoroutineLeft(t)
		p.again()
		w := p.through(t, nil)
		cuts, most := 0, 3
		var reads int64 // of the source, in steps
		source := &random{size: 16 << 20, at: func(_ context.Context, offset int64) error {
			reads++
			if cuts < most && offset > int64(4<<20)*int64(cuts+1) {
				cuts++
				time.Sleep(100 * time.Millisecond) // some of it shall arrive
				w.cut()
			}
			return nil
		}}
		result, err := p.upload(t, t.Context(), "file", source)
		if err != nil {
			t.Fatal(err)
		}
		if cuts != most {
			t.Errorf("%d cuts", cuts)
		}
		if result.Bytes != source.size {
			t.Errorf("the result says %d bytes", result.Bytes)
		}
		if len(result.Notices) == 0 || !strings.Contains(result.Notices[len(result.Notices)-1], "trying again") {
			t.Errorf("notices: %q", result.Notices)
		}
		p.mustHold(t, "file", source.sum())
		if names := p.names(t); len(names) != 1 {
			t.Errorf("the folder holds %q", names)
		}
	})
}

// What the server has is not sent again.
func TestUploadResumes(t *testing.T) {
	for _, e := range endpoints() {
		if !e.atomic || e.name == "ftps" { // whose data connections cannot be led over a wire
			continue
		}
		t.Run(e.name, func(t *testing.T) {
			p := at(t, e)
			p.again()
			w := p.through(t, nil)
			cut := false
			var reports []int64
			p.options.Progress = func(sent int64) { reports = append(reports, sent) }
			source := &random{size: 32 << 20, at: func(_ context.Context, offset int64) error {
				if offset == 24<<20 && !cut {
					cut = true
					time.Sleep(200 * time.Millisecond)
					w.cut()
				}
				return nil
			}}
			if _, err := p.upload(t, t.Context(), "file", source); err != nil {
				t.Fatal(err)
			}
			p.mustHold(t, "file", source.sum())
			back := false
			for i, n := range reports {
				back = back || i > 0 && n < reports[i-1]
				if i > 0 && n < 8<<20 && reports[i-1] >= 24<<20 {
					t.Errorf("it went back to %d: %v", n, reports)
				}
			}
			if n := source.opened.Load(); n != 2 {
				t.Errorf("the source was opened %d times", n)
			}
		})
	}
}

// A server that does not take REST gets the file from its beginning.
func TestUploadWithoutREST(t *testing.T) {
	p := alone(t, endpoint{"ftp", "ftp", func() (*peers.Server, error) {
		return peers.StartVSFTPD(peers.VSFTPDConfig{Account: account, Extra: []string{"cmds_denied=REST"}})
	}, true})
	p.again()
	w := p.through(t, nil)
	cut := false
	source := halfway(func(context.Context) error {
		if !cut {
			cut = true
			time.Sleep(100 * time.Millisecond)
			w.cut()
		}
		return nil
	})
	if _, err := p.upload(t, t.Context(), "file", source); err != nil {
		t.Fatal(err)
	}
	p.mustHold(t, "file", source.sum())
}

// Retries end: when nothing helps, and at once after a refusal.
func TestRetriesEnd(t *testing.T) {
	eachPlace(t, func(t *testing.T, p *place) {
		p.again()
		p.options.Retries = 2
		w := p.through(t, nil)
		source := halfway(func(context.Context) error { w.cut(); return nil })
		fault := mustFail(t, second(p.upload(t, t.Context(), "file", source)), "", transfer.ConnectionLost)
		if n := source.opened.Load(); n < 3 || n > 30 {
			t.Errorf("%d attempts: %v", n, fault)
		}
		p.mustBeEmpty(t)
	})
	eachPlace(t, func(t *testing.T, p *place) {
		p.again()
		source := &random{size: 1}
		p.options.Notice = func(line string) {
			if strings.Contains(line, "again") {
				t.Errorf("said: %s", line)
			}
		}
		p.options.Password = "not-the-password"
		mustFail(t, second(p.upload(t, t.Context(), "file", source)), transfer.OpLogin, transfer.LoginRefused)
	})
}

func TestStatusIsTriedAgain(t *testing.T) {
	for _, test := range []struct {
		answer string
		again  bool
		waits  time.Duration
	}{
		{"408 x", true, 0}, {"429 x", true, 0}, {"500 x", true, 0}, {"502 x", true, 0}, {"503 x", true, 0}, {"504 x", true, 0},
		{"503 x\r\nRetry-After: 1", true, time.Second},
		{"503 x\r\nRetry-After: 61", false, 0},
		{"503 x\r\nRetry-After: Fri, 31 Dec 2199 23:59:59 GMT", false, 0},
		{"503 x\r\nRetry-After: 99999999999999999999999", false, 0},
		{"503 x\r\nRetry-After: -1", true, 0},
		{"403 x", false, 0}, {"404 x", false, 0}, {"409 x", false, 0}, {"413 x", false, 0}, {"501 x", false, 0}, {"507 x", false, 0},
	} {
		t.Run(test.answer, func(t *testing.T) {
			source := &random{size: 1}
			var asked atomic.Int32
			f := newFake(t, func(_ *fake, c net.Conn) {
				if request, err := http.ReadRequest(bufio.NewReader(c)); err == nil {
					io.Copy(io.Discard, request.Body)
				}
				io.WriteString(c, "HTTP/1.1 "+[]string{test.answer, "200 OK"}[asked.Add(1)-1]+"\r\nContent-Length: 0\r\n\r\n")
			})
			target, err := transfer.ParseTarget("http", f.addr+"/file", "")
			if err != nil {
				t.Fatal(err)
			}
			began := time.Now()
			_, err = transfer.Upload(t.Context(), target, source, transfer.Options{Policy: loopback, RetryWait: time.Millisecond})
			if (err == nil) != test.again {
				t.Errorf("%v", err)
			}
			if err != nil {
				mustFail(t, err, transfer.OpWrite, transfer.Refused)
			}
			if waited := time.Since(began); waited < test.waits {
				t.Errorf("it waited %v", waited)
			}
		})
	}
}

// FTP's 4xx are for now, 5xx for good. A login that is refused is not tried again, whatever the number: that could lock
// the account.
func TestReplyIsTriedAgain(t *testing.T) {
	for reply, again := range map[string]bool{
		"AUTH 431 later": true, "PASS 421 later": true, "CWD 450 busy": true, "CWD 550 no": false,
		"PASS 530 no": false, "PASS 430 no": false, "PASS 450 no": false, "PASS 451 no": false, "USER 421 no": false,
	} {
		var greeted atomic.Int32
		f := newFake(t, func(f *fake, c net.Conn) {
			greeted.Add(1)
			answers := map[string]string{"USER": "331 go on\r\n", "PASS": "230 ok\r\n", "TYPE": "200 ok\r\n"}
			command, answer, _ := strings.Cut(reply, " ")
			answers[command] = answer + "\r\n"
			speakFTP("220 hi\r\n", answers)(f, c)
		})
		target, err := transfer.ParseTarget("ftp", f.addr+"/folder/file", "")
		if err != nil {
			t.Fatal(err)
		}
		_, err = transfer.Upload(t.Context(), target, text("x"), transfer.Options{Policy: loopback, User: "u", Password: "hunter2", Retries: 2, RetryWait: time.Millisecond})
		if err == nil {
			t.Fatal("it succeeded")
		}
		if want := map[bool]int32{true: 3, false: 1}[again]; greeted.Load() != want {
			t.Errorf("%s: %d attempts", reply, greeted.Load())
		}
	}
}

// The whole has an end, too, and the waits with it.
func TestTotalTimeout(t *testing.T) {
	eachPlace(t, func(t *testing.T, p *place) {
		noGoroutineLeft(t)
		p.options.TotalTimeout = 3 * time.Second // logging in must fit, on a busy machine too
		_, err := p.upload(t, t.Context(), "file", halfway(func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }))
		mustFail(t, err, "", transfer.TimedOut, p.options.Password)
		p.mustBeEmpty(t)
	})
	f := newFake(t, speakHTTP("HTTP/1.1 503 x\r\n\r\n"))
	target, err := transfer.ParseTarget("http", f.addr+"/file", "")
	if err != nil {
		t.Fatal(err)
	}
	_, err = transfer.Upload(t.Context(), target, text("x"), transfer.Options{Policy: loopback, RetryWait: time.Hour, TotalTimeout: 100 * time.Millisecond})
	mustFail(t, err, "", transfer.TimedOut)
}

// A file that is another one at the second attempt is not put together with the first.
type swapped struct{ first, second transfer.Source }

func (s *swapped) Size() int64 { return s.first.Size() }

func (s *swapped) Open(ctx context.Context) (io.ReadCloser, error) {
	r, err := s.first.Open(ctx)
	s.first = s.second
	return r, err
}

func TestSourceSwappedBetweenAttempts(t *testing.T) {
	eachPlace(t, func(t *testing.T, p *place) {
		p.again()
		w := p.through(t, nil)
		first := halfway(func(context.Context) error { time.Sleep(50 * time.Millisecond); w.cut(); return nil })
		_, err := p.upload(t, t.Context(), "file", &swapped{first, &random{size: 1 << 20}})
		mustFail(t, err, transfer.OpSource, transfer.SizeMismatch)
		p.mustBeEmpty(t)
	})
}
