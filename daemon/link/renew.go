package link

import (
	"context"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"

	"sealgate/appliance"
	"sealgate/appliance/atomicfile"
	"sealgate/appliance/secret"
	"sealgate/appliance/store"
	"sealgate/appliance/token"
	"sealgate/daemon/errand"
)

// renewal says by which keys a registered gateway wants to be known from now on. The
// key that it still has speaks for it, the new one signs.
type renewal struct {
	Key       []byte `json:"key"`     // Ed25519
	Sealing   []byte `json:"sealing"` // X25519
	Signature []byte `json:"signature"`
}

// signed is what the new key signs.
func (m renewal) signed(old token.Pin) []byte {
	return append(append([]byte("sealgate link: a gateway's new key\x00"), old[:]...), m.Sealing...)
}

// renew registers a gateway by new keys. Those that it had are deleted ones.
func (s *Server) renew(w http.ResponseWriter, r *http.Request, g Gateway) error {
	var m renewal
	if err := ReadJSON(r.Body, MaxMessage, &m); err != nil {
		return &Problem{Code: BadRequest, Text: err.Error()}
	}
	if len(m.Key) != ed25519.PublicKeySize || !ed25519.Verify(m.Key, m.signed(g.Peer.Pin), m.Signature) {
		return &Problem{Code: BadRequest, Text: "the gateway does not have the key that it names"}
	}
	if _, err := secret.ParseRecipient(m.Sealing); err != nil {
		return &Problem{Code: BadRequest, Text: "the key to seal to is none"}
	}
	pin := pinOfKey(m.Key)
	ctx := r.Context()
	o, err := s.Store.Get(ctx, g.GatewayID)
	if err != nil {
		return err
	}
	change := store.Change{Author: "gateway " + o.Name, Summary: "new keys of gateway " + o.Name}
	_, err = s.Store.Write(ctx, change, func(tx *store.Tx) error {
		now, err := tx.KeyOfGateway(ctx, o.ID)
		if err == nil && now.Pin != g.Pin {
			err = &Problem{Code: DeletedKey, Text: "the gateway has another key already"}
		}
		if err != nil {
			return err
		}
		return tx.RenewGatewayKey(ctx, o, hex.EncodeToString(pin[:]), base64.StdEncoding.EncodeToString(m.Sealing))
	})
	if errors.Is(err, store.ErrExists) {
		return &Problem{Code: BadRequest, Text: "the new key is another gateway's"}
	}
	if err != nil {
		return err
	}
	s.note(ctx, g.Peer, errand.Renewed, o.Name, "")
	return Answer(w, struct{}{})
}

func nextFile(home appliance.Home) string { return filepath.Join(home.Link(), "identity.next.json") }

// Renew has the management server know the gateway by new keys, which are on the disk
// before it hears of them. Where its answer is lost, TakeNext finds out.
func (id *Identity) Renew(ctx context.Context, home appliance.Home, c *Client) error {
	next, err := NewIdentity()
	if err != nil {
		return err
	}
	next.Registration = id.Registration
	opener, err := next.Opener()
	if err != nil {
		return err
	}
	if err := writeShared(home, nextFile(home), next); err != nil {
		return err
	}
	m := renewal{Key: next.Key.Public().(ed25519.PublicKey), Sealing: opener.Recipient()}
	m.Signature = ed25519.Sign(next.Key, m.signed(id.Pin()))
	err = c.Call(ctx, PathRenew, m, new(struct{}))
	if _, refused := errors.AsType[*Problem](err); refused {
		return errors.Join(err, os.Remove(nextFile(home)))
	}
	if err != nil {
		return err
	}
	_, err = TakeNext(home)
	return err
}

// TakeNext puts the keys of a renewal into the place of those that the management
// server does not know any more. It says whether there were any.
func TakeNext(home appliance.Home) (bool, error) {
	err := os.Rename(nextFile(home), identityFile(home))
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	return true, atomicfile.SyncDir(home.Link())
}
