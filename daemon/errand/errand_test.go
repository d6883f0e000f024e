package errand_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"sealgate/appliance/secret"
	"sealgate/daemon/errand"
)

// host is a daemon with two jobs.
type host struct {
	exports int
	writes  []errand.Write
	notes   []errand.Note
}

var jobs = []errand.Job{{ID: "a", Kind: "export", User: "anna", Since: time.Unix(1, 0).UTC(), Abortable: true}, {ID: "b", Kind: "import", Ended: time.Unix(2, 0).UTC(), Error: "no"}}

func (*host) Jobs() []errand.Job { return jobs }

func (*host) Abort(id string) error {
	switch id {
	case "a":
		return nil
	case "b":
		return errand.ErrNotAbortable
	}
	return errand.ErrNoJob
}

func (h *host) StartExport() error {
	if h.exports++; h.exports > 1 {
		return fmt.Errorf("%w: another export runs", errand.ErrBusy)
	}
	return nil
}

func (h *host) Wrote(list []errand.Write) error {
	h.writes = append(h.writes, list...)
	return nil
}

// However long their texts are, writes arrive, cut to what a message takes.
func TestWritesArrive(t *testing.T) {
	ours, theirs := net.Pipe()
	defer ours.Close()
	h, client := new(host), errand.NewClient(theirs)
	go errand.NewServer(ours).Serve(h)
	go client.Run()
	long := strings.Repeat("\x01é", 300)
	want := make([]errand.Write, 200)
	for i := range want {
		want[i] = errand.Write{User: long, Address: long, Method: "POST\xff", Path: long, Summary: long, Revision: int64(i + 1)}.Bounded()
	}
	calls := 0
	for list := want; len(list) > 0; calls++ {
		n := errand.Fit(list)
		if err := client.Wrote(t.Context(), list[:n]); err != nil {
			t.Fatal(err)
		}
		list = list[n:]
	}
	if diff := cmp.Diff(want, h.writes); diff != "" || calls < 10 {
		t.Errorf("in %d calls: %s", calls, diff)
	}
	if w := want[0]; len(w.Summary) > 256 || !utf8.ValidString(w.Summary) || !strings.HasSuffix(w.Summary, "…") || w.Method != "POST\ufffd" {
		t.Errorf("cut to %q, %q", w.Summary, w.Method)
	}
	if n := errand.Fit([]errand.Write{{User: "a", Revision: 1}}); n != 1 {
		t.Errorf("of one short write %d fit", n)
	}
}

func (*host) BeginExchange(channel, session []byte) (errand.Exchange, error) {
	if len(session) == 0 {
		return errand.Exchange{}, errand.ErrNoSession
	}
	return errand.Exchange{Hashing: secret.Hashing{Salt: channel, Memory: 1, Passes: 2, Lanes: 3}, Share: session}, nil
}

func (*host) FinishExchange(session, share, proof []byte) ([]byte, error) {
	if string(proof) != "right" {
		return nil, errand.ErrWrong
	}
	return append(session, share...), nil
}

func (*host) SealFor(recipient []byte, id string, sealed []byte) ([]byte, error) {
	return append(append(recipient, id...), sealed...), nil
}

func (h *host) Note(n errand.Note) error {
	h.notes = append(h.notes, n)
	return nil
}

func TestErrandsForGateways(t *testing.T) {
	ours, theirs := net.Pipe()
	defer ours.Close()
	h, client := new(host), errand.NewClient(theirs)
	go errand.NewServer(ours).Serve(h)
	go client.Run()
	ctx := t.Context()
	x, err := client.BeginExchange(ctx, []byte("channel"), []byte("session"))
	want := errand.Exchange{Hashing: secret.Hashing{Salt: []byte("channel"), Memory: 1, Passes: 2, Lanes: 3}, Share: []byte("session")}
	if diff := cmp.Diff(want, x); diff != "" || err != nil {
		t.Errorf("%v %s", err, diff)
	}
	if _, err := client.BeginExchange(ctx, nil, nil); !errors.Is(err, errand.ErrNoSession) {
		t.Errorf("begin: %v", err)
	}
	if got, err := client.FinishExchange(ctx, []byte("a"), []byte("b"), []byte("right")); err != nil || string(got) != "ab" {
		t.Errorf("%q, %v", got, err)
	}
	if _, err := client.FinishExchange(ctx, []byte("a"), []byte("b"), []byte("wrong")); !errors.Is(err, errand.ErrWrong) {
		t.Errorf("a wrong proof: %v", err)
	}
	if got, err := client.SealFor(ctx, []byte("a"), "b", []byte("c")); err != nil || string(got) != "abc" {
		t.Errorf("%q, %v", got, err)
	}
	if _, err := client.SealFor(ctx, nil, "b", make([]byte, 64<<10)); err == nil {
		t.Error("an errand that the daemon would not read was sent")
	}
	if err := client.Note(ctx, errand.Note{Kind: errand.Registered, Detail: strings.Repeat("x", 1000)}); err != nil || len(h.notes) != 1 || len(h.notes[0].Detail) != 256 {
		t.Errorf("%v, %+v", err, h.notes)
	}
}

