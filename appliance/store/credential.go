package store

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"sealgate/appliance/model"
)

// Kinds of credentials.
const (
	DatabaseCredential = "database" // of a database that the server reads
	ServerCredential   = "server"   // of a protected server
)

// Credential is how the server logs in elsewhere. The password is the secret
// SecretID.
type Credential struct {
	ID       string
	Kind     string
	Name     string
	UserName string
	Document json.RawMessage // where and how: host, port, connection mode
	SecretID string
	Created  time.Time
}

const credentialColumns = "id, kind, name, user_name, document, secret_id, created"

func scanCredential(scan func(...any) error, c *Credential) error {
	var document string
	var created int64
	if err := scan(&c.ID, &c.Kind, &c.Name, &c.UserName, &document, &c.SecretID, &created); err != nil {
		return err
	}
	c.Document, c.Created = json.RawMessage(document), time.UnixMilli(created).UTC()
	return nil
}

// AddCredential adds a credential and seals its password. It returns the
// credential's id, a fresh one unless c.ID gives it.
func (t *Tx) AddCredential(ctx context.Context, c Credential, sealer Sealer, password []byte) (string, error) {
	if c.ID == "" {
		c.ID = NewID()
	}
	if c.Kind != DatabaseCredential && c.Kind != ServerCredential {
		return "", fmt.Errorf("credential %q is of kind %q, must be %s or %s: %w", c.Name, c.Kind, DatabaseCredential, ServerCredential, ErrInvalid)
	}
	err := checkName("credential", c.Name)
	if err != nil {
		return "", err
	}
	if c.Document, err = compact("credential", c.Name, c.Document); err != nil {
		return "", err
	}
	if c.SecretID, err = t.putSecret(ctx, sealer, c.SecretID, model.Credential, password); err != nil {
		return "", err
	}
	_, err = t.tx.ExecContext(ctx, "INSERT INTO credentials ("+credentialColumns+") VALUES ($1, $2, $3, $4, $5, $6, $7)",
		c.ID, c.Kind, c.Name, c.UserName, string(c.Document), c.SecretID, t.at)
	if isDuplicate(err) {
		return "", fmt.Errorf("%s credential %q: %w", c.Kind, c.Name, ErrExists)
	}
	if err != nil {
		return "", err
	}
	t.recordSecret(model.Credential, c.ID, false, true)
	return c.ID, nil
}

// DeleteCredential removes a credential and its password, unless an object uses it.
func (t *Tx) DeleteCredential(ctx context.Context, id string) error {
	var c Credential
	row := t.tx.QueryRowContext(ctx, "SELECT "+credentialColumns+" FROM credentials WHERE id = $1", id)
	if err := scanCredential(row.Scan, &c); err != nil {
		return notFound(err, "credential", id)
	}
	if err := t.checkFree(ctx, "credential", id, c.Name); err != nil {
		return err
	}
	return t.deleteSecretOwner(ctx, model.Credential, "credentials", id, c.SecretID)
}

// Credentials lists the credentials by kind and name.
func (s *Store) Credentials(ctx context.Context) ([]Credential, error) {
	rows, err := s.reader.QueryContext(ctx, "SELECT "+credentialColumns+" FROM credentials ORDER BY kind, name")
	if err != nil {
		return nil, err
	}
	return collect(rows, func(c *Credential) error { return scanCredential(rows.Scan, c) })
}
