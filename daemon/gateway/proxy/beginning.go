package proxy

import (
	"io"
	"net/http"
	"time"
)

const (
	// maxResponse is how much of an answer is held for inspection, in bytes.
	maxResponse = 512 << 10
	// holdAnswer is how long an answer is held that does not say how long it is. It may
	// be a stream, whose reader waits for what has come.
	holdAnswer = 200 * time.Millisecond
)

// beginning reads an answer until enough of it has come, or holdAnswer is over. Where
// there is no room for it j.over says so.
func (j *judge) beginning(resp *http.Response) (held []byte, rest io.ReadCloser, err error) {
	read := func(p []byte) (n int, came bool, err error) {
		n, err = resp.Body.Read(p)
		return n, true, err
	}
	rest, most := resp.Body, maxResponse
	if resp.ContentLength < 0 {
		ahead := newReadAhead(resp.Body)
		defer ahead.stop()
		read, rest = ahead.read, ahead
	} else if resp.ContentLength < maxResponse {
		most = int(resp.ContentLength)
	}
	for len(held) < most {
		if len(held) == cap(held) {
			grown := min(max(2*cap(held), firstRoom), most)
			if !j.reserve(&j.heldAnswer, int64(grown)) {
				j.overloaded()
				return held, rest, nil
			}
			held = append(make([]byte, 0, grown), held...)
		}
		n, came, err := read(held[len(held):cap(held)])
		if !came {
			return held, rest, nil
		}
		held = held[:len(held)+n]
		if err == io.EOF {
			return held, http.NoBody, nil
		}
		if err != nil {
			return nil, nil, err
		}
	}
	return held, rest, nil
}

// readAhead reads a body in the background, for who does not wait for it for long.
type readAhead struct {
	io.ReadCloser
	patience *time.Timer
	into     chan []byte
	come     chan arrival // has room for one: nobody needs to wait for it
	late     []byte       // where a read that was not waited for puts its bytes
	arrival
}

// arrival is what became of a read.
type arrival struct {
	n   int
	err error
}

func newReadAhead(body io.ReadCloser) *readAhead {
	a := &readAhead{ReadCloser: body, patience: time.NewTimer(holdAnswer), into: make(chan []byte), come: make(chan arrival, 1)}
	go func() {
		for p := range a.into {
			n, err := body.Read(p)
			a.come <- arrival{n, err}
		}
	}()
	return a
}

// read reads what comes while there is patience. p is not to be touched after nothing
// came.
func (a *readAhead) read(p []byte) (n int, came bool, err error) {
	a.into <- p
	select {
	case got := <-a.come:
		return got.n, true, got.err
	case <-a.patience.C:
		a.late = p
		return 0, false, nil
	}
}

// stop ends reading ahead. What is under way goes before what Read reads then.
func (a *readAhead) stop() {
	a.patience.Stop()
	close(a.into)
}

func (a *readAhead) Read(p []byte) (int, error) {
	if a.late == nil {
		return a.ReadCloser.Read(p)
	}
	if a.come != nil {
		a.arrival = <-a.come
		a.come = nil
	}
	n := copy(p, a.late[:a.n])
	a.late, a.n = a.late[n:], a.n-n
	if a.n > 0 {
		return n, nil
	}
	a.late = nil
	return n, a.err
}
