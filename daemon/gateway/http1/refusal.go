package http1

import "net/http"

// Refusal is why a request was not taken. It never holds the request's bytes.
type Refusal struct {
	Status int    // of the answer
	Name   string // a rule of the HTTP protocol policy, such as "Malformed Header Line"
	Reason string // what is wrong, lower-case
}

func (r *Refusal) Error() string { return r.Reason }

// What is refused, by the name of the rule that says so.
const (
	MalformedRequest = "Malformed Request Line"
	MalformedHeader  = "Malformed Header Line"
	IllegalHeader    = "Illegal Byte in Header"
	IllegalURL       = "Illegal Byte in URL"
	TooManyHeaders   = "Too Many Headers"
	HeaderTooLong    = "Header Line Too Long"
	URLTooLong       = "URL Too Long"
	LengthMismatch   = "Content Length Mismatch"
	UnknownEncoding  = "Unknown Transfer Encoding"
	HostMissing      = "Host Header Missing"
	IllegalMethod    = "Illegal Method"
	SlowRequest      = "Slow Request"
)

var errMasquerade = bad(MalformedHeader, "a header's name is another one's with underscores")

func bad(name, reason string) *Refusal { return &Refusal{http.StatusBadRequest, name, reason} }

// Bodies that are broken are errors of their Read.
var (
	errChunk    = bad(LengthMismatch, "a chunk of the body is malformed")
	errExt      = bad(LengthMismatch, "a chunk of the body has an extension")
	errTrailer  = bad(MalformedHeader, "the trailer is malformed")
	ErrSlowBody = &Refusal{http.StatusRequestTimeout, SlowRequest, "the body comes too slowly"}
	errSlowHead = &Refusal{http.StatusRequestTimeout, SlowRequest, "the head comes too slowly"}
	errTooLarge = &Refusal{http.StatusRequestEntityTooLarge, "Body Too Long", "the body is longer than allowed"}
)
