package model

import (
	"fmt"
	"strings"
)

// Fault is one thing that is wrong with what a client asks for.
type Fault struct {
	Code        int    // 10005 is written IMP-10005
	Description string // names field, value and what is allowed; no capital, no full stop
}

// Codes of faults that any resource may have.
const (
	CodeShape     = 10002 // not JSON, or a field has the wrong type
	CodeExists    = 10005
	CodeMandatory = 10015
	CodeIllegal   = 10016
	CodeDefault   = 10030 // a default object cannot be deleted
	CodeUnknown   = 10062 // unrecognised property, in strict mode
	CodeEmpty     = 10071 // name must not be empty
	CodeLong      = 10086 // name too long, or too many of a kind
	CodeLow       = 10141
	CodeHigh      = 10144
	CodeLength    = 10145
	CodeFixed     = 10151 // cannot be edited
	CodeInUse     = 10178
)

// shown is a client's value in a description: short, and without control characters.
func shown(s string) string {
	const most = 60
	if len(s) > most {
		s = strings.ToValidUTF8(s[:most], "") + "…"
	}
	return fmt.Sprintf("%q", s)
}

// choice words what is allowed.
func choice(values []string) string {
	if len(values) == 1 {
		return values[0]
	}
	return "one of " + strings.Join(values, ", ")
}
