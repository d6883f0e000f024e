// Package access is the log of what a role was asked: a line for each request in the
// common log format, with the time that the answer took in microseconds at its end.
//
//	192.0.2.7 - admin [02/Jan/2026:03:04:05 +0000] "GET /SecureSphere/api/v1/conf/sites HTTP/1.1" 200 2326 1841
//
// It promises that no query, no parameter of a path and no header is in it, that what
// a client sends cannot make a line of its own, and that requests do not wait for the
// disk: lines that it does not take in time are dropped, and counted in the log.
package access

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"time"

	"sealgate/appliance"
	"sealgate/appliance/serverlog"
)

const (
	flushEvery = time.Second
	flushAt    = 64 << 10 // bytes
	most       = 1 << 20  // bytes that wait for the disk
	maxTarget  = 1 << 10  // bytes of a target
	maxWord    = 128      // bytes of any other word
)

// Entry is one request.
type Entry struct {
	Client   netip.Addr
	User     string // empty: nobody
	Began    time.Time
	Method   string // empty: it was no request
	Target   string
	Protocol string
	Status   int
	Bytes    int64 // of the answer's body; less than 0: unknown
}

// Log takes entries. A nil one takes none.
type Log struct {
	to    io.WriteCloser
	full  chan struct{} // holds a value when there is much to write
	stop  chan struct{}
	ended chan struct{}

	mu      sync.Mutex
	waiting []byte
	spare   []byte
	lost    int64
	second  int64  // that stamp is of
	stamp   []byte // as formatting costs more than the rest of a line
}

// Open writes entries to the access log of home. An error is logged, and there is none.
func Open(home appliance.Home, log *slog.Logger) *Log {
	to, err := serverlog.Access.Open(home.Spool())
	if err != nil {
		log.Error("requests are not logged", "error", err.Error())
		return nil
	}
	return New(to)
}

// New writes entries to a log, which it closes.
func New(to io.WriteCloser) *Log {
	l := &Log{to: to, full: make(chan struct{}, 1), stop: make(chan struct{}), ended: make(chan struct{})}
	go l.write()
	return l
}

// Close writes what waits.
func (l *Log) Close() error {
	if l == nil {
		return nil
	}
	close(l.stop)
	<-l.ended
	return l.to.Close()
}

// Add adds a request whose answer is over.
func (l *Log) Add(e Entry) {
	if l == nil {
		return
	}
	now := time.Now()
	l.mu.Lock()
	if len(l.waiting) > most {
		l.lost++
	} else {
		if second := e.Began.Unix(); second != l.second || l.stamp == nil {
			l.second, l.stamp = second, e.Began.UTC().AppendFormat(l.stamp[:0], timeFormat)
		}
		l.waiting = e.append(l.waiting, l.stamp, now)
	}
	much := len(l.waiting) > flushAt
	l.mu.Unlock()
	if much {
		select {
		case l.full <- struct{}{}:
		default:
		}
	}
}

func (l *Log) write() {
	defer close(l.ended)
	tick := time.NewTicker(flushEvery)
	defer tick.Stop()
	for {
		select {
		case <-l.stop:
			l.flush()
			return
		case <-tick.C:
		case <-l.full:
		}
		l.flush()
	}
}

func (l *Log) flush() {
	l.mu.Lock()
	lines := l.waiting
	if l.lost > 0 {
		lines = fmt.Appendf(lines, "# %d requests are missing here: they came faster than the disk takes them\n", l.lost)
		l.lost = 0
	}
	l.waiting = l.spare[:0]
	l.mu.Unlock()
	if len(lines) > 0 {
		_, _ = l.to.Write(lines) // what it does not take it counts
	}
	l.mu.Lock()
	l.spare = lines
	l.mu.Unlock()
}

const timeFormat = "[02/Jan/2006:15:04:05 -0700] "

