package dump

import (
	"errors"
	"fmt"

	"sealgate/appliance"
)

// ErrPassphrase means that the passphrase does not open the dump.
var ErrPassphrase = errors.New("the password does not open the dump")

// What a refused dump is to be done with.
const (
	damagedHint = "nothing was changed; take another dump, or fetch this one again"
	foreignHint = "nothing was changed; import only dumps that a Sealgate appliance made"
	cutHint     = "nothing was changed; the file was cut off: fetch it again"
)

// refused says which check a dump does not pass.
func refused(check, hint, format string, args ...any) error {
	return appliance.Faultf(hint, "%s check: %w", check, fmt.Errorf(format, args...))
}

func damaged(check, format string, args ...any) error {
	return refused(check, damagedHint, format, args...)
}

func foreign(check, format string, args ...any) error {
	return refused(check, foreignHint, format, args...)
}
