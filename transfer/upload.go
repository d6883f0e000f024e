package transfer

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"time"
	"unicode/utf8"
)

// cleanupTime bounds the removal of a part after a failure or a cancel. It uses a connection of its own: the one that
// failed is broken or full of data that nobody wants any more.
const cleanupTime = 3 * time.Second

// upload is one file on its way.
type upload struct {
	*session
	src    Source
	meter  *meter
	reader *reader // the source as it is open now, nil before
	size   int64   // what the source said last, -1 for unknown
	sent   int64   // how far any attempt has read it
	safe   int64   // how much of the part the server has for certain; an attempt goes on from there
}

func newUpload(t Target, src Source, o Options) *upload {
	u := &upload{session: newSession(t, o), src: src, size: -1, meter: &meter{report: o.Progress}}
	u.ours = u.sourceFailure
	return u
}

// Upload sends src to t. The error is an *Error; the Result holds what was done until then in any case.
func Upload(ctx context.Context, t Target, src Source, o Options) (Result, error) {
	u := newUpload(t, src, o)
	err := u.run(ctx)
	return Result{Bytes: u.meter.finish(), Notices: u.notices}, err
}

func (u *upload) run(ctx context.Context) error {
	if err := u.check(); err != nil {
		return err
	}
	// Ends every connection and every wait of this transfer, whatever the outcome.
	ctx, cancel := context.WithTimeoutCause(ctx, u.o.TotalTimeout, &overdue{u.o.TotalTimeout})
	defer cancel()
	switch u.target.Protocol {
	case "ftp":
		return u.ftp(ctx)
	case "scp":
		return u.scp(ctx)
	default:
		return u.http(ctx)
	}
}

// begin forgets the attempt before, and what its source said when it was given up.
func (u *upload) begin() {
	if u.reader != nil {
		u.sent = max(u.sent, u.reader.count())
	}
	u.reader = nil
}

// partName is where the file grows: plainly a part of name, and nobody else's. What cannot be told apart by its
// ending (a consumer that takes up every *.tgz) must not see it.
func partName(name string) string {
	const longest = 255 - len(".xxxxxxxx.part")
	for len(name) > longest {
		_, size := utf8.DecodeLastRuneInString(name)
		name = name[:len(name)-size]
	}
	var random [4]byte
	rand.Read(random[:])
	return name + "." + hex.EncodeToString(random[:]) + ".part"
}

// discard removes a part, after fault or where another one arrived, and tells where it lies when that is not possible.
func (s *session) discard(ctx context.Context, fault error, part string, remove func(ctx context.Context) error) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanupTime)
	defer cancel()
	if remove(ctx) == nil {
		return fault
	}
	stayed := "the unfinished " + part + " may have stayed on the server"
	if fault == nil {
		s.notice(stayed)
	}
	return addHint(fault, stayed)
}

func addHint(err error, hint string) error {
	if e, ok := err.(*Error); ok {
		if e.Hint != "" {
			hint = e.Hint + "; " + hint
		}
		e.Hint = SafeText(hint)
	}
	return err
}

// verify compares what the server holds with what was read.
func (u *upload) verify(stored int64) error {
	if sent := u.reader.count(); stored != sent {
		return u.wrap(OpVerify, SizeMismatch, sizeError{sent, stored}, "try again; if it stays, look at the server's disk and quota")
	}
	return nil
}
