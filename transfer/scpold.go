package transfer

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"path"
	"strconv"
	"strings"

	"golang.org/x/crypto/ssh"
)

// The old scp protocol, for servers without sftp: "scp -t" there takes a line for the file, its bytes and a zero, and
// "scp -f" gives them; a zero answers each step, a one or a two and a line refuse it. It knows neither offsets nor
// renames, so what breaks starts again, and mv renames where the account may run it.

const (
	// maxSCPLine bounds a line of the protocol, and what a command may say, in bytes.
	maxSCPLine = 8 << 10
	oldSCP     = "the server offers no sftp, so the old scp protocol is used: what breaks starts again"
)

// scpRefusal is what scp on the server says instead of going on.
type scpRefusal struct {
	words  string
	status int // with which it ended, 0 where it did not
}

func (r *scpRefusal) Error() string { return "the server answered " + r.words }

// remote is a command that runs on the server.
type remote struct {
	*ssh.Session
	in   io.WriteCloser
	out  *bufio.Reader
	said capped // on its standard error
}

func (s *sftpServer) start(command string) (*remote, error) {
	session, err := s.ssh.NewSession()
	if err != nil {
		return nil, err
	}
	r := &remote{Session: session, said: capped{over: session.Close}}
	session.Stderr = &r.said
	in, inErr := session.StdinPipe()
	out, outErr := session.StdoutPipe()
	if err := errors.Join(inErr, outErr, session.Start(command)); err != nil {
		session.Close()
		return nil, err
	}
	r.in, r.out = in, bufio.NewReaderSize(out, copyBuffer)
	return r, nil
}

// run is what command, which gets no input, writes until it ends. A status other than 0 is an *ssh.ExitError.
func (s *sftpServer) run(command string) (string, error) {
	session, err := s.ssh.NewSession()
	if err != nil {
		return "", err
	}
	defer session.Close()
	out, said := capped{over: session.Close}, capped{over: session.Close}
	session.Stdout, session.Stderr = &out, &said
	if err = session.Run(command); err != nil && said.String() != "" {
		err = &worded{"the server answered " + said.String(), err}
	}
	return out.String(), err
}

// capped keeps what a command says, and ends one that says too much. It is no bytes.Buffer: that would read without end.
type capped struct {
	text []byte
	over func() error
}

func (c *capped) Write(p []byte) (int, error) {
	n := min(len(p), maxSCPLine-len(c.text))
	c.text = append(c.text, p[:n]...)
	if n < len(p) {
		c.over()
		return n, errUnreadable
	}
	return n, nil
}

func (c *capped) String() string { return strings.TrimSpace(string(c.text)) }

// quoted is name as one word for the server's shell.
func quoted(name string) string { return "'" + strings.ReplaceAll(name, "'", `'\''`) + "'" }

// answer reads the answer to one step.
func (r *remote) answer() error {
	code, err := r.out.ReadByte()
	if err != nil {
		return r.ended(err)
	}
	return r.judge(code)
}

func (r *remote) judge(code byte) error {
	switch code {
	case 0:
		return nil
	case 1, 2:
		words, err := scpLine(r.out)
		if err != nil {
			return err
		}
		return &scpRefusal{words: words}
	}
	return errUnreadable
}

// ended puts what the command has said before the end of its output.
func (r *remote) ended(err error) error {
	if err != io.EOF {
		return err
	}
	waited := r.Wait()
	if exit, ok := errors.AsType[*ssh.ExitError](waited); ok && r.said.String() != "" {
		return &scpRefusal{r.said.String(), exit.ExitStatus()}
	}
	return io.ErrUnexpectedEOF
}

func scpLine(lines *bufio.Reader) (string, error) {
	var line []byte
	for {
		b, err := lines.ReadByte()
		switch {
		case err == io.EOF:
			return "", io.ErrUnexpectedEOF
		case err != nil:
			return "", err
		case b == '\n':
			return string(line), nil
		case len(line) == maxSCPLine:
			return "", fmt.Errorf("the server's line is longer than %d bytes", maxSCPLine)
		}
		line = append(line, b)
	}
}

// scpSize reads the line that stands before a file, without its C: "0644 SIZE NAME".
func scpSize(line string) (int64, error) {
	fields := strings.SplitN(line, " ", 3)
	if len(fields) != 3 || fields[2] == "" {
		return 0, errUnreadable
	}
	if _, err := strconv.ParseUint(fields[0], 8, 16); err != nil {
		return 0, errUnreadable
	}
	size, err := strconv.ParseUint(fields[1], 10, 63)
	if err != nil {
		return 0, errUnreadable
	}
	return int64(size), nil
}

// scpOldStore makes one attempt with the old protocol. It reports whether the part may be there now.
func (u *upload) scpOldStore(ctx context.Context, server *sftpServer, part string) (left bool, err error) {
	u.notice(oldSCP)
	u.safe = 0
	source, err := u.open(ctx, 0)
	if err != nil {
		return false, err
	}
	defer source.Close()
	if source.size < 0 {
		return false, u.wrap(OpCreate, Refused, errors.New("the server offers no sftp, and the old scp protocol must know the size first"),
			"turn on the server's sftp subsystem, or send a finished file")
	}
	renames, err := u.scpRenames(ctx, server)
	if err != nil {
		return false, err
	}
	if !renames {
		u.notice("the account may not run mv, so the file grows under its final name")
		if err := server.take(u.target.Path, source); err != nil {
			return false, u.mayHaveStayed(server.oldFault(ctx, OpWrite, err))
		}
		return false, nil
	}
	if err := server.take(part, source); err != nil {
		return true, server.oldFault(ctx, OpWrite, err)
	}
	size, err := server.run("wc -c <" + quoted(part))
	if err != nil {
		return true, server.oldFault(ctx, OpVerify, err)
	}
	stored, err := strconv.ParseInt(size, 10, 64)
	if err != nil {
		return true, server.oldFault(ctx, OpVerify, errUnreadable)
	}
	if err := u.verify(stored); err != nil {
		return true, err
	}
	if _, err := server.run("mv -f " + quoted(part) + " " + quoted(u.target.Path)); err != nil {
		return true, server.oldFault(ctx, OpRename, err)
	}
	return false, nil
}

