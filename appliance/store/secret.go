package store

import (
	"context"
	"encoding/base64"
)

// Sealer seals secrets under an id. *secret.Keys is one.
type Sealer interface {
	Seal(id string, plaintext []byte) []byte
}

// putSecret seals a secret for an owner (model.SSLKey or model.Credential) and
// returns its id.
func (t *Tx) putSecret(ctx context.Context, sealer Sealer, id, owner string, plaintext []byte) (string, error) {
	if id == "" {
		id = NewID()
	}
	sealed := base64.StdEncoding.EncodeToString(sealer.Seal(id, plaintext))
	_, err := t.tx.ExecContext(ctx, "INSERT INTO secrets (id, owner, sealed) VALUES ($1, $2, $3)", id, owner, sealed)
	return id, err
}

// Sealed returns a sealed secret, for an Unseal of the same id.
func (s *Store) Sealed(ctx context.Context, id string) ([]byte, error) {
	var sealed string
	if err := s.reader.QueryRowContext(ctx, "SELECT sealed FROM secrets WHERE id = $1", id).Scan(&sealed); err != nil {
		return nil, notFound(err, "secret", id)
	}
	return base64.StdEncoding.DecodeString(sealed)
}

// recordSecret notes that an SSL key or a credential came or went, and no more.
func (t *Tx) recordSecret(kind, id string, before, after bool) {
	var was, is *State
	if before {
		was = &State{}
	}
	if after {
		is = &State{}
	}
	t.record(kind, id, was, is)
}

// checkFree refuses to delete what something refers to. The error names the kind
// and the id's owner by name.
func (t *Tx) checkFree(ctx context.Context, kind, id, name string) error {
	uses, err := t.InUseBy(ctx, id)
	if err != nil {
		return err
	}
	if len(uses) > 0 {
		return &InUseError{Kind: kind, Name: name, By: uses}
	}
	return nil
}

// deleteSecretOwner removes a row of ssl_keys or credentials and its secret.
func (t *Tx) deleteSecretOwner(ctx context.Context, kind, table, id, secretID string) error {
	if _, err := t.tx.ExecContext(ctx, "DELETE FROM "+table+" WHERE id = $1", id); err != nil {
		return err
	}
	if _, err := t.tx.ExecContext(ctx, "DELETE FROM secrets WHERE id = $1", secretID); err != nil {
		return err
	}
	t.recordSecret(kind, id, true, false)
	return nil
}
