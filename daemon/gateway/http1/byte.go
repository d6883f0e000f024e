package http1

import "strings"

// class is what a byte may be part of.
type class uint8

const (
	token  class = 1 << iota // RFC 9110, 5.6.2
	value                    // of a header; bytes above ASCII are the rules' matter
	target                   // of a request
	host
)

var classes = func() (table [256]class) {
	for c := range 256 {
		switch {
		case c >= 0x80:
			table[c] = value | target
		case c == '\t':
			table[c] = value
		case c == ' ':
			table[c] = value
		case c > ' ' && c < 0x7f:
			table[c] = value | target
		}
		switch {
		case c >= '0' && c <= '9', c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z':
			table[c] |= token | host
		}
	}
	for _, c := range "!#$%&'*+-.^_`|~" {
		table[c] |= token
	}
	for _, c := range "-._~%!$&'()*+,;=:[]" {
		table[c] |= host
	}
	return table
}()

func all(s string, c class) bool {
	for i := range len(s) {
		if classes[s[i]]&c == 0 {
			return false
		}
	}
	return true
}

func isToken(s string) bool     { return s != "" && all(s, token) }
func validValue(s string) bool  { return all(s, value) }
func validTarget(s string) bool { return s != "" && all(s, target) }

// validHost takes what RFC 3986 lets an authority without user be; it may be empty. Where
// readers could see different names in it, since its port is no number, its brackets are
// not those of an address, or it ends with two dots, it is none.
func validHost(s string) bool {
	if !all(s, host) {
		return false
	}
	address := 0
	if strings.HasPrefix(s, "[") {
		if address = strings.IndexByte(s, ']') + 1; address == 0 {
			return false
		}
	}
	name, port, _ := strings.Cut(s[address:], ":")
	if address > 0 && name != "" || strings.ContainsAny(name, "[]") || strings.HasSuffix(name, "..") {
		return false
	}
	return strings.Trim(port, "0123456789") == ""
}

// ValidTarget says whether a request target has only bytes that one may have.
func ValidTarget(s string) bool { return validTarget(s) }

// ValidHost says whether a host, with or without a port, is written as one.
func ValidHost(s string) bool { return validHost(s) }
