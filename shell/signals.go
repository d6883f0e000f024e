package shell

import (
	"os"
	"os/signal"

	"golang.org/x/sys/unix"
)

// Signals end a command or the shell in order, so that the daemon hears of it
// and the terminal is put back. SIGTSTP is ignored: nothing could continue a
// stopped login shell.
var endings = []os.Signal{unix.SIGINT, unix.SIGTERM, unix.SIGHUP, unix.SIGQUIT}

// onSignal calls f, in its own goroutine, for every signal that ends things. It
// returns the way back. What the parent ignores stays ignored (nohup).
func onSignal(f func(unix.Signal)) (stop func()) {
	signal.Ignore(unix.SIGTSTP)
	var wanted []os.Signal
	for _, s := range endings {
		if !signal.Ignored(s) {
			wanted = append(wanted, s)
		}
	}
	if len(wanted) == 0 {
		return func() {}
	}
	ch := make(chan os.Signal, 4)
	signal.Notify(ch, wanted...)
	spawn(func() {
		for s := range ch {
			f(s.(unix.Signal))
		}
	})
	return func() { signal.Stop(ch) }
}

// exitBySignal is the exit status that shells give.
func exitBySignal(s unix.Signal) int { return 128 + int(s) }