// scpRenames asks whether the account may run mv; accounts that may run scp alone answer something else. A folder in
// the file's place is found on the way.
func (u *upload) scpRenames(ctx context.Context, server *sftpServer) (bool, error) {
	said, err := server.run(`sh -c 'test -d "$1" && echo folder; command -v mv' sh ` + quoted(u.target.Path))
	if ctx.Err() != nil || server.line.failure() != nil {
		return false, server.oldFault(ctx, OpCreate, err)
	}
	lines := strings.Fields(said)
	if len(lines) > 0 && lines[0] == "folder" {
		return false, u.isFolder()
	}
	return len(lines) == 1 && path.Base(lines[0]) == "mv", nil
}

// take has the server store source as name.
func (s *sftpServer) take(name string, source *reader) error {
	to, err := s.start("scp -t " + quoted(name))
	if err != nil {
		return err
	}
	defer to.Close()
	if err := to.answer(); err != nil {
		return err
	}
	if _, err := fmt.Fprintf(to.in, "C0644 %d %s\n", source.size, path.Base(name)); err != nil {
		return err
	}
	if err := to.answer(); err != nil {
		return err
	}
	_, err = io.CopyBuffer(struct{ io.Writer }{to.in}, source, make([]byte, copyBuffer))
	if err == nil {
		_, err = to.in.Write([]byte{0})
	}
	if err != nil && (s.ours() != nil || s.line.failure() != nil) {
		return err
	}
	if err := to.answer(); err != nil { // or why it takes no more
		return err
	}
	to.in.Close()
	return to.Wait()
}

func (s *sftpServer) removeOld(ctx context.Context, name string) error {
	if _, err := s.run("rm -f " + quoted(name)); err != nil {
		return s.oldFault(ctx, OpDelete, err)
	}
	return nil
}

func (s *session) isFolder() error {
	return s.wrap(OpCreate, Refused, fmt.Errorf("%s is a folder", s.target.Path), "end the URL with / to store the file in it under its own name")
}

// oldFault turns what a command has said into words.
func (s *sftpServer) oldFault(ctx context.Context, op Op, err error) error {
	if ctx.Err() != nil || s.ours() != nil {
		return s.session.fault(ctx, op, err)
	}
	if cause := s.line.failure(); cause != nil {
		return s.session.fault(ctx, op, cause)
	}
	refusal, refused := errors.AsType[*scpRefusal](err)
	exit, ended := errors.AsType[*ssh.ExitError](err)
	switch {
	case refused && refusal.status == 127: // the shell's word for what it does not find
		return s.wrap(OpLogin, Refused, inWords(err, "the server offers no sftp, and no scp"), "turn on the server's sftp subsystem for this user")
	case refused:
		return s.wrap(op, Refused, refusal, "check the path, the permissions and the server's disk; scp paths begin at the root")
	case ended && strings.HasPrefix(err.Error(), "the server answered"):
		return s.wrap(op, Refused, err, "check the permissions of the folder")
	case ended:
		return s.wrap(op, Refused, &worded{fmt.Sprintf("the command on the server ended with status %d", exit.ExitStatus()), err}, "check the server's disk and the user's quota")
	}
	return s.session.fault(ctx, op, err)
}

// scpOld makes one attempt with the old protocol, from the beginning.
func (d *download) scpOld(ctx context.Context, server *sftpServer) error {
	d.notice(oldSCP)
	from, err := server.start("scp -f " + quoted(d.target.Path))
	if err != nil {
		return server.oldFault(ctx, OpReceive, err)
	}
	defer from.Close()
	size, err := from.offer()
	if err != nil {
		return server.oldFault(ctx, OpReceive, err)
	}
	if _, err := d.from(size, ""); err != nil {
		return err
	}
	if _, err := from.in.Write([]byte{0}); err != nil {
		return server.oldFault(ctx, OpReceive, err)
	}
	n, err := d.ReadFrom(io.LimitReader(from.out, size))
	if err == nil && n < size {
		err = from.ended(io.EOF)
	}
	if err == nil {
		err = from.answer()
	}
	if err != nil {
		return server.oldFault(ctx, OpReceive, err)
	}
	from.in.Write([]byte{0})
	return d.received(ctx, nil)
}

// offer asks for the file and returns its size.
func (r *remote) offer() (int64, error) {
	if _, err := r.in.Write([]byte{0}); err != nil {
		return 0, r.ended(err) // io.EOF: the command is gone already
	}
	kind, err := r.out.ReadByte()
	switch {
	case err != nil:
		return 0, r.ended(err)
	case kind != 'C':
		if err := r.judge(kind); err != nil {
			return 0, err
		}
		return 0, errUnreadable
	}
	line, err := scpLine(r.out)
	if err != nil {
		return 0, err
	}
	return scpSize(line)
}
