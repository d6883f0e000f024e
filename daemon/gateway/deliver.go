package gateway

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/klauspost/compress/zstd"

	"sealgate/appliance/spool"
	"sealgate/daemon/link"
)

const (
	maxBatch     = 2000                   // records; half as many after each failure
	minBatch     = 50
	gatherEvents = 100 * time.Millisecond // that a batch which is not full waits for more
	sendTimeout  = 2 * time.Minute
)

// keepSending sends what is in the spool, in order, and lets go of what the server
// has on its disk. What fails is sent again: the server knows what it has.
func (j *joined) keepSending(ctx context.Context, client *link.Client) {
	encoder, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(1), zstd.WithLowerEncoderMem(true))
	if err != nil {
		panic(err) // the options are constant
	}
	failures := 0
	for ctx.Err() == nil {
		grown := j.spool.Grown()
		records, err := j.spool.Read(j.spool.Taken(), max(maxBatch>>failures, minBatch))
		if err == nil && len(records) == 0 {
			select {
			case <-grown:
				j.rest(ctx, gatherEvents)
			case <-ctx.Done():
			}
			continue
		}
		if err == nil {
			err = j.send(ctx, client, encoder, records)
		}
		if err == nil {
			failures = 0
			continue
		}
		if failures == 0 && ctx.Err() == nil {
			j.log.Warn("events wait for the management server", "error", err.Error())
		}
		j.rest(ctx, pause(failures, err))
		failures++
	}
}

// send sends a batch, and lets go of it.
func (j *joined) send(ctx context.Context, client *link.Client, encoder *zstd.Encoder, records []spool.Record) error {
	ctx, cancel := context.WithTimeout(ctx, sendTimeout)
	defer cancel()
	first, last := records[0].Sequence, records[len(records)-1].Sequence
	var lines bytes.Buffer
	for _, r := range records {
		fmt.Fprintf(&lines, `{"sequence":%d,"record":%s}`+"\n", r.Sequence, r.Body)
	}
	resp, err := client.Do(ctx, http.MethodPost, link.PathEvents, http.Header{
		link.HeaderEpoch: {j.spool.Epoch()}, link.HeaderFirst: {strconv.FormatUint(first, 10)}, link.HeaderLast: {strconv.FormatUint(last, 10)},
		"Content-Type": {"application/zstd"},
	}, bytes.NewReader(encoder.EncodeAll(lines.Bytes(), nil)))
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	var done link.Acknowledged
	if err := link.ReadJSON(resp.Body, link.MaxMessage, &done); err != nil {
		return err
	}
	if done.Sequence < first || done.Sequence > last {
		return errors.New("the management server acknowledges what it was not sent")
	}
	j.spool.Acknowledge(done.Sequence)
	return nil
}
