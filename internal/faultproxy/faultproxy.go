// Package faultproxy stands between clients and a server and is as bad a network as a test wants: it delays, throttles,
// cuts, resets, swallows and corrupts, by a plan that a seed makes again. It carries TCP and knows nothing of what is
// said, so it stands in front of anything. It is for tests and benchmarks only.
//
// A protocol whose server names further ports (ftp) needs no rewriting: the proxy leads the same ports of another
// loopback address, 127.0.0.2 say, to the server's.
//
// Each end speaks to this machine's kernel, which acknowledges at once. A delay is therefore felt by what waits for
// answers, and not by TCP's own windows.
package faultproxy

import (
	"bytes"
	"errors"
	"io"
	"net"
	"slices"
	"sync"
	"time"
)

const (
	// pieceSize and queueLength bound what is on its way in one direction of one connection.
	pieceSize   = 64 << 10
	queueLength = 1024
)

// Proxy is a network that has a plan.
type Proxy struct {
	paths [2]Path
	done  chan struct{}
	all   sync.WaitGroup

	mu        sync.Mutex
	listeners []net.Listener
	lines     map[*line]bool
	carried   [2]int64
	faults    []Fault // those to come
}

// New is a proxy that leads nowhere yet; the caller closes it.
func New(plan Plan) *Proxy {
	return &Proxy{paths: plan.Paths, faults: slices.Clone(plan.Faults), done: make(chan struct{}), lines: make(map[*line]bool)}
}

// Lead listens on an address of this machine, with port 0 on any that is free, and carries what comes there to to. It
// returns the address. It may be called again, for other ports.
func (p *Proxy) Lead(from, to string) (string, error) {
	l, err := net.Listen("tcp", from)
	if err != nil {
		return "", err
	}
	p.mu.Lock()
	p.listeners = append(p.listeners, l)
	p.mu.Unlock()
	p.all.Go(func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			server, err := net.Dial("tcp", to)
			if err != nil {
				reset(client)
				continue
			}
			p.connect(client, server)
		}
	})
	return l.Addr().String(), nil
}

// Left are the faults that did not strike yet.
func (p *Proxy) Left() []Fault {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.faults)
}

// Close resets what is open and waits until nothing runs any more.
func (p *Proxy) Close() {
	close(p.done)
	p.mu.Lock()
	for _, l := range p.listeners {
		l.Close()
	}
	for l := range p.lines {
		l.reset()
	}
	p.mu.Unlock()
	p.all.Wait()
}

// line is a connection from a client to the server.
type line struct {
	ends  [2]net.Conn      // what Up and Down come from
	holed [2]chan struct{} // closed: what comes in that direction is swallowed
	once  [2]sync.Once
}

func (p *Proxy) connect(client, server net.Conn) {
	l := &line{ends: [2]net.Conn{client, server}, holed: [2]chan struct{}{make(chan struct{}), make(chan struct{})}}
	p.mu.Lock()
	p.lines[l] = true
	p.mu.Unlock()
	select {
	case <-p.done:
		l.reset()
	default:
	}
	var both sync.WaitGroup
	for _, d := range []Direction{Up, Down} {
		queue := make(chan piece, queueLength)
		both.Go(func() { p.read(l, d, queue) })
		both.Go(func() { p.write(l, d, queue) })
	}
	p.all.Go(func() {
		both.Wait()
		client.Close()
		server.Close()
		p.mu.Lock()
		defer p.mu.Unlock()
		delete(p.lines, l)
	})
}

// piece is some bytes on their way, and what happens behind them.
type piece struct {
	data  []byte
	due   time.Time
	fault *Fault
	end   error // of the reading
}

func (p *Proxy) read(l *line, d Direction, queue chan<- piece) {
	defer close(queue)
	buffer := make([]byte, pieceSize)
	for {
		n, err := l.ends[d].Read(buffer)
		data, fault := p.strike(d, buffer[:n])
		select {
		case queue <- piece{bytes.Clone(data), time.Now().Add(p.paths[d].Delay), fault, err}:
		case <-l.holed[d]:
		}
		if err != nil {
			return
		}
	}
}

// strike returns what of data is carried, and the fault behind it.
func (p *Proxy) strike(d Direction, data []byte) ([]byte, *Fault) {
	p.mu.Lock()
	defer p.mu.Unlock()
	begin := p.carried[d]
	p.carried[d] += int64(len(data))
	for i := 0; i < len(p.faults); i++ {
		fault := p.faults[i]
		if fault.Direction != d || fault.At < begin || fault.At >= begin+int64(len(data)) {
			continue
		}
		p.faults = slices.Delete(p.faults, i, i+1)
		i--
		if fault.Kind != Corrupt {
			return data[:fault.At-begin], &fault
		}
		data[fault.At-begin] ^= 0x10
	}
	return data, nil
}

func (p *Proxy) write(l *line, d Direction, queue <-chan piece) {
	to := l.ends[1-d]
	for piece := range queue {
		if !p.sleep(time.Until(piece.due)) || l.isHoled(d) {
			continue
		}
		begin := time.Now()
		if _, err := to.Write(piece.data); err != nil {
			l.reset()
			continue
		}
		if rate := p.paths[d].Rate; rate > 0 {
			p.sleep(time.Duration(int64(len(piece.data))*int64(time.Second)/rate) - time.Since(begin))
		}
		switch {
		case piece.fault != nil:
			p.happen(*piece.fault, l)
		case errors.Is(piece.end, io.EOF):
			to.(*net.TCPConn).CloseWrite()
		case piece.end != nil:
			l.reset()
		}
	}
}

// sleep says whether the proxy still runs.
func (p *Proxy) sleep(d time.Duration) bool {
	if d <= 0 {
		return true
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-p.done:
		return false
	}
}

// happen does what fault says to l, and to the others where it is wide.
func (p *Proxy) happen(fault Fault, l *line) {
	struck := []*line{l}
	if fault.Wide {
		struck = nil
		p.mu.Lock()
		for other := range p.lines {
			struck = append(struck, other)
		}
		p.mu.Unlock()
	}
	for _, l := range struck {
		switch fault.Kind {
		case Cut:
			l.cut()
		case Reset:
			l.reset()
		case Hole:
			l.hole(fault.Direction)
		}
	}
}

func (l *line) hole(d Direction) { l.once[d].Do(func() { close(l.holed[d]) }) }

func (l *line) isHoled(d Direction) bool {
	select {
	case <-l.holed[d]:
		return true
	default:
		return false
	}
}

func (l *line) cut() {
	for d, end := range l.ends {
		l.hole(Direction(d))
		end.(*net.TCPConn).CloseWrite()
	}
}

func (l *line) reset() {
	for _, end := range l.ends {
		reset(end)
	}
}

func reset(c net.Conn) {
	c.(*net.TCPConn).SetLinger(0)
	c.Close()
}
