package waf

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"unicode"
)

// Mask is an object of a data masking group: where a name matches, the value is
// masked whole; in other values, what matches is.
type Mask struct {
	Name       string `json:"name"`
	Match      string `json:"match"`
	Parameters bool   `json:"searchInHttpParameters"`
	Headers    bool   `json:"searchInHttpHeaders"`
	Cookies    bool   `json:"searchInHttpCookies"`
	Enabled    bool   `json:"enabled"`
}

// masked stands for what nobody may see.
const masked = "***"

// Masker masks what is logged or sent. The zero value masks nothing.
type Masker struct {
	parameters, headers, cookies []*regexp.Regexp
}

// NewMasker compiles the enabled masks.
func NewMasker(masks []Mask) (*Masker, error) {
	m := new(Masker)
	for _, mask := range masks {
		if !mask.Enabled {
			continue
		}
		re, err := regexp.Compile(mask.Match)
		if err != nil {
			return nil, fmt.Errorf("data mask %q: %q is no regular expression", mask.Name, mask.Match)
		}
		if mask.Parameters {
			m.parameters = append(m.parameters, re)
		}
		if mask.Headers {
			m.headers = append(m.headers, re)
		}
		if mask.Cookies {
			m.cookies = append(m.cookies, re)
		}
	}
	return m, nil
}

// Parameter masks the value of a parameter. Its name may be a path of names: of
// user.passwords.0 and user[passwords][0] each is asked for.
func (m *Masker) Parameter(name, value string) string {
	if m.words(name) {
		return masked
	}
	return hide(m.parameters, name, value)
}

// words says whether a mask of parameters fits a word of a text, which may be a name.
func (m *Masker) words(text string) bool {
	for word := range strings.FieldsFuncSeq(text, func(r rune) bool { return r != '_' && r != '-' && !unicode.IsLetter(r) && !unicode.IsDigit(r) }) {
		if slices.ContainsFunc(m.parameters, func(re *regexp.Regexp) bool { return re.MatchString(word) }) {
			return true
		}
	}
	return false
}

// Header masks the value of a header; cookies are masked one by one, and what has a
// query, as Referer, like an URL.
func (m *Masker) Header(name, value string) string {
	switch {
	case strings.EqualFold(name, "Cookie"):
		value = pairs(value, ";", func(name, value string) string { return hide(m.cookies, name, value) })
	case strings.Contains(value, "?"):
		value = m.URI(value)
	}
	return hide(m.headers, name, value)
}

// Cookie masks the value of a cookie.
func (m *Masker) Cookie(name, value string) string { return hide(m.cookies, name, value) }

// URI masks the parameters of a path with a query, and what in the path itself
// looks like what is masked. A form is masked like a query.
func (m *Masker) URI(uri string) string {
	path, query, asked := strings.Cut(uri, "?")
	path = hide(m.parameters, "", path)
	if !asked {
		return path
	}
	return path + "?" + m.Form(query)
}

// Form masks the parameters of a query or a form.
func (m *Masker) Form(form string) string {
	return pairs(form, "&", func(name, value string) string {
		hidden := m.Parameter(unescape(name), unescape(value))
		if hidden == unescape(value) {
			return value
		}
		return hidden
	})
}

// at masks a value by where it is from. What may hold several values is masked as a
// form.
func (m *Masker) at(target, item, value string) string {
	switch {
	case strings.HasPrefix(target, "REQUEST_COOKIES"):
		return m.Cookie(item, value)
	case strings.HasPrefix(target, "REQUEST_HEADERS"):
		return m.Header(item, value)
	case strings.HasPrefix(target, "ARGS"), target == "REQUEST_XML":
		return m.Parameter(strings.TrimPrefix(item, "json."), value)
	case target == "REQUEST_BODY", target == "QUERY_STRING":
		return m.Form(value)
	case target == "REQUEST_LINE", strings.HasPrefix(target, "REQUEST_URI"):
		return m.URI(value)
	}
	return hide(m.parameters, item, value)
}

func hide(list []*regexp.Regexp, name, value string) string {
	for _, re := range list {
		if name != "" && re.MatchString(name) {
			return masked
		}
		value = re.ReplaceAllString(value, masked)
	}
	return value
}

// pairs maps the values of name=value, one between two separators each.
func pairs(text, separator string, value func(name, value string) string) string {
	list := strings.Split(text, separator)
	for i, pair := range list {
		if name, v, ok := strings.Cut(pair, "="); ok {
			list[i] = name + "=" + value(strings.TrimSpace(name), v)
		} else {
			list[i] = value("", pair)
		}
	}
	return strings.Join(list, separator)
}
