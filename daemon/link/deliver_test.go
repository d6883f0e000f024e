package link

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"slices"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"sealgate/appliance/spool"
	"sealgate/appliance/token"
)

// After an outage events wait until a poll finds the server there again, and no longer;
// where the server has said when to come again they wait until then.
func TestEventsGoWhenTheServerIsThereAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &Client{up: make(chan struct{}, 1)}
		cut := errors.New("no route to host")
		for _, w := range []struct {
			what     string
			err      error
			up       bool
			min, max time.Duration
		}{
			{"no server", cut, false, longestPause / 2, longestPause},
			{"the server again", cut, true, 0, 0},
			{"a busy server", &Problem{Code: Busy, After: 20}, true, 10 * time.Second, 20 * time.Second},
		} {
			if w.up {
				c.up <- struct{}{}
			}
			begin := time.Now()
			c.pause(t.Context(), 10, w.err)
			if took := time.Since(begin); took < w.min || took > w.max {
				t.Errorf("%s: a pause of %v", w.what, took)
			}
		}
	})
}

func TestPollsFindTheServerThereAgain(t *testing.T) {
	m := newMX(t)
	there := true
	m.link.Handle("POST "+PathPoll, func(w http.ResponseWriter, _ *http.Request, _ Gateway) error {
		if !there {
			return &Problem{Code: ServerFailed}
		}
		return Answer(w, Polled{Version: Version})
	})
	id := newIdentity(t)
	if _, err := id.Register(t.Context(), m.join("gw1")); err != nil {
		t.Fatal(err)
	}
	c := m.client(t, id)
	for i, found := range []bool{false, false, true, false, true} {
		there = i != 1 && i != 3
		if _, err := c.Poll(t.Context(), Poll{}); (err == nil) != there {
			t.Fatal(err)
		}
		if len(c.up) > 0 != found {
			t.Errorf("poll %d: it is there again: %v", i, !found)
		}
		for len(c.up) > 0 {
			<-c.up
		}
	}
}

// A link on which no large batch gets through in time finds the size that does, and keeps
// it; one that has become fast sends large ones again.
func TestBatchesKeepTheSizeThatGoes(t *testing.T) {
	size, failed := maxBatch, 0
	for i := range 1000 {
		const inTime = 300 // records
		took, err := min(BatchTime*time.Duration(size)/inTime, BatchTime), error(nil)
		if size > inTime {
			err = errors.New("too late")
			failed++
		} else if i > 20 && size < inTime/4 {
			t.Fatalf("batch %d has %d records", i, size)
		}
		size = nextSize(size, size, took, err)
	}
	if failed > 4 { // 4000, 2000, 1000, 500
		t.Errorf("%d batches failed", failed)
	}
	for range 6 {
		size = nextSize(size, size, time.Second, nil)
	}
	if size != maxBatch {
		t.Errorf("on a fast link batches have %d records", size)
	}
	for _, c := range []struct {
		what       string
		sent, want int
		took       time.Duration
		err        error
	}{
		{"connection refused", 100, maxBatch, 0, errors.New("connection refused")},
		{"a server without room", 100, maxBatch, time.Second, &Problem{Code: Busy}},
		{"a server that has no place", 100, maxBatch, BatchTime / 2, &Problem{Code: Busy}},
		{"a server that fails", 100, maxBatch, time.Second, &Problem{Code: ServerFailed}},
		{"too late, by the server", 100, 50, BatchTime, &Problem{Code: BadRequest}},
		{"too large", 100, 50, 0, &Problem{Code: BadRequest}},
		{"too late, by itself", 100, 50, sendTimeout, context.DeadlineExceeded},
		{"no fewer at once", fewRecords + 1, fewRecords, sendTimeout, context.DeadlineExceeded},
		{"few that are slow", fewRecords, fewRecords / 2, sendTimeout, context.DeadlineExceeded},
		{"one that is slow", 1, 1, sendTimeout, context.DeadlineExceeded},
	} {
		if size := nextSize(maxBatch, c.sent, c.took, c.err); size != c.want {
			t.Errorf("%s: %d records follow %d, want %d", c.what, size, c.sent, c.want)
		}
	}
}

