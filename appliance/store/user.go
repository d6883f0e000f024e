package store

import (
	"context"
	"encoding/json"
	"fmt"
	"time"
)

// Roles of users.
const (
	Administrator = "administrator"
	ReadOnlyRole  = "read-only"
	SiteRole      = "site" // of the sites that the document names
)

// User is an account of the management server.
type User struct {
	ID       string
	Name     string
	Role     string
	Verifier string          // argon2id, a PHC string
	Document json.RawMessage // full name, e-mail and the like
	Created  time.Time
	Updated  time.Time
}

// userKind is what differences call users.
const userKind = "user"

const userColumns = "id, name, role, verifier, document, created, updated"

func scanUser(scan func(...any) error, u *User) error {
	var document string
	var created, updated int64
	if err := scan(&u.ID, &u.Name, &u.Role, &u.Verifier, &document, &created, &updated); err != nil {
		return err
	}
	u.Document = json.RawMessage(document)
	u.Created, u.Updated = time.UnixMilli(created).UTC(), time.UnixMilli(updated).UTC()
	return nil
}

// AddUser adds an account and returns its id, a fresh one unless u.ID gives it.
func (t *Tx) AddUser(ctx context.Context, u User) (string, error) {
	if u.ID == "" {
		u.ID = NewID()
	}
	err := checkName(userKind, u.Name)
	if err != nil {
		return "", err
	}
	if u.Document, err = compact(userKind, u.Name, u.Document); err != nil {
		return "", err
	}
	_, err = t.tx.ExecContext(ctx, "INSERT INTO users ("+userColumns+") VALUES ($1, $2, $3, $4, $5, $6, $7)",
		u.ID, u.Name, u.Role, u.Verifier, string(u.Document), t.at, t.at)
	if isDuplicate(err) {
		return "", fmt.Errorf("user %q: %w", u.Name, ErrExists)
	}
	if err != nil {
		return "", err
	}
	t.record(userKind, u.ID, nil, &State{Name: u.Name, Document: u.Document})
	return u.ID, nil
}

// UpdateUser replaces what the account u.ID has but its id and the time of its making.
func (t *Tx) UpdateUser(ctx context.Context, u User) error {
	before, err := t.user(ctx, "id", u.ID)
	if err != nil {
		return err
	}
	if err := checkName(userKind, u.Name); err != nil {
		return err
	}
	if u.Document, err = compact(userKind, u.Name, u.Document); err != nil {
		return err
	}
	_, err = t.tx.ExecContext(ctx, "UPDATE users SET name = $1, role = $2, verifier = $3, document = $4, updated = $5 WHERE id = $6",
		u.Name, u.Role, u.Verifier, string(u.Document), t.at, u.ID)
	if isDuplicate(err) {
		return fmt.Errorf("user %q: %w", u.Name, ErrExists)
	}
	if err != nil {
		return err
	}
	t.record(userKind, u.ID, &State{Name: before.Name, Document: before.Document}, &State{Name: u.Name, Document: u.Document})
	return nil
}

// DeleteUser removes an account.
func (t *Tx) DeleteUser(ctx context.Context, id string) error {
	before, err := t.user(ctx, "id", id)
	if err != nil {
		return err
	}
	if _, err := t.tx.ExecContext(ctx, "DELETE FROM users WHERE id = $1", id); err != nil {
		return err
	}
	t.record(userKind, id, &State{Name: before.Name, Document: before.Document}, nil)
	return nil
}

// User returns the account with a name.
func (s *Store) User(ctx context.Context, name string) (User, error) {
	return queries{s.reader}.User(ctx, name)
}

// Users lists the accounts by name.
func (s *Store) Users(ctx context.Context) ([]User, error) {
	return queries{s.reader}.Users(ctx)
}

// User returns the account with a name.
func (q queries) User(ctx context.Context, name string) (User, error) {
	return q.user(ctx, "name", name)
}

func (q queries) user(ctx context.Context, column, value string) (User, error) {
	var u User
	err := scanUser(q.q.QueryRowContext(ctx, "SELECT "+userColumns+" FROM users WHERE "+column+" = $1", value).Scan, &u)
	return u, notFound(err, userKind, value)
}

// Users lists the accounts by name.
func (q queries) Users(ctx context.Context) ([]User, error) {
	rows, err := q.q.QueryContext(ctx, "SELECT "+userColumns+" FROM users ORDER BY name")
	if err != nil {
		return nil, err
	}
	return collect(rows, func(u *User) error { return scanUser(rows.Scan, u) })
}
