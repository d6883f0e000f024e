package transfer

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"net"
	"net/http"
	"net/textproto"
	"slices"
	"strconv"
	"time"
)

const (
	// longestWait bounds the time between two attempts.
	longestWait = 30 * time.Second
	// longestRetryAfter is how long a server may ask to be left alone; who asks for more is not tried again.
	longestRetryAfter = 60 * time.Second
)

// retry makes attempts until one succeeds, fails for good, or too many in a row got no further. An attempt says by got
// how much of the file is safe on the other side.
func (s *session) retry(ctx context.Context, got func() int64, attempt func() error) error {
	for tries, best := 0, int64(0); ; tries++ {
		err := attempt()
		if err == nil || ctx.Err() != nil || !s.worthAnother(err) {
			return err
		}
		if now := got(); now > best {
			tries, best = 0, now
		}
		if tries >= s.o.Retries {
			return err
		}
		s.notice("trying again: " + err.Error())
		select {
		case <-time.After(max(s.pause(tries), retryAfter(err))):
		case <-ctx.Done():
			return s.fault(ctx, OpConnect, context.Cause(ctx))
		}
	}
}

// pause is the wait after a number of tries: it doubles, and up to half of it is left out at random, so that many
// clients of a server that was away do not come back at once.
func (s *session) pause(tries int) time.Duration {
	wait := min(s.o.RetryWait<<min(tries, 20), longestWait)
	return wait - rand.N(wait/2+1)
}

// worthAnother says whether time may heal err. A refusal is final, and so is a server that hangs up on a login: asking
// again could lock the account.
func (s *session) worthAnother(err error) bool {
	fault, ok := errors.AsType[*Error](err)
	if !ok {
		return false
	}
	if fault.Kind == LoginRefused {
		return false
	}
	if reply, ok := errors.AsType[*textproto.Error](err); ok {
		return reply.Code/100 == 4 && reply.Code != 430 && reply.Code != 452 // user or password; disk full
	}
	if status, ok := errors.AsType[*statusError](err); ok {
		return status.passes() && status.after <= longestRetryAfter
	}
	switch fault.Kind {
	case ConnectionLost:
		return fault.Op != OpLogin
	case SizeMismatch:
		return fault.Op == OpVerify // a connection that was cut may look like one that was closed
	case Unreachable:
		timeout, ok := errors.AsType[net.Error](err)
		return s.began.Load() || ok && timeout.Timeout()
	}
	return false
}

// statusError is an HTTP status that is no success.
type statusError struct {
	words string
	code  int
	after time.Duration // what Retry-After asks for
}

func (e *statusError) Error() string { return e.words }

// passes says whether the status speaks of now and not of the request.
func (e *statusError) passes() bool {
	return slices.Contains([]int{
		http.StatusRequestTimeout, http.StatusTooManyRequests, http.StatusInternalServerError,
		http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout,
	}, e.code)
}

func retryAfter(err error) time.Duration {
	if status, ok := errors.AsType[*statusError](err); ok {
		return status.after
	}
	return 0
}

// parseRetryAfter reads seconds or a date; what cannot be read asks for nothing.
func parseRetryAfter(value string, now time.Time) time.Duration {
	const most = math.MaxInt64 / uint64(time.Second)
	if seconds, err := strconv.ParseUint(value, 10, 64); err == nil || errors.Is(err, strconv.ErrRange) {
		return time.Duration(min(seconds, most)) * time.Second
	}
	if date, err := http.ParseTime(value); err == nil {
		return max(0, date.Sub(now))
	}
	return 0
}

// overdue is the cause of a context whose transfer took too long.
type overdue struct{ limit time.Duration }

func (o *overdue) Error() string { return fmt.Sprintf("the transfer took longer than %s", o.limit) }
