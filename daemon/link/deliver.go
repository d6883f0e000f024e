package link

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/klauspost/compress/zstd"

	"sealgate/appliance/spool"
)

const (
	maxBatch     = 4000                   // records
	fewRecords   = 30                     // of which a batch has fewer only where they are slow
	gatherEvents = 100 * time.Millisecond // that a batch waits for more when there was none
	sendTimeout  = 2 * time.Minute

	firstPause    = 500 * time.Millisecond // after what failed; twice as long each time
	longestPause  = 30 * time.Second
	strangerPause = time.Minute // of a gateway that is not registered
)

// Pause waits after a number of failures, the last one err: longer each time, and not
// as long as all the others. It says whether ctx goes on.
func Pause(ctx context.Context, failures int, err error) bool {
	pause := min(firstPause<<min(failures, 10), longestPause)
	if p, ok := errors.AsType[*Problem](err); ok {
		switch {
		case p.Code == UnknownKey || p.Code == DeletedKey || p.Code == BadVersion:
			pause = strangerPause
		case p.After > 0:
			pause = time.Duration(min(p.After, 60)) * time.Second
		}
	}
	return Rest(ctx, pause/2+rand.N(pause/2+1))
}

// Rest waits, and says whether ctx goes on.
func Rest(ctx context.Context, pause time.Duration) bool {
	select {
	case <-time.After(pause):
		return ctx.Err() == nil
	case <-ctx.Done():
		return false
	}
}

// Why words an error for people: without the URL, which nobody asked for, and in other
// words than libraries have for a server that does not answer, or has gone.
func Why(err error) string {
	if of, ok := errors.AsType[*url.Error](err); ok {
		err = of.Err
	}
	late, ok := errors.AsType[net.Error](err)
	switch {
	case errors.Is(err, context.DeadlineExceeded) || ok && late.Timeout():
		return "the management server does not answer"
	case errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || strings.HasPrefix(err.Error(), "http2: "):
		return "the connection to the management server was lost"
	}
	return err.Error()
}

// Deliver sends what is in a spool, in order, until ctx ends, and lets go of what the
// server has on its disk. What fails is sent again: the server knows what it has.
func (c *Client) Deliver(ctx context.Context, s *spool.Spool, log *slog.Logger) {
	encoder, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(1), zstd.WithLowerEncoderMem(true))
	if err != nil {
		panic(err) // the options are constant
	}
	failures, size := 0, maxBatch
	for ctx.Err() == nil {
		grown := s.Grown()
		records, err := s.Read(s.Taken(), size)
		if err == nil && len(records) == 0 {
			select {
			case <-grown:
				Rest(ctx, gatherEvents)
			case <-ctx.Done():
			}
			continue
		}
		if err == nil {
			var waited time.Duration
			begin := time.Now()
			waited, err = c.send(ctx, encoder, s, records)
			size = nextSize(size, len(records), time.Since(begin)-waited, err)
		}
		if err == nil {
			failures = 0
			continue
		}
		if failures == 0 && ctx.Err() == nil {
			log.Warn("events wait for the management server", "error", Why(err))
		}
		c.pause(ctx, failures, err)
		failures++
	}
}

// nextSize is how many records the batch after one has that was let have size: half as many
// as it had where it failed for want of time or was too large, and twice as many where it
// went so fast that those go as well. That the server was not there, or was busy, says
// nothing of the size. Below fewRecords it goes only where so few failed.
func nextSize(size, sent int, took time.Duration, err error) int {
	if p, refused := errors.AsType[*Problem](err); refused && p.Code != BadRequest || !refused && err != nil && took < BatchTime/4 {
		return size
	}
	switch {
	case sent > fewRecords && err != nil:
		return max(sent/2, fewRecords)
	case err != nil:
		return max(sent/2, 1)
	case sent == size && took < BatchTime/4:
		return min(2*size, maxBatch)
	}
	return size
}

// pause is Pause, which ends when a poll finds the server there again: unless that has
// said why it took nothing.
func (c *Client) pause(ctx context.Context, failures int, err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	if _, refused := errors.AsType[*Problem](err); !refused {
		go func() {
			select {
			case <-c.up:
				cancel()
			case <-ctx.Done():
			}
		}()
	}
	Pause(ctx, failures, err)
}

// send sends a batch, and lets go of it. It says how long the server had it wait.
func (c *Client) send(ctx context.Context, encoder *zstd.Encoder, s *spool.Spool, records []spool.Record) (waited time.Duration, err error) {
	ctx, cancel := context.WithTimeout(ctx, sendTimeout)
	defer cancel()
	first, last := records[0].Sequence, records[len(records)-1].Sequence
	var lines bytes.Buffer
	for _, r := range records {
		fmt.Fprintf(&lines, `{"sequence":%d,"record":%s}`+"\n", r.Sequence, r.Body)
	}
	resp, err := c.Do(ctx, http.MethodPost, PathEvents, http.Header{
		HeaderEpoch: {s.Epoch()}, HeaderFirst: {strconv.FormatUint(first, 10)}, HeaderLast: {strconv.FormatUint(last, 10)},
		"Content-Type": {"application/zstd"},
	}, bytes.NewReader(encoder.EncodeAll(lines.Bytes(), nil)))
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	var done Acknowledged
	if err := ReadJSON(resp.Body, MaxMessage, &done); err != nil {
		return 0, err
	}
	if done.Sequence < first || done.Sequence > last {
		return 0, errors.New("the management server acknowledges what it was not sent")
	}
	s.Acknowledge(done.Sequence)
	return time.Duration(done.Waited) * time.Millisecond, nil
}
