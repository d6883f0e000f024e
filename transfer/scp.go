package transfer

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"time"

	"github.com/pkg/sftp"
	"golang.org/x/crypto/ssh"
)

const (
	// sftpPacket is the largest write that OpenSSH takes. Larger ones make it answer short, silently.
	sftpPacket = 261120
	// sftpPlainPacket is what every server takes.
	sftpPlainPacket = 32768
	// sftpAhead is how many writes may be on their way unanswered.
	sftpAhead = 64
)

// scp uploads over the SFTP protocol with writes on the way concurrently, to a part that is renamed when it is whole.
// After a failure the part may have holes behind
// u.safe, so it goes on from there or is removed.
func (u *upload) scp(ctx context.Context) error {
	if err := u.needUser(); err != nil {
		return err
	}
	part := u.target.folder() + partName(u.target.name())
	left := false
	err := u.retry(ctx, func() int64 { return u.safe }, func() (err error) {
		left, err = u.scpStore(ctx, part, left)
		return err
	})
	if left {
		return u.discard(ctx, err, part, func(ctx context.Context) error { return u.scpRemove(ctx, part, isLost(err)) })
	}
	return err
}

func (s *session) needUser() error {
	if s.o.User == "" {
		return s.wrap(OpLogin, LoginRefused, errors.New("scp needs a user"), "name one with --user")
	}
	return nil
}

// scpStore makes one attempt; there says that an earlier one may have left the part on the server. It reports whether
// the part may be there now.
func (u *upload) scpStore(ctx context.Context, part string, there bool) (left bool, err error) {
	u.begin()
	server, err := u.scpLogin(ctx)
	if err != nil {
		return there, err
	}
	defer server.close()
	ctx, cancel := server.whileThere(ctx)
	defer cancel()
	if server.files == nil {
		left, err := u.scpOldStore(ctx, server, part)
		return there || left, err
	}
	flags := os.O_WRONLY | os.O_CREATE
	if !there {
		flags |= os.O_EXCL
	} else if info, err := server.files.Stat(part); err != nil || info.Size() < u.safe {
		u.safe = 0
	}
	source, err := u.open(ctx, u.safe)
	if err != nil {
		return there, err
	}
	defer source.Close()

	// Found now, not at the rename, when all of the file is there.
	asked := time.Now()
	info, err := server.files.Stat(u.target.Path)
	roundTrip := time.Since(asked)
	if err == nil && info.IsDir() {
		return there, u.isFolder()
	}
	file, err := server.files.OpenFile(part, flags)
	if err != nil {
		_, answered := errors.AsType[*sftp.StatusError](err)
		answered = answered || errors.Is(err, os.ErrNotExist) || errors.Is(err, os.ErrPermission)
		return there || !answered, server.fault(ctx, OpCreate, err)
	}
	if server.worthLanes(roundTrip, source.size-u.safe) {
		err = u.scpLanes(ctx, server, file, part, source)
	} else {
		err = u.scpOneLane(ctx, server, file, source)
	}
	if err != nil {
		return true, err
	}
	if err := file.Close(); err != nil {
		return true, server.fault(ctx, OpWrite, err)
	}
	if info, err = server.files.Stat(part); err != nil {
		return true, server.fault(ctx, OpVerify, err)
	}
	if err := u.verify(info.Size()); err != nil {
		return true, err
	}
	return u.sftpRename(ctx, server, part)
}

// scpOneLane sends over the one connection that there is.
func (u *upload) scpOneLane(ctx context.Context, server *sftpServer, file *sftp.File, source io.Reader) error {
	if _, err := file.Seek(u.safe, io.SeekStart); err != nil {
		return server.fault(ctx, OpWrite, err)
	}
	if _, err := file.ReadFromWithConcurrency(source, sftpAhead); err != nil {
		// Writes are answered out of order; the file's offset is where the first one failed.
		u.safe, _ = file.Seek(0, io.SeekCurrent)
		return server.fault(ctx, OpWrite, err)
	}
	return nil
}

// sftpRename replaces a file of that name in one step where the server can. Plain SFTP renames never replace.
func (u *upload) sftpRename(ctx context.Context, server *sftpServer, part string) (left bool, err error) {
	name, files := u.target.Path, server.files
	if _, ok := files.HasExtension("posix-rename@openssh.com"); ok {
		if err := files.PosixRename(part, name); err != nil {
			return true, server.fault(ctx, OpRename, err)
		}
		return false, nil
	}
	err = files.Rename(part, name)
	if err == nil {
		return false, nil
	}
	if there, statErr := files.Lstat(name); statErr != nil || !there.Mode().IsRegular() || files.Remove(name) != nil {
		return true, server.fault(ctx, OpRename, err)
	}
	if err := files.Rename(part, name); err != nil {
		// The old file is gone, so the part is the only one there is.
		return false, addHint(server.fault(ctx, OpRename, err), "the whole file lies on the server as "+part)
	}
	return false, nil
}

