package shell

// The rules of the terminal:
//
//   - Standard output carries results and nothing else. Errors, hints, progress
//     and questions go to standard error.
//   - An error is one line, "sealgate: error: …", and where something can be done
//     there is a second one, "sealgate: hint: …".
//   - What comes from the daemon is filtered, always, pipe or terminal.
//   - Progress is one line on a terminal, redrawn at most ten times a second, gone
//     before any other text and at the end; elsewhere there is none.
//   - A question's answer is typed after the question. A secret leaves no trace on
//     the screen, not even its length.
//   - No colours, no sound but the bell of an ambiguous Tab.

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"sealgate/control"
)

// console writes to the two output streams.
type console struct {
	mu       sync.Mutex
	out, err io.Writer
	outTerm  bool
	errTerm  bool
	errWidth func() int
	clock    func() time.Time
	progress progress
	drawn    bool  // a progress line stands on the terminal
	midLine  bool  // the last text did not end its line
	broken   error // why standard output takes no more
}

func newConsole(std Streams) *console {
	return &console{
		out: std.Out, err: std.Err,
		outTerm: isTerminal(std.Out), errTerm: isTerminal(std.Err),
		errWidth: func() int { return realWidth(std.Err) },
		clock:    time.Now,
	}
}

// text shows what a command says.
func (c *console) text(stream control.Stream, s string) {
	if s == "" {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.clear()
	if stream == control.Out {
		c.writeOut(filterText(s))
	} else {
		io.WriteString(c.err, filterText(s))
	}
	if c.outTerm && stream == control.Out || c.errTerm && stream != control.Out {
		c.midLine = !strings.HasSuffix(s, "\n")
	}
}

func (c *console) writeOut(s string) {
	if c.broken == nil {
		_, c.broken = io.WriteString(c.out, s)
	}
}

// report shows how far a command is.
func (c *console) report(p control.Progress) {
	if !c.errTerm {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.progress.update(c.clock(), p) && !c.midLine {
		// The last column stays free: some terminals wrap when it is written.
		fmt.Fprintf(c.err, "\r%s\x1b[K", c.progress.line(c.errWidth()-1))
		c.drawn = true
	}
}

func (c *console) clear() {
	if c.drawn {
		io.WriteString(c.err, "\r\x1b[K")
		c.drawn = false
	}
}

// settle ends a command's output: no progress, and the next text starts a
// line.
func (c *console) settle() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.clear()
	c.progress = progress{}
	c.endLine()
}

func (c *console) endLine() {
	if !c.midLine {
		return
	}
	c.midLine = false
	if c.errTerm {
		io.WriteString(c.err, "\n")
	} else if c.outTerm {
		c.writeOut("\n")
	}
}

// note writes to standard error as it is: prompts, echo, line ends.
func (c *console) note(s string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.clear()
	io.WriteString(c.err, s)
}

// finish shows how a command ended and returns the exit status.
func (c *console) finish(res control.Result, err error) int {
	c.settle()
	if err != nil {
		return c.fail(err)
	}
	if res.Error != "" {
		c.complain(res.Error, res.Hint)
	}
	c.mu.Lock()
	broken := c.broken
	c.broken = nil
	c.mu.Unlock()
	if broken != nil && res.Exit == control.ExitDone {
		c.complain("standard output takes no more: "+broken.Error(), "the command itself is done; its output is incomplete")
		return control.ExitFailed
	}
	return res.Exit & 0xff
}

// fail shows an error of the shell's own and returns its exit status.
func (c *console) fail(err error) int {
	var e *Error
	if !errors.As(err, &e) {
		e = &Error{control.ExitFailed, err.Error(), ""}
	}
	c.complain(e.Problem, e.Hint)
	return e.Exit
}

func (c *console) complain(problem, hint string) {
	s := "sealgate: error: " + filterLine(problem) + "\n"
	if hint != "" {
		s += "sealgate: hint: " + filterLine(hint) + "\n"
	}
	c.note(s)
}
