package store

import (
	"errors"
	"fmt"
	"io"
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
	name, err := readName(g.previous())
	if errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("%w (%w)", ErrNoPrevious, fs.ErrNotExist)
	}
	if err != nil {
		return "", err
	}
	old, err := generationOf(home, name)
	if err != nil {
		return "", err
	}
	if _, err := os.Stat(old.config()); err != nil {
		return "", fmt.Errorf("%w: %w", ErrNoPrevious, err)
	}
	return old, nil
}

// maxGeneration bounds the name of a generation, in bytes.
const maxGeneration = 128

// readName reads the name of a generation. The file is the role's to replace: a pipe
// would hold the daemon for ever, and a link may lead to a key, which an error that
// repeats the name would tell.
func readName(path string) (string, error) {
	file, err := os.OpenFile(path, os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if err != nil {
		return "", err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return "", err
	}
	if !info.Mode().IsRegular() || info.Size() > maxGeneration {
		return "", fmt.Errorf("%s does not name a generation", path)
	}
	name := make([]byte, info.Size())
	if _, err := io.ReadFull(file, name); err != nil {
		return "", fmt.Errorf("%s: %w", path, err)
	}
	return strings.TrimSpace(string(name)), nil
}
