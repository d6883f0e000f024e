package transfer

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"time"

	"github.com/pkg/sftp"
)

// sftpReads is how many reads of sftpRead bytes may be on their way unanswered: 1 MiB, of which each lies in memory three
// times. More is faster by a tenth and takes twice the memory; where it would matter, there are more connections.
const (
	sftpReads = 8
	sftpRead  = sftpPacket / 2
)

// scp makes one attempt over the SFTP protocol with concurrent reads. It goes on where an earlier one broke when
// neither the size nor the time of the last change is another.
func (d *download) scp(ctx context.Context) error {
	if err := d.needUser(); err != nil {
		return err
	}
	server, err := d.scpLogin(ctx, sftp.MaxConcurrentRequestsPerFile(sftpReads), sftp.MaxPacketUnchecked(sftpRead))
	if err != nil {
		return err
	}
	defer server.close()
	if server.files == nil {
		return d.scpOld(ctx, server)
	}
	asked := time.Now()
	info, err := server.files.Stat(d.target.Path)
	roundTrip := time.Since(asked)
	if err == nil && info.IsDir() {
		return d.wrap(OpReceive, Refused, fmt.Errorf("%s is a folder", d.target.Path), "name a file")
	}
	if err != nil {
		return server.readFault(ctx, err)
	}
	from, err := d.from(sftpState(info))
	if err != nil {
		return err
	}
	file, err := server.files.Open(d.target.Path)
	if err != nil {
		return server.readFault(ctx, err)
	}
	defer file.Close()
	if server.worthLanes(roundTrip, d.size-from) {
		if err := d.scpLanes(ctx, server, file); err != nil {
			return err
		}
		return d.received(ctx, nil)
	}
	if _, err := file.Seek(from, io.SeekStart); err != nil {
		return server.readFault(ctx, err)
	}
	if _, err := file.WriteTo(d); err != nil {
		if _, ok := errors.AsType[sizeError](err); !ok {
			return server.readFault(ctx, err)
		}
		return d.received(ctx, err)
	}
	return d.received(ctx, nil)
}

// sftpState is the file's size and what it is told by.
func sftpState(info os.FileInfo) (size int64, mark string) {
	return info.Size(), strconv.FormatInt(info.ModTime().Unix(), 10)
}

// readFault turns the server's status into words.
func (s *sftpServer) readFault(ctx context.Context, err error) error {
	_, answered := errors.AsType[*sftp.StatusError](err)
	switch {
	case ctx.Err() != nil || s.ours() != nil:
		return s.session.fault(ctx, OpReceive, err)
	case errors.Is(err, os.ErrNotExist):
		return s.wrap(OpReceive, Refused, &worded{fmt.Sprintf("there is no file %s", s.target.Path), err}, "check the path; scp paths begin at the root")
	case errors.Is(err, os.ErrPermission):
		return s.wrap(OpReceive, Refused, &worded{fmt.Sprintf("user %q may not read %s", s.o.User, s.target.Path), err}, "check the permissions of the file")
	case answered:
		return s.wrap(OpReceive, Refused, inWords(err, "the server answered"), "")
	}
	if errors.Is(err, sftp.ErrSSHFxConnectionLost) {
		err = s.gone().cause
	}
	return s.session.fault(ctx, OpReceive, err)
}