// The batch behind one that came through is not as large again as those that did not.
func TestABatchIsNoLargerThanWhatWentBefore(t *testing.T) {
	const most = 1500
	m := newMX(t)
	var sizes []int // one batch at a time
	m.link.Handle("POST "+PathEvents, func(w http.ResponseWriter, r *http.Request, _ Gateway) error {
		size, last, err := batchOf(r)
		if err != nil {
			return err
		}
		sizes = append(sizes, size)
		if size > most {
			return &Problem{Code: BadRequest, Text: "it came too slowly"}
		}
		return Answer(w, Acknowledged{Sequence: uint64(last)})
	})
	deliverAll(t, m, maxBatch+most)
	for i := 1; i < len(sizes); i++ {
		if sizes[i] > 2*sizes[i-1] {
			t.Errorf("batches of %v records", sizes)
			break
		}
	}
}

// People read why a gateway is not connected: no URL, and no library's words.
func TestWhyAGatewayIsNotConnected(t *testing.T) {
	serve := func(each func(net.Conn)) string {
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { ln.Close() })
		go func() {
			for {
				conn, err := ln.Accept()
				if err != nil {
					return
				}
				each(conn)
			}
		}()
		return ln.Addr().String()
	}
	gone, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	gone.Close()
	for _, server := range []struct {
		address, want string
		patience      time.Duration
	}{
		{serve(func(c net.Conn) { t.Cleanup(func() { c.Close() }) }), "the management server does not answer", time.Second},
		{serve(func(c net.Conn) { c.(*net.TCPConn).CloseWrite() }), "the connection to the management server was lost", 2 * time.Minute},
		{gone.Addr().String(), "dial tcp " + gone.Addr().String() + ": connect: connection refused", 2 * time.Minute},
	} {
		c, err := NewClient(server.address, token.Pin{}, newIdentity(t))
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), server.patience)
		_, err = c.Poll(ctx, Poll{})
		cancel()
		c.Close()
		if err == nil || Why(err) != server.want {
			t.Errorf("%v is told as %q, want %q", err, Why(err), server.want)
		}
	}
}

// The hole: a batch that was small once, and then waited for its place at a busy server,
// was taken for a slow one, and those after it stayed small.
func TestBatchesGrowAtABusyServer(t *testing.T) {
	m := newMX(t)
	var sizes []int // one batch at a time
	m.link.Handle("POST "+PathEvents, func(w http.ResponseWriter, r *http.Request, _ Gateway) error {
		size, last, err := batchOf(r)
		if err != nil {
			return err
		}
		sizes = append(sizes, size)
		if len(sizes) == 1 {
			return &Problem{Code: BadRequest, Text: "it came too slowly"}
		}
		Rest(r.Context(), BatchTime/4)
		return Answer(w, Acknowledged{Sequence: uint64(last), Waited: time.Minute.Milliseconds()})
	})
	deliverAll(t, m, maxBatch/2+maxBatch)
	if want := []int{maxBatch, maxBatch / 2, maxBatch}; !slices.Equal(sizes, want) {
		t.Errorf("batches of %v records, want %v", sizes, want)
	}
}

// batchOf says how many records a request brings, and the number of the last one.
func batchOf(r *http.Request) (size, last int, err error) {
	first, err := strconv.Atoi(r.Header.Get(HeaderFirst))
	last, err2 := strconv.Atoi(r.Header.Get(HeaderLast))
	return last - first + 1, last, errors.Join(err, err2)
}

// deliverAll delivers a spool of so many records to m.
func deliverAll(t *testing.T, m *mx, records int) {
	t.Helper()
	id := newIdentity(t)
	if _, err := id.Register(t.Context(), m.join("gw1")); err != nil {
		t.Fatal(err)
	}
	s, err := spool.Open(filepath.Join(t.TempDir(), "events"), spool.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for range records {
		if _, err := s.Append([]byte("{}")); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	ended := make(chan struct{})
	c := m.client(t, id)
	go func() {
		defer close(ended)
		c.Deliver(ctx, s, slog.New(slog.DiscardHandler))
	}()
	for s.Stats().Records > 0 && Rest(ctx, 20*time.Millisecond) {
	}
	cancel()
	<-ended
	if s.Stats().Records > 0 {
		t.Errorf("%d records were not delivered", s.Stats().Records)
	}
}
