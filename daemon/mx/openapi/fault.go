package openapi

import (
	"errors"
	"fmt"
	"strings"

	"sealgate/appliance/model"
)

// ErrNoSession makes the answer 401: a bad login, or a session that ended.
var ErrNoSession = errors.New("there is no session, or it has ended")

// Fault is one thing that is wrong with a request.
type Fault = model.Fault

// Faults is everything that is wrong with a request; it is answered with 406.
type Faults []Fault

// maxFaults is how many faults of a long list are gathered, more or less: a body of
// 8 MiB could have millions.
const maxFaults = 20

// Faultf is one fault.
func Faultf(code int, format string, args ...any) error {
	return Faults{{Code: code, Description: fmt.Sprintf(format, args...)}}
}

func (f Faults) Error() string {
	words := make([]string, len(f))
	for i, fault := range f {
		words[i] = fmt.Sprintf("IMP-%d: %s", fault.Code, fault.Description)
	}
	return strings.Join(words, "; ")
}