// The hole: a note was cut in the middle of a rune, half of which JSON writes as more
// bytes than there were, so that the daemon took it for no errand and killed the process.
// The attack: a gateway group with a long name that is not ASCII. What must hold: each
// note arrives.
func TestANoteIsCutBetweenRunes(t *testing.T) {
	ours, theirs := net.Pipe()
	h, client := new(host), errand.NewClient(theirs)
	served := make(chan error, 1)
	go func() { served <- errand.NewServer(ours).Serve(h); ours.Close() }()
	go client.Run()
	for shift := range 4 {
		detail := strings.Repeat("x", shift) + strings.Repeat("😀", 100)
		if err := client.Note(t.Context(), errand.Note{Kind: errand.Registered, Detail: detail}); err != nil {
			t.Fatalf("shifted by %d: %v, %v", shift, err, <-served)
		}
		if got := h.notes[shift].Detail; !strings.HasPrefix(detail, got) || len(got) < 250 {
			t.Errorf("shifted by %d: %q", shift, got)
		}
	}
	theirs.Close()
	<-served
}

func TestErrands(t *testing.T) {
	ours, theirs := net.Pipe()
	server, client := errand.NewServer(ours), errand.NewClient(theirs)
	served, ran := make(chan error, 1), make(chan struct{})
	go func() { served <- server.Serve(&host{}) }()
	go func() { client.Run(); close(ran) }()
	ctx := t.Context()
	got, err := client.Jobs(ctx)
	if diff := cmp.Diff(jobs, got); diff != "" || err != nil {
		t.Errorf("%v %s", err, diff)
	}
	for id, want := range map[string]error{"a": nil, "b": errand.ErrNotAbortable, "c": errand.ErrNoJob} {
		if err := client.Abort(ctx, id); !errors.Is(err, want) {
			t.Errorf("aborting %s: %v, want %v", id, err, want)
		}
	}
	if err := client.StartExport(ctx); err != nil {
		t.Error(err)
	}
	if err := client.StartExport(ctx); !errors.Is(err, errand.ErrBusy) || !strings.Contains(err.Error(), "another export") {
		t.Errorf("a second export: %v", err)
	}
	server.Changed()
	<-client.Changed()
	select {
	case <-client.Ending():
		t.Error("it is to end, and nobody said so")
	default:
	}
	for range 2 {
		if err := server.End(); err != nil {
			t.Error(err)
		}
		<-client.Ending()
		if _, err := client.Jobs(ctx); err != nil {
			t.Errorf("an errand before the end: %v", err)
		}
	}
	cancelled, cancel := context.WithCancel(ctx)
	cancel()
	if _, err := client.Jobs(cancelled); !errors.Is(err, context.Canceled) {
		t.Errorf("a cancelled errand: %v", err)
	}
	ours.Close()
	<-ran
	if err := <-served; err != nil && !errors.Is(err, net.ErrClosed) && !strings.Contains(err.Error(), "closed") {
		t.Error(err)
	}
	if _, err := client.Jobs(ctx); err == nil {
		t.Error("an errand was done without a daemon")
	}
}

// A process that was taken over may say anything.
func TestNoErrandEndsTheConnection(t *testing.T) {
	for _, said := range []string{"x\n", "{\"number\":1,\"do\":\"send\"}\n", "{\"number\":-1}\n",
		`{"number":1,"do":"wrote","untold":-1}` + "\n", `{"number":1,"do":"wrote","writes":[{"user":"a"}]}` + "\n",
		`{"number":1,"do":"wrote","writes":[{"revision":1,"summary":"` + strings.Repeat("x", 257) + `"}]}` + "\n",
		`{"number":1,"do":"note"}` + "\n", `{"number":1,"do":"note","gateway":{"note":{"kind":"what I like"}}}` + "\n",
		`{"number":1,"do":"note","gateway":{"note":{"kind":"gateway registered","detail":"` + strings.Repeat("x", 257) + `"}}}` + "\n", strings.Repeat("x", 1<<17)} {
		ours, theirs := net.Pipe()
		served := make(chan error, 1)
		go func() { served <- errand.NewServer(ours).Serve(&host{}); ours.Close() }()
		go theirs.Write([]byte(said))
		if err := <-served; err == nil {
			t.Errorf("%.20q was taken for an errand", said)
		}
		theirs.Close()
	}
}

