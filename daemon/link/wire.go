package link

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"
	"unicode/utf8"

	"sealgate/appliance/secret"
	"sealgate/transfer"
)

// Version is the version of the link that this release speaks. Messages grow by
// fields that older releases pass over; a new version is for what they would get
// wrong.
const Version = 1

// Protocol is the link's name in the TLS handshake.
const Protocol = "sealgate-link/1"

// Paths of the link.
const (
	PathRegisterBegin  = "/v1/register/begin"
	PathRegisterFinish = "/v1/register/finish"
	PathUnregister     = "/v1/unregister"
	PathRenew          = "/v1/renew"
	PathPoll           = "/v1/poll"
	PathConfiguration  = "/v1/configuration"
	PathEvents         = "/v1/events"
	PathResults        = "/v1/results/" // and the command's id
)

// MaxMessage bounds a JSON message, in bytes.
const MaxMessage = 256 << 10

// Begin asks for what a registration by password needs.
type Begin struct {
	Version int `json:"version"`
}

// Begun is its answer: how the password is hashed, and the server's share of the key
// exchange. It is good once, on this connection, for a short time.
type Begun struct {
	Version int    `json:"version"`
	Session []byte `json:"session"`
	secret.Hashing
	Share []byte `json:"share"`
}

// Finish registers, by the session that Begin opened or by a token.
type Finish struct {
	Version int    `json:"version"`
	Session []byte `json:"session,omitempty"`
	Share   []byte `json:"share,omitempty"`
	Proof   []byte `json:"proof,omitempty"` // that the gateway knows the password
	Token   string `json:"token,omitempty"`

	Name      string `json:"name"`
	Group     string `json:"group,omitempty"` // "": the default one
	Alias     string `json:"alias"`
	Address   string `json:"address"` // on which the gateway serves
	Mask      int    `json:"mask"`
	Interface string `json:"interface,omitempty"`
	Licensing string `json:"licensing"`
	Sealing   []byte `json:"sealing"` // X25519 key that private keys are sealed to
	Software  string `json:"software"`
}

// Finished says that the gateway is registered.
type Finished struct {
	Version int    `json:"version"`
	Proof   []byte `json:"proof,omitempty"` // that the server knows the password
	Server  string `json:"server"`          // the management server's name
	Group   string `json:"group"`           // in which the gateway is
	Note    string `json:"note,omitempty"`  // what is not as the gateway asked, because it was there before
}

// Revision is a configuration: which, and the SHA-256 of its bytes in hexadecimal.
type Revision struct {
	Number int64  `json:"revision"`
	SHA256 string `json:"sha256"`
}

// Poll tells how the gateway is, and waits for what is to be done.
type Poll struct {
	Version      int      `json:"version"`
	Software     string   `json:"software"`
	Start        string   `json:"start,omitempty"` // drawn each time that the gateway starts
	Model        string   `json:"model,omitempty"`
	Platform     string   `json:"platform,omitempty"`
	Addresses    []string `json:"addresses,omitempty"`
	Interfaces   []string `json:"interfaces,omitempty"` // all of them, those without an address too
	DataAddress  string   `json:"data_address,omitempty"`
	Running      Revision `json:"running,omitzero"`
	Refused      *Refused `json:"refused,omitempty"`
	NotListening string   `json:"not_listening,omitempty"` // the addresses of the configuration where it does not, and why
	Clock        int64    `json:"clock"`                   // milliseconds since 1970
	Spool        Spool    `json:"spool"`
	Results      []Result `json:"results,omitempty"`
	Now          bool     `json:"now,omitempty"`        // it is answered at once
	AuditHead    string   `json:"audit_head,omitempty"` // of the gateway's audit log, as witnesses keep it
}

// MaxInterfaces are told of in a poll; a gateway that has more tells none.
const MaxInterfaces = 256

// Refused is a configuration that the gateway did not take.
type Refused struct {
	Revision
	Reason string `json:"reason"`
}

// Spool is how much waits to be sent.
type Spool struct {
	Epoch   string `json:"epoch"`
	Records int64  `json:"records"`
	Bytes   int64  `json:"bytes"`
	Max     int64  `json:"max"`
	Dropped int64  `json:"dropped"`
}

// Result is how a command ended.
type Result struct {
	Command string `json:"command"`
	Error   string `json:"error,omitempty"`
}

// Polled is the answer to a poll.
type Polled struct {
	Version       int       `json:"version"`
	Configuration *Revision `json:"configuration,omitempty"` // that is to run
	Commands      []Command `json:"commands,omitempty"`
}

// Kinds of commands.
const (
	Restart  = "restart"
	Drain    = "drain"
	TechInfo = "get-tech-info"
	Renew    = "re-register" // by new keys
)

// Command is what the gateway is to do.
type Command struct {
	ID       string `json:"id"`
	Kind     string `json:"kind"`
	Argument string `json:"argument,omitempty"`
}

// MaxBatch bounds a batch of events, in bytes, compressed and not.
const MaxBatch = 4 << 20

// BatchTime bounds how long the server reads one.
const BatchTime = 10 * time.Second

// Headers of a batch of events: a zstd frame with a JSON object a line, sequence and
// record, as the spool has it.
const (
	HeaderEpoch = "Sealgate-Epoch"
	HeaderFirst = "Sealgate-First"
	HeaderLast  = "Sealgate-Last"
)

// Acknowledged is the answer to a batch: all up to Sequence is kept.
type Acknowledged struct {
	Sequence uint64 `json:"sequence"`
	Waited   int64  `json:"waited_ms,omitempty"` // for its place, and to be stored
}

// Problem is why a request was refused.
type Problem struct {
	Code  Code   `json:"code"`
	Text  string `json:"error"`
	Hint  string `json:"hint,omitempty"`
	After int    `json:"after_seconds,omitempty"` // when to try again
}

// Code tells refusals apart.
type Code string

// The codes.
const (
	BadRequest   Code = "bad-request"
	BadVersion   Code = "version"
	Busy         Code = "busy"
	WrongSecret  Code = "wrong-secret" // password or token, or somebody in the middle
	NoSession    Code = "no-session"
	NameTaken    Code = "name-taken"
	NoLicence    Code = "licence"
	NotAccepted  Code = "not-accepted"
	UnknownKey   Code = "unknown-key"
	DeletedKey   Code = "deleted-key"
	ServerFailed Code = "failed"
)

// Error is fit for a terminal: the other end wrote it.
func (p *Problem) Error() string { return transfer.SafeText(Brief(p.Text)) }

// maxText bounds a text for people, in bytes.
const maxText = 500

// Brief is a text that the other end wrote, or named things in: as much as is kept.
func Brief(text string) string { return strings.ToValidUTF8(text[:min(len(text), maxText)], "") }

// ReadJSON reads one message of at most max bytes.
func ReadJSON(r io.Reader, max int64, v any) error {
	data, err := io.ReadAll(io.LimitReader(r, max+1))
	if err != nil {
		return err
	}
	if int64(len(data)) > max {
		return fmt.Errorf("a message has more than %d bytes", max)
	}
	if !utf8.Valid(data) {
		return errors.New("a message is not UTF-8")
	}
	if err := json.Unmarshal(data, v); err != nil {
		return errors.New("a message is not what it should be")
	}
	return nil
}
