// Package shell is the terminal of the appliance: it reads a line, splits it
// into words, sends them to the daemon, and shows what comes back: text,
// progress, questions, one result. The programs sealsh (the administrator's
// login shell) and impctl are this package and nothing else.
//
// It promises that every byte of the daemon passes one filter before a
// terminal or a pipe sees it, that standard output holds results only, that a
// secret is never echoed and never kept, that Ctrl-C always comes back, and
// that the terminal is left as it was found.
//
// It never knows a command, never opens a file, and never falls back to anything:
// without the daemon it says so and waits. It starts no program; where the
// appliance is unsealed, an administrator's login becomes a real shell (login.go).
package shell

import (
	"fmt"
	"path/filepath"

	"sealgate/control"
)

const defaultHome = "/var/lib/sealgate"

// Sealsh is the program sealsh: args are those of the process, the name first.
// It returns the exit status.
func Sealsh(args []string, std Streams, env Environ) int {
	con := newConsole(std)
	opt, err := parseSealsh(args)
	if err != nil {
		return con.fail(err)
	}
	if opt.version {
		fmt.Fprintln(std.Out, "sealsh", control.Version)
		return control.ExitDone
	}
	line, given := opt.line, opt.lineGiven
	if !given {
		line, given = env.OriginalCommand, env.HasOriginalCommand
	}
	d := dialer{socket: socketIn(opt.home), origin: env.Origin}
	leaving := d
	leaving.login = (opt.login || given) && !opt.homeGiven
	switch {
	case given:
		return sealshLine(leaving, con, std, line, env)
	case std.interactive():
		if instead := leaving.realShell(); instead != "" {
			return con.fail(become(instead, nil, env.Inherited))
		}
		return interact(d, con, std)
	default:
		return runLines(d, con, std)
	}
}

// sealshLine runs one line. A real shell also takes what cannot be split here.
func sealshLine(d dialer, con *console, std Streams, text string, env Environ) int {
	line, err := Split(text)
	var exit int
	var instead string
	switch {
	case err != nil:
		if instead = d.realShell(); instead == "" {
			return con.fail(err)
		}
	case line.empty():
		return control.ExitDone
	default:
		exit, instead = runOnce(d, con, std, line)
	}
	if instead != "" {
		return con.fail(become(instead, &text, env.Inherited))
	}
	return exit
}

// Impctl is the program impctl: its arguments are the words of one command, as
// they are.
func Impctl(args []string, std Streams, env Environ) int {
	con := newConsole(std)
	home, rest, err := leadingHome(args[1:])
	if err != nil {
		return con.fail(err)
	}
	words := append([]string{"impctl"}, rest...)
	if err := checkWords(words); err != nil {
		return con.fail(err)
	}
	exit, _ := runOnce(dialer{socket: socketIn(home), origin: env.Origin}, con, std, Line{Words: words})
	return exit
}

func socketIn(home string) string { return filepath.Join(home, "run", "control.sock") }
