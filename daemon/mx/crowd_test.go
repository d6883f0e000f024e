package mx

import (
	"bytes"
	"fmt"
	"io"
	"log/slog"
	"net"
	"strings"
	"testing"
	"time"
)

// The hole: a connection costs the server a descriptor. The attack: one address opens
// connections without an end. What must hold: it has some, others get theirs, and who
// closes may come back.
func TestOneAddressDoesNotTakeAll(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	c := newCrowd(ln, slog.New(slog.NewTextHandler(&log, nil)))
	accepted := make(chan net.Conn, maxConnections)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			conn, err := c.Accept()
			if err != nil {
				return
			}
			conn.Write([]byte("x"))
			accepted <- conn
		}
	}()
	// comes says whether a connection from an address is taken.
	comes := func(from string) bool {
		t.Helper()
		dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}, Timeout: 10 * time.Second}
		conn, err := dialer.Dial("tcp", ln.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { conn.Close() })
		n, _ := io.ReadFull(conn, make([]byte, 1))
		return n == 1
	}
	for n := range maxOfAddress {
		if !comes("127.0.0.2") {
			t.Fatalf("the connection %d is refused", n+1)
		}
	}
	for range 2 {
		if comes("127.0.0.2") {
			t.Error("one too many is taken")
		}
	}
	if !comes("127.0.0.3") {
		t.Error("another address is refused")
	}
	first := <-accepted
	first.Close()
	first.Close()
	if !comes("127.0.0.2") {
		t.Error("who closed one does not get another")
	}
	if comes("127.0.0.2") {
		t.Error("closing twice counts twice")
	}
	ln.Close()
	<-done
	if n := strings.Count(log.String(), "refused: there are too many"); n != 1 {
		t.Errorf("the log tells %d times:\n%s", n, log.String())
	}
	for close(accepted); ; {
		conn, more := <-accepted
		if !more {
			break
		}
		conn.Close()
	}
	if c.all != 0 || len(c.of) != 0 {
		t.Errorf("%d are counted when all are closed, of %v", c.all, c.of)
	}
}

func TestCrowdIsBoundedInAll(t *testing.T) {
	c := newCrowd(nil, slog.New(slog.DiscardHandler))
	for n := range maxConnections + 1 {
		from := networkOf(&net.TCPAddr{IP: net.IPv4(10, 0, byte(n>>8), byte(n)), Port: 1})
		if c.enter(from, time.Time{}) != (n < maxConnections) {
			t.Fatalf("connection %d", n)
		}
	}
}

func TestNetworkOf(t *testing.T) {
	for address, want := range map[string]string{"192.0.2.7:1": "192.0.2.7/32", "[::ffff:192.0.2.7]:1": "192.0.2.7/32", "[2001:db8:1:2:3::4]:1": "2001:db8:1:2::/64", "[fe80::1%lo]:1": "fe80::/64"} {
		at, err := net.ResolveTCPAddr("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		if got := networkOf(at); fmt.Sprint(got) != want {
			t.Errorf("%s is %s, want %s", address, got, want)
		}
	}
}
