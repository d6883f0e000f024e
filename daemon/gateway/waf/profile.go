package waf

import (
	"cmp"
	"fmt"
	"mime"
	"regexp"
	"slices"
	"strings"

	"sealgate/daemon/gateway/urlpath"
)

// Profile is what is known of a web application's URLs, as the OpenAPI has it.
type Profile struct {
	URLs     []ProfileURL `json:"webProfileUrls"`
	Patterns []ProfileURL `json:"patternUrls"` // for URLs that are not among the others
}

// ProfileURL is one URL of a profile, or all that fit a pattern.
type ProfileURL struct {
	Path         string `json:"urlFullPath"`
	Pattern      string `json:"pattern"` // a regular expression, instead of Path
	ContentTypes []string
	Methods      []ProfileMethod    `json:"allowedMethods"`
	Parameters   []ProfileParameter `json:"parameters"`
}

// ProfileMethod is a method that a URL takes.
type ProfileMethod struct {
	Method string `json:"method"`
}

// ProfileParameter is a parameter that a URL takes.
type ProfileParameter struct {
	Name                   string   `json:"name"`
	MaxLength              int      `json:"maxLength"` // in bytes; 0 is any
	MinLength              int      `json:"minLength"`
	Type                   string   `json:"type"`            // a name among the parameter types; empty is any
	CustomValueType        string   `json:"customValueType"` // before type
	Nullable               bool     `json:"nullable"`
	Required               bool     `json:"required"`
	Prefix                 bool     `json:"prefix"` // the name is the beginning of names
	AdditionalAllowedChars []string `json:"additionalAllowedChars"`
}

// profiled is a compiled profile: its URLs by their canonical paths, and by the same in
// small letters.
type profiled struct {
	urls, folded map[string]*profiledURL
	patterns     []profiledPattern
}

type profiledURL struct {
	ProfileURL
	types []*regexp.Regexp // by parameter
}

type profiledPattern struct {
	exact, folded *regexp.Regexp
	url           *profiledURL
}

// profileRules are the rules of web profile policies that are known here.
var profileRules = []string{"Unknown Parameter", "Required Parameter Missing", "Parameter Type Violation",
	"Parameter Value Length Violation", "Unauthorized Method", "Unauthorized Content Type"}

// storedRules are rules that a policy may hold and that find nothing: they need
// to know what the server gave out before.
var storedRules = []string{"Read-Only Parameter Changed", "Cookie Tampering", "Cookie Injection"}

func compileProfile(p *Profile, types map[string]string) (*profiled, error) {
	out := &profiled{urls: map[string]*profiledURL{}, folded: map[string]*profiledURL{}}
	for _, url := range p.URLs {
		made, err := compileURL(url, types)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", url.Path, err)
		}
		path := urlpath.Canonical(strings.ReplaceAll(url.Path, "?", "%3F"))
		out.urls[path], out.folded[strings.ToLower(path)] = made, made
	}
	for _, url := range p.Patterns {
		made, err := compileURL(url, types)
		if err != nil {
			return nil, fmt.Errorf("pattern %q: %w", url.Pattern, err)
		}
		pattern := profiledPattern{url: made}
		if pattern.exact, err = regexp.Compile(url.Pattern); err != nil {
			return nil, fmt.Errorf("pattern %q is no regular expression", url.Pattern)
		}
		pattern.folded = regexp.MustCompile("(?i:" + url.Pattern + ")")
		out.patterns = append(out.patterns, pattern)
	}
	return out, nil
}

func compileURL(url ProfileURL, types map[string]string) (*profiledURL, error) {
	made := &profiledURL{ProfileURL: url}
	for _, parameter := range url.Parameters {
		name := cmp.Or(parameter.CustomValueType, parameter.Type)
		var re *regexp.Regexp
		if name != "" {
			expression, ok := types[name]
			if !ok {
				return nil, fmt.Errorf("parameter %q: there is no parameter type %q", parameter.Name, name)
			}
			var err error
			if re, err = regexp.Compile(expression); err != nil {
				return nil, fmt.Errorf("parameter type %q: %q is no regular expression", name, expression)
			}
		}
		made.types = append(made.types, re)
	}
	return made, nil
}

// known is what the profile has for a path, whole or by the first pattern that fits; nil
// where it has nothing.
func (p *profiled) known(path string, ignoreCase bool, spend func(int)) *profiledURL {
	whole := p.urls
	if ignoreCase {
		whole = p.folded
	}
	if url := whole[path]; url != nil {
		return url
	}
	for _, pattern := range p.patterns {
		fits := pattern.exact
		if ignoreCase {
			fits = pattern.folded
		}
		spend(slow * (len(path) + 1))
		if fits.MatchString(path) {
			return pattern.url
		}
	}
	return nil
}

// violations calls report for what is wrong with a request to a known URL.
func (p *profiled) violations(v *view, spend func(int), report func(rule string, at place)) {
	url := p.known(v.path(), v.request.IgnoreCase, spend)
	if url == nil {
		return
	}
	method := v.request.Method
	if len(url.Methods) > 0 && !slices.ContainsFunc(url.Methods, func(m ProfileMethod) bool { return strings.EqualFold(m.Method, method) }) {
		report("Unauthorized Method", place{"REQUEST_METHOD", "", method})
	}
	if said := v.request.Header.Get("Content-Type"); said != "" && len(url.ContentTypes) > 0 {
		if kind, _, err := mime.ParseMediaType(said); err != nil || !slices.Contains(url.ContentTypes, kind) {
			report("Unauthorized Content Type", place{"REQUEST_HEADERS", "Content-Type", said})
		}
	}
	came := make([]bool, len(url.Parameters))
	declared, supposed := v.parted()
	for _, at := range declared {
		i := url.parameter(at.item)
		if i < 0 {
			report("Unknown Parameter", at)
			continue
		}
		came[i] = true
		url.value(i, at, report)
	}
	for _, at := range supposed {
		if i := url.parameter(at.item); i >= 0 {
			url.value(i, at, report)
		}
	}
	for i, p := range url.Parameters {
		if p.Required && !came[i] {
			report("Required Parameter Missing", place{"ARGS", p.Name, ""})
		}
	}
}

// parameter is which of the URL's parameters has that name, -1 where none has.
func (u *profiledURL) parameter(name string) int {
	return slices.IndexFunc(u.Parameters, func(p ProfileParameter) bool {
		return p.Name == name || p.Prefix && strings.HasPrefix(name, p.Name)
	})
}

func (u *profiledURL) value(i int, at place, report func(string, place)) {
	p := u.Parameters[i]
	if at.value == "" && p.Nullable {
		return
	}
	if len(at.value) < p.MinLength || p.MaxLength > 0 && len(at.value) > p.MaxLength {
		report("Parameter Value Length Violation", at)
	}
	plain := at.value
	for _, allowed := range p.AdditionalAllowedChars {
		plain = strings.ReplaceAll(plain, allowed, "")
	}
	if re := u.types[i]; re != nil && !re.MatchString(plain) {
		report("Parameter Type Violation", at)
	}
}
