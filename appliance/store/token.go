package store

import (
	"context"
	"time"
)

const tokenKind = "registrationToken"

// maxTokens are kept; the one that ends first makes room.
const maxTokens = 64

// AddRegistrationToken lets gateways register until a time with the token that
// has this verifier. Tokens that have ended are forgotten.
func (t *Tx) AddRegistrationToken(ctx context.Context, author, verifier string, until time.Time) error {
	_, err := t.tx.ExecContext(ctx, `DELETE FROM registration_tokens WHERE expires <= $1 OR verifier IN
		(SELECT verifier FROM registration_tokens ORDER BY expires DESC LIMIT 1000 OFFSET $2)`, t.at, maxTokens-1)
	if err != nil {
		return err
	}
	_, err = t.tx.ExecContext(ctx, "INSERT INTO registration_tokens (verifier, author, created, expires) VALUES ($1, $2, $3, $4)",
		verifier, author, t.at, until.UnixMilli())
	if err != nil {
		return err
	}
	t.record(tokenKind, NewID(), nil, &State{})
	return nil
}

// RegistrationToken says whether the token with this verifier lets a gateway
// register at that time.
func (q queries) RegistrationToken(ctx context.Context, verifier string, at time.Time) (bool, error) {
	var n int64
	err := q.q.QueryRowContext(ctx, "SELECT COUNT(*) FROM registration_tokens WHERE verifier = $1 AND expires > $2",
		verifier, at.UnixMilli()).Scan(&n)
	return n > 0, err
}
