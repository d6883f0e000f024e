package waf

import (
	"fmt"
	"mime"
	"regexp"
	"slices"
	"strings"

	"sealgate/daemon/gateway/urlpath"
)

// Profile is what is known of a web application's URLs, as the OpenAPI has it.
type Profile struct {
	URLs []ProfileURL `json:"webProfileUrls"`
}

// ProfileURL is one URL of a profile.
type ProfileURL struct {
	Path         string `json:"urlFullPath"`
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
type profiled struct{ urls, folded map[string]*profiledURL }

type profiledURL struct {
	ProfileURL
	types []*regexp.Regexp // by parameter
}

// profileRules are the rules of web profile policies that are known here.
var profileRules = []string{"Unknown Parameter", "Required Parameter Missing", "Parameter Type Violation",
	"Parameter Value Length Violation", "Unauthorized Method", "Unauthorized Content Type"}

// storedRules are rules that a policy may hold and that find nothing: they need
// to know what the server gave out before.
var storedRules = []string{"Read-Only Parameter Changed", "Cookie Tampering", "Cookie Injection"}

func compileProfile(p *Profile, types map[string]string) (*profiled, error) {
	out := &profiled{map[string]*profiledURL{}, map[string]*profiledURL{}}
	for _, url := range p.URLs {
		made := &profiledURL{ProfileURL: url}
		for _, parameter := range url.Parameters {
			name := parameter.CustomValueType
			if name == "" {
				name = parameter.Type
			}
			var re *regexp.Regexp
			if name != "" {
				expression, ok := types[name]
				if !ok {
					return nil, fmt.Errorf("parameter %q of %s: there is no parameter type %q", parameter.Name, url.Path, name)
				}
				var err error
				if re, err = regexp.Compile(expression); err != nil {
					return nil, fmt.Errorf("parameter type %q: %q is no regular expression", name, expression)
				}
			}
			made.types = append(made.types, re)
		}
		path := urlpath.Canonical(strings.ReplaceAll(url.Path, "?", "%3F"))
		out.urls[path], out.folded[strings.ToLower(path)] = made, made
	}
	return out, nil
}

// violations calls report for what is wrong with a request to a known URL.
func (p *profiled) violations(v *view, report func(rule string, at place)) {
	known := p.urls
	if v.request.IgnoreCase {
		known = p.folded
	}
	url := known[v.path()]
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
	for _, at := range v.parameters() {
		i := slices.IndexFunc(url.Parameters, func(p ProfileParameter) bool {
			return p.Name == at.item || p.Prefix && strings.HasPrefix(at.item, p.Name)
		})
		if i < 0 {
			report("Unknown Parameter", at)
			continue
		}
		came[i] = true
		url.value(i, at, report)
	}
	for i, p := range url.Parameters {
		if p.Required && !came[i] {
			report("Required Parameter Missing", place{"ARGS", p.Name, ""})
		}
	}
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
