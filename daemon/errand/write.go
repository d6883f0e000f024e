package errand

import (
	"context"
	"encoding/json"
	"strings"
	"unicode/utf8"
)

// Write is what a request to the REST API did, as the process tells it.
type Write struct {
	At       int64  `json:"at"` // milliseconds since 1970
	User     string `json:"user"`
	Address  string `json:"address"`
	Method   string `json:"method"`
	Path     string `json:"path"` // with names in braces
	Summary  string `json:"summary"`
	Revision int64  `json:"revision"` // 0: it changed no configuration
}

// maxAt is the last millisecond of the year 9999.
const maxAt = 253_402_300_799_999

// maxText bounds each text of a write, in bytes.
const maxText = 256

// Bounded is the write with its texts cut to what the daemon takes.
func (w Write) Bounded() Write {
	for _, s := range []*string{&w.User, &w.Address, &w.Method, &w.Path, &w.Summary} {
		if *s = strings.ToValidUTF8(*s, "\ufffd"); len(*s) <= maxText {
			continue
		}
		cut := maxText - len("…")
		for !utf8.RuneStart((*s)[cut]) {
			cut--
		}
		*s = (*s)[:cut] + "…"
	}
	return w
}

func (w Write) taken() bool {
	return max(len(w.User), len(w.Address), len(w.Method), len(w.Path), len(w.Summary)) <= maxText && w.Revision >= 0 && w.At >= 0 && w.At <= maxAt
}

// maxWrites bounds the writes of one message, in bytes of JSON.
const maxWrites = maxLine - 1<<10

// Fit is how many of a list one call of Wrote takes.
func Fit(list []Write) int {
	size := 0
	for i, w := range list {
		line, err := json.Marshal(w)
		if size += len(line) + 1; err != nil || size > maxWrites {
			return i
		}
	}
	return len(list)
}

// Wrote has the daemon keep records of writes, as many as Fit says: all of them, or none
// after an error.
func (c *Client) Wrote(ctx context.Context, list []Write) error {
	_, err := c.ask(ctx, message{Do: "wrote", Writes: list})
	return err
}
