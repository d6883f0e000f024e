// Package errand is what the management server's process may ask of the daemon that
// started it: which jobs run, to abort one, to make the export that no
// administrator waits for, to keep records of what was written, and what needs keys
// when gateways register and are configured; a gateway's process may ask for less. It
// speaks over the connection that the process was started with, so nobody else can ask;
// nothing that is asked names a file or a server, and no answer holds a secret of the
// appliance. Both ways a message is a line of JSON, at most maxLine bytes.
package errand

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
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
	// Wrote keeps records of writes of the REST API.
	Wrote(list []Write) error
	Gateways
}

// GatewayHost is the daemon of a gateway, whose process may ask for nothing else.
type GatewayHost interface {
	// May says whether the process may do what the management server asks it for: one of
	// Acts. It keeps a record.
	May(act string) error
	// RestartRole does what it may.
	RestartRole() error
	// TechInfo makes a support bundle; it returns its name in the folder of results. ctx
	// ends with the process that asked. Other errands are done meanwhile.
	TechInfo(ctx context.Context) (name string, err error)
	// AuditHead is the line that witnesses of the audit log keep.
	AuditHead() string
}

// Acts are what a gateway's process asks for before it does it, in the words of the link.
var Acts = map[string]bool{"restart": true, "drain": true, "re-register": true}

const (
	maxLine      = 64 << 10
	writeTimeout = 5 * time.Second
)

// message is a line. From the daemon, one without a number says that jobs changed, or
// with end that the process is to end.
type message struct {
	Number uint64 `json:"number,omitempty"`
	Do     string `json:"do,omitempty"`
	Job    string `json:"job,omitempty"`
	Act    string `json:"act,omitempty"`
	Jobs   []Job  `json:"jobs,omitempty"`
	Head   string `json:"head,omitempty"`
	Code   string `json:"code,omitempty"`
	Error  string `json:"error,omitempty"`

	Writes []Write `json:"writes,omitempty"`
	File   string  `json:"file,omitempty"`

	Gateway *gateway `json:"gateway,omitempty"`
}

// Server is the daemon's end.
type Server struct {
	conn    net.Conn
	mu      sync.Mutex // of writing
	changed chan struct{}
}

// NewServer answers on a connection.
func NewServer(conn net.Conn) *Server { return &Server{conn: conn, changed: make(chan struct{}, 1)} }

// Serve answers the management server's process, one errand after the other, until the
// connection ends, or says something that is no errand.
func (s *Server) Serve(host Host) error {
	return s.serve(func(m message) error {
		a, err := answer(host, m)
		if err != nil {
			return err
		}
		return s.write(a)
	})
}

// ServeGateway answers a gateway's process. A bundle takes minutes: one at a time is made
// beside other errands.
func (s *Server) ServeGateway(host GatewayHost) error {
	var beside sync.WaitGroup
	defer beside.Wait()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	making := make(chan struct{}, 1)
	return s.serve(func(m message) error {
		if m.Do != "tech-info" {
			a, err := answerGateway(host, m)
			if err != nil {
				return err
			}
			return s.write(a)
		}
		a := message{Number: m.Number}
		select {
		case making <- struct{}{}:
		default:
			return s.write(a.with(fmt.Errorf("%w: another bundle is being made", ErrBusy)))
		}
		beside.Go(func() {
			name, err := host.TechInfo(ctx)
			a.File = name
			<-making
			_ = s.write(a.with(err)) // who cannot be told is gone
		})
		return nil
	})
}

func (s *Server) serve(do func(message) error) error {
	ended := make(chan struct{})
	defer close(ended)
	go s.tell(ended)
	lines := bufio.NewScanner(s.conn)
	lines.Buffer(nil, maxLine)
	for lines.Scan() {
		var m message
		if err := json.Unmarshal(lines.Bytes(), &m); err != nil {
			return fmt.Errorf("the process asked for what is no errand: %w", err)
		}
		if err := do(m); err != nil {
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
	case "wrote":
		if slices.ContainsFunc(m.Writes, func(w Write) bool { return !w.taken() }) {
			return a, errors.New("the process tells of writes that cannot be")
		}
		err = host.Wrote(m.Writes)
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
	return a.with(err), nil
}

func answerGateway(host GatewayHost, m message) (a message, unknown error) {
	a.Number = m.Number
	var err error
	switch {
	case m.Do == "may" && Acts[m.Act]:
		err = host.May(m.Act)
	case m.Do == "restart":
		err = host.RestartRole()
	case m.Do == "audit head":
		a.Head = host.AuditHead()
	default:
		return a, fmt.Errorf("the process asked for what is no errand: %.40q", m.Do)
	}
	return a.with(err), nil
}

// with is the message with an error, if there is one.
func (m message) with(err error) message {
	if err == nil {
		return m
	}
	m.Error = err.Error()
	for code, known := range codes {
		if errors.Is(err, known) {
			m.Code = code
		}
	}
	return m
}

// Changed has Serve tell the process that jobs began, ended, or are being aborted. It
// waits for nothing.
func (s *Server) Changed() {
	select {
	case s.changed <- struct{}{}:
	default: // it has not been told of the change before, and will look at both
	}
}

// tell tells of changes until ended. A process that does not read asks anew after its
// next start.
func (s *Server) tell(ended <-chan struct{}) {
	for {
		select {
		case <-s.changed:
			_ = s.write(message{})
		case <-ended:
			return
		}
	}
}

// End asks the process to end. It may ask for more meanwhile.
func (s *Server) End() error { return s.write(message{Do: "end"}) }

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
	ending  chan struct{}

	mu      sync.Mutex
	number  uint64
	waiting map[uint64]chan message
	ended   bool
}

// NewClient asks over a connection, once Run runs.
func NewClient(conn io.ReadWriter) *Client {
	return &Client{conn: conn, changed: make(chan struct{}, 1), ending: make(chan struct{}), waiting: make(map[uint64]chan message)}
}

// Ending is closed when the daemon asks the process to end.
func (c *Client) Ending() <-chan struct{} { return c.ending }

// Changed has a value when jobs changed since it was received from last.
func (c *Client) Changed() <-chan struct{} { return c.changed }

// Run takes answers until the connection ends, as it does with the daemon.
func (c *Client) Run() {
	defer c.end()
	end := sync.OnceFunc(func() { close(c.ending) })
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
		if m.Do == "end" {
			end()
			continue
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

// May says whether the gateway may do what the management server asks. The error may be
// ErrBusy.
func (c *Client) May(ctx context.Context, act string) error {
	_, err := c.ask(ctx, message{Do: "may", Act: act})
	return err
}

// RestartRole has the gateway's process end in order and start again, once for each
// restart that it may.
func (c *Client) RestartRole(ctx context.Context) error {
	_, err := c.ask(ctx, message{Do: "restart"})
	return err
}

// TechInfo has a support bundle of the gateway made. The error may be ErrBusy.
func (c *Client) TechInfo(ctx context.Context) (name string, err error) {
	m, err := c.ask(ctx, message{Do: "tech-info"})
	return m.File, err
}

// AuditHead is the line that witnesses of the audit log keep.
func (c *Client) AuditHead(ctx context.Context) (string, error) {
	m, err := c.ask(ctx, message{Do: "audit head"})
	return m.Head, err
}

// refusal is one of the errors of errands, in the daemon's words.
type refusal struct {
	text string
	is   error
}

func (r refusal) Error() string { return r.text }
func (r refusal) Unwrap() error { return r.is }

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
			return a, refusal{strings.TrimPrefix(a.Error, codes[a.Code].Error()+": "), codes[a.Code]}
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