func (e *Entry) append(b, stamp []byte, now time.Time) []byte {
	if e.Client.IsValid() {
		b = e.Client.WithZone("").AppendTo(b) // a zone may be any text
	} else {
		b = append(b, '-')
	}
	b = append(b, " - "...)
	b = appendWord(b, e.User, maxWord)
	b = append(b, ' ')
	b = append(b, stamp...)
	b = append(b, '"')
	b = appendWord(b, e.Method, maxWord)
	if e.Method != "" {
		b = append(b, ' ')
		b = appendTarget(b, e.Target)
		b = append(b, ' ')
		b = appendWord(b, e.Protocol, maxWord)
	}
	b = append(b, `" `...)
	b = strconv.AppendInt(b, int64(e.Status), 10)
	b = append(b, ' ')
	if e.Bytes < 0 {
		b = append(b, '-')
	} else {
		b = strconv.AppendInt(b, e.Bytes, 10)
	}
	b = append(b, ' ')
	b = strconv.AppendInt(b, now.Sub(e.Began).Microseconds(), 10)
	return append(b, '\n')
}

// appendTarget leaves out the query and parameters of the path, and shows where they
// were. Of an absolute URL, which may have a password in it, the path alone is left.
func appendTarget(b []byte, target string) []byte {
	if _, rest, ok := strings.Cut(target, "://"); ok && target[0] != '/' {
		target = strings.TrimLeftFunc(rest, func(r rune) bool { return r != '/' })
	}
	end := strings.IndexAny(target, "?;")
	if end < 0 {
		return appendWord(b, target, maxTarget)
	}
	b = appendWord(b, target[:end], maxTarget)
	return append(b, target[end], '.', '.', '.')
}

// appendWord is s, at most limit bytes of it, as one printable word of ASCII.
func appendWord(b []byte, s string, limit int) []byte {
	if s == "" {
		return append(b, '-')
	}
	from, end := 0, min(len(s), limit)
	for i := range end {
		if c := s[i]; c <= ' ' || c >= 0x7f || c == '"' || c == '\\' {
			const digits = "0123456789abcdef"
			b = append(append(b, s[from:i]...), '\\', 'x', digits[c>>4], digits[c&15])
			from = i + 1
		}
	}
	b = append(b, s[from:end]...)
	if len(s) > limit {
		b = append(b, "..."...)
	}
	return b
}

type userKey struct{}

// Identify says on behalf of which user a request of Handler is.
func Identify(ctx context.Context, user string) {
	if known, ok := ctx.Value(userKey{}).(*string); ok {
		*known = user
	}
}

// Handler is next, with each of its requests in the log and told to also.
func (l *Log) Handler(next http.Handler, also func(Entry)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var user string
		answer := &answer{ResponseWriter: w}
		e := Entry{Began: time.Now(), Method: r.Method, Target: r.RequestURI, Protocol: r.Proto}
		if peer, err := netip.ParseAddrPort(r.RemoteAddr); err == nil {
			e.Client = peer.Addr().Unmap()
		}
		defer func() {
			e.User, e.Status, e.Bytes = user, answer.status, answer.bytes
			l.Add(e)
			also(e)
		}()
		next.ServeHTTP(answer, r.WithContext(context.WithValue(r.Context(), userKey{}, &user)))
		if answer.status == 0 {
			answer.status = http.StatusOK
		}
	})
}

// answer watches what is answered.
type answer struct {
	http.ResponseWriter
	status int
	bytes  int64
}

func (a *answer) WriteHeader(status int) {
	if a.status == 0 && status >= 200 {
		a.status = status
	}
	a.ResponseWriter.WriteHeader(status)
}

func (a *answer) Write(p []byte) (int, error) {
	if a.status == 0 {
		a.status = http.StatusOK
	}
	n, err := a.ResponseWriter.Write(p)
	a.bytes += int64(n)
	return n, err
}

// Unwrap is for http.ResponseController.
func (a *answer) Unwrap() http.ResponseWriter { return a.ResponseWriter }