// scpRemove is to scp what ftpRemove is to ftp.
func (s *session) scpRemove(ctx context.Context, part string, lost bool) error {
	server, err := s.scpLogin(ctx)
	if err != nil {
		return err
	}
	defer server.close()
	if server.files == nil {
		return server.removeOld(ctx, part)
	}
	if err := server.files.Remove(part); err != nil && (lost || !errors.Is(err, os.ErrNotExist)) {
		return err
	}
	return nil
}

// serverGone is why a transfer's context ends when its connection does.
type serverGone struct{ cause error }

func (g *serverGone) Error() string { return plainWords(g.cause) }

// sftpServer is an SFTP session and the connection that carries it.
type sftpServer struct {
	*session
	line  *conn
	ssh   *ssh.Client
	files *sftp.Client // nil where the server offers no sftp
}

// whileThere ends a context with the connection: a source that waits for its writer does not notice that the server has
// gone.
func (s *sftpServer) whileThere(outer context.Context) (context.Context, func()) {
	ctx, cancel := context.WithCancelCause(outer)
	go func() {
		s.ssh.Wait()
		if outer.Err() == nil {
			cancel(s.gone())
		}
	}()
	return ctx, func() { cancel(nil) }
}

// gone says why the connection has ended.
func (s *sftpServer) gone() *serverGone {
	cause := s.line.failure()
	if cause == nil {
		cause = io.ErrUnexpectedEOF // the server ended the session and not the connection
	}
	return &serverGone{cause}
}

func (s *sftpServer) close() {
	s.ssh.Close() // the session ends with it
	if s.files != nil {
		s.files.Close()
	}
}

// scpLogin logs in; large are options for a server that takes packets of sftpPacket.
// Where the server offers no sftp there is a connection without files.
func (s *session) scpLogin(ctx context.Context, large ...sftp.ClientOption) (*sftpServer, error) {
	line, client, err := s.sshLogin(ctx)
	if err != nil {
		return nil, err
	}
	if s.noSFTP {
		return &sftpServer{s, line, client, nil}, nil
	}
	// Whoever tells its limits is OpenSSH or does as it does; others get what every server must take.
	files, err := sftp.NewClient(client, append([]sftp.ClientOption{sftp.MaxPacketUnchecked(sftpPacket)}, large...)...)
	if err == nil {
		if _, ok := files.HasExtension("limits@openssh.com"); !ok {
			files.Close()
			files, err = sftp.NewClient(client, sftp.MaxPacketUnchecked(sftpPlainPacket))
		}
	}
	switch {
	case err != nil && ctx.Err() == nil && line.failure() == nil && hasNoSFTP(err):
		// On a new connection: what could not be started makes dropbear 2022.83 end the next command early.
		client.Close()
		s.noSFTP = true
		return s.scpLogin(ctx)
	case err != nil:
		client.Close()
		fault := s.fault(ctx, OpLogin, err).(*Error)
		if !fault.ended() {
			fault = s.wrap(OpLogin, Refused, inWords(err, "the server offers no sftp"), "turn on the server's sftp subsystem for this user")
		}
		return nil, fault
	}
	return &sftpServer{s, line, client, files}, nil
}

// hasNoSFTP judges the answer to the request for sftp: a refusal, or the end of what could not be started.
func hasNoSFTP(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || strings.Contains(err.Error(), "subsystem request failed")
}

// sshLogin connects and logs in. A host key that is not known is decided about first, on a connection that ends with
// it; nothing but the key was exchanged then.
func (s *session) sshLogin(ctx context.Context) (*conn, *ssh.Client, error) {
	for {
		check, err := s.newHostKeyCheck()
		if err != nil {
			return nil, nil, err
		}
		line, client, err := s.sshHandshake(ctx, &ssh.ClientConfig{
			User:              s.o.User,
			Auth:              s.sshAuth(),
			HostKeyCallback:   check.judge,
			HostKeyAlgorithms: check.algorithms,
		})
		switch {
		case err == nil:
			return line, client, nil
		case ctx.Err() != nil:
			return nil, nil, s.fault(ctx, OpConnect, err)
		case check.unknown:
			if err := s.settle(ctx, check.shown); err != nil {
				return nil, nil, err
			}
		case check.fault != nil:
			return nil, nil, check.fault
		case check.accepted:
			return nil, nil, s.sshLoginFault(ctx, err)
		default:
			return nil, nil, s.withoutKnownType(ctx, check, err)
		}
	}
}

