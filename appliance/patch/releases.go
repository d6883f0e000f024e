package patch

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"sealgate/appliance"
	"sealgate/appliance/anchor"
	"sealgate/appliance/atomicfile"
)

// currentName is the link to the release that runs. Without it the installation's
// own runs.
const currentName = "current"

// Releases are those of an appliance: the installation's own, which no patch
// replaces, and what patches brought.
type Releases struct {
	Home appliance.Home
	Base string // the installation's own release
}

func (r Releases) dir() string                  { return r.Home.Releases() }
func (r Releases) folder(release string) string { return filepath.Join(r.dir(), release) }
func (r Releases) link() string                 { return filepath.Join(r.dir(), currentName) }

// Running is the release that the link leads to.
func (r Releases) Running() (string, error) {
	release, err := os.Readlink(r.link())
	if errors.Is(err, fs.ErrNotExist) {
		return r.Base, nil
	}
	if err != nil {
		return "", err
	}
	return release, checkVersion(release)
}

// List is every release, the installation's own first.
func (r Releases) List() ([]string, error) {
	entries, err := os.ReadDir(r.dir())
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	list := []string{r.Base}
	for _, e := range entries {
		if e.IsDir() && checkVersion(e.Name()) == nil && e.Name() != r.Base {
			list = append(list, e.Name())
		}
	}
	return list, nil
}

// Program is the program of the release that runs, or "" for the installation's
// own. A file that somebody else could have written is refused.
func (r Releases) Program() (string, error) {
	release, err := r.Running()
	if err != nil || release == r.Base {
		return "", err
	}
	return r.program(release)
}

func (r Releases) program(release string) (string, error) {
	path := filepath.Join(r.folder(release), Program)
	for _, p := range []struct {
		path  string
		flags int
	}{{r.dir(), unix.O_DIRECTORY}, {r.folder(release), unix.O_DIRECTORY}, {path, 0}} {
		f, err := anchor.OpenOwned(p.path, p.flags, anchor.Owners(r.Home))
		if err != nil {
			return "", fmt.Errorf("release %s does not run: %w", release, err)
		}
		f.Close()
	}
	return path, nil
}

// Activate makes a release that is there the one that runs from the next start.
func (r Releases) Activate(release string) error {
	if release == r.Base {
		if err := os.Remove(r.link()); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		if err := atomicfile.SyncDir(r.dir()); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		return nil
	}
	if err := checkVersion(release); err != nil {
		return err
	}
	if _, err := r.program(release); err != nil {
		return err
	}
	return atomicfile.Symlink(release, r.link())
}

// sweep removes every release but the one that runs, and the folder that is to be one.
func (r Releases) sweep(next string) error {
	running, err := r.Running()
	if err != nil {
		return err
	}
	entries, err := os.ReadDir(r.dir())
	if err != nil {
		return err
	}
	var errs []error
	for _, e := range entries {
		if e.Name() == running || e.Name() == next || !e.IsDir() {
			continue
		}
		errs = append(errs, r.remove(e.Name()))
	}
	return errors.Join(errs...)
}

// Tidy removes what was never finished. Nobody may be placing a release.
func (r Releases) Tidy() error {
	entries, err := os.ReadDir(r.dir())
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	var errs []error
	for _, e := range entries {
		if strings.HasSuffix(e.Name(), atomicfile.Suffix) {
			errs = append(errs, os.RemoveAll(r.folder(e.Name())))
		}
	}
	return errors.Join(errs...)
}

// remove takes the name away first: a folder with a release's name is whole.
func (r Releases) remove(name string) error {
	path := r.folder(name)
	if !strings.HasSuffix(name, atomicfile.Suffix) {
		part := r.folder("." + name + ".old" + atomicfile.Suffix)
		if err := errors.Join(os.RemoveAll(part), os.Rename(path, part)); err != nil {
			return err
		}
		path = part
	}
	return os.RemoveAll(path)
}

// marks are the greatest sequence that each key has brought here.
type marks map[string]mark

type mark struct {
	Sequence uint64 `json:"sequence"`
	Release  string `json:"release"`
}

// check refuses what is older than what was here. The same may come again.
func (h marks) check(key anchor.ID, m *Manifest) error {
	had := h[key.String()]
	if m.Sequence < had.Sequence || m.Sequence == had.Sequence && m.To != had.Release {
		return refused("impctl platform rollback goes back to the release before",
			"it is a downgrade: release %s has sequence %d, and %s with sequence %d was here", m.To, m.Sequence, had.Release, had.Sequence)
	}
	return nil
}

func (r Releases) highestFile() string { return filepath.Join(r.dir(), "highest.json") }

const maxHighest = 64 << 10 // bytes

func (r Releases) highest() (marks, error) {
	h := marks{}
	f, err := os.OpenFile(r.highestFile(), os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return h, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if err := json.NewDecoder(io.LimitReader(f, maxHighest)).Decode(&h); err != nil {
		return nil, fmt.Errorf("%s is damaged, so that a downgrade could not be told: %w", r.highestFile(), err)
	}
	return h, nil
}

// raise keeps that a release was here.
func (r Releases) raise(key anchor.ID, m *Manifest) error {
	h, err := r.highest()
	if err != nil {
		return err
	}
	h[key.String()] = mark{m.Sequence, m.To}
	data, err := json.Marshal(h)
	if err != nil {
		return err
	}
	return atomicfile.Write(r.highestFile(), append(data, '\n'), 0o644)
}

// Has says whether a release is there.
func (r Releases) Has(release string) bool {
	list, err := r.List()
	return err == nil && slices.Contains(list, release)
}
