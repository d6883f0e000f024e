package transfer

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"strings"
	"syscall"
)

// Op is the step that failed.
type Op string

// The steps of a transfer, in their order.
const (
	OpTarget  Op = "target"
	OpSource  Op = "read"
	OpResolve Op = "resolve"
	OpProxy   Op = "proxy"
	OpConnect Op = "connect"
	OpTLS     Op = "tls"
	OpHostKey Op = "host key"
	OpLogin   Op = "login"
	OpCreate  Op = "create"
	OpWrite   Op = "write"
	OpReceive Op = "receive"
	OpSave    Op = "save"
	OpVerify  Op = "verify"
	OpRename  Op = "rename"
	OpDelete  Op = "delete"
)

// Kind is what a caller may act upon.
type Kind string

const (
	BadTarget          Kind = "bad target"          // the URL cannot be used as it is written
	SourceFailed       Kind = "source failed"       // what was to be sent could not be read
	Forbidden          Kind = "forbidden"           // the transfer policy refuses the address
	Unreachable        Kind = "unreachable"         // no connection came about
	CertificateInvalid Kind = "certificate invalid" // TLS: the server's certificate does not verify
	HostKeyUnknown     Kind = "host key unknown"    // SSH: never seen, and nobody accepted it
	HostKeyChanged     Kind = "host key changed"    // SSH: not the key that is known
	TLSWithdrawn       Kind = "tls withdrawn"       // ftp: the server offered TLS before, and offers none now
	LoginRefused       Kind = "login refused"       // user or password
	Refused            Kind = "refused"             // the server said no to something else
	ProtocolBroken     Kind = "protocol broken"     // the server's answer makes no sense
	ConnectionLost     Kind = "connection lost"     // it broke, or nothing moved for too long
	SizeMismatch       Kind = "size mismatch"       // the server holds another number of bytes than were sent
	ChecksumMismatch   Kind = "checksum mismatch"   // the server holds other bytes than were sent
	TimedOut           Kind = "timed out"           // the whole transfer took longer than it may
	Cancelled          Kind = "cancelled"           // the caller's context ended
	LocalFailure       Kind = "local failure"       // this machine: a file here could not be read or written
)

// Error is every error of this package. Its text is one line, safe on a terminal and without secrets; Err may hold a
// server's words raw, so show Error() and Hint, never Err.
type Error struct {
	Op     Op
	Kind   Kind
	Target string // Target.String(), or what stands for it; empty where the target itself is the problem
	Err    error
	Hint   string // what to try, one line; may be empty

	secrets []string // never to be repeated, whoever says them
}

func (e *Error) Error() string {
	text := string(e.Op)
	if e.Target != "" {
		text = e.Target + ": " + text
	}
	return text + ": " + SafeText(withoutSecrets(plainWords(e.Err), e.secrets))
}

// ended says whether it was this side that gave up.
func (e *Error) ended() bool { return e.Kind == Cancelled || e.Kind == TimedOut }

func (e *Error) Unwrap() error { return e.Err }

// shortestSecret is the shortest that is looked for: anything shorter is found in every sentence and protects nothing.
const shortestSecret = 4

// withoutSecrets keeps a server from making us repeat what we told it.
func withoutSecrets(text string, secrets []string) string {
	for _, s := range secrets {
		if len(s) >= shortestSecret {
			text = strings.ReplaceAll(text, s, "***")
		}
	}
	return text
}

func badTarget(hint, format string, args ...any) error {
	return &Error{Op: OpTarget, Kind: BadTarget, Err: fmt.Errorf(format, args...), Hint: hint}
}

// plainWords says what went wrong without naming system calls or repeating addresses that stand beside it anyway.
func plainWords(err error) string {
	var dns *net.DNSError
	var errno syscall.Errno
	var asURL *url.Error
	var path *os.PathError
	var record tls.RecordHeaderError
	var ours *worded
	var idle *idleError
	var refused *forbidden
	switch {
	case errors.As(err, &ours):
		return ours.words
	case errors.As(err, &idle):
		return idle.Error()
	case errors.As(err, &refused):
		return refused.Error()
	case errors.Is(err, context.Canceled):
		return "cancelled"
	case errors.Is(err, context.DeadlineExceeded):
		return "the time allowed ran out"
	case errors.Is(err, os.ErrDeadlineExceeded):
		return "no answer in time"
	case errors.As(err, &dns):
		if dns.IsNotFound {
			return "no such host: " + dns.Name
		}
		return "the name server did not answer for " + dns.Name
	case errors.As(err, &record):
		return "what came is not TLS"
	case errors.As(err, &path):
		return path.Path + ": " + plainWords(path.Err)
	case errors.As(err, &errno):
		return errno.Error()
	case errors.As(err, &asURL):
		return plainWords(asURL.Err) // without the URL, whose query may be a secret
	case errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF):
		return "the server closed the connection"
	}
	return jargon.Replace(err.Error())
}

