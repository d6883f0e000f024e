package audit

import (
	"context"
	"fmt"
	"net"
	"os"
	"time"
)

// Witness keeps heads where the appliance cannot rewrite them. It returns
// before ctx ends.
type Witness interface {
	Keep(ctx context.Context, appliance string, h Head) error
}

// Syslog is a syslog daemon's unix datagram socket, as a witness.
type Syslog string

const (
	priority      = 10<<3 | 5 // authpriv, notice
	syslogTimeout = 2 * time.Second
)

// Keep sends a line of RFC 3164. log/syslog would wait for as long as the
// daemon at the other end stands still.
func (s Syslog) Keep(ctx context.Context, appliance string, h Head) error {
	ctx, cancel := context.WithTimeout(ctx, syslogTimeout)
	defer cancel()
	conn, err := (&net.Dialer{}).DialContext(ctx, "unixgram", string(s))
	if err != nil {
		return err
	}
	defer conn.Close()
	deadline, _ := ctx.Deadline()
	conn.SetWriteDeadline(deadline)
	_, err = fmt.Fprintf(conn, "<%d>%s sealgated[%d]: %s", priority, time.Now().Format(time.Stamp), os.Getpid(), h.Line(appliance))
	return err
}
