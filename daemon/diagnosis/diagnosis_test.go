package diagnosis

import (
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"sealgate/appliance"
)

// newHome is one with a short path, as sockets want it.
func newHome(t *testing.T) appliance.Home {
	t.Helper()
	dir, err := os.MkdirTemp("", "d")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	home := appliance.Home(dir)
	if err := os.Mkdir(home.Spool(), 0o700); err != nil {
		t.Fatal(err)
	}
	return home
}

// ask waits until the role listens.
func ask(t *testing.T, home appliance.Home, what string) ([]byte, bool, error) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(5 * time.Millisecond) {
		answer, cut, err := Ask(t.Context(), home, what)
		if err == nil || time.Now().After(deadline) || !strings.Contains(err.Error(), "does not answer:") {
			return answer, cut, err
		}
	}
}

func TestARoleTellsOfItself(t *testing.T) {
	home := newHome(t)
	// One that was killed left its socket.
	left, err := net.ListenUnix("unix", &net.UnixAddr{Name: socket(home), Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	left.SetUnlinkOnClose(false)
	left.Close()
	ctx, stop := context.WithCancel(t.Context())
	var serving sync.WaitGroup
	serving.Go(func() {
		own := Role{Tells: map[string]func(io.Writer) error{Counters: func(w io.Writer) error { _, err := fmt.Fprintln(w, "requests 7"); return err }},
			Does: map[string]func(io.Reader, io.Writer) error{"echo": func(r io.Reader, w io.Writer) error { _, err := io.Copy(w, r); return err }}}
		Serve(ctx, home, own, slog.New(slog.DiscardHandler))
	})
	for what, want := range map[string]string{Counters: "requests 7\n", Goroutines: "diagnosis.serve(", Runtime: `"goroutines":`} {
		if answer, cut, err := ask(t, home, what); err != nil || cut || !strings.Contains(string(answer), want) {
			t.Errorf("%s: %v\n%.500s", what, err, answer)
		}
	}
	for _, what := range []string{Heap, CPU} {
		answer, _, err := ask(t, home, what)
		if err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		gz, err := gzip.NewReader(bytes.NewReader(answer))
		if err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		if profile, err := io.ReadAll(gz); err != nil || !bytes.Contains(profile, []byte("nanoseconds")) && !bytes.Contains(profile, []byte("inuse_space")) {
			t.Errorf("%s: %d bytes, %v", what, len(profile), err)
		}
	}
	if answer, err := Tell(t.Context(), home, "echo", []byte("hello")); err != nil || string(answer) != "hello" {
		t.Errorf("told something: %q, %v", answer, err)
	}
	if _, _, err := ask(t, home, "echo"); err == nil {
		t.Error("a question makes the role do something")
	}
	if _, _, err := ask(t, home, "../etc/passwd"); err == nil {
		t.Error("an unknown question was answered")
	}
	stop()
	serving.Wait()
	if _, _, err := Ask(t.Context(), home, Counters); err == nil {
		t.Error("a role that ended answers")
	}
}

// A role that was taken over can say anything, and as much of it as it likes.
func TestARoleIsNotBelieved(t *testing.T) {
	home := newHome(t)
	ln, err := net.Listen("unix", filepath.Join(home.Spool(), "diagnosis"))
	if err != nil {
		t.Fatal(err)
	}
	srv := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/no" {
			http.Error(w, "\x1b[2J", http.StatusTeapot)
			return
		}
		for {
			if _, err := w.Write(make([]byte, 1<<20)); err != nil {
				return
			}
		}
	})}
	go srv.Serve(ln)
	defer srv.Close()
	if answer, cut, err := Ask(t.Context(), home, Heap); err != nil || !cut || len(answer) != maxAnswer {
		t.Errorf("%d bytes, %v, %v", len(answer), cut, err)
	}
	if _, _, err := Ask(t.Context(), home, "no"); err == nil || strings.Contains(err.Error(), "\x1b") {
		t.Errorf("%q", err)
	}
}
