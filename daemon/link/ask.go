package link

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/klauspost/compress/zstd"

	"sealgate/appliance/model"
)

const (
	pollTimeout  = time.Minute // more than a server lets a poll wait
	fetchTimeout = 2 * time.Minute
)

// Poll tells how the gateway is, and returns when there is something to do, or after a
// while.
func (c *Client) Poll(ctx context.Context, say Poll) (answer Polled, err error) {
	ctx, cancel := context.WithTimeout(ctx, pollTimeout)
	defer cancel()
	err = c.Call(ctx, PathPoll, say, &answer)
	if was := c.down.Swap(err != nil); was && err == nil {
		select {
		case c.up <- struct{}{}:
		default:
		}
	}
	return answer, err
}

// Configuration fetches the snapshot that the gateway is to run, as it came.
func (c *Client) Configuration(ctx context.Context) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, fetchTimeout)
	defer cancel()
	resp, err := c.Do(ctx, http.MethodGet, PathConfiguration, nil, nil)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	body, err := zstd.NewReader(resp.Body, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(8<<20))
	if err != nil {
		return nil, err
	}
	defer body.Close()
	data, err := io.ReadAll(io.LimitReader(body, model.MaxSnapshot+1))
	if err != nil {
		return nil, fmt.Errorf("the configuration did not come whole: %w", err)
	}
	return data, nil
}
