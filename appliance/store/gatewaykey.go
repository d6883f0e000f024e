package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"
)

// GatewayKey is a gateway's registration: by which key this machine knows it.
type GatewayKey struct {
	GatewayID  string
	Pin        string // SHA-256 of its public key, in hexadecimal
	Sealing    string // X25519 key that secrets are sealed to, in base64
	Kind       string // how it counts: a licence.Kind
	Registered time.Time
	Epoch      string // of the spool whose events are kept up to Sequence
	Sequence   int64
}

// maxDeletedKeys are remembered.
const maxDeletedKeys = 1000

const gatewayKeyColumns = "gateway_id, pin, sealing, kind, registered, epoch, sequence"

func scanGatewayKey(scan func(...any) error, k *GatewayKey) error {
	var registered int64
	err := scan(&k.GatewayID, &k.Pin, &k.Sealing, &k.Kind, &registered, &k.Epoch, &k.Sequence)
	k.Registered = time.UnixMilli(registered).UTC()
	return err
}

// GatewayKey returns the registration of a key.
func (s *Store) GatewayKey(ctx context.Context, pin string) (GatewayKey, error) {
	return queries{s.reader}.GatewayKey(ctx, pin)
}

// GatewayKeys lists the registrations.
func (s *Store) GatewayKeys(ctx context.Context) ([]GatewayKey, error) {
	return queries{s.reader}.GatewayKeys(ctx)
}

// GatewayKey returns the registration of a key.
func (q queries) GatewayKey(ctx context.Context, pin string) (GatewayKey, error) {
	return q.gatewayKey(ctx, "pin", pin)
}

// KeyOfGateway returns the registration of a gateway.
func (q queries) KeyOfGateway(ctx context.Context, id string) (GatewayKey, error) {
	return q.gatewayKey(ctx, "gateway_id", id)
}

func (q queries) gatewayKey(ctx context.Context, column, value string) (GatewayKey, error) {
	var k GatewayKey
	err := scanGatewayKey(q.q.QueryRowContext(ctx, "SELECT "+gatewayKeyColumns+" FROM gateway_keys WHERE "+column+" = $1", value).Scan, &k)
	if errors.Is(err, sql.ErrNoRows) {
		return GatewayKey{}, fmt.Errorf("the key of a gateway: %w", ErrNotFound)
	}
	return k, err
}

// GatewayKeys lists the registrations.
func (q queries) GatewayKeys(ctx context.Context) ([]GatewayKey, error) {
	rows, err := q.q.QueryContext(ctx, "SELECT "+gatewayKeyColumns+" FROM gateway_keys ORDER BY gateway_id")
	if err != nil {
		return nil, err
	}
	return collect(rows, func(k *GatewayKey) error { return scanGatewayKey(rows.Scan, k) })
}

// DeletedGatewayKey returns the name of the gateway whose key this was, "" if it was
// none's.
func (s *Store) DeletedGatewayKey(ctx context.Context, pin string) (name string, err error) {
	err = s.reader.QueryRowContext(ctx, "SELECT name FROM deleted_gateway_keys WHERE pin = $1", pin).Scan(&name)
	if errors.Is(err, sql.ErrNoRows) {
		err = nil
	}
	return name, err
}

// PutGatewayKey registers a key. What its gateway was registered by before is
// replaced; a key of another gateway is ErrExists.
func (t *Tx) PutGatewayKey(ctx context.Context, k GatewayKey) error {
	if _, err := t.tx.ExecContext(ctx, "DELETE FROM gateway_keys WHERE gateway_id = $1", k.GatewayID); err != nil {
		return err
	}
	if _, err := t.tx.ExecContext(ctx, "DELETE FROM deleted_gateway_keys WHERE pin = $1", k.Pin); err != nil {
		return err
	}
	_, err := t.tx.ExecContext(ctx, "INSERT INTO gateway_keys ("+gatewayKeyColumns+") VALUES ($1, $2, $3, $4, $5, $6, $7)",
		k.GatewayID, k.Pin, k.Sealing, k.Kind, t.at, k.Epoch, k.Sequence)
	if isDuplicate(err) {
		return fmt.Errorf("the key of a gateway: %w", ErrExists)
	}
	return err
}

// DropGatewayKey forgets the registration of a gateway, and what it was asked to do.
func (t *Tx) DropGatewayKey(ctx context.Context, gateway Object) error {
	key, err := t.KeyOfGateway(ctx, gateway.ID)
	if errors.Is(err, ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, do := range []struct {
		query string
		args  []any
	}{
		{"DELETE FROM gateway_keys WHERE gateway_id = $1", []any{gateway.ID}},
		{"DELETE FROM gateway_commands WHERE gateway_id = $1", []any{gateway.ID}},
	} {
		if _, err := t.tx.ExecContext(ctx, do.query, do.args...); err != nil {
			return err
		}
	}
	return t.retireKey(ctx, key.Pin, gateway.Name)
}

// RenewGatewayKey registers a gateway by another key in the place of the one it has; a
// key of another gateway is ErrExists.
func (t *Tx) RenewGatewayKey(ctx context.Context, gateway Object, pin, sealing string) error {
	key, err := t.KeyOfGateway(ctx, gateway.ID)
	if err != nil {
		return err
	}
	_, err = t.tx.ExecContext(ctx, "UPDATE gateway_keys SET pin = $1, sealing = $2 WHERE gateway_id = $3", pin, sealing, gateway.ID)
	if isDuplicate(err) {
		return fmt.Errorf("the key of a gateway: %w", ErrExists)
	}
	if err != nil {
		return err
	}
	return t.retireKey(ctx, key.Pin, gateway.Name)
}

// retireKey remembers a key that does not count any more, and forgets the oldest ones.
func (t *Tx) retireKey(ctx context.Context, pin, name string) error {
	for _, do := range []struct {
		query string
		args  []any
	}{
		{"DELETE FROM deleted_gateway_keys WHERE pin IN (SELECT pin FROM deleted_gateway_keys ORDER BY deleted DESC, pin LIMIT 1000 OFFSET $1)", []any{maxDeletedKeys - 1}},
		{"INSERT INTO deleted_gateway_keys (pin, name, deleted) VALUES ($1, $2, $3)", []any{pin, name, t.at}},
	} {
		if _, err := t.tx.ExecContext(ctx, do.query, do.args...); err != nil {
			return err
		}
	}
	return nil
}
