package proxy

import (
	"fmt"
	"io"
	"net/http"
	"runtime/debug"
	"strings"
	"time"

	"sealgate/daemon/gateway/waf"
)

// judge has the engine look at one exchange. What the engine breaks it turns into
// the group's fail mode.
type judge struct {
	x                *exchange
	txn              waf.Transaction // nil: the engine failed to begin
	over             bool            // nothing more is asked
	blocked          bool            // the verdict is carried out
	failed           bool
	took             time.Duration
	held, heldAnswer int64 // room that is taken
}

func (x *exchange) newJudge() *judge {
	j := &judge{x: x}
	j.ask(func() waf.Verdict {
		r := x.subject()
		r.URI = x.r.RequestURI
		j.txn = x.engine.Begin(x.r.Context(), r)
		return waf.Verdict{}
	})
	return j
}

// ask asks the engine one question. It returns whether the request is blocked. While
// verdicts are not carried out all that would block is found, not the first alone.
func (j *judge) ask(question func() waf.Verdict) (block bool) {
	if j.over {
		return j.blocked
	}
	begin := time.Now()
	defer func() {
		j.took += time.Since(begin)
		if reason := recover(); reason != nil {
			j.x.p.metrics.faults.Add("", 1)
			j.x.p.o.Log.Error("inspection failed", "web_service", j.x.service.Name, "event", j.x.id, "panic", fmt.Sprint(reason), "stack", string(debug.Stack()))
			j.over, j.failed = true, true
			j.blocked = j.x.config.failClosed && j.x.enforces(true)
			block = j.blocked
		}
	}()
	v := question()
	if j.x.enforces(v.Block) {
		j.over, j.blocked = true, true
	}
	return j.blocked
}

// request judges head and body. Where it is blocked it has answered.
func (j *judge) request() (answered bool) {
	if j.ask(func() waf.Verdict { return j.txn.Headers() }) {
		j.answer()
		return true
	}
	if blocked, err := j.body(); err != nil {
		j.x.broken(err)
		return true
	} else if blocked {
		j.answer()
		return true
	}
	return false
}

// answer sends the page that a blocked request gets, once its events are told: a client
// never knows of one that a crash takes back.
func (j *judge) answer() {
	j.finish()
	if j.failed {
		j.x.plain(http.StatusServiceUnavailable, "this request could not be inspected; event "+j.x.id)
		return
	}
	j.x.block()
}

// body has the engine judge the body before any of it is sent on. What is held is
// bounded by the group's limits; what is longer goes on unseen, after the engine was
// given more than it wants to see, which is for its rules to say. Streams of gRPC are
// not held.
func (j *judge) body() (blocked bool, err error) {
	r := j.x.r
	if r.Body != http.NoBody && r.ContentLength != 0 && !j.x.grpc && !j.over {
		if blocked, err := j.hold(); blocked || err != nil {
			return blocked, err
		}
	}
	return j.ask(func() waf.Verdict { return j.txn.EndBody() }), nil
}

const (
	// piece is how much of a body the engine gets at a time, in bytes.
	piece = 32 << 10
	// firstRoom is taken before anything of a body has come, in bytes: what a client
	// announces costs nothing.
	firstRoom = 8 << 10
)

func (j *judge) hold() (blocked bool, err error) {
	r, limits := j.x.r, j.x.l.limits.Load()
	wanted, most := limits.inspected+1, limits.inspected+piece
	if r.ContentLength > 0 {
		wanted, most = min(wanted, r.ContentLength), min(most, r.ContentLength)
	}
	var held []byte
	for !j.over && int64(len(held)) < wanted {
		if len(held) == cap(held) {
			grown := min(max(2*int64(cap(held)), firstRoom), most)
			if !j.reserve(&j.held, grown) {
				r.Body = &partlyHeld{held: held, rest: r.Body}
				return j.overloaded(), nil
			}
			held = append(make([]byte, 0, grown), held...)
		}
		n, readErr := r.Body.Read(held[len(held):min(cap(held), len(held)+piece)])
		seen := held[len(held) : len(held)+n]
		held = held[:len(held)+n]
		if n > 0 && j.ask(func() waf.Verdict { return j.txn.Body(seen) }) {
			return true, nil
		}
		if readErr == io.EOF {
			j.whole(held)
			return false, nil
		}
		if readErr != nil {
			return false, readErr
		}
	}
	if r.ContentLength == int64(len(held)) {
		j.whole(held)
		return false, nil
	}
	r.Body = &partlyHeld{held: held, rest: r.Body}
	return false, nil
}

