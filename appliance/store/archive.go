package store

import (
	"context"
	"database/sql"
	"fmt"
	"path/filepath"
	"strings"
	"time"
)

// ArchiveStatus says how the making of an archive ended.
type ArchiveStatus string

// How archives end.
const (
	ArchiveGood   ArchiveStatus = "good"
	ArchiveFailed ArchiveStatus = "failed"
)

// Archive is a file in the archives folder, whose name it has.
type Archive struct {
	ID      string
	Name    string
	Status  ArchiveStatus
	Size    int64  // bytes
	SHA256  string // hexadecimal
	Error   string // why it failed
	Created time.Time
}

const archiveColumns = "id, name, status, size, sha256, error, created"

func scanArchive(scan func(...any) error, a *Archive) error {
	var created int64
	if err := scan(&a.ID, &a.Name, &a.Status, &a.Size, &a.SHA256, &a.Error, &created); err != nil {
		return err
	}
	a.Created = time.UnixMilli(created).UTC()
	return a.checkName()
}

// checkName holds names to the archives' folder.
func (a Archive) checkName() error {
	if err := checkName("archive", a.Name); err != nil {
		return err
	}
	if a.Name != filepath.Base(a.Name) || strings.HasPrefix(a.Name, ".") {
		return fmt.Errorf("archive %q is no plain file name: %w", a.Name, ErrInvalid)
	}
	return nil
}

// AddArchive records an archive. Its file is complete in Archives when it is
// called, so that whoever reads the row finds the file.
func (s *Store) AddArchive(ctx context.Context, a Archive) (string, error) {
	if a.ID == "" {
		a.ID = NewID()
	}
	if err := a.checkName(); err != nil {
		return "", err
	}
	if a.Status != ArchiveGood && a.Status != ArchiveFailed {
		return "", fmt.Errorf("archive %q has status %q, must be %s or %s: %w", a.Name, a.Status, ArchiveGood, ArchiveFailed, ErrInvalid)
	}
	err := s.transaction(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, "INSERT INTO archives ("+archiveColumns+") VALUES ($1, $2, $3, $4, $5, $6, $7)",
			a.ID, a.Name, string(a.Status), a.Size, a.SHA256, a.Error, a.Created.UnixMilli())
		return err
	})
	if isDuplicate(err) {
		return "", fmt.Errorf("archive %q: %w", a.Name, ErrExists)
	}
	return a.ID, err
}

// ListArchives lists the archives by name.
func (s *Store) ListArchives(ctx context.Context) ([]Archive, error) {
	rows, err := s.reader.QueryContext(ctx, "SELECT "+archiveColumns+" FROM archives ORDER BY name")
	if err != nil {
		return nil, err
	}
	return collect(rows, func(a *Archive) error { return scanArchive(rows.Scan, a) })
}
