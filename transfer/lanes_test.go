package transfer_test

import (
	"io"
	"net"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"sealgate/internal/faultproxy"
	"sealgate/transfer"
)

// farSize is enough for several connections.
const farSize = 65 << 20

// far is an SSH server behind a round trip of 50 ms, and a door that lets in so many connections.
type far struct {
	*place
	came atomic.Int32 // connections that were let in
}

func newFar(t *testing.T, most int32, faults ...faultproxy.Fault) *far {
	t.Helper()
	sshd := endpoints()[4]
	f := &far{place: at(t, sshd)}
	late := faultproxy.Path{Delay: 25 * time.Millisecond}
	proxy := faultproxy.New(faultproxy.Plan{Paths: [2]faultproxy.Path{late, late}, Faults: faults})
	t.Cleanup(proxy.Close)
	behind, err := proxy.Lead("127.0.0.2:0", f.server.Addr)
	if err != nil {
		t.Fatal(err)
	}
	door, err := net.Listen("tcp", "127.0.0.3:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { door.Close() })
	go f.letIn(door, behind, most)
	f.addr = door.Addr().String()
	f.options.IdleTimeout = 0
	f.trust(t)
	return f
}

func (f *far) letIn(door net.Listener, behind string, most int32) {
	for {
		client, err := door.Accept()
		if err != nil {
			return
		}
		if f.came.Load() >= most {
			client.Close()
			continue
		}
		server, err := net.Dial("tcp", behind)
		if err != nil {
			client.Close()
			continue
		}
		f.came.Add(1)
		go carry(client, server)
		go carry(server, client)
	}
}

func carry(from, to net.Conn) {
	io.Copy(to, from)
	to.Close()
	from.Close()
}

// both uploads a file and downloads it again.
func (f *far) both(t *testing.T) {
	t.Helper()
	source := &random{size: farSize}
	if _, err := f.upload(t, t.Context(), "file", source); err != nil {
		t.Fatal(err)
	}
	f.mustHold(t, "file", source.sum())
	if names := f.names(t); len(names) != 1 {
		t.Errorf("on the server are %q", names)
	}
	up := f.came.Swap(0)
	dst := filepath.Join(t.TempDir(), "file")
	fetched, err := transfer.Download(t.Context(), f.target(t, "file"), dst, f.options)
	mustBe(t, dst, fetched, err, source.sum())
	t.Logf("connections: %d up, %d down", up, f.came.Load())
	f.came.Store(min(up, f.came.Load()))
}

func TestFarAwayTakesSeveralConnections(t *testing.T) {
	f := newFar(t, 100)
	f.both(t)
	if n := f.came.Load(); n < 2 {
		t.Errorf("%d connections", n)
	}
}

func TestFarAwayServerLimitsConnections(t *testing.T) {
	f := newFar(t, 1)
	f.both(t)
	if n := f.came.Load(); n != 1 {
		t.Errorf("%d connections", n)
	}
}

// A connection of several breaks: the attempt ends, leaves no file, and the next one goes on from before the hole.
func TestFarAwayConnectionBreaks(t *testing.T) {
	cut := func(direction faultproxy.Direction) faultproxy.Fault {
		return faultproxy.Fault{Kind: faultproxy.Reset, Direction: direction, At: farSize / 2}
	}
	t.Run("for good", func(t *testing.T) {
		f := newFar(t, 100, cut(faultproxy.Up))
		noGoroutineLeft(t)
		_, err := f.upload(t, t.Context(), "file", &random{size: farSize})
		mustFail(t, err, "", transfer.ConnectionLost)
		f.mustBeEmpty(t)

		f = newFar(t, 100, cut(faultproxy.Down))
		big := filepath.Join(f.folder, "file")
		if err := os.WriteFile(big, make([]byte, farSize), 0o644); err != nil {
			t.Fatal(err)
		}
		to := filepath.Join(t.TempDir(), "file")
		_, err = transfer.Download(t.Context(), f.target(t, "file"), to, f.options)
		mustFail(t, err, transfer.OpReceive, transfer.ConnectionLost)
		if _, err := os.Stat(to); !os.IsNotExist(err) {
			t.Errorf("after a failure: %v", err)
		}
	})
	t.Run("once", func(t *testing.T) {
		f := newFar(t, 100, cut(faultproxy.Up), cut(faultproxy.Down))
		f.options.Retries, f.options.RetryWait = 2, time.Millisecond
		f.both(t)
	})
}