// jargon is what the libraries say for their own readers.
var jargon = strings.NewReplacer("remote error: ", "", "net/http: ", "", "HTTP/1.x transport connection broken: ", "", "tls: ", "", "x509: ", "", "ssh: ", "", "sftp: ", "", "handshake failed: ", "")

// worded is a failure in our words that still unwraps to its cause.
type worded struct {
	words string
	cause error
}

func (w *worded) Error() string { return w.words }
func (w *worded) Unwrap() error { return w.cause }

// inWords puts format before the plain words of cause.
func inWords(cause error, format string, args ...any) error {
	return &worded{fmt.Sprintf(format, args...) + ": " + plainWords(cause), cause}
}

// fault classifies an error of the network at step op. What already is an *Error stays as it is, so the place that
// knows most names the step.
func (s *session) fault(ctx context.Context, op Op, err error) error {
	known, ok := errors.AsType[*Error](err)
	gone, isGone := context.Cause(ctx).(*serverGone)
	late, isLate := context.Cause(ctx).(*overdue)
	switch {
	case err == nil:
		return nil
	case ok && known.ended():
		return known
	case isGone:
		return s.wrap(op, ConnectionLost, gone, tryAgain)
	case isLate:
		return s.wrap(op, TimedOut, late, "look at the network between here and there")
	case ctx.Err() != nil:
		return s.wrap(op, Cancelled, context.Cause(ctx), "")
	case s.ours() != nil:
		return s.ours()
	case ok:
		return known
	}
	kind, hint := classify(op, err)
	switch kind {
	case CertificateInvalid:
		op = OpTLS
	case Unreachable:
		if _, ok := errors.AsType[*net.DNSError](err); ok {
			op = OpResolve
		}
	}
	return s.wrap(op, kind, err, hint)
}

const otherTLS = "TLS 1.2 and later are spoken here: look at the server's settings"

const tryAgain = "try again; if it stays, look at the network between here and there"

// classify judges by what the error is and, where that says too little, by the step that it ended.
func classify(op Op, err error) (kind Kind, hint string) {
	if refused, ok := errors.AsType[*forbidden](err); ok {
		return Forbidden, fmt.Sprintf("if it is meant, the owner may: impctl transfer-policy allow %s", refused.rule.Network)
	}
	if _, ok := errors.AsType[*net.DNSError](err); ok {
		return Unreachable, "check the host's name and the appliance's name servers"
	}
	if _, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return CertificateInvalid, "trust the server's certificate authority, or accept any certificate with --insecure"
	}
	if _, ok := errors.AsType[tls.RecordHeaderError](err); ok && op == OpTLS {
		return ProtocolBroken, "the server does not speak TLS on this port"
	} else if ok {
		return ConnectionLost, tryAgain
	}
	if alert, ok := errors.AsType[*net.OpError](err); ok && op == OpTLS && alert.Op == "remote error" {
		return ProtocolBroken, otherTLS
	}
	if op == OpConnect || op == OpProxy {
		return Unreachable, "check the host, the port and the firewalls between here and there"
	}
	if _, ok := errors.AsType[net.Error](err); ok || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) ||
		errors.Is(err, net.ErrClosed) || errors.Is(err, os.ErrDeadlineExceeded) {
		return ConnectionLost, tryAgain
	}
	if op == OpTLS {
		return ProtocolBroken, otherTLS
	}
	return ProtocolBroken, ""
}

// usualHints are what to try where nobody knows better.
var usualHints = map[Kind]string{
	SourceFailed:   "look at this machine's disk",
	Refused:        "ask the server's owner; its log may say more",
	ProtocolBroken: "check the port; if it is right, something between here and there may change what is sent",
	SizeMismatch:   "send it again when the file does not change any more",
	LocalFailure:   "look at this machine's disk",
}

func (s *session) wrap(op Op, kind Kind, err error, hint string) *Error {
	if hint == "" {
		hint = usualHints[kind]
	}
	return &Error{Op: op, Kind: kind, Target: s.target.String(), Err: err, Hint: hint, secrets: s.secrets()}
}

// sizeError are two numbers of bytes that should be the same.
type sizeError struct{ sent, stored int64 }

func (e sizeError) Error() string {
	return fmt.Sprintf("%d bytes were sent, the server holds %d", e.sent, e.stored)
}
