package transfer_test

import (
	"bufio"
	"fmt"
	"io"
	"math"
	"net"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

// wire is a TCP proxy between client and server that a test can cut or freeze.
type wire struct {
	addr   string
	answer func(line string) string

	mu      sync.Mutex
	open    []net.Conn
	started []*wire
	frozen  chan struct{}
	quota   *quota        // nil: none
	over    chan struct{} // the test is
}

// quota cuts a wire when the server has sent so many bytes over it and over those that started from it.
type quota struct {
	left atomic.Int64
	cut  func()
	up   atomic.Int64 // bytes that the client has sent
}

// cutAfter cuts the wire once more bytes than n have come from the server.
func (w *wire) cutAfter(n int64) {
	w.quota.left.Store(n)
}

func (q *quota) spend(n int) {
	if q.left.Add(-int64(n)) < 0 {
		q.cut()
	}
}

// newWire leads to to. With ftp it leads the data connections of a plain ftp session through wires of their own, and
// answer, when not nil, may change what the server says.
func newWire(t *testing.T, to string, ftp bool, answer func(line string) string) *wire {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	w := &wire{addr: l.Addr().String(), answer: answer, frozen: make(chan struct{}), over: make(chan struct{})}
	w.quota = &quota{cut: w.cut}
	w.quota.left.Store(math.MaxInt64)
	go func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			server, err := net.Dial("tcp", to)
			if err != nil {
				client.Close()
				continue
			}
			w.mu.Lock()
			w.open = append(w.open, client, server)
			w.mu.Unlock()
			go w.carry(t, server, client, false, false)
			go w.carry(t, client, server, ftp, true)
		}
	}()
	t.Cleanup(func() {
		l.Close()
		close(w.over)
		w.cut()
	})
	return w
}

var epsvAnswer = regexp.MustCompile(`\(\|\|\|(\d+)\|\)`)

func (w *wire) carry(t *testing.T, to, from net.Conn, answers, down bool) {
	defer to.(*net.TCPConn).CloseWrite()
	if answers {
		for lines := bufio.NewReader(from); ; {
			line, err := lines.ReadString('\n')
			if err != nil {
				return
			}
			if port := epsvAnswer.FindStringSubmatch(line); port != nil && strings.HasPrefix(line, "229") {
				data := newWire(t, "127.0.0.1:"+port[1], false, nil)
				data.mu.Lock()
				data.quota = w.quota
				data.mu.Unlock()
				w.mu.Lock()
				w.started = append(w.started, data)
				w.mu.Unlock()
				_, ours, _ := net.SplitHostPort(data.addr)
				line = epsvAnswer.ReplaceAllString(line, fmt.Sprintf("(|||%s|)", ours))
			}
			if w.answer != nil {
				line = w.answer(line)
			}
			io.WriteString(to, line)
		}
	}
	buffer := make([]byte, 32<<10)
	for {
		n, err := from.Read(buffer)
		select {
		case <-w.frozen:
			<-w.over
			return
		default:
		}
		w.mu.Lock()
		quota := w.quota
		w.mu.Unlock()
		if down {
			quota.spend(n)
		} else {
			quota.up.Add(int64(n))
		}
		if _, err := to.Write(buffer[:n]); err != nil {
			return
		}
		if err != nil {
			return
		}
	}
}

// cut resets every connection that is open now; new ones are carried.
func (w *wire) cut() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, c := range w.open {
		c.(*net.TCPConn).SetLinger(0)
		c.Close()
	}
	w.open = nil
	for _, data := range w.started {
		data.cut()
	}
}

// freeze carries nothing from now on, on new connections neither, and closes nothing.
func (w *wire) freeze() {
	w.mu.Lock()
	defer w.mu.Unlock()
	close(w.frozen)
	for _, data := range w.started {
		data.freeze()
	}
}

// through makes p reach its server over a wire.
func (p *place) through(t *testing.T, answer func(line string) string) *wire {
	t.Helper()
	w := newWire(t, p.server.Addr, p.protocol == "ftp" && p.server.CAs == nil, answer)
	p.addr = w.addr
	if p.protocol == "scp" {
		p.trust(t)
	}
	return w
}
