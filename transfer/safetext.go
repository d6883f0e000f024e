package transfer

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// maxSafeText is the most bytes that SafeText returns: a line or two of a terminal.
const maxSafeText = 400

// SafeText makes a stranger's bytes fit to be shown: one line of at most 400 bytes in which everything that a terminal
// would obey or not show (control and C1 runes, bidirectional and zero-width ones, bytes that are not UTF-8) is spelt
// out. Line breaks and tabs become spaces, since answers of several lines are common and harmless once joined.
func SafeText(s string) string {
	const more = "…"
	var b strings.Builder
	cut := 0 // the last length at which the ellipsis still fits
	for i := 0; i < len(s); {
		r, size := utf8.DecodeRuneInString(s[i:])
		spelt := safeRune(r, s[i:i+size])
		if b.Len()+len(spelt) > maxSafeText {
			return b.String()[:cut] + more
		}
		b.WriteString(spelt)
		if b.Len() <= maxSafeText-len(more) {
			cut = b.Len()
		}
		i += size
	}
	return b.String()
}

func safeRune(r rune, raw string) string {
	switch {
	case r == utf8.RuneError && len(raw) == 1:
		return fmt.Sprintf(`\x%02x`, raw[0])
	case r == '\n' || r == '\r' || r == '\t':
		return " "
	case unicode.IsPrint(r) && !unicode.In(r, unicode.Other_Default_Ignorable_Code_Point, unicode.Variation_Selector):
		return raw
	case r < 0x80:
		return fmt.Sprintf(`\x%02x`, r)
	case r <= 0xffff:
		return fmt.Sprintf(`\u%04x`, r)
	default:
		return fmt.Sprintf(`\U%08x`, r)
	}
}
