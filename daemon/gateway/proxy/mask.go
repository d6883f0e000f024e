package proxy

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/url"
	"regexp"
	"strings"
	"unicode/utf8"

	"sealgate/appliance/model"
)

// mask hides what must be neither logged nor sent: the value of a name that fits, and
// of other values the part that fits.
type mask struct {
	match                        *regexp.Regexp
	parameters, headers, cookies bool
}

const masked = "***"

func newMasks(list []model.DataMask) (masks []mask, err error) {
	for _, d := range list {
		if !d.Enabled {
			continue
		}
		m := mask{parameters: d.InParameters, headers: d.InHeaders, cookies: d.InCookies}
		if m.match, err = regexp.Compile(d.Match); err != nil {
			return nil, fmt.Errorf("data mask %q: %q is no regular expression", d.Name, d.Match)
		}
		masks = append(masks, m)
	}
	return masks, nil
}

func (s *site) mask(name, value string, of func(*mask) bool) string {
	for i := range s.masks {
		m := &s.masks[i]
		if !of(m) {
			continue
		}
		if name != "" && m.match.MatchString(name) {
			return masked
		}
		value = m.match.ReplaceAllLiteralString(value, masked)
	}
	return value
}

func inParameters(m *mask) bool { return m.parameters }
func inHeaders(m *mask) bool    { return m.headers }
func inCookies(m *mask) bool    { return m.cookies }

// maskValue is what a rule found, as it may be told.
func (s *site) maskValue(target, item, value string) string {
	of := inParameters
	switch {
	case strings.Contains(target, "COOKIE"):
		of = inCookies
	case strings.Contains(target, "HEADER"):
		of = inHeaders
	}
	return text(s.mask(item, value, of))
}

func (s *site) maskHeader(name, value string) string { return text(s.mask(name, value, inHeaders)) }

func (s *site) maskPath(path string) string { return text(s.mask("", path, inParameters)) }

// maskQuery masks parameters and leaves the rest of the query as it came.
func (s *site) maskQuery(query string) string {
	if query == "" || len(s.masks) == 0 {
		return text(query)
	}
	parts := strings.Split(query, "&")
	for i, part := range parts {
		rawName, rawValue, hasValue := strings.Cut(part, "=")
		name, value := unescape(rawName), unescape(rawValue)
		if hidden := s.mask(name, value, inParameters); hidden != value {
			parts[i] = rawName + "=" + hidden
		} else if !hasValue {
			parts[i] = s.mask("", rawName, inParameters)
		}
	}
	return text(strings.Join(parts, "&"))
}

func unescape(s string) string {
	if decoded, err := url.QueryUnescape(s); err == nil {
		return decoded
	}
	return s
}

// maxText bounds a text of an event, in bytes.
const maxText = 4 << 10

// text is a stranger's bytes as an event may hold them: UTF-8, of bounded length.
func text(s string) string {
	if len(s) > maxText {
		s = s[:maxText]
	}
	if utf8.ValidString(s) {
		return s
	}
	return strings.ToValidUTF8(s, "\uFFFD")
}

// fingerprint tells sessions apart without giving them away.
func fingerprint(session string) string {
	sum := sha256.Sum256([]byte(session))
	return hex.EncodeToString(sum[:8])
}
