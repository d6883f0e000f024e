package control

import (
	"context"
	"encoding/binary"
	"io"
	"log/slog"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"
)

// takesFiles is a server for up to most descriptors. What the handler reads
// from them arrives at said.
func takesFiles(t *testing.T, most int) (client *net.UnixConn, said chan string) {
	t.Helper()
	fds, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	end := func(fd int) *net.UnixConn {
		f := os.NewFile(uintptr(fd), "end")
		defer f.Close()
		c, err := net.FileConn(f)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		return c.(*net.UnixConn)
	}
	client, server := end(fds[0]), end(fds[1])
	said = make(chan string, 1)
	h := HandlerFunc(func(_ context.Context, _ Peer, r Request, _ *Session) Result {
		text := strings.Repeat("x", len(r.Words))
		for _, f := range r.Files {
			data, _ := io.ReadAll(f)
			text += " " + string(data)
		}
		said <- text
		return Result{}
	})
	go func() {
		serveConn(t.Context(), server, Peer{}, most, h, slog.New(slog.DiscardHandler))
		server.Close()
	}()
	return client, said
}

// pipeOf is a file that gives text; gone says whether every copy of it is closed.
func pipeOf(t *testing.T, text string) (r *os.File, gone func() bool) {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	io.WriteString(w, text)
	if text != "" {
		w.Close()
		return r, nil
	}
	t.Cleanup(func() { w.Close() })
	return r, func() bool {
		for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
			if _, err := w.Write([]byte{1}); err != nil {
				return true
			}
		}
		return false
	}
}

func TestFilesTravelWithARequest(t *testing.T) {
	client, said := takesFiles(t, 3)
	a, _ := pipeOf(t, "one")
	b, _ := pipeOf(t, "two")
	long := make([]string, 20_000) // more than the socket's buffer takes at once
	res, err := Do(t.Context(), client, Request{Op: OpRun, Words: long, Files: []*os.File{a, b}}, &recorder{})
	if err != nil || res.Exit != 0 {
		t.Fatalf("%+v, %v", res, err)
	}
	if got := <-said; got != strings.Repeat("x", len(long))+" one two" {
		t.Errorf("the handler has %.40q", got)
	}
}

// The hole: descriptors that nobody wants fill the server's table.
func TestUnwantedFilesAreClosed(t *testing.T) {
	frame := append(binary.BigEndian.AppendUint32(nil, 12), `{"op":"run"}`...)
	for name, c := range map[string]struct {
		most, files int
		sent        []byte
	}{
		"none are taken": {0, 1, frame},
		"too many":       {2, 5, frame},
		"not JSON":       {3, 1, append(binary.BigEndian.AppendUint32(nil, 3), "{{{"...)},
		"giant":          {3, 3, binary.BigEndian.AppendUint32(nil, 1<<31)},
		"partial":        {3, 3, frame[:7]},
	} {
		t.Run(name, func(t *testing.T) {
			client, _ := takesFiles(t, c.most)
			r, gone := pipeOf(t, "")
			var fds []int
			for range c.files {
				fds = append(fds, int(r.Fd()))
			}
			if _, _, err := client.WriteMsgUnix(c.sent, syscall.UnixRights(fds...), nil); err != nil {
				t.Fatal(err)
			}
			r.Close()
			client.CloseWrite()
			if !gone() {
				t.Error("the server keeps a descriptor")
			}
		})
	}
	// Also those that come after the first byte.
	client, _ := takesFiles(t, 3)
	r, gone := pipeOf(t, "")
	client.Write(frame[:2])
	if _, _, err := client.WriteMsgUnix(frame[2:], syscall.UnixRights(int(r.Fd())), nil); err != nil {
		t.Fatal(err)
	}
	r.Close()
	if !gone() {
		t.Error("the server keeps a late descriptor")
	}
}
