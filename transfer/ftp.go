package transfer

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/textproto"
	"slices"
	"strings"

	"github.com/jlaffaye/ftp"
)

// ftp uploads with STOR to a part, SIZE and a rename. A data connection that does not come about with EPSV is tried
// once more with PASV, since firewalls and address translators know the older command better; the address that PASV
// tells is ignored.
func (u *upload) ftp(ctx context.Context) error {
	part := partName(u.target.name())
	var locked []string
	pasv, left := false, false
	err := u.retry(ctx, func() int64 { return u.safe }, func() error {
		for {
			before, again := u.safe, left
			stays, err := u.ftpStore(ctx, part, pasv, left)
			left = stays
			if again && left && u.safe <= before && isLost(err) {
				// A session whose end the server has not noticed may keep the part locked; vsftpd does, for five minutes.
				locked, part, left, u.safe = append(locked, part), partName(u.target.name()), false, 0
			}
			missing, ok := errors.AsType[*noDataConnection](err)
			if !ok || !missing.ipv4 || pasv || ctx.Err() != nil {
				return err
			}
			pasv = true
		}
	})
	if u.mayUseGateway(err) {
		nothing := func() int64 { return 0 }
		refused := err
		return u.retry(ctx, nothing, func() error { return u.ftpGateway(ctx, refused) })
	}
	if left {
		locked = append(locked, part)
	}
	lost := err == nil || isLost(err)
	for _, part := range locked {
		err = u.discard(ctx, err, part, func(ctx context.Context) error { return u.ftpRemove(ctx, part, lost) })
	}
	return err
}

func isLost(err error) bool {
	fault, ok := errors.AsType[*Error](err)
	return ok && fault.Kind == ConnectionLost
}

// ftpStore makes one attempt; there says that an earlier one may have left the part on the server. It reports whether
// the part may be there now.
func (u *upload) ftpStore(ctx context.Context, part string, pasv, there bool) (left bool, err error) {
	u.begin()
	server, err := u.ftpLogin(ctx, pasv)
	if err != nil {
		return there, err
	}
	defer server.Quit()
	if there {
		u.safe = u.ftpHas(server, part)
	}
	source, err := u.open(ctx, u.safe)
	if err != nil {
		return there, err
	}
	defer func() { source.Close() }()

	err = stor(server, part, source, u.safe)
	if u.safe > 0 && source.count() == u.safe && isReply(err, 451, 500, 501, 502, 504, 550, 553) {
		// It does not go on with a file; proftpd as it is installed does not.
		u.safe = 0
		source.Close()
		if source, err = u.open(ctx, 0); err != nil {
			return true, err
		}
		err = stor(server, part, source, 0)
	}
	if err != nil {
		refused := !there && source.count() == 0 && isReply(err, 550, 553)
		return !refused, u.ftpStoreFault(ctx, err)
	}
	stored, err := server.FileSize(part)
	switch {
	case err == nil:
		if err := u.verify(stored); err != nil {
			return true, err
		}
	case !isReply(err, 500, 502, 504, 550):
		return true, u.ftpFault(ctx, OpVerify, err)
	default: // SIZE is not of the original protocol; the 226 after the data is then the server's word
	}
	if err := u.verifySum(ctx, part); err != nil {
		return true, err
	}
	return u.ftpRename(ctx, server, part)
}

var errUnreadable = errors.New("the server's answer cannot be understood")

// stor is Stor without the library's panics: it slices the answer to PASV before it looks at it.
func stor(server *ftp.ServerConn, name string, source io.Reader, from int64) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = errUnreadable
		}
	}()
	return server.StorFrom(name, source, uint64(from))
}

// ftpHas is how much of the part the server holds. The part's name is ours alone and data comes in order, so that is a
// prefix of the file; more than was ever sent is not. It goes on with REST and STOR and not with APPE: what an earlier
// connection still has to write then falls on the same bytes.
func (u *upload) ftpHas(server *ftp.ServerConn, part string) int64 {
	size, err := server.FileSize(part)
	if err != nil || size < 0 || size > u.sent {
		return 0
	}
	return size
}

// ftpRename also replaces a file on servers whose RNTO does not.
func (u *upload) ftpRename(ctx context.Context, server *ftp.ServerConn, part string) (left bool, err error) {
	name := u.target.name()
	err = server.Rename(part, name)
	if err == nil {
		return false, nil
	}
	if !isReply(err, 550, 553) || server.Delete(name) != nil {
		return true, u.ftpFault(ctx, OpRename, err)
	}
	if err := server.Rename(part, name); err != nil {
		// The old file is gone, so the part is the only one there is.
		return false, addHint(u.ftpFault(ctx, OpRename, err), "the whole file lies on the server as "+part)
	}
	return false, nil
}