// The hole: every job tells the process that it began and that it ended. The attack: a
// process that reads nothing. What must hold: nobody waits for it.
func TestNobodyWaitsForTheProcess(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ours, theirs := net.Pipe()
		server, client := errand.NewServer(ours), errand.NewClient(theirs)
		go server.Serve(&host{})
		synctest.Wait()
		begin := time.Now()
		for range 3 {
			server.Changed()
			synctest.Wait() // a line is on its way, or waits for it
		}
		if took := time.Since(begin); took > 0 {
			t.Errorf("it took %v", took)
		}
		go client.Run()
		<-client.Changed()
		ours.Close()
	})
}

// gatewayHost is a gateway's daemon.
type gatewayHost struct{ asked int }

func (h *gatewayHost) May(act string) error {
	if h.asked++; h.asked > 1 {
		return fmt.Errorf("%w: %s a moment ago", errand.ErrBusy, act)
	}
	return nil
}

func (*gatewayHost) RestartRole() error { return nil }

func (*gatewayHost) TechInfo(context.Context) (string, error) { return "bundle.tgz", nil }

func (*gatewayHost) AuditHead() string { return "head" }

// A gateway's process may ask for little, and ends for asking what a management
// server's may.
func TestAGatewayAsksForLittle(t *testing.T) {
	daemon, process := net.Pipe()
	served := make(chan error, 1)
	go func() { served <- errand.NewServer(daemon).ServeGateway(new(gatewayHost)) }()
	c := errand.NewClient(process)
	go c.Run()
	if err := c.May(t.Context(), "restart"); err != nil {
		t.Error(err)
	}
	if err := c.May(t.Context(), "drain"); !errors.Is(err, errand.ErrBusy) || err.Error() != "drain a moment ago" {
		t.Errorf("again: %v", err)
	}
	if err := c.RestartRole(t.Context()); err != nil {
		t.Error(err)
	}
	if name, err := c.TechInfo(t.Context()); name != "bundle.tgz" || err != nil {
		t.Errorf("%q, %v", name, err)
	}
	if head, err := c.AuditHead(t.Context()); head != "head" || err != nil {
		t.Errorf("%q, %v", head, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	go c.StartExport(ctx)
	if err := <-served; err == nil || !strings.Contains(err.Error(), "no errand") {
		t.Errorf("an export: %v", err)
	}
	cancel()
	process.Close()
}

// slowHost makes a bundle until it is let go on, or nobody waits for it any more.
type slowHost struct {
	gatewayHost
	makes, goOn chan bool
	ended       chan error
}

func (h *slowHost) TechInfo(ctx context.Context) (string, error) {
	h.makes <- true
	select {
	case <-h.goOn:
		return "bundle.tgz", nil
	case <-ctx.Done():
		h.ended <- ctx.Err()
		return "", ctx.Err()
	}
}

// While a bundle is made other errands are done, but for another bundle; who goes does
// not leave one behind that is being made.
func TestABundleHoldsUpNothing(t *testing.T) {
	daemon, process := net.Pipe()
	h := &slowHost{makes: make(chan bool, 1), goOn: make(chan bool), ended: make(chan error, 1)}
	served := make(chan error, 1)
	go func() { served <- errand.NewServer(daemon).ServeGateway(h) }()
	c := errand.NewClient(process)
	go c.Run()
	first := make(chan error, 1)
	go func() {
		name, err := c.TechInfo(t.Context())
		if name != "bundle.tgz" {
			err = fmt.Errorf("%q, %w", name, err)
		}
		first <- err
	}()
	<-h.makes
	if head, err := c.AuditHead(t.Context()); head != "head" || err != nil {
		t.Errorf("%q, %v", head, err)
	}
	if err := c.RestartRole(t.Context()); err != nil {
		t.Error(err)
	}
	if _, err := c.TechInfo(t.Context()); !errors.Is(err, errand.ErrBusy) {
		t.Errorf("another bundle: %v", err)
	}
	h.goOn <- true
	if err := <-first; err != nil {
		t.Error(err)
	}
	go c.TechInfo(t.Context())
	<-h.makes
	process.Close()
	if err := <-h.ended; !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	<-served
}
