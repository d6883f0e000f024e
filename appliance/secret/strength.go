package secret

import (
	"fmt"
	"strings"
)

// The strength rule.
const (
	MinPassword = 8
	MaxPassword = 128
	minClasses  = 3
	minForbid   = 4 // shorter names would forbid too much
)

// notorious are the words that every list of guesses begins with.
var notorious = []string{"password", "passw0rd", "123456", "qwerty", "letmein", "welcome", "changeme", "sealgate"}

// CheckPassword says which strength rule a new password breaks, or nil. kind names
// the password in the error, which never holds the password itself. A password has
// 8 to 128 printable ASCII characters of at least three of the classes lower case,
// upper case, digit and other, and contains neither a notorious word nor one of
// forbidden (the appliance's name, say) that is four characters or longer, in
// whatever case.
func CheckPassword(kind, password string, forbidden ...string) error {
	if n := len(password); n < MinPassword || n > MaxPassword {
		return fmt.Errorf("the %s password must have %d to %d characters, this one has %d", kind, MinPassword, MaxPassword, n)
	}
	var lower, upper, digit, other int
	for i := range len(password) {
		switch c := password[i]; {
		case c < ' ' || c > '~':
			return fmt.Errorf("the %s password must have printable ASCII characters only, character %d is none", kind, i+1)
		case c >= 'a' && c <= 'z':
			lower = 1
		case c >= 'A' && c <= 'Z':
			upper = 1
		case c >= '0' && c <= '9':
			digit = 1
		default:
			other = 1
		}
	}
	if n := lower + upper + digit + other; n < minClasses {
		return fmt.Errorf("the %s password must mix at least %d of lower case, upper case, digits and other characters, this one has %d", kind, minClasses, n)
	}
	folded := strings.ToLower(password)
	for _, word := range forbidden {
		if len(word) >= minForbid && strings.Contains(folded, strings.ToLower(word)) {
			return fmt.Errorf("the %s password must not contain the name of the appliance or of the account", kind)
		}
	}
	for _, word := range notorious {
		if strings.Contains(folded, word) {
			return fmt.Errorf("the %s password must not contain a word that everybody guesses first, such as %q", kind, notorious[0])
		}
	}
	return nil
}
