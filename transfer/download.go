package transfer

import (
	"context"
	"errors"
	"fmt"
	"os"
)

// download is one file on its way here.
type download struct {
	*session
	file  *os.File
	meter *meter

	at      int64  // bytes that are in the file
	flushed int64  // how many of them the kernel was asked to write to the disk
	size    int64  // what the server says, -1 for unknown
	mark    string // what the server tells this version of the file by; empty: nothing, so that it cannot be gone on with
	pasv    bool   // ftp: EPSV brought no data connection
	failed  error  // the first failure of the file here
}

// Download fetches t into dst, which must not exist yet: give it the name of an unfinished file, and rename it
// when all is well. After success it is whole and on the disk; after a failure or a cancel it is gone. An attempt
// goes on where the one before broke when the server still has the same file, and starts again when it has not. The
// error is an *Error. When the server tells no size, a notice says that the end cannot be checked.
func Download(ctx context.Context, t Target, dst string, o Options) (Result, error) {
	d := &download{session: newSession(t, o), meter: &meter{report: o.Progress}, size: -1}
	d.ours = d.fileFailure
	err := d.run(ctx, dst)
	return Result{Bytes: d.meter.finish(), Notices: d.notices}, err
}

func (d *download) run(ctx context.Context, dst string) (err error) {
	if err := d.check(); err != nil {
		return err
	}
	if d.file, err = os.OpenFile(dst, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600); err != nil {
		return d.wrap(OpSave, LocalFailure, err, "")
	}
	defer func() {
		closed := d.file.Close()
		if err == nil && closed != nil {
			err = d.wrap(OpSave, LocalFailure, closed, "")
		}
		if err != nil {
			os.Remove(dst)
		}
	}()
	ctx, cancel := context.WithTimeoutCause(ctx, d.o.TotalTimeout, &overdue{d.o.TotalTimeout})
	defer cancel()
	if err := d.retry(ctx, func() int64 { return d.at }, d.attempt(ctx)); err != nil {
		return err
	}
	if d.size < 0 {
		d.notice("the server does not tell the size, so a file that ends early cannot be told from a whole one")
	}
	if err := d.file.Sync(); err != nil {
		return d.wrap(OpSave, LocalFailure, err, "")
	}
	return nil
}

// attempt is one try over the target's protocol.
func (d *download) attempt(ctx context.Context) func() error {
	switch d.target.Protocol {
	case "ftp":
		return func() error { return d.ftp(ctx) }
	case "scp":
		return func() error { return d.scp(ctx) }
	default:
		return func() error { return d.http(ctx) }
	}
}

// from is where this attempt begins: the server's file is size bytes (-1: unknown) and is told by mark. Only a file
// that is the same as before is gone on with.
func (d *download) from(size int64, mark string) (int64, error) {
	if d.at > 0 && (mark == "" || mark != d.mark || size != d.size || size >= 0 && d.at > size) {
		if err := d.startAgain(); err != nil {
			return 0, err
		}
	}
	d.size, d.mark = size, mark
	return d.at, nil
}

func (d *download) startAgain() error {
	_, err := d.file.Seek(0, 0)
	if err = errors.Join(err, d.file.Truncate(0)); err != nil {
		d.failed = err
		return d.fileFailure()
	}
	d.meter.restart(0)
	d.at, d.flushed = 0, 0
	return nil
}

func (d *download) fileFailure() error {
	if d.failed == nil {
		return nil
	}
	return d.wrap(OpSave, LocalFailure, d.failed, "make room on this machine's disk")
}

// received judges the end of the data: err is what the protocol says about it.
func (d *download) received(ctx context.Context, err error) error {
	change, isChange := errors.AsType[sizeError](err)
	switch {
	case isChange:
	case err == nil && d.size >= 0 && d.at != d.size:
		change = sizeError{d.size, d.at}
	default:
		return d.fault(ctx, OpReceive, err)
	}
	return d.wrap(OpVerify, SizeMismatch, fmt.Errorf("the server says %d bytes and sends %d", change.sent, change.stored),
		"the file may be changing on the server: try again")
}
