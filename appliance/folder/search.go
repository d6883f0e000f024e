package folder

import (
	"cmp"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"sealgate/appliance"
)

// Found is what [Search] finds.
type Found struct {
	Files []File // the first by name
	More  int    // how many there are beyond those
	Last  string // the last name of all
}

// Search finds the files whose names begin with prefix, and looks at no more
// than most of them: a folder may hold many thousands, and Tab is quick. Kinds
// leave out the files of others.
func Search(home appliance.Home, prefix string, most int, kinds ...string) (Found, error) {
	var found Found
	for _, f := range folders(home) {
		if len(kinds) > 0 && !slices.Contains(kinds, f.kind) {
			continue
		}
		names, err := namesIn(f.path)
		if err != nil {
			return Found{}, err
		}
		names = beginning(names, prefix)
		if len(names) > 0 {
			found.Last = max(found.Last, names[len(names)-1])
		}
		for i, name := range names {
			if i == most {
				found.More += len(names) - most
				break
			}
			if info, err := os.Lstat(filepath.Join(f.path, name)); err == nil { // else deleted meanwhile
				found.Files = append(found.Files, fileOf(f.kind, info))
			}
		}
	}
	slices.SortStableFunc(found.Files, func(a, b File) int { return cmp.Compare(a.Name, b.Name) })
	if over := len(found.Files) - most; over > 0 {
		found.Files, found.More = found.Files[:most], found.More+over
	}
	return found, nil
}

// beginning is the part of sorted names that begins with prefix.
func beginning(names []string, prefix string) []string {
	from, _ := slices.BinarySearch(names, prefix)
	names = names[from:]
	to, _ := slices.BinarySearchFunc(names, prefix, func(name, prefix string) int {
		if strings.HasPrefix(name, prefix) {
			return -1
		}
		return 1
	})
	return names[:to]
}

// listing is what a folder held when it was last changed.
type listing struct {
	changed time.Time
	names   []string // sorted
}

var listings struct {
	sync.Mutex
	of map[string]listing
}

// settled is how old a folder's last change must be before what was read
// afterwards counts as all of it: the clock of a file system goes by the
// kernel's tick, of 10 milliseconds at most.
const settled = 100 * time.Millisecond

// namesIn are the names of the files in a folder, sorted. It is read again
// when it has changed.
func namesIn(path string) ([]string, error) {
	begin := time.Now()
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	changed := info.ModTime()
	listings.Lock()
	defer listings.Unlock()
	if known, ok := listings.of[path]; ok && known.changed.Equal(changed) {
		return known.names, nil
	}
	entries, err := entriesOf(path)
	if err != nil {
		return nil, err
	}
	names := make([]string, len(entries))
	for i, e := range entries {
		names[i] = e.Name()
	}
	slices.Sort(names)
	delete(listings.of, path)
	if begin.Sub(changed) > settled {
		if listings.of == nil {
			listings.of = map[string]listing{}
		}
		listings.of[path] = listing{changed, names}
	}
	return names, nil
}
