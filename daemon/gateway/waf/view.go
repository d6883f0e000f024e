package waf

import (
	"strings"

	"github.com/corazawaf/coraza/v3/types"

	"sealgate/daemon/gateway/waf/crs"
)

// view is a request as policies see it, with what Coraza parsed.
type view struct {
	request *Request
	tx      *crs.Transaction // nil: its head alone is known
	status  int              // of the answer
	found   map[string]bool
	length  int64   // of the body as it came, also where it was not looked at
	plain   int64   // of a compressed body's content, as far as it was looked at
	held    *string // the body's text, once it was asked for
}

func (v *view) path() string {
	if v.tx == nil {
		return headPath(v.request)
	}
	return v.tx.Variables().RequestFilename().Get()
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

func (v *view) client() string { return v.request.ClientIP.String() }

// where names the web service.
func (v *view) where() string {
	return v.request.Site + "\x00" + v.request.ServerGroup + "\x00" + v.request.Service
}
