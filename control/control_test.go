package control

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// recorder is a UI that keeps what it is told.
type recorder struct {
	mu       sync.Mutex
	text     strings.Builder
	progress []Progress
	answer   func(Question) (string, error)
}

func (r *recorder) Text(s Stream, text string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.text.WriteString(text)
}

func (r *recorder) Progress(p Progress) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.progress = append(r.progress, p)
}

func (r *recorder) Ask(_ context.Context, q Question) (string, error) { return r.answer(q) }

// call dials and runs one request.
func call(ctx context.Context, path string, req Request, ui UI) (Result, error) {
	conn, err := net.Dial("unix", path)
	if err != nil {
		return Result{}, err
	}
	defer conn.Close()
	return Do(ctx, conn.(*net.UnixConn), req, ui)
}

// patience is how long tests wait for what comes in a moment where nothing else runs.
const patience = time.Minute

func serve(t *testing.T, h HandlerFunc) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "s")
	ln, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	srv := &Server{Handler: h, Log: slog.New(slog.DiscardHandler)}
	done := make(chan error, 1)
	go func() { done <- srv.Serve(ctx, ln) }()
	t.Cleanup(func() {
		cancel()
		select {
		case err := <-done:
			if err != nil {
				t.Error(err)
			}
		case <-time.After(patience):
			t.Error("the server does not end")
		}
	})
	return path
}

func TestEventsAndResult(t *testing.T) {
	path := serve(t, func(ctx context.Context, p Peer, r Request, s *Session) Result {
		if int(p.UID) != os.Getuid() || int(p.PID) != os.Getpid() {
			t.Errorf("peer is %+v", p)
		}
		s.Text(Out, strings.Join(r.Words, " "))
		name, err := s.Ask(ctx, Question{Prompt: "name: ", Secret: true})
		if err != nil {
			return Result{Exit: 1, Error: err.Error()}
		}
		for i := range 10_000 {
			s.Progress(Progress{Label: "work", Done: int64(i), Total: 10_000})
		}
		s.Text(Out, " "+name)
		return Result{Exit: 4, Error: "e", Hint: "h"}
	})
	ui := &recorder{answer: func(q Question) (string, error) {
		if !q.Secret || q.Prompt != "name: " {
			t.Errorf("question is %+v", q)
		}
		return "anna", nil
	}}
	res, err := call(t.Context(), path, Request{Op: OpRun, Words: []string{"a", "b"}}, ui)
	if err != nil || res.Exit != 4 || res.Error != "e" || res.Hint != "h" {
		t.Fatalf("result %+v, error %v", res, err)
	}
	if got := ui.text.String(); got != "a b anna" {
		t.Errorf("text is %q", got)
	}
}

// Text larger than a frame arrives whole and never splits a rune.
func TestLongText(t *testing.T) {
	long := strings.Repeat("xé€", 300_000)
	path := serve(t, func(_ context.Context, _ Peer, _ Request, s *Session) Result {
		s.Text(Out, long)
		return Result{}
	})
	ui := &recorder{}
	if _, err := call(t.Context(), path, Request{Op: OpRun}, ui); err != nil {
		t.Fatal(err)
	}
	if ui.text.String() != long {
		t.Error("the text changed on its way")
	}
}

// The hole: a user leaves, and the command goes on for nobody.
func TestCancelReachesTheCommand(t *testing.T) {
	cancelled := make(chan error, 1)
	path := serve(t, func(ctx context.Context, _ Peer, _ Request, s *Session) Result {
		s.Text(Out, "begun")
		<-ctx.Done()
		cancelled <- context.Cause(ctx)
		return Result{Exit: ExitInterrupted, Error: "cleaned up"}
	})
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(50*time.Millisecond, cancel)
	res, err := call(ctx, path, Request{Op: OpRun}, &recorder{})
	if err != nil || res.Exit != ExitInterrupted || res.Error != "cleaned up" {
		t.Errorf("the result of a cancelled command is lost: %+v, %v", res, err)
	}
	if cause := <-cancelled; !errors.Is(cause, ErrGone) {
		t.Errorf("cause is %v", cause)
	}
}