// sshAuth is what the user can be proven with. An empty password is no proof where there is a key.
func (s *session) sshAuth() []ssh.AuthMethod {
	var methods []ssh.AuthMethod
	if s.o.Key != nil {
		methods = append(methods, ssh.PublicKeys(s.o.Key))
	}
	if s.o.Key == nil || s.o.Password != "" {
		methods = append(methods, ssh.Password(s.o.Password), ssh.KeyboardInteractive(s.answerQuestions))
	}
	return methods
}

// withoutKnownType looks again when the server has no key of a type that is known for it: that is a changed key too.
func (s *session) withoutKnownType(ctx context.Context, check *hostKeyCheck, err error) error {
	negotiation, ok := errors.AsType[*ssh.AlgorithmNegotiationError](err)
	if !ok || negotiation.What != "host key" {
		return err
	}
	got, fetchErr := s.fetchKey(ctx, hostKeyAlgorithms)
	if fetchErr != nil {
		return err
	}
	again := *check
	again.judge(s.target.addr(), &net.TCPAddr{IP: net.IPv4zero}, got)
	if again.fault != nil {
		return again.fault
	}
	return err
}

// sshHandshake connects and makes an SSH connection of it, within the idle time-out as a whole: a server that drips
// must not hold it open.
func (s *session) sshHandshake(ctx context.Context, config *ssh.ClientConfig) (*conn, *ssh.Client, error) {
	raw, err := s.dial(ctx, s.target.addr())
	if err != nil {
		return nil, nil, s.fault(ctx, OpConnect, err)
	}
	line := gather(raw)
	limit := time.AfterFunc(s.o.IdleTimeout, func() { line.Close() })
	connection, channels, requests, err := ssh.NewClientConn(line, s.target.addr(), config)
	if !limit.Stop() && ctx.Err() == nil {
		err = &worded{"the SSH handshake did not end within " + s.o.IdleTimeout.String(), os.ErrDeadlineExceeded}
	}
	if err != nil {
		line.Close()
		return nil, nil, s.fault(ctx, OpHostKey, err)
	}
	return raw, ssh.NewClient(connection, channels, requests), nil
}

// answerQuestions gives the password to every question that hides its answer. Others ask for something that is not
// ours to know.
func (s *session) answerQuestions(_, _ string, questions []string, echos []bool) ([]string, error) {
	answers := make([]string, len(questions))
	for i, question := range questions {
		if echos[i] {
			return nil, fmt.Errorf("the server asks %q", question)
		}
		answers[i] = s.o.Password
	}
	return answers, nil
}

func (s *session) sshLoginFault(ctx context.Context, err error) error {
	fault := s.fault(ctx, OpLogin, err).(*Error)
	fault.Op = OpLogin
	cause := errors.Unwrap(fault)
	if fault.Kind == ConnectionLost {
		fault.Hint = "check --user and --password; servers hang up after too many failures"
		return fault
	}
	if strings.Contains(cause.Error(), "unable to authenticate") {
		with, hint := "with this password", "check --user and --password"
		switch {
		case s.o.Key != nil && s.o.Password == "":
			with, hint = "with this appliance's key", "put the line that impctl ssh-key show prints into the account's authorized_keys, or give --password"
		case s.o.Password == "":
			with = "without a password"
		}
		return s.wrap(OpLogin, LoginRefused, &worded{fmt.Sprintf("the server refused user %q %s", s.o.User, with), cause}, hint)
	}
	return s.wrap(OpLogin, LoginRefused, cause, "check --user and --password")
}

// fault turns the server's status into words.
func (s *sftpServer) fault(ctx context.Context, op Op, err error) error {
	if ctx.Err() != nil || s.ours() != nil {
		return s.session.fault(ctx, op, err)
	}
	_, answered := errors.AsType[*sftp.StatusError](err)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return s.wrap(op, Refused, &worded{fmt.Sprintf("there is no folder %s", s.target.folder()), err}, "check that the folder exists; scp paths begin at the root")
	case errors.Is(err, os.ErrPermission):
		return s.wrap(op, Refused, &worded{fmt.Sprintf("user %q may not write in %s", s.o.User, s.target.folder()), err}, "check the permissions of the folder")
	case answered && op == OpRename:
		return s.wrap(op, Refused, inWords(err, "the server answered"), "end the URL with / when its last part is a folder")
	case answered:
		return s.wrap(op, Refused, inWords(err, "the server answered"), "check the server's disk and the user's quota")
	}
	if errors.Is(err, sftp.ErrSSHFxConnectionLost) {
		err = s.gone().cause
	}
	return s.session.fault(ctx, op, err)
}
