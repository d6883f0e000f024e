// Package rootd is the root service: the few things that an appliance cannot
// do without root, as a closed list of verbs on a unix socket that only the
// supervisor may use. What the list does not name does not exist.
//
// It trusts nothing that it is told: the kernel says who speaks, every input is
// checked again, requests are bounded in size and time, and each is logged. It
// starts its own program and the distribution's tools by absolute path, with
// constant flags and an empty environment, never a shell.
package rootd

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/coreos/go-systemd/v22/activation"
	"golang.org/x/sys/unix"

	"sealgate/appliance"
	"sealgate/appliance/account"
	"sealgate/commands"
	"sealgate/control"
)

// Socket is where the service listens on an installed appliance.
const Socket = "/run/sealgate/root.sock"

// The verbs.
const (
	opAccountList   control.Op = "account-list"
	opAccountAdd    control.Op = "account-add"
	opAccountRemove control.Op = "account-remove"
	opAccountKey    control.Op = "account-key"
	opStartRole     control.Op = "start-role"
	opReboot        control.Op = "reboot"
	opPlace         control.Op = "release-place"
	opActivate      control.Op = "release-activate"
)

// call is one request being served.
type call struct {
	data    json.RawMessage
	files   []*os.File
	session *control.Session
}

// read takes the request's data into v, and nothing that v does not have.
func (c call) read(v any) error {
	d := json.NewDecoder(strings.NewReader(string(c.data)))
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		return refused("the request is not what this verb takes")
	}
	return nil
}

func (s *service) verb(op control.Op) func(context.Context, call) (any, error) {
	switch op {
	case opAccountList:
		return s.accountList
	case opAccountAdd:
		return s.accountAdd
	case opAccountRemove:
		return s.accountRemove
	case opAccountKey:
		return s.accountKey
	case opStartRole:
		return s.startRole
	case opReboot:
		return s.reboot
	case opPlace:
		return s.placeRelease
	case opActivate:
		return s.activateRelease
	}
	return nil
}

func refused(format string, args ...any) error {
	return &commands.Failure{Exit: control.ExitUsage, Text: fmt.Sprintf(format, args...)}
}

type service struct {
	log      *slog.Logger
	accounts sync.Mutex // one change at a time
	releases sync.Mutex // likewise
}

// Run serves until ctx ends, on the socket that systemd passed or at path.
func Run(ctx context.Context, path string, log *slog.Logger) error {
	if os.Geteuid() != 0 {
		return appliance.Faultf("systemd starts it: systemctl start sealgate-root.socket", "the root service needs root")
	}
	unix.Umask(0o077)
	ln, err := listener(path)
	if err != nil {
		return err
	}
	if err := Releases().Tidy(); err != nil {
		log.Error("an unfinished release is left over", "error", err.Error())
	}
	s := &service{log: log}
	srv := control.Server{Handler: s, Known: known, MaxFiles: roleFiles, Log: log}
	log.Info("the root service runs", "version", control.Version)
	return srv.Serve(ctx, ln)
}

func listener(path string) (*net.UnixListener, error) {
	if path != "" {
		return listen(path)
	}
	passed, err := activation.Listeners()
	if err != nil {
		return nil, err
	}
	if len(passed) == 1 {
		if ln, ok := passed[0].(*net.UnixListener); ok {
			return ln, nil
		}
	}
	return nil, &commands.Failure{Exit: control.ExitUsage, Text: "systemd passed no unix socket",
		Hint: "systemctl start sealgate-root.socket, or sealgated root --socket " + Socket}
}

// listen makes the socket, which its owner the supervisor and root may open.
func listen(path string) (*net.UnixListener, error) {
	if conn, err := net.Dial("unix", path); err == nil {
		conn.Close()
		return nil, appliance.Faultf("end that one first", "a root service answers on %s already", path)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return nil, err
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	ln, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		return nil, fmt.Errorf("listen on %s: %w", path, err)
	}
	if uid, ok := supervisor(); ok {
		err = os.Lchown(path, int(uid), 0)
	}
	// The folder was made under our umask.
	return ln, errors.Join(err, os.Chmod(path, 0o600), os.Chmod(filepath.Dir(path), 0o755))
}

// known says who may speak: root, and the supervisor.
func known(uid uint32) bool {
	if uid == 0 {
		return true
	}
	owner, ok := supervisor()
	return ok && uid == owner
}

func supervisor() (uid uint32, ok bool) {
	u, err := user.Lookup(account.Supervisor)
	if err != nil {
		return 0, false
	}
	n, err := strconv.ParseUint(u.Uid, 10, 32)
	return uint32(n), err == nil
}

const maxLogged = 64 // bytes of what a caller says of itself

// Serve answers one request.
func (s *service) Serve(ctx context.Context, peer control.Peer, req control.Request, session *control.Session) control.Result {
	begin := time.Now()
	out, err := s.serve(ctx, peer, req, session)
	res := commands.ResultOf(err)
	if err == nil {
		if res.Data, err = json.Marshal(out); err != nil {
			res = commands.ResultOf(err)
		}
	}
	s.log.Info("request", "verb", req.Op[:min(len(req.Op), maxLogged)], "uid", peer.UID, "pid", peer.PID,
		"for", req.Origin[:min(len(req.Origin), maxLogged)], "exit", res.Exit, "error", res.Error,
		"took", time.Since(begin).Round(time.Millisecond).String())
	return res
}

func (s *service) serve(ctx context.Context, peer control.Peer, req control.Request, session *control.Session) (any, error) {
	if !known(peer.UID) {
		return nil, &commands.Failure{Exit: control.ExitDenied, Text: "the root service serves the supervisor alone"}
	}
	do := s.verb(req.Op)
	if do == nil {
		return nil, refused("the root service has no such verb")
	}
	if len(req.Files) > 0 && req.Op != opStartRole && req.Op != opPlace {
		return nil, refused("this verb takes no descriptors")
	}
	return do(ctx, call{req.Data, req.Files, session})
}
