// Package errand is what the management server's process may ask of the daemon that
// started it: which jobs run, to abort one, to make the export that no
// administrator waits for, and what needs keys when gateways register and are
// configured. It speaks over the connection that the process was started with, so
// nobody else can ask; nothing that is asked names a file or a server, and no answer
// holds a secret of the appliance. Both ways a message is a line of JSON, at most maxLine bytes.
package errand

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"time"
)

// Job is a job of the daemon: one that runs, or one that ended lately.
type Job struct {
	ID        string    `json:"id"`
	Kind      string    `json:"kind"`
	User      string    `json:"user"`
	Since     time.Time `json:"since"`
	Abortable bool      `json:"abortable,omitempty"`
	Aborting  bool      `json:"aborting,omitempty"`
	Ended     time.Time `json:"ended,omitzero"` // zero while it runs
	Error     string    `json:"error,omitempty"`
}

// Errors of errands.
var (
	ErrNoJob        = errors.New("there is no such job")
	ErrNotAbortable = errors.New("the job cannot be aborted")
	ErrBusy         = errors.New("busy")
	ErrNoSession    = errors.New("there is no such session")
)

// codes carry the errors over the connection.
var codes = map[string]error{"no job": ErrNoJob, "not abortable": ErrNotAbortable, "busy": ErrBusy, "no session": ErrNoSession, "wrong": ErrWrong}

// Host is the daemon.
type Host interface {
	Jobs() []Job
	Abort(id string) error
	StartExport() error
	AuditHead() string
	Gateways
}

const (
	maxLine      = 64 << 10
	writeTimeout = 5 * time.Second
)

// message is a line. From the daemon, one without a number says that jobs changed.
type message struct {
	Number uint64 `json:"number,omitempty"`
	Do     string `json:"do,omitempty"`
	Job    string `json:"job,omitempty"`
	Jobs   []Job  `json:"jobs,omitempty"`
	Head   string `json:"head,omitempty"`
	Code   string `json:"code,omitempty"`
	Error  string `json:"error,omitempty"`

	Gateway *gateway `json:"gateway,omitempty"`
}

// Server is the daemon's end.
type Server struct {
	conn net.Conn
	mu   sync.Mutex // of writing
}

// NewServer answers on a connection.
func NewServer(conn net.Conn) *Server { return &Server{conn: conn} }

// Serve answers one errand after the other until the connection ends, or says
// something that is no errand.
func (s *Server) Serve(host Host) error {
	lines := bufio.NewScanner(s.conn)
	lines.Buffer(nil, maxLine)
	for lines.Scan() {
		var m message
		if err := json.Unmarshal(lines.Bytes(), &m); err != nil {
			return fmt.Errorf("the process asked for what is no errand: %w", err)
		}
		a, err := answer(host, m)
		if err == nil {
			err = s.write(a)
		}
		if err != nil {
			return err
		}
	}
	return lines.Err()
}

func answer(host Host, m message) (a message, unknown error) {
	a.Number = m.Number
	var err error
	switch m.Do {
	case "jobs":
		a.Jobs = host.Jobs()
	case "abort":
		err = host.Abort(m.Job)
	case "export":
		err = host.StartExport()
	case "audit head":
		a.Head = host.AuditHead()
	default:
		if m.Gateway == nil {
			m.Gateway = new(gateway)
		}
		g, known, failed := forGateway(host, m.Do, *m.Gateway)
		if !known {
			return a, fmt.Errorf("the process asked for what is no errand: %.40q", m.Do)
		}
		a.Gateway, err = &g, failed
	}
	if err != nil {
		a.Error = err.Error()
		for code, known := range codes {
			if errors.Is(err, known) {
				a.Code = code
			}
		}
	}
	return a, nil
}

// Changed tells the process that jobs began, ended, or are being aborted. One that
// does not read does not hold up the daemon for long.
func (s *Server) Changed() { _ = s.write(message{}) } // it asks anew after its next start

func (s *Server) write(m message) error {
	line, err := json.Marshal(m)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.conn.SetWriteDeadline(time.Now().Add(writeTimeout)); err != nil {
		return err
	}
	_, err = s.conn.Write(append(line, '\n'))
	return err
}

// Client is the process's end. Its methods may be called concurrently.
type Client struct {
	conn    io.ReadWriter
	changed chan struct{}

	mu      sync.Mutex
	number  uint64
	waiting map[uint64]chan message
	ended   bool
}

// NewClient asks over a connection, once Run runs.
func NewClient(conn io.ReadWriter) *Client {
	return &Client{conn: conn, changed: make(chan struct{}, 1), waiting: make(map[uint64]chan message)}
}

// Changed has a value when jobs changed since it was received from last.
func (c *Client) Changed() <-chan struct{} { return c.changed }

// Run takes answers until the connection ends, as it does with the daemon.
func (c *Client) Run() {
	defer c.end()
	lines := bufio.NewReader(c.conn)
	for {
		line, err := lines.ReadBytes('\n')
		if err != nil {
			return
		}
		var m message
		if err := json.Unmarshal(line, &m); err != nil {
			return
		}
		if m.Number == 0 {
			select {
			case c.changed <- struct{}{}:
			default:
			}
			continue
		}
		c.mu.Lock()
		if answer := c.waiting[m.Number]; answer != nil {
			answer <- m
		}
		c.mu.Unlock()
	}
}

func (c *Client) end() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ended = true
	for _, answer := range c.waiting {
		close(answer)
	}
	clear(c.waiting)
}

// Jobs lists those that run, and those that ended lately.
func (c *Client) Jobs(ctx context.Context) ([]Job, error) {
	m, err := c.ask(ctx, message{Do: "jobs"})
	return m.Jobs, err
}

// Abort asks a job to end. The error may be ErrNoJob or ErrNotAbortable.
func (c *Client) Abort(ctx context.Context, id string) error {
	_, err := c.ask(ctx, message{Do: "abort", Job: id})
	return err
}

// StartExport starts an export into the export folder. The error may be ErrBusy.
func (c *Client) StartExport(ctx context.Context) error {
	_, err := c.ask(ctx, message{Do: "export"})
	return err
}

// AuditHead is the line that witnesses of the audit log keep.
func (c *Client) AuditHead(ctx context.Context) (string, error) {
	m, err := c.ask(ctx, message{Do: "audit head"})
	return m.Head, err
}

var errEnded = errors.New("the daemon is gone")

func (c *Client) ask(ctx context.Context, m message) (message, error) {
	answer := make(chan message, 1)
	if err := c.send(&m, answer); err != nil {
		return m, err
	}
	defer func() {
		c.mu.Lock()
		delete(c.waiting, m.Number)
		c.mu.Unlock()
	}()
	select {
	case a, ok := <-answer:
		switch {
		case !ok:
			return a, errEnded
		case codes[a.Code] != nil:
			return a, fmt.Errorf("%w: %s", codes[a.Code], a.Error)
		case a.Error != "":
			return a, errors.New(a.Error)
		}
		return a, nil
	case <-ctx.Done():
		return m, context.Cause(ctx)
	}
}

func (c *Client) send(m *message, answer chan message) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ended {
		return errEnded
	}
	c.number++
	m.Number = c.number
	line, err := json.Marshal(m)
	if err != nil {
		return err
	}
	if len(line) >= maxLine { // the daemon would take it for an attack
		return fmt.Errorf("an errand has more than %d bytes", maxLine)
	}
	c.waiting[m.Number] = answer
	_, err = c.conn.Write(append(line, '\n'))
	return err
}
