package model

import (
	"net/netip"
	"net/url"
	"regexp"
	"regexp/syntax"
	"slices"
	"strconv"
	"strings"
	"unicode"
)

// errAllowed says what is allowed, in words that follow a value.
type errAllowed string

func (e errAllowed) Error() string { return string(e) }

func address(s string) error {
	if _, err := netip.ParseAddr(s); err != nil {
		return errAllowed("must be an IPv4 or IPv6 address")
	}
	return nil
}

func addressOrNetwork(s string) error {
	if _, err := netip.ParsePrefix(s); err == nil || address(s) == nil {
		return nil
	}
	if from, to, ok := strings.Cut(s, "-"); ok {
		if _, _, err := (IPEntry{Type: "range", IPAddressFrom: strings.TrimSpace(from), IPAddressTo: strings.TrimSpace(to)}).Range(); err == nil {
			return nil
		}
	}
	return errAllowed("must be an address, a network or a range of addresses")
}

var (
	hostForm   = regexp.MustCompile(`^[A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9])?(\.[A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9])?)*$`)
	headerForm = regexp.MustCompile("^[A-Za-z0-9!#$%&'*+.^_`|~-]+$")
)

// host wants a host's name or address.
func host(s string) error {
	if address(s) == nil || hostForm.MatchString(s) {
		return nil
	}
	return errAllowed("must be a host name or an IP address")
}

func header(s string) error {
	if len(s) > 256 || !headerForm.MatchString(s) {
		return errAllowed("must be the name of an HTTP header")
	}
	return nil
}

// regex wants an expression that this release compiles in bounded size.
func regex(s string) error {
	if _, err := syntax.Parse(s, syntax.Perl); err != nil {
		return errAllowed("must be a regular expression (RE2)")
	}
	return nil
}

func status(s string) error {
	if n, err := strconv.Atoi(s); s != "" && (err != nil || n < 200 || n > 599) {
		return errAllowed("must be a status of an answer, 200 to 599")
	}
	return nil
}

func redirect(s string) error {
	if s == "" {
		return nil
	}
	u, err := url.Parse(s)
	if err != nil || strings.ContainsAny(s, "\r\n") || !(u.Scheme == "http" || u.Scheme == "https" || u.Scheme == "" && strings.HasPrefix(s, "/")) {
		return errAllowed("must be a URL with http or https, or a path")
	}
	return nil
}

// redirection wants the status of a redirect, or none.
func redirection(s string) error {
	switch strings.ToLower(s) {
	case "", "none", "false", "true", "301", "302", "303", "307", "308":
		return nil
	}
	return errAllowed("must be none, or 301, 302, 303, 307 or 308")
}

// anyHost wants a host's name as clients send it, of which the beginning may be a *.
func anyHost(s string) error {
	rest, _ := strings.CutPrefix(s, "*")
	if rest = strings.TrimPrefix(rest, "."); rest == "" || host(rest) == nil {
		return nil
	}
	return errAllowed("must be a host name or an IP address, without scheme, port and path; *.example.com and Any stand for several")
}

// failMode wants words that speak of one of the two ways, or none.
func failMode(s string) error {
	words := strings.ToLower(s)
	if s != "" && (len(s) > 100 || strings.Contains(words, "open") == strings.Contains(words, "clos")) {
		return errAllowed("must be open or closed, or words like Fail Open and Fail Close")
	}
	return nil
}

// among wants one of some words, in upper or lower case, or none.
func among(words ...string) func(string) error {
	return func(s string) error {
		if s == "" || slices.ContainsFunc(words, func(w string) bool { return strings.EqualFold(w, s) }) {
			return nil
		}
		return errAllowed("must be " + choice(words))
	}
}

func prefix(s string) error {
	if s == "" {
		return nil
	}
	return absolute(s)
}

// URLList are the paths in a text, which has commas, semicolons or white space between
// them.
func URLList(s string) []string {
	return strings.FieldsFunc(s, func(r rune) bool { return r == ',' || r == ';' || unicode.IsSpace(r) })
}

func urlList(s string) error {
	for _, path := range URLList(s) {
		if absolute(path) != nil {
			return errAllowed("must be paths that begin with / and have commas between them")
		}
	}
	return nil
}
