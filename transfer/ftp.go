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
	left, err := u.ftpStore(ctx, part, false)
	if missing, ok := errors.AsType[*noDataConnection](err); ok && missing.ipv4 && ctx.Err() == nil {
		left, err = u.ftpStore(ctx, part, true)
	}
	if u.mayUseGateway(err) {
		return u.ftpGateway(ctx, err)
	}
	if left {
		return u.discard(ctx, err, part, func(ctx context.Context) error { return u.ftpRemove(ctx, part) })
	}
	return err
}

// ftpStore reports whether it may have left the part on the server.
func (u *upload) ftpStore(ctx context.Context, part string, pasv bool) (left bool, err error) {
	server, err := u.ftpLogin(ctx, pasv)
	if err != nil {
		return false, err
	}
	defer server.Quit()
	source, err := u.open(ctx)
	if err != nil {
		return false, err
	}
	defer source.Close()

	if err := stor(server, part, source); err != nil {
		refused := source.count() == 0 && isReply(err, 550, 553)
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
	return u.ftpRename(ctx, server, part)
}

// stor is Stor without the library's panics: it slices the answer to PASV before it looks at it.
func stor(server *ftp.ServerConn, name string, source io.Reader) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("the server's answer cannot be understood: %v", p)
		}
	}()
	return server.Stor(name, source)
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

func (s *session) ftpRemove(ctx context.Context, part string) error {
	server, err := s.ftpLogin(ctx, false)
	if err != nil {
		return err
	}
	defer server.Quit()
	if err := server.Delete(part); err != nil && !isReply(err, 550) {
		return err
	}
	return nil // 550: it is not there, the server has tidied up itself
}

// ftpLogin connects, logs in and enters the target's folder.
func (s *session) ftpLogin(ctx context.Context, pasv bool) (*ftp.ServerConn, error) {
	line, err := s.ftpDial(ctx)
	if err != nil {
		return nil, err
	}
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
	case fault.Kind == Cancelled || fault.Kind == ConnectionLost || garbled || errors.Is(err, errLongReply):
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
