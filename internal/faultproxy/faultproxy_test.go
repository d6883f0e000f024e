package faultproxy

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"syscall"
	"testing"
	"time"
)

// through are the two ends of a connection that a proxy with this plan carries.
func through(t *testing.T, plan Plan) (client, server *net.TCPConn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	p := New(plan)
	t.Cleanup(p.Close)
	addr, err := p.Lead("127.0.0.2:0", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	near, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	far, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { near.Close(); far.Close() })
	return near.(*net.TCPConn), far.(*net.TCPConn)
}

func noise(n int) []byte {
	data := make([]byte, n)
	rand.NewChaCha8([32]byte{}).Read(data)
	return data
}

// send writes and ends; the error is not its business.
func send(c *net.TCPConn, data []byte) {
	c.Write(data)
	c.CloseWrite()
}

func TestCarriesBothWays(t *testing.T) {
	client, server := through(t, Plan{})
	for _, ends := range [][2]*net.TCPConn{{client, server}, {server, client}} {
		want := noise(3 << 20)
		go send(ends[0], want)
		if got, err := io.ReadAll(ends[1]); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%d bytes arrive, %v", len(got), err)
		}
	}
}

func TestFaultStrikesAtItsByte(t *testing.T) {
	const at, size = 100_000, 300_000
	want := noise(size)
	broken := bytes.Clone(want)
	broken[at] ^= 0x10
	for _, kind := range []Kind{Cut, Reset, Corrupt} {
		for _, d := range []Direction{Up, Down} {
			from, to := through(t, Plan{Faults: []Fault{{Kind: kind, Direction: d, At: at}}})
			if d == Down {
				from, to = to, from
			}
			go send(from, want)
			got, err := io.ReadAll(to)
			switch {
			case kind == Cut && (err != nil || !bytes.Equal(got, want[:at])):
				t.Errorf("%s %s: %d bytes arrive, %v", kind, d, len(got), err)
			case kind == Reset && (!errors.Is(err, syscall.ECONNRESET) || !bytes.HasPrefix(want[:at], got)):
				t.Errorf("%s %s: %d bytes arrive, %v", kind, d, len(got), err)
			case kind == Corrupt && (err != nil || !bytes.Equal(got, broken)):
				t.Errorf("%s %s: %d bytes arrive, %v", kind, d, len(got), err)
			}
		}
	}
}

func TestHoleSwallowsOneDirection(t *testing.T) {
	client, server := through(t, Plan{Faults: []Fault{{Kind: Hole, Direction: Up, At: 5}}})
	client.Write([]byte("hello, who is there?"))
	got := make([]byte, 20)
	server.SetReadDeadline(time.Now().Add(100 * time.Millisecond))
	n, err := io.ReadFull(server, got)
	if n != 5 || !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("%d bytes arrive, %v", n, err)
	}
	server.Write([]byte("hello"))
	if _, err := io.ReadFull(client, got[:5]); err != nil || string(got[:5]) != "hello" {
		t.Errorf("the other way: %q, %v", got[:5], err)
	}
}

// The second connection carries the byte, and both are reset.
func TestWideFault(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	p := New(Plan{Faults: []Fault{{Kind: Reset, Direction: Up, At: 3, Wide: true}}})
	defer p.Close()
	addr, err := p.Lead("127.0.0.1:0", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	var near, far []net.Conn
	for range 2 {
		c, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		s, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		near, far = append(near, c), append(far, s)
	}
	near[0].Write([]byte("ab"))
	if _, err := io.ReadFull(far[0], make([]byte, 2)); err != nil {
		t.Fatal(err)
	}
	near[1].Write([]byte("cd"))
	for _, c := range near {
		if _, err := c.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("got %v", err)
		}
	}
	if left := p.Left(); len(left) != 0 {
		t.Errorf("left: %v", left)
	}
}

func TestDelayAndRate(t *testing.T) {
	const late, rate, size = 30 * time.Millisecond, 10 << 20, 1 << 20
	client, server := through(t, Plan{Paths: [2]Path{{Delay: late}, {Delay: late, Rate: rate}}})
	begin := time.Now()
	client.Write([]byte("?"))
	server.Read(make([]byte, 1))
	go send(server, noise(size))
	io.ReadFull(client, make([]byte, 1))
	if took := time.Since(begin); took < 2*late {
		t.Errorf("a round trip took %v", took)
	}
	io.Copy(io.Discard, client)
	if took := time.Since(begin); took < time.Second*(size-pieceSize)/rate {
		t.Errorf("%d bytes took %v", size, took)
	}
}

func TestSameSeedSamePlan(t *testing.T) {
	plans := map[string]bool{}
	for seed := range uint64(100) {
		plan := Random(seed, [2]int64{1 << 20, 4 << 10}, Cut, Reset, Hole).String()
		if again := Random(seed, [2]int64{1 << 20, 4 << 10}, Cut, Reset, Hole).String(); again != plan {
			t.Fatalf("seed %d: %s, then %s", seed, plan, again)
		}
		plans[plan] = true
	}
	if len(plans) < 90 {
		t.Errorf("100 seeds give %d plans", len(plans))
	}
}
