package shell

import (
	"os"
	"runtime/debug"

	"golang.org/x/sys/unix"
)

// Environ is everything that the shell takes from its environment. What is not
// here has no influence: not COLUMNS, not TERM, not LC_*, not HOME. All of it
// is the client's word: a line is checked like any other, the origin goes to the
// daemon's log only, and nothing looks into what a real shell inherits.
type Environ struct {
	OriginalCommand    string // SSH_ORIGINAL_COMMAND: the user's words, where sshd forces sealsh
	HasOriginalCommand bool
	Origin             string   // SSH_CONNECTION
	Inherited          []string // what a real shell gets, see become
}

// maxOrigin is far above what sshd writes: two addresses and two ports.
const maxOrigin = 256

// Environment reads the environment once, then empties it: the Go runtime
// listens to GODEBUG as long as it is set.
func Environment() Environ {
	var env Environ
	env.OriginalCommand, env.HasOriginalCommand = os.LookupEnv("SSH_ORIGINAL_COMMAND")
	if s := os.Getenv("SSH_CONNECTION"); len(s) <= maxOrigin {
		env.Origin = filterLine(s)
	}
	env.Inherited = inherited(os.Environ())
	os.Clearenv()
	// The process holds a secret between the keyboard and the socket: no core
	// file, no reading of its memory by others of the same account, and no
	// stack on the terminal if it crashes. Where the kernel refuses, the shell
	// is as useful as before.
	unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0)
	unix.Setrlimit(unix.RLIMIT_CORE, &unix.Rlimit{})
	debug.SetTraceback("none")
	return env
}