// whole makes the held bytes the request's body. One of known length can be sent
// again.
func (j *judge) whole(held []byte) {
	r := j.x.r
	if len(r.Trailer) > 0 {
		r.Body = &partlyHeld{held: held, rest: r.Body}
		return
	}
	r.ContentLength, r.TransferEncoding = int64(len(held)), nil
	r.Body = http.NoBody
	if len(held) > 0 {
		r.Body = &partlyHeld{held: held, rest: http.NoBody}
	}
	r.GetBody = func() (io.ReadCloser, error) { return &partlyHeld{held: held, rest: http.NoBody}, nil }
}

// reserve takes room for a held body, up to a total of size.
func (j *judge) reserve(of *int64, size int64) bool {
	if !j.x.p.held.take(j.x.client, size-*of, j.x.l.limits.Load()) {
		return false
	}
	*of = size
	return true
}

func (j *judge) giveBack(of *int64) {
	j.x.p.held.giveBack(j.x.client, *of)
	*of = 0
}

// release gives back what room there is when the exchange is over.
func (j *judge) release() {
	j.giveBack(&j.held)
	j.giveBack(&j.heldAnswer)
}

// letGo gives a request's room back once it is answered, which may take long.
func (j *judge) letGo(resp *http.Response) {
	j.x.r.GetBody, resp.Request.GetBody = nil, nil
	j.giveBack(&j.held)
}

// overloaded is what becomes of a body for which there is no room.
func (j *judge) overloaded() (blocked bool) {
	j.x.p.metrics.faults.Add("", 1)
	j.over, j.failed = true, true
	j.blocked = j.x.config.failClosed && j.x.enforces(true)
	j.x.overloadEvent(j.blocked)
	return j.blocked
}

// partlyHeld is a body of which the beginning was read.
type partlyHeld struct {
	held []byte
	rest io.ReadCloser
	sent func() // is called when nothing is held any more; may be nil
}

func (b *partlyHeld) Read(p []byte) (int, error) {
	if len(b.held) == 0 {
		b.empty() // it may have been all along, and the rest may be long in coming
		return b.rest.Read(p)
	}
	n := copy(p, b.held)
	if b.held = b.held[n:]; len(b.held) > 0 {
		return n, nil
	}
	b.empty()
	if b.rest == http.NoBody {
		return n, io.EOF
	}
	return n, nil
}

func (b *partlyHeld) empty() {
	b.held = nil // and not the end of a large array
	if b.sent != nil {
		b.sent()
		b.sent = nil
	}
}

func (b *partlyHeld) Close() error { return b.rest.Close() }

// response judges the head of an answer.
func (j *judge) response(status int, header http.Header) (blocked bool) {
	return j.ask(func() waf.Verdict { return j.txn.Response(status, header) })
}

// responseBody judges the body of an answer, where the web service has it so and it is
// text. What it read stands before the rest.
func (j *judge) responseBody(resp *http.Response) (blocked bool, err error) {
	if !j.x.service.InspectResponses || j.over || !isText(resp.Header) || resp.ContentLength == 0 {
		return false, nil
	}
	if encoding := resp.Header.Get("Content-Encoding"); encoding != "" && !strings.EqualFold(encoding, "identity") {
		j.x.encodedEvent(encoding)
		return false, nil
	}
	held, rest, err := j.beginning(resp)
	if err != nil {
		return false, err
	}
	resp.Body = &partlyHeld{held: held, rest: rest, sent: func() { j.giveBack(&j.heldAnswer) }}
	if j.over {
		return j.blocked, nil
	}
	if j.ask(func() waf.Verdict { return j.txn.ResponseBody(held) }) || j.ask(func() waf.Verdict { return j.txn.ResponseBody(nil) }) {
		return true, nil
	}
	return false, nil
}

func isText(header http.Header) bool {
	kind, _, _ := strings.Cut(header.Get("Content-Type"), ";")
	kind = strings.ToLower(strings.TrimSpace(kind))
	return kind != "text/event-stream" && (strings.HasPrefix(kind, "text/") || strings.HasSuffix(kind, "json") || strings.HasSuffix(kind, "xml") ||
		kind == "multipart/byteranges") // of which each client may ask for
}

// finish tells of what matched, once.
func (j *judge) finish() {
	if j.txn == nil {
		return
	}
	var matches []waf.Match
	func() {
		defer func() {
			if reason := recover(); reason != nil {
				j.x.p.metrics.faults.Add("", 1)
				j.x.p.o.Log.Error("inspection failed", "web_service", j.x.service.Name, "event", j.x.id, "panic", fmt.Sprint(reason))
			}
		}()
		matches = j.txn.Close()
	}()
	j.txn, j.over = nil, true
	j.x.p.metrics.inspect.Observe(j.took)
	verdict := "pass"
	switch {
	case j.blocked:
		verdict = "block"
	case len(matches) > 0:
		verdict = "alert"
	}
	j.x.p.metrics.verdicts.Add(verdict, 1)
	for i := range matches {
		j.x.violation(&matches[i], i, j.blocked)
	}
}