func TestVanishedClientCancels(t *testing.T) {
	cancelled := make(chan struct{})
	path := serve(t, func(ctx context.Context, _ Peer, _ Request, s *Session) Result {
		defer close(cancelled)
		s.Ask(ctx, Question{Prompt: "?"})
		return Result{}
	})
	conn, err := net.Dial("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	writeFrame(conn, MaxRequest, Request{Op: OpRun})
	readFrame(conn, MaxEvent, &event{})
	conn.Close()
	select {
	case <-cancelled:
	case <-time.After(patience):
		t.Error("the command still waits for an answer")
	}
}

// The hole: a crash in one command takes the daemon with it.
func TestPanicIsAResult(t *testing.T) {
	path := serve(t, func(context.Context, Peer, Request, *Session) Result { panic("secret words") })
	res, err := call(t.Context(), path, Request{Op: OpRun}, &recorder{})
	if err != nil || res.Exit != ExitFailed || strings.Contains(res.Error+res.Hint, "secret") {
		t.Errorf("result %+v, error %v", res, err)
	}
}

// The hole: a caller sends a length and no bytes, or more bytes than anybody
// needs, and the daemon keeps memory for it.
func TestHostileFrames(t *testing.T) {
	path := serve(t, func(context.Context, Peer, Request, *Session) Result { return Result{} })
	head := func(n uint32) []byte { return binary.BigEndian.AppendUint32(nil, n) }
	for name, sent := range map[string][]byte{
		"giant":       append(head(1<<31), "x"...),
		"over":        append(head(MaxRequest+1), bytes.Repeat([]byte("x"), MaxRequest+1)...),
		"not JSON":    append(head(3), "{{{"...),
		"wrong types": append(head(12), `{"words": 7}`...),
		"nested":      append(head(100_000), bytes.Repeat([]byte("["), 100_000)...),
		"partial":     append(head(100), "{"...),
		"nothing":     nil,
	} {
		t.Run(name, func(t *testing.T) {
			conn, err := net.Dial("unix", path)
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			conn.SetDeadline(time.Now().Add(patience))
			go func() { conn.Write(sent); conn.(*net.UnixConn).CloseWrite() }()
			var e event
			if err := readFrame(conn, MaxEvent, &e); errors.Is(err, os.ErrDeadlineExceeded) {
				t.Error("it is not answered")
			} else if err == nil && (e.Result == nil || e.Result.Exit != ExitUsage) {
				t.Errorf("answer is %+v", e)
			}
		})
	}
	if _, err := call(t.Context(), path, Request{Op: OpRun}, &recorder{}); err != nil {
		t.Errorf("the server is gone: %v", err)
	}
}

// A connection that says nothing does not hold the end of the server up.
func TestSilentConnectionAtTheEnd(t *testing.T) {
	defer func(was time.Duration) { requestTimeout = was }(requestTimeout)
	requestTimeout = 24 * time.Hour
	outer := t
	t.Run("the end", func(t *testing.T) { // serve waits for it
		path := serve(t, func(context.Context, Peer, Request, *Session) Result { return Result{} })
		conn, err := net.Dial("unix", path)
		if err != nil {
			t.Fatal(err)
		}
		outer.Cleanup(func() { conn.Close() })
		if _, err := call(t.Context(), path, Request{Op: OpRun}, &recorder{}); err != nil { // connections are taken in their order
			t.Fatal(err)
		}
	})
}

func TestManyConnections(t *testing.T) {
	release := make(chan struct{})
	path := serve(t, func(ctx context.Context, _ Peer, _ Request, _ *Session) Result {
		select {
		case <-release:
		case <-ctx.Done():
		}
		return Result{}
	})
	var busy, done int
	results := make(chan Result)
	const calls = maxConnsPerUID + 100
	for range calls {
		go func() {
			res, err := call(context.Background(), path, Request{Op: OpRun}, &recorder{})
			if err != nil {
				res.Error = err.Error()
			}
			results <- res
		}()
	}
	for busy < calls-maxConnsPerUID {
		if r := <-results; r.Exit != ExitFailed || r.Hint == "" {
			t.Fatalf("a refused call got %+v", r)
		}
		busy++
	}
	close(release)
	for done < maxConnsPerUID {
		if r := <-results; r.Exit != 0 || r.Error != "" {
			t.Fatalf("an accepted call got %+v", r)
		}
		done++
	}
	if _, err := call(t.Context(), path, Request{Op: OpRun}, &recorder{}); err != nil {
		t.Errorf("places are not given back: %v", err)
	}
}

func TestDaemonDies(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	ln, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	go func() {
		conn, _ := ln.Accept()
		readFrame(conn, MaxRequest, &Request{})
		writeFrame(conn, MaxEvent, event{Text: &textEvent{Out, "half"}})
		conn.Close()
	}()
	_, err = call(t.Context(), path, Request{Op: OpRun}, &recorder{})
	if !errors.Is(err, ErrNoAnswer) {
		t.Errorf("error is %v", err)
	}
}

func FuzzReadFrame(f *testing.F) {
	f.Add([]byte("\x00\x00\x00\x02{}"))
	f.Add([]byte("\xff\xff\xff\xff"))
	f.Add([]byte("\x00\x00\x00\x19{\"op\":\"run\",\"words\":[\"a\"]}"))
	f.Fuzz(func(t *testing.T, data []byte) {
		var req Request
		if err := readFrame(bytes.NewReader(data), MaxRequest, &req); err != nil {
			return
		}
		var out bytes.Buffer
		if err := writeFrame(&out, MaxRequest*2, req); err != nil {
			t.Fatalf("what was read cannot be written: %v", err)
		}
		var again Request
		if err := readFrame(&out, MaxRequest*2, &again); err != nil && !errors.Is(err, io.EOF) {
			t.Fatal(err)
		}
		if fmt.Sprint(req) != fmt.Sprint(again) {
			t.Fatalf("%v became %v", req, again)
		}
	})
}
