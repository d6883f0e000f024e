package store

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"sealgate/appliance/atomicfile"
)

func dataFolder(home string) string  { return filepath.Join(home, "data") }
func currentLink(home string) string { return filepath.Join(home, "data", "current") }

// generation is a folder with one whole set of data: rows, events, files and
// archives. One link says which of them is in use.
type generation string

func (g generation) name() string           { return filepath.Base(string(g)) }
func (g generation) config() string         { return filepath.Join(string(g), "config.db") }
func (g generation) files() string          { return filepath.Join(string(g), "files") }
func (g generation) events() string         { return filepath.Join(string(g), "events") }
func (g generation) archives() string       { return filepath.Join(string(g), "archives") }
func (g generation) previous() string       { return filepath.Join(string(g), "previous") }
func (g generation) keep() string           { return filepath.Join(string(g), "keep") } // a release needs it
func (g generation) day(name string) string { return filepath.Join(string(g), "events", name+".db") }

// folders are what every generation has.
func (g generation) folders() []string { return []string{g.files(), g.events(), g.archives()} }

// currentOf is the generation in use below home.
func currentOf(home string) (generation, error) {
	name, err := os.Readlink(currentLink(home))
	if err != nil {
		return "", err
	}
	return generationOf(home, name)
}

// generationOf is the generation of a name, which was read from the data folder
// and so is the role's word.
func generationOf(home, name string) (generation, error) {
	if name == "" || name != filepath.Base(name) || strings.HasPrefix(name, ".") || name == filepath.Base(currentLink(home)) {
		return "", fmt.Errorf("generation %q is no name in %s", name, dataFolder(home))
	}
	return generation(filepath.Join(dataFolder(home), name)), nil
}

// Settle moves events and archives that lie beside the data folder, where an
// older release kept them, into the generation in use. It may be cut short and
// repeated; nothing may have the store open.
func Settle(home string) error {
	g, err := currentOf(home)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, name := range []string{"events", "archives"} {
		err := os.Rename(filepath.Join(home, name), filepath.Join(string(g), name))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err := errors.Join(err, atomicfile.SyncDir(string(g)), atomicfile.SyncDir(home)); err != nil {
			return fmt.Errorf("move %s into the generation: %w", name, err)
		}
	}
	return nil
}
