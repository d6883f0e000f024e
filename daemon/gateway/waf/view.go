package waf

import (
	"strings"

	"github.com/corazawaf/coraza/v3/types"

	"sealgate/daemon/gateway/http1"
	"sealgate/daemon/gateway/urlpath"
	"sealgate/daemon/gateway/waf/crs"
)

// view is a request as policies see it, with what Coraza parsed.
type view struct {
	request *Request
	tx      *crs.Transaction // nil: its head alone is known
	status  int              // of the answer
	found   map[string]bool
	counted map[*Criterion]bool // what those that count said: a request counts once
	length  int64               // of the body as it came, also where it was not looked at
	plain   int64               // of a compressed body's content, as far as it was looked at
	begins  byte                // the text of the body, without white space; 0: it has none
	paths   []string            // its readings
	reading int
	held    *string // the body's text, once it was asked for
}

// path is the path of the request in one of its readings: canonical, or decoded as it
// came. In small letters where their case means nothing.
func (v *view) path() string {
	if v.paths == nil {
		v.paths = []string{urlpath.Canonical(http1.OriginForm(v.request.URI))}
		if came := v.decoded(); came != v.paths[0] {
			v.paths = append(v.paths, came)
		}
		if v.request.IgnoreCase {
			for i, path := range v.paths {
				v.paths[i] = strings.ToLower(path)
			}
		}
	}
	return v.paths[v.reading]
}

// decoded is the path as it came, without its encoding.
func (v *view) decoded() string {
	if v.tx == nil {
		return headPath(v.request)
	}
	return v.tx.Variables().RequestFilename().Get()
}

// some says whether every criterion holds, in one reading of the path. That is how what
// is against a request is asked: no spelling of a path gets past it.
func (v *view) some(list []criterion) bool {
	asks, counts := parted(list)
	return (all(asks, v) || v.otherwise(func() bool { return all(asks, v) })) && all(counts, v)
}

// each says whether every criterion holds, in each reading of the path. That is how what
// is in a request's favour is asked.
func (v *view) each(list []criterion) bool {
	asks, counts := parted(list)
	return all(asks, v) && !v.otherwise(func() bool { return !all(asks, v) }) && all(counts, v)
}

// otherwise asks again in the path's other reading, where there is one.
func (v *view) otherwise(ask func() bool) bool {
	if v.path(); len(v.paths) == 1 {
		return false
	}
	v.reading = 1
	defer func() { v.reading = 0 }()
	return ask()
}

func (v *view) query() string {
	if v.tx == nil {
		return headQuery(v.request)
	}
	return v.tx.Variables().QueryString().Get()
}

func (v *view) body() string {
	if v.held == nil {
		text, err := v.tx.Held()
		if err != nil {
			panic(err)
		}
		v.held = &text
	}
	return *v.held
}

func (v *view) parameters() []place {
	if v.tx == nil {
		return headParameters(v.request)
	}
	return append(placesOf("ARGS", v.tx.Variables().Args().FindAll()), placesOf("REQUEST_XML", v.tx.XMLValues())...)
}

// declared are the parameters that a request says it has. What is taken for some in a body
// of another type, a file perhaps, may be long, many, and of any bytes.
func (v *view) declared() []place {
	declared, _ := v.parted()
	return declared
}

// parted tells the parameters that a request says it has from those of a body of another
// type, where a server may read a form. What else readings found is among neither.
func (v *view) parted() (declared, supposed []place) {
	all := v.tx.Variables()
	declared, posted := placesOf("ARGS", all.ArgsGet().FindAll()), placesOf("ARGS", all.ArgsPost().FindAll())
	kind := strings.ToLower(strings.TrimSpace(v.request.Header.Get("Content-Type")))
	if all.RequestBodyProcessor().Get() == "URLENCODED" && !strings.HasPrefix(kind, "application/x-www-form-urlencoded") {
		return declared, posted
	}
	return append(append(declared, posted...), placesOf("REQUEST_XML", v.tx.XMLValues())...), nil
}

func (v *view) cookies() []place {
	if v.tx == nil {
		return headCookies(v.request)
	}
	return placesOf("REQUEST_COOKIES", v.tx.Variables().RequestCookies().FindAll())
}

// place is a value and where it is from, in the core rules' words.
type place struct{ target, item, value string }

// placesOf are the values of a collection. The fields of a JSON document are
// parameters by their own names, and so are those of XML.
func placesOf(target string, data []types.MatchData) []place {
	out := make([]place, len(data))
	for i, d := range data {
		out[i] = place{target, strings.TrimPrefix(d.Key(), "json."), d.Value()}
	}
	return out
}

func (v *view) headers(name string) []string {
	if name == "" {
		var all []string
		for _, values := range v.request.Header {
			all = append(all, values...)
		}
		return all
	}
	return v.request.Header.Values(name)
}

// named are the values of a name; without a name, all.
func named(data []place, name string) []string {
	var values []string
	for _, d := range data {
		if name == "" || d.item == name {
			values = append(values, d.value)
		}
	}
	return values
}

// client is whom an address stands for: a client of IPv6 has a /64 to itself.
func (v *view) client() string {
	ip := v.request.ClientIP.Unmap()
	if network, err := ip.Prefix(64); err == nil && ip.Is6() {
		return network.String()
	}
	return ip.String()
}

// where names the web service.
func (v *view) where() string {
	return v.request.Site + "\x00" + v.request.ServerGroup + "\x00" + v.request.Service
}
