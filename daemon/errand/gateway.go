package errand

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"sealgate/appliance/secret"
)

// ErrWrong means that whoever registers does not know the *secure* password.
var ErrWrong = errors.New("the password is wrong")

// Exchange is the daemon's side of a key exchange that began.
type Exchange struct {
	secret.Hashing
	Share []byte `json:"share"`
}

// Kind is what the role may have the audit log say about a gateway.
type Kind string

// The kinds.
const (
	Registered   Kind = "gateway registered"
	Renewed      Kind = "gateway registered by new keys"
	Unregistered Kind = "gateway unregistered"
	WrongSecret  Kind = "gateway refused: wrong password, or somebody in the middle"
	WrongToken   Kind = "gateway refused: no such registration token"
	NoSession    Kind = "gateway refused: its session is not one, or was used"
	TooMany      Kind = "gateway refused: too many attempts"
	NameTaken    Kind = "gateway refused: another one has its name"
	NoLicence    Kind = "gateway refused: no licence is left"
	NotAccepted  Kind = "gateway refused: it asks for what cannot be"
	UnknownKey   Kind = "gateway refused: its key is not registered"
	DeletedKey   Kind = "gateway refused: its key was deleted"

	// A gateway's audit log, of which this one is a witness.
	AuditHead      Kind = "head of a gateway's audit log"
	AuditRewritten Kind = "a gateway's audit log was rewritten"
)

var kinds = map[Kind]bool{Registered: true, Renewed: true, Unregistered: true, WrongSecret: true, WrongToken: true, NoSession: true, TooMany: true,
	NameTaken: true, NoLicence: true, NotAccepted: true, UnknownKey: true, DeletedKey: true, AuditHead: true, AuditRewritten: true}

// Note is a record that the role asks for.
type Note struct {
	Kind    Kind   `json:"kind"`
	Origin  string `json:"origin"` // the address
	Gateway string `json:"gateway,omitempty"`
	Detail  string `json:"detail,omitempty"`
}

const maxNote = 256 // bytes of each text

// valid says whether a note is one that the log takes.
func (n Note) valid() bool {
	return kinds[n.Kind] && len(n.Origin) <= maxNote && len(n.Gateway) <= maxNote && len(n.Detail) <= maxNote
}

// Gateways is what the daemon does for gateways.
type Gateways interface {
	// BeginExchange begins a key exchange by the *secure* password.
	BeginExchange(channel, session []byte) (Exchange, error)
	// FinishExchange says whether the other side knows the password, and then what
	// proves to it that this one does. The error may be ErrWrong or ErrBusy.
	FinishExchange(session, share, proof []byte) ([]byte, error)
	// SealFor seals a private key to a gateway's key.
	SealFor(recipient []byte, id string, sealed []byte) ([]byte, error)
	// Note keeps a record.
	Note(Note) error
}

// gateway is what errands for gateways say and hear.
type gateway struct {
	Channel   []byte    `json:"channel,omitempty"`
	Session   []byte    `json:"session,omitempty"`
	Share     []byte    `json:"share,omitempty"`
	Proof     []byte    `json:"proof,omitempty"`
	Exchange  *Exchange `json:"exchange,omitempty"`
	Recipient []byte    `json:"recipient,omitempty"`
	ID        string    `json:"id,omitempty"`
	Sealed    []byte    `json:"sealed,omitempty"`
	Note      *Note     `json:"note,omitempty"`
}

// forGateway answers an errand for a gateway.
func forGateway(host Gateways, do string, g gateway) (answer gateway, known bool, err error) {
	switch do {
	case "begin exchange":
		var x Exchange
		x, err = host.BeginExchange(g.Channel, g.Session)
		answer.Exchange = &x
	case "finish exchange":
		answer.Proof, err = host.FinishExchange(g.Session, g.Share, g.Proof)
	case "seal":
		answer.Sealed, err = host.SealFor(g.Recipient, g.ID, g.Sealed)
	case "note":
		if g.Note == nil || !g.Note.valid() {
			return answer, false, nil
		}
		err = host.Note(*g.Note)
	default:
		return answer, false, nil
	}
	return answer, true, err
}

func (c *Client) askGateway(ctx context.Context, do string, g gateway) (gateway, error) {
	m, err := c.ask(ctx, message{Do: do, Gateway: &g})
	if err == nil && m.Gateway == nil {
		err = fmt.Errorf("the daemon has no answer to %s", do)
	}
	if err != nil {
		return gateway{}, err
	}
	return *m.Gateway, nil
}

// BeginExchange begins a key exchange by the *secure* password. The error may be
// ErrBusy.
func (c *Client) BeginExchange(ctx context.Context, channel, session []byte) (Exchange, error) {
	g, err := c.askGateway(ctx, "begin exchange", gateway{Channel: channel, Session: session})
	if err == nil && g.Exchange == nil {
		err = errors.New("the daemon has no share")
	}
	if err != nil {
		return Exchange{}, err
	}
	return *g.Exchange, nil
}

// FinishExchange ends it. The error may be ErrWrong, ErrBusy or, when the session is
// not known, ErrNoSession.
func (c *Client) FinishExchange(ctx context.Context, session, share, proof []byte) ([]byte, error) {
	g, err := c.askGateway(ctx, "finish exchange", gateway{Session: session, Share: share, Proof: proof})
	return g.Proof, err
}

// SealFor seals a private key, which is sealed under an id, to a gateway's key.
func (c *Client) SealFor(ctx context.Context, recipient []byte, id string, sealed []byte) ([]byte, error) {
	g, err := c.askGateway(ctx, "seal", gateway{Recipient: recipient, ID: id, Sealed: sealed})
	return g.Sealed, err
}

// Note has the audit log say something. Texts are cut to what it takes, between runes:
// half of one would be written as more bytes than it has.
func (c *Client) Note(ctx context.Context, n Note) error {
	for _, text := range []*string{&n.Origin, &n.Gateway, &n.Detail} {
		*text = strings.ToValidUTF8((*text)[:min(len(*text), maxNote)], "")
	}
	_, err := c.askGateway(ctx, "note", gateway{Note: &n})
	return err
}
