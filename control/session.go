package control

import (
	"context"
	"errors"
	"net"
	"sync"
	"time"
	"unicode/utf8"
)

// Session is the server's side of one command: a [UI] whose events travel to
// the client. Progress is conflated, so a terminal that stands still never
// holds a command up; text waits for the reader, or for the cancel.
type Session struct {
	conn   net.Conn
	cancel context.CancelCauseFunc

	sending sync.Mutex
	asking  sync.Mutex // one question at a time
	answers chan answer

	slot     chan Progress // at most the newest
	finished chan struct{}
	pump     sync.WaitGroup
}

// ErrGone is the cause of a context whose client closed the connection.
var ErrGone = errors.New("interrupted")

// newSession starts reading answers and watching for the client's end.
func newSession(ctx context.Context, conn net.Conn) (*Session, context.Context) {
	ctx, cancel := context.WithCancelCause(ctx)
	s := &Session{
		conn:     conn,
		cancel:   cancel,
		answers:  make(chan answer, 1),
		slot:     make(chan Progress, 1),
		finished: make(chan struct{}),
	}
	go s.listen()
	// A client that reads nothing must not hold a cancelled command.
	context.AfterFunc(ctx, func() { conn.SetWriteDeadline(time.Now().Add(cancelGrace)) })
	s.pump.Go(s.pumpProgress)
	return s, ctx
}

func (s *Session) listen() {
	for {
		var a answer
		if err := readFrame(s.conn, MaxRequest, &a); err != nil {
			s.cancel(ErrGone)
			return
		}
		select {
		case s.answers <- a:
		default: // an answer that nobody asked for
			s.cancel(ErrGone)
			return
		}
	}
}

func (s *Session) pumpProgress() {
	for {
		select {
		case p := <-s.slot:
			s.send(event{Progress: &p})
		case <-s.finished:
			return
		}
	}
}

func (s *Session) send(e event) {
	s.sending.Lock()
	defer s.sending.Unlock()
	if err := writeFrame(s.conn, MaxEvent, e); err != nil {
		s.cancel(ErrGone)
	}
}

// Text sends text to one of the client's streams.
func (s *Session) Text(stream Stream, text string) {
	for len(text) > 0 {
		piece := text
		if len(piece) > maxText {
			cut := maxText
			for cut > maxText-utf8.UTFMax && !utf8.RuneStart(piece[cut]) {
				cut--
			}
			piece = piece[:cut]
		}
		text = text[len(piece):]
		s.send(event{Text: &textEvent{stream, piece}})
	}
}

// Progress replaces what was not sent yet.
func (s *Session) Progress(p Progress) {
	for {
		select {
		case s.slot <- p:
			return
		default:
		}
		select {
		case <-s.slot:
		default:
		}
	}
}

// Ask sends a question and waits for its answer.
func (s *Session) Ask(ctx context.Context, q Question) (string, error) {
	s.asking.Lock()
	defer s.asking.Unlock()
	s.send(event{Question: &q})
	select {
	case a := <-s.answers:
		if a.Refused != "" {
			return "", errors.New(a.Refused)
		}
		return a.Text, nil
	case <-ctx.Done():
		return "", context.Cause(ctx)
	}
}

// finish sends the result, the last frame.
func (s *Session) finish(r Result) {
	close(s.finished)
	s.pump.Wait()
	s.send(event{Result: &r})
	s.cancel(nil)
}
