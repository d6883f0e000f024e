package link

import (
	"context"
	"errors"
	"net"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

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
	for address, want := range map[string]string{
		serve(func(c net.Conn) { t.Cleanup(func() { c.Close() }) }): "the management server does not answer",
		serve(func(c net.Conn) { c.(*net.TCPConn).CloseWrite() }):   "the connection to the management server was lost",
		gone.Addr().String(): "dial tcp " + gone.Addr().String() + ": connect: connection refused",
	} {
		c, err := NewClient(address, token.Pin{}, newIdentity(t))
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		_, err = c.Poll(ctx, Poll{})
		cancel()
		c.Close()
		if err == nil || Why(err) != want {
			t.Errorf("%v is told as %q, want %q", err, Why(err), want)
		}
	}
}
