package transfer

import (
	"context"
	"errors"
	"io"
	"net/textproto"
	"strconv"

	"github.com/jlaffaye/ftp"
)

// ftp makes one attempt with RETR, and with REST where an earlier one came so far and neither the size nor the time of
// the last change is another.
func (d *download) ftp(ctx context.Context) error {
	err := d.ftpRetrieve(ctx, d.pasv)
	if missing, ok := errors.AsType[*noDataConnection](err); ok && missing.ipv4 && !d.pasv && ctx.Err() == nil {
		d.pasv = true
		err = d.ftpRetrieve(ctx, true)
	}
	if d.mayUseGateway(err) {
		return d.ftpGateway(ctx, err)
	}
	return err
}

func (d *download) ftpRetrieve(ctx context.Context, pasv bool) error {
	server, err := d.ftpLogin(ctx, pasv)
	if err != nil {
		return err
	}
	defer server.Quit()
	from, err := d.from(d.ftpState(server))
	if err != nil {
		return err
	}
	data, err := retr(server, d.target.name(), from)
	if from > 0 && isReply(err, 451, 500, 501, 502, 504, 550, 553) {
		if err := d.startAgain(); err != nil {
			return err
		}
		data, err = retr(server, d.target.name(), 0)
	}
	if err != nil {
		return d.ftpRetrieveFault(ctx, err)
	}
	_, err = d.ReadFrom(data)
	if errors.Is(err, io.ErrUnexpectedEOF) && d.size >= 0 && d.at == d.size {
		err = nil // a server that closes without TLS's goodbye, and has sent all
	}
	if err != nil {
		data.Close()
		return d.received(ctx, err)
	}
	if err := data.Close(); err != nil {
		return d.ftpFault(ctx, OpReceive, err)
	}
	if err := d.received(ctx, nil); err != nil {
		return err
	}
	return d.verifySum(ctx)
}

// ftpState is the file's size, -1 when the server does not tell, and what it is told by.
func (d *download) ftpState(server *ftp.ServerConn) (size int64, mark string) {
	size, err := server.FileSize(d.target.name())
	if err != nil || size < 0 {
		return -1, ""
	}
	changed, err := server.GetTime(d.target.name())
	if err != nil {
		return size, ""
	}
	return size, strconv.FormatInt(changed.Unix(), 10)
}

// retr is RetrFrom without the library's panics, as stor is.
func retr(server *ftp.ServerConn, name string, from int64) (data *ftp.Response, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = errUnreadable
		}
	}()
	return server.RetrFrom(name, uint64(from))
}

func (d *download) ftpRetrieveFault(ctx context.Context, err error) error {
	reply, ok := errors.AsType[*textproto.Error](err)
	if ok && (reply.Code == 550 || reply.Code == 553) && ctx.Err() == nil {
		return d.wrap(OpReceive, Refused, saying(reply), "check that the file exists and that the user may read it")
	}
	return d.ftpFault(ctx, OpReceive, err)
}
