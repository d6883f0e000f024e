package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"sealgate/appliance/model"
)

// SSLKey is a certificate of a web service. Its private key is the secret
// SecretID.
type SSLKey struct {
	ID          string
	ServiceID   string // the web service
	Name        string
	Certificate string // PEM, the leaf first
	Issuer      string
	ValidFrom   time.Time
	ValidTo     time.Time
	HSM         bool
	SecretID    string
	Created     time.Time
}

const sslKeyColumns = "id, service_id, name, certificate, issuer, valid_from, valid_to, hsm, secret_id, created"

func scanSSLKey(scan func(...any) error, k *SSLKey) error {
	var from, to, hsm, created int64
	if err := scan(&k.ID, &k.ServiceID, &k.Name, &k.Certificate, &k.Issuer, &from, &to, &hsm, &k.SecretID, &created); err != nil {
		return err
	}
	k.ValidFrom, k.ValidTo, k.Created = time.UnixMilli(from).UTC(), time.UnixMilli(to).UTC(), time.UnixMilli(created).UTC()
	k.HSM = hsm != 0
	return nil
}

// AddSSLKey adds a certificate and seals its private key (PEM). It returns the
// key's id, a fresh one unless k.ID gives it.
func (t *Tx) AddSSLKey(ctx context.Context, k SSLKey, sealer Sealer, private []byte) (string, error) {
	if k.ID == "" {
		k.ID = NewID()
	}
	if err := checkName("SSL key", k.Name); err != nil {
		return "", err
	}
	service, err := t.Get(ctx, k.ServiceID)
	if err != nil {
		return "", fmt.Errorf("web service of SSL key %q: %w", k.Name, err)
	}
	if service.Kind != model.WebService {
		return "", fmt.Errorf("SSL key %q belongs to a %s, must be a web service: %w", k.Name, service.Kind, ErrInvalid)
	}
	if k.SecretID, err = t.putSecret(ctx, sealer, k.SecretID, model.SSLKey, private); err != nil {
		return "", err
	}
	_, err = t.tx.ExecContext(ctx, "INSERT INTO ssl_keys ("+sslKeyColumns+") VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
		k.ID, k.ServiceID, k.Name, k.Certificate, k.Issuer, k.ValidFrom.UnixMilli(), k.ValidTo.UnixMilli(), bit(k.HSM), k.SecretID, t.at)
	if isDuplicate(err) {
		return "", fmt.Errorf("SSL key %q of web service %q: %w", k.Name, service.Name, ErrExists)
	}
	if err != nil {
		return "", err
	}
	t.recordSecret(model.SSLKey, k.ID, false, true)
	return k.ID, nil
}

// DeleteSSLKey removes a certificate and its private key, unless a rule uses it.
func (t *Tx) DeleteSSLKey(ctx context.Context, id string) error {
	var k SSLKey
	row := t.tx.QueryRowContext(ctx, "SELECT "+sslKeyColumns+" FROM ssl_keys WHERE id = $1", id)
	if err := scanSSLKey(row.Scan, &k); err != nil {
		return notFound(err, "SSL key", id)
	}
	if err := t.checkFree(ctx, "SSL key", id, k.Name); err != nil {
		return err
	}
	return t.deleteSecretOwner(ctx, model.SSLKey, "ssl_keys", id, k.SecretID)
}

// SSLKeys lists the certificates of a web service by name.
func (s *Store) SSLKeys(ctx context.Context, service string) ([]SSLKey, error) {
	return queries{s.reader}.SSLKeys(ctx, service)
}

// SSLKeys lists the certificates of a web service by name.
func (q queries) SSLKeys(ctx context.Context, service string) ([]SSLKey, error) {
	rows, err := q.q.QueryContext(ctx, "SELECT "+sslKeyColumns+" FROM ssl_keys WHERE service_id = $1 ORDER BY name", service)
	if err != nil {
		return nil, err
	}
	return collect(rows, func(k *SSLKey) error { return scanSSLKey(rows.Scan, k) })
}

func notFound(err error, what, id string) error {
	if errors.Is(err, sql.ErrNoRows) {
		return fmt.Errorf("%s %q: %w", what, id, ErrNotFound)
	}
	return err
}

// bit is how a column keeps a truth value.
func bit(b bool) int64 {
	if b {
		return 1
	}
	return 0
}