// ftpRemove deletes a part. That it is not there is well, unless a connection was lost: the server may begin it yet.
func (s *session) ftpRemove(ctx context.Context, part string, lost bool) error {
	server, err := s.ftpLogin(ctx, false)
	if err != nil {
		return err
	}
	defer server.Quit()
	if err := server.Delete(part); err != nil && (lost || !isReply(err, 550)) {
		return err
	}
	return nil
}

// ftpLogin connects, logs in and enters the target's folder.
func (s *session) ftpLogin(ctx context.Context, pasv bool) (*ftp.ServerConn, error) {
	line, err := s.ftpDial(ctx)
	if err != nil {
		return nil, err
	}
	s.control = line.control
	options := []ftp.DialOption{ftp.DialWithDialFunc(line.dialFunc(ctx)), ftp.DialWithDisabledEPSV(pasv)}
	if line.tls != nil {
		// Only makes Login ask for protected data connections (PBSZ, PROT): the handshakes are ours.
		options = append(options, ftp.DialWithTLS(line.tls))
	} else {
		s.notice("the ftp server offers no TLS: the password and the file travel in the clear")
	}
	server, err := ftp.Dial(s.target.addr(), options...)
	if err != nil {
		line.control.Close()
		return nil, s.ftpFault(ctx, OpConnect, err)
	}
	user, password := s.o.User, s.o.Password
	if user == "" {
		user, password = "anonymous", "anonymous@"
	}
	if err := server.Login(user, password); err != nil {
		server.Quit()
		return nil, s.ftpLoginFault(ctx, user, err)
	}
	for _, folder := range ftpFolders(s.target.folder()) {
		if err := server.ChangeDir(folder); err != nil {
			server.Quit()
			if reply, ok := errors.AsType[*textproto.Error](err); ok {
				return nil, s.wrap(OpCreate, Refused, inWords(saying(reply), "folder %q", folder),
					"check that the folder exists and that the user may enter it; a path is relative to the login folder unless it begins with //")
			}
			return nil, s.ftpFault(ctx, OpCreate, err)
		}
	}
	return server, nil
}

// ftpFolders are the CWD commands that lead to folder: one for each level, since servers do not agree on what
// separates levels. A path that begins with "//" starts at the root.
func ftpFolders(folder string) []string {
	var levels []string
	if strings.HasPrefix(folder, "//") {
		levels = append(levels, "/")
	}
	for level := range strings.SplitSeq(folder, "/") {
		if level != "" {
			levels = append(levels, level)
		}
	}
	return levels
}

func (u *upload) ftpStoreFault(ctx context.Context, err error) error {
	op := OpWrite
	if u.reader.count() == 0 || isReply(err, 550, 553) {
		op = OpCreate
	}
	return u.ftpFault(ctx, op, err)
}

func (s *session) ftpLoginFault(ctx context.Context, user string, err error) error {
	fault := s.ftpFault(ctx, OpLogin, err).(*Error)
	reply, answered := errors.AsType[*textproto.Error](err)
	_, garbled := errors.AsType[textproto.ProtocolError](err)
	switch {
	case fault.ended() || fault.Kind == ConnectionLost || garbled || errors.Is(err, errLongReply):
		return fault
	case answered && (reply.Code == 421 || reply.Code == 500 || reply.Code == 502):
		return fault
	case answered && (reply.Code == 503 || reply.Code == 504 || reply.Code >= 533 && reply.Code <= 536):
		return s.wrap(OpTLS, Refused, inWords(saying(reply), "protecting the data connection"), "")
	case answered:
		err = saying(reply)
	}
	// The library hands the answer to USER on without its code.
	return s.wrap(OpLogin, LoginRefused, inWords(err, "user %q", user), "check --user and --password")
}

// ftpFault puts the server's own answer before whatever followed from it.
func (s *session) ftpFault(ctx context.Context, op Op, err error) error {
	reply, ok := errors.AsType[*textproto.Error](err)
	if !ok || ctx.Err() != nil || s.ours() != nil {
		return s.fault(ctx, op, err)
	}
	hint := ""
	switch reply.Code {
	case 421:
		hint = "the server is closing or has too many sessions: try again later"
	case 425, 426:
		hint = "the data connection did not hold: check firewalls and the server's passive ports"
	case 452, 552:
		hint = "check the server's disk and the user's quota"
	case 450, 550, 553:
		hint = "check that the user may write there; end the URL with / when its last part is a folder"
	}
	return s.wrap(op, Refused, saying(reply), hint)
}

func saying(reply *textproto.Error) error {
	return &worded{fmt.Sprintf("the server answered %d %s", reply.Code, reply.Msg), reply}
}

// isReply says whether err is one of the server's answers with one of codes.
func isReply(err error, codes ...int) bool {
	reply, ok := errors.AsType[*textproto.Error](err)
	return ok && slices.Contains(codes, reply.Code)
}
