// Package diagnosis is what a running role tells of itself: profiles of its program,
// counters of its traffic and whom it keeps out, over a unix socket in its spool folder;
// and what it does when it is told so there.
//
// It promises that only who may write in that folder is answered, which on an
// installed appliance is the role's account and the supervisor's; that there is no
// port for it; and that nothing else is told of what the role's memory holds, only of its
// sizes and of which functions work. What is read of a role is bounded, for it may
// have been taken over.
package diagnosis

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"runtime/pprof"
	"time"

	"sealgate/appliance"
)

// What a role can be asked.
const (
	Heap       = "heap"      // pprof: where memory was allocated
	Goroutines = "goroutine" // text: what each goroutine does
	CPU        = "cpu"       // pprof: where time goes, during [Profiled]
	Runtime    = "runtime"   // JSON: sizes, and how the program was built
	Counters   = "counters"  // text as Prometheus reads it

	Configuration = "configuration" // JSON: what a gateway was told, without keys
	Gateways      = "gateways"      // JSON: those of a management server, as its REST API shows them
	Blocks        = "blocks"        // JSON: model.Blocks of a gateway
)

// Unblock is what a gateway can be told: a model.Unblock, which it answers with a
// model.Unblocked, both JSON.
const Unblock = "unblock"

// Profiled is how long a processor profile takes.
const Profiled = 3 * time.Second

const (
	maxAnswer = 16 << 20 // bytes
	maxTold   = 64 << 10
	patience  = 20 * time.Second
)

func socket(home appliance.Home) string { return filepath.Join(home.Spool(), "diagnosis") }

// Role is what is the role's own.
type Role struct {
	Tells map[string]func(io.Writer) error            // answers, by question
	Does  map[string]func(io.Reader, io.Writer) error // what it is told, and answers
}

// Serve answers until ctx ends. An error is logged, and nothing is told.
func Serve(ctx context.Context, home appliance.Home, own Role, log *slog.Logger) {
	if err := serve(ctx, home, own, log); err != nil && ctx.Err() == nil {
		log.Error("the role tells nothing of itself", "error", err.Error())
	}
}

func serve(ctx context.Context, home appliance.Home, own Role, log *slog.Logger) error {
	path := socket(home)
	// There is one role at a time: a socket that is there is of one that was killed.
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	ln, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		return err
	}
	srv := &http.Server{Handler: handler(own), ReadHeaderTimeout: patience, WriteTimeout: 2 * patience,
		ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelDebug)}
	stop := context.AfterFunc(ctx, func() { srv.Close() })
	defer stop()
	return srv.Serve(ln)
}

func handler(own Role) http.Handler {
	mux := http.NewServeMux()
	handle := func(pattern string, do func(*http.Request, io.Writer) error) {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
			if err := do(r, w); err != nil {
				http.Error(w, err.Error(), http.StatusConflict)
			}
		})
	}
	answer := func(what string, write func(context.Context, io.Writer) error) {
		handle("GET /"+what, func(r *http.Request, w io.Writer) error { return write(r.Context(), w) })
	}
	answer(Heap, func(_ context.Context, w io.Writer) error {
		runtime.GC() // the profile is of the last collection
		return pprof.Lookup("heap").WriteTo(w, 0)
	})
	answer(Goroutines, func(_ context.Context, w io.Writer) error { return pprof.Lookup("goroutine").WriteTo(w, 2) })
	answer(CPU, profile)
	answer(Runtime, func(_ context.Context, w io.Writer) error { return writeRuntime(w) })
	for what, write := range own.Tells {
		answer(what, func(_ context.Context, w io.Writer) error { return write(w) })
	}
	for what, do := range own.Does {
		handle("POST /"+what, func(r *http.Request, w io.Writer) error { return do(io.LimitReader(r.Body, maxTold), w) })
	}
	return mux
}

// profile fails where another one is under way.
func profile(ctx context.Context, w io.Writer) error {
	if err := pprof.StartCPUProfile(w); err != nil {
		return err
	}
	defer pprof.StopCPUProfile()
	select {
	case <-time.After(Profiled):
	case <-ctx.Done():
	}
	return nil
}

func writeRuntime(w io.Writer) error {
	var memory runtime.MemStats
	runtime.ReadMemStats(&memory)
	build, _ := debug.ReadBuildInfo()
	text, err := json.MarshalIndent(map[string]any{
		"goroutines": runtime.NumGoroutine(), "processors": runtime.GOMAXPROCS(0), "build": build,
		"heapAlloc": memory.HeapAlloc, "heapObjects": memory.HeapObjects, "heapInuse": memory.HeapInuse, "heapReleased": memory.HeapReleased,
		"stackInuse": memory.StackInuse, "sys": memory.Sys, "totalAlloc": memory.TotalAlloc, "mallocs": memory.Mallocs,
		"collections": memory.NumGC, "collectionPauses": time.Duration(memory.PauseTotalNs).String(), "collectionShare": memory.GCCPUFraction,
	}, "", "  ")
	if err != nil {
		return err
	}
	_, err = w.Write(text)
	return err
}

// Ask is what the role of home says to one question. cut says that there was more.
func Ask(ctx context.Context, home appliance.Home, what string) (answer []byte, cut bool, err error) {
	return send(ctx, home, http.MethodGet, what, nil)
}

// Tell tells the role of home to do something, and returns its answer.
func Tell(ctx context.Context, home appliance.Home, what string, about []byte) (answer []byte, err error) {
	answer, _, err = send(ctx, home, http.MethodPost, what, bytes.NewReader(about))
	return answer, err
}

func send(ctx context.Context, home appliance.Home, method, what string, about io.Reader) (answer []byte, cut bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	client := http.Client{Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", socket(home))
		},
	}}
	req, err := http.NewRequestWithContext(ctx, method, "http://role/"+what, about)
	if err != nil {
		return nil, false, err
	}
	resp, err := client.Do(req)
	if err != nil {
		return nil, false, fmt.Errorf("the role does not answer: %w", err)
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	if err != nil {
		return nil, false, fmt.Errorf("the role does not answer to its end: %w", err)
	}
	if resp.StatusCode != http.StatusOK {
		return nil, false, fmt.Errorf("the role refuses %s: %.200q", what, data)
	}
	if len(data) > maxAnswer {
		return data[:maxAnswer], true, nil
	}
	return data, false, nil
}
