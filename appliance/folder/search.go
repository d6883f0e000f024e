package folder

import (
	"cmp"
	"io/fs"
	"slices"
	"strings"

	"sealgate/appliance"
)

// Found is what [Search] finds.
type Found struct {
	Files []File // the first by name
	More  int    // how many there are beyond those
	Last  string // the last name of all
}

// Search finds the files whose names begin with prefix, and looks at no more
// than most of them: a folder may hold many thousands.
func Search(home appliance.Home, prefix string, most int) (Found, error) {
	var found Found
	var first []candidate
	for _, f := range folders(home) {
		entries, err := entriesOf(f.path)
		if err != nil {
			return Found{}, err
		}
		for _, e := range entries {
			if !strings.HasPrefix(e.Name(), prefix) {
				continue
			}
			found.Last = max(found.Last, e.Name())
			if first = insert(first, candidate{f.kind, e}); len(first) > most {
				first = first[:most]
				found.More++
			}
		}
	}
	for _, c := range first {
		if info, err := c.Info(); err == nil { // else deleted meanwhile
			found.Files = append(found.Files, fileOf(c.kind, info))
		}
	}
	return found, nil
}

type candidate struct {
	kind string
	fs.DirEntry
}

// insert keeps list in the order of names.
func insert(list []candidate, c candidate) []candidate {
	at, _ := slices.BinarySearchFunc(list, c, func(a, b candidate) int { return cmp.Compare(a.Name(), b.Name()) })
	return slices.Insert(list, at, c)
}
