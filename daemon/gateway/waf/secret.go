package waf

import (
	"strings"

	"github.com/corazawaf/coraza/v3/types"
)

// mask puts a value into a match, masked.
func (t *transaction) mask(m *Match, at place) {
	m.Target, m.Item, m.Value = at.target, at.item, masked
	switch text := t.view.bodyIs(); {
	case text != form && at.target == "REQUEST_BODY", text == plain && strings.HasPrefix(at.target, "ARGS"):
		// Its names are not known, and what is taken for one may be a value.
		if t.secretBody() {
			m.Item = ""
			return
		}
	case at.target == "REQUEST_XML" && strings.HasPrefix(at.item, "/"):
		if t.secretText(at.value) {
			return
		}
	}
	m.Value = t.engine.mask.at(at.target, at.item, at.value)
}

// maskDerived is mask for what a core rule matched last, which may be made of what it
// matched before.
func (t *transaction) maskDerived(m *Match, data []types.MatchData) {
	places := make([]place, len(data))
	for i, d := range data {
		places[i] = place{d.Variable().Name(), d.Key(), d.Value()}
	}
	last := places[len(places)-1]
	if t.mask(m, last); last.target != "TX" && !strings.HasPrefix(last.target, "MATCHED_VAR") {
		return
	}
	for _, from := range places[:len(places)-1] {
		before := Match{}
		if t.mask(&before, from); before.Value == masked {
			m.Value = masked
		}
	}
}

// secretText says whether a text of XML is to be masked: it is one of an element that a
// mask fits, or, where it is none of the document's as it stands, may be.
func (t *transaction) secretText(text string) bool {
	secret, known := false, false
	for _, d := range t.tx.XMLValues() {
		if strings.Contains(d.Value(), text) {
			known = true
			secret = secret || t.engine.mask.Parameter(d.Key(), "") == masked
		}
	}
	return secret || !known && t.secretBody()
}

// secretBody says whether something in the body may be the name of a secret.
func (t *transaction) secretBody() bool {
	if t.secret == nil {
		found := t.engine.mask.words(t.view.body())
		t.secret = &found
	}
	return *t.secret
}

// Kinds of bodies by what is known of the names in them.
const (
	form       = iota // names and values
	structured        // names by path, in parameters
	plain             // none
)

// bodyIs says what kind a request's body is.
func (v *view) bodyIs() int {
	switch v.tx.Variables().RequestBodyProcessor().Get() {
	case "JSON", "XML", "MULTIPART":
		return structured
	case "URLENCODED":
		kind := strings.ToLower(strings.TrimSpace(v.request.Header.Get("Content-Type")))
		begins := strings.TrimSpace(v.body())
		if begins != "" && (!strings.HasPrefix(kind, "application/x-www-form-urlencoded") || strings.ContainsRune(`{[<"`, rune(begins[0]))) {
			return plain
		}
	}
	return form
}
