package daemon

import (
	"bytes"
	"encoding/json"
	"io"
	"strings"
	"sync"
)

// lastWords passes a child's log on to ours and keeps what it complained of
// last, for the administrator who asks why it died.
type lastWords struct {
	log io.Writer

	mu   sync.Mutex
	rest []byte
	kept []string
}

const (
	maxWords    = 3
	maxWordSize = 300
	maxLine     = 64 << 10
)

// Write takes a piece of the child's standard error.
func (w *lastWords) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.rest = append(w.rest, p...)
	for {
		line, rest, ok := bytes.Cut(w.rest, []byte("\n"))
		if !ok {
			break
		}
		w.log.Write(append(line, '\n'))
		w.keep(line)
		w.rest = rest
	}
	if len(w.rest) > maxLine {
		w.rest = nil
	}
	return len(p), nil
}

// keep keeps complaints: warnings and errors of the log, and the head of a
// panic. The rest of a stack is in the log.
func (w *lastWords) keep(line []byte) {
	var entry struct{ Level, Msg, Error string }
	text := ""
	switch {
	case json.Unmarshal(line, &entry) == nil && (entry.Level == "ERROR" || entry.Level == "WARN"):
		text = strings.TrimSuffix(entry.Msg+": "+entry.Error, ": ")
	case bytes.HasPrefix(line, []byte("panic: ")), bytes.HasPrefix(line, []byte("fatal error: ")):
		text = string(line)
	default:
		return
	}
	if len(text) > maxWordSize {
		text = text[:maxWordSize]
	}
	w.kept = append(w.kept, strings.ToValidUTF8(text, "?"))
	w.kept = w.kept[max(0, len(w.kept)-maxWords):]
}

func (w *lastWords) list() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return append([]string(nil), w.kept...)
}
