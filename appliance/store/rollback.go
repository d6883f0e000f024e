package store

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"sealgate/appliance/atomicfile"
)

// ErrNoPrevious means that there is nothing to go back to.
var ErrNoPrevious = errors.New("there are no data from before an import")

// Previous says when the generation that Rollback goes back to was made.
func Previous(home string) (time.Time, error) {
	now, err := currentOf(home)
	if err != nil {
		return time.Time{}, err
	}
	old, err := before(home, now)
	if err != nil {
		return time.Time{}, err
	}
	return madeAt(old), nil
}

// madeAt reads the time from a generation's name; zero where it has none.
func madeAt(g generation) time.Time {
	name := g.name()
	at, _ := time.Parse(generationLayout, name[:min(len(name), len(generationLayout))])
	return at
}

// Rollback puts the generation back that the last import replaced, and removes
// the imported one. Nothing may have the store open for writing.
func Rollback(home string) error {
	lock, err := lockData(home, unix.LOCK_EX)
	if err != nil {
		return err
	}
	defer lock.Close()
	now, err := currentOf(home)
	if err != nil {
		return err
	}
	old, err := before(home, now)
	if err != nil {
		return err
	}
	if err := atomicfile.Symlink(old.name(), currentLink(home)); err != nil {
		return err
	}
	return sweep(home, old)
}

// before is the generation that g replaced.
func before(home string, g generation) (generation, error) {
	name, err := os.ReadFile(g.previous())
	if errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("%w (%w)", ErrNoPrevious, fs.ErrNotExist)
	}
	if err != nil {
		return "", err
	}
	old, err := generationOf(home, strings.TrimSpace(string(name)))
	if err != nil {
		return "", err
	}
	if _, err := os.Stat(old.config()); err != nil {
		return "", fmt.Errorf("%w: %w", ErrNoPrevious, err)
	}
	return old, nil
}
