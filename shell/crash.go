package shell

import (
	"io"
	"os"
	"slices"
	"sync"

	"sealgate/control"
)

// A panic must not leave the terminal without echo, whichever goroutine it is
// in: every one of this package is started by spawn, and whoever takes the
// terminal says here how to give it back. Tests hold both.
var taken struct {
	sync.Mutex
	back []*func()
}

// take notes how the terminal is given back. The returned function does it,
// once.
func take(back func()) (restore func()) {
	taken.Lock()
	defer taken.Unlock()
	entry := &back
	taken.back = append(taken.back, entry)
	return func() {
		taken.Lock()
		defer taken.Unlock()
		if i := slices.Index(taken.back, entry); i >= 0 {
			taken.back = slices.Delete(taken.back, i, i+1)
			back()
		}
	}
}

// spawn runs f in a goroutine of its own.
func spawn(f func()) {
	go func() {
		defer endInOrder()
		f()
	}()
}

// endInOrder is deferred where nobody is left to go on after a panic: the
// process gives the terminal back, says so and ends. It says no more, since
// the value of a panic may hold what was typed.
func endInOrder() {
	if recover() == nil {
		return
	}
	taken.Lock() // for good: the terminal is not taken again
	for _, back := range slices.Backward(taken.back) {
		(*back)()
	}
	io.WriteString(os.Stderr, "\nsealgate: error: the shell crashed and ends\nsealgate: hint: log in again; a command that ran was interrupted\n")
	os.Exit(control.ExitFailed)
}
