package shell

import (
	"cmp"
	"io"
	"os"

	"golang.org/x/sys/unix"
)

// Streams are the three standard streams, or what a test puts in their place.
type Streams struct {
	In       io.Reader
	Out, Err io.Writer
}

// Standard is the process's own.
func Standard() Streams { return Streams{In: os.Stdin, Out: os.Stdout, Err: os.Stderr} }

// interactive says that a person sits at both ends.
func (s Streams) interactive() bool { return isTerminal(s.In) && isTerminal(s.Out) }

func isTerminal(stream any) bool {
	fd, ok := descriptor(stream)
	if !ok {
		return false
	}
	_, err := unix.IoctlGetTermios(fd, unix.TCGETS)
	return err == nil
}

func descriptor(stream any) (int, bool) {
	f, ok := stream.(*os.File)
	if !ok || f == nil {
		return 0, false
	}
	return int(f.Fd()), true
}

// Widths that the line editor and the daemon are told of. The editor does not
// survive much less; wider than this is a mistake of the client.
const (
	minWidth     = 20
	maxWidth     = 500
	defaultWidth = 80
)

// terminalWidth is the number of columns of a terminal, within bounds.
func terminalWidth(stream any) int {
	return min(max(realWidth(stream), minWidth), maxWidth)
}

func realWidth(stream any) int {
	_, columns := size(stream)
	return columns
}

const defaultRows = 24

// size is what a terminal says of itself, or a common one.
func size(stream any) (rows, columns int) {
	rows, columns = defaultRows, defaultWidth
	fd, ok := descriptor(stream)
	if !ok {
		return rows, columns
	}
	ws, err := unix.IoctlGetWinsize(fd, unix.TIOCGWINSZ)
	if err != nil {
		return rows, columns
	}
	return cmp.Or(int(ws.Row), rows), cmp.Or(int(ws.Col), columns)
}

// rawMode takes echo, line editing and signals from a terminal, so that a key is a
// byte. Output stays as it is. It returns the way back, which may be called twice.
func rawMode(stream any) (restore func(), err error) {
	fd, ok := descriptor(stream)
	if !ok {
		return func() {}, nil
	}
	before, err := unix.IoctlGetTermios(fd, unix.TCGETS)
	if err != nil {
		return nil, err
	}
	raw := *before
	raw.Iflag &^= unix.IGNBRK | unix.BRKINT | unix.PARMRK | unix.ISTRIP | unix.INLCR | unix.IGNCR | unix.ICRNL | unix.IXON
	raw.Lflag &^= unix.ECHO | unix.ECHONL | unix.ICANON | unix.ISIG | unix.IEXTEN
	raw.Cflag &^= unix.CSIZE | unix.PARENB
	raw.Cflag |= unix.CS8
	raw.Cc[unix.VMIN], raw.Cc[unix.VTIME] = 1, 0
	if err := unix.IoctlSetTermios(fd, unix.TCSETS, &raw); err != nil {
		return nil, err
	}
	// Not TCSETSW: waiting for a terminal that stands still could last for ever.
	return take(func() { unix.IoctlSetTermios(fd, unix.TCSETS, before) }), nil
}

// dropTyped forgets what was typed and not read yet.
func dropTyped(stream any) {
	if fd, ok := descriptor(stream); ok {
		unix.IoctlSetInt(fd, unix.TCFLSH, unix.TCIFLUSH)
	}
}
