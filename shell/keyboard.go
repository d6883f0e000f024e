package shell

import (
	"context"
	"errors"
	"io"
	"slices"
	"sync"
	"time"
)

// keyboard reads the terminal of an interactive session, always, so that
// Ctrl-C is seen whatever goes on. Other keys wait for whoever asks for the
// next one: the line editor, a question, a full screen. Keys that are typed while
// a command runs are kept for the next line.
type keyboard struct {
	mu        sync.Mutex
	changed   *sync.Cond
	keys      []key
	ended     bool
	interrupt func() bool // what Ctrl-C does while something runs; true when that is all
}

// maxAhead is how many keys wait; a terminal that sends more is not a person.
const maxAhead = 64 << 10

var errNobody = errors.New("the terminal is gone")

func newKeyboard() *keyboard {
	k := &keyboard{}
	k.changed = sync.NewCond(&k.mu)
	return k
}

// pump reads r until it ends, then calls gone.
func (k *keyboard) pump(r io.Reader, gone func()) {
	var d decoder
	buf := make([]byte, 1024)
	for {
		n, err := r.Read(buf)
		now := time.Now()
		for _, c := range buf[:n] {
			for _, p := range d.feed(c, now) {
				k.press(p)
			}
		}
		if err != nil {
			break
		}
	}
	k.end()
	gone()
}

func (k *keyboard) press(p key) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if len(k.keys) < maxAhead || p.r == ctrlC {
		k.keys = append(k.keys, p)
	}
	k.noticeInterrupt()
	k.changed.Broadcast()
}

// noticeInterrupt acts on a Ctrl-C among the keys that wait. What was typed
// before it belonged to the past.
func (k *keyboard) noticeInterrupt() {
	at := slices.IndexFunc(k.keys, func(p key) bool { return p.r == ctrlC })
	if at < 0 || k.interrupt == nil {
		return
	}
	if k.interrupt() {
		at++
	}
	k.keys = k.keys[at:]
}

// end wakes everybody who waits for a key.
func (k *keyboard) end() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.ended = true
	k.changed.Broadcast()
}

// onInterrupt makes Ctrl-C call f at once; f must not block, and says whether
// the key is used up. One that was pressed a moment ago counts. It returns the
// way back.
func (k *keyboard) onInterrupt(f func() bool) (undo func()) {
	k.mu.Lock()
	defer k.mu.Unlock()
	before := k.interrupt
	k.interrupt = f
	k.noticeInterrupt()
	return func() {
		k.mu.Lock()
		defer k.mu.Unlock()
		k.interrupt = before
	}
}

// next waits for one key.
func (k *keyboard) next(ctx context.Context) (key, error) {
	stop := context.AfterFunc(ctx, func() {
		k.mu.Lock()
		defer k.mu.Unlock()
		k.changed.Broadcast()
	})
	defer stop()
	k.mu.Lock()
	defer k.mu.Unlock()
	for {
		switch {
		case ctx.Err() != nil:
			return key{}, context.Cause(ctx)
		case len(k.keys) > 0:
			p := k.keys[0]
			k.keys = k.keys[1:]
			return p, nil
		case k.ended:
			return key{}, errNobody
		}
		k.changed.Wait()
	}
}

// forget drops the keys that wait: an answer must be typed after its question.
func (k *keyboard) forget() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.keys = nil
}

// aside takes the keys that wait away until back is called: what is pressed
// next answers what is shown now.
func (k *keyboard) aside() (back func()) {
	k.mu.Lock()
	defer k.mu.Unlock()
	kept := k.keys
	k.keys = nil
	return func() {
		k.mu.Lock()
		defer k.mu.Unlock()
		k.keys = append(kept, k.keys...)
	}
}
