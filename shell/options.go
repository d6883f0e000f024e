package shell

import (
	"path/filepath"
	"strings"

	"sealgate/control"
)

// options are what sealsh's own arguments say.
type options struct {
	home      string
	homeGiven bool
	login     bool // the process is a login shell, or sshd forced it to be sealsh
	line      string
	lineGiven bool
	version   bool
}

// parseSealsh reads the arguments of sealsh. sshd runs a forced command through
// the login shell, so `sealsh -c "/usr/bin/sealsh --home DIR"` is how a session
// begins where ForceCommand names sealsh: then the inner words are the
// arguments, and the user's own words are in SSH_ORIGINAL_COMMAND.
func parseSealsh(args []string) (options, error) {
	opt, err := parseFlags(args[1:])
	opt.login = strings.HasPrefix(args[0], "-")
	if err != nil || !opt.lineGiven {
		return opt, err
	}
	line, err := Split(opt.line)
	if err != nil || len(line.Words) == 0 || len(line.Filters) > 0 || filepath.Base(line.Words[0]) != "sealsh" {
		return opt, nil // an ordinary line; its error is told where it is run
	}
	inner, err := parseFlags(line.Words[1:])
	if err != nil {
		return inner, err
	}
	if inner.lineGiven {
		return inner, &Error{control.ExitUsage, "sealsh does not start sealsh", "leave out the words before the command"}
	}
	if !inner.homeGiven {
		inner.home, inner.homeGiven = opt.home, opt.homeGiven
	}
	inner.login = true
	return inner, nil
}

func parseFlags(args []string) (options, error) {
	home, rest, err := leadingHome(args)
	opt := options{home: home, homeGiven: len(rest) < len(args)}
	switch {
	case err != nil:
		return opt, err
	case len(rest) == 0:
		return opt, nil
	case rest[0] == "--version" && len(rest) == 1:
		opt.version = true
		return opt, nil
	case rest[0] == "-c" && len(rest) == 2:
		opt.line, opt.lineGiven = rest[1], true
		return opt, nil
	case rest[0] == "-c" && len(rest) == 1:
		return opt, &Error{control.ExitUsage, "-c needs the command as its value", usage}
	case rest[0] == "-c":
		return opt, &Error{control.ExitUsage, "-c takes the whole command as one argument", "put quotes around it: sealsh -c 'help export-local'"}
	}
	return opt, &Error{control.ExitUsage, "unknown argument " + shown(rest[0]), usage}
}

const usage = "usage: sealsh [--home DIR] [-c 'COMMAND'], or sealsh --version"

// leadingHome takes --home DIR off the front.
func leadingHome(args []string) (home string, rest []string, err error) {
	home = defaultHome
	for len(args) > 0 {
		value, joined := strings.CutPrefix(args[0], "--home=")
		switch {
		case joined:
			args = args[1:]
		case args[0] == "--home" && len(args) > 1:
			value, args = args[1], args[2:]
		case args[0] == "--home":
			return "", nil, &Error{control.ExitUsage, "--home needs a folder", "for example --home " + defaultHome}
		default:
			return home, args, nil
		}
		if value == "" {
			return "", nil, &Error{control.ExitUsage, "--home needs a folder", "for example --home " + defaultHome}
		}
		home = value
	}
	return home, nil, nil
}
