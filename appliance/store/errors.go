package store

import (
	"errors"
	"fmt"
	"strings"
)

// What can be wrong with a request. Errors wrap these, and name the values.
var (
	ErrNotFound   = errors.New("not found")
	ErrExists     = errors.New("exists already")
	ErrInvalid    = errors.New("not acceptable")
	ErrReadOnly   = errors.New("the store is open for reading only")
	ErrNewer      = errors.New("written by a newer release")
	ErrDangling   = errors.New("names what does not exist")
	ErrBusy       = errors.New("another process is writing")
	ErrRead       = errors.New("another process reads an older state")
	ErrPredefined = errors.New("is predefined and cannot be deleted")
)

// InUseError means that an object was not deleted because others refer to it.
type InUseError struct {
	Kind, Name string // what should have been deleted
	By         []Use
}

// Error names the first few users.
func (e *InUseError) Error() string {
	const shown = 3
	var names []string
	for i, use := range e.By {
		if i == shown {
			names = append(names, fmt.Sprintf("and %d more", len(e.By)-shown))
			break
		}
		names = append(names, fmt.Sprintf("%s %q", use.Kind, use.Name))
	}
	return fmt.Sprintf("%s %q is in use by %s", e.Kind, e.Name, strings.Join(names, ", "))
}
