package commands

import (
	"math"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/alecthomas/kong"

	"sealgate/appliance/account"
	"sealgate/appliance/seal"
	"sealgate/appliance/token"
)

// hidden stands in the place of what may be a secret.
const hidden = "********"

// Redact makes words fit for history. The value of a secret flag becomes "-",
// so that the line asks for it when it is run again; what else may be a secret
// is hidden: values of flags that do not exist, words that the command has no
// place for, passwords and queries in URLs. The words need not parse.
func Redact(words []string) []string {
	out, _ := redact(words)
	return out
}

// secretsIn are the words, or parts of words, that Redact hides.
func secretsIn(words []string) []string {
	_, secrets := redact(words)
	return secrets
}

// Skeleton is what a log may keep of a line that did not parse: names of
// commands and flags. A password that was typed in the wrong place is none.
func Skeleton(words []string) []string {
	node, out := everything().root, []string{}
	for i, w := range words {
		if child := childNamed(node, w); child != nil && i == len(out) {
			node = child
			out = append(out, w)
			continue
		}
		if name := flagName(w); knownFlag(w) != nil {
			out = append(out, name)
			continue
		}
		if len(out) == 0 || out[len(out)-1] != "…" {
			out = append(out, "…")
		}
	}
	return out
}

// redactor walks a line.
type redactor struct {
	words   []string
	out     []string
	secrets []string
	at      int
	flags   map[string]*kong.Flag // of the command
	values  []*kong.Positional    // that it still takes
	places  int                   // how many that are
}

func redact(words []string) (out, secrets []string) {
	r := &redactor{words: words, out: append([]string{}, words...)}
	node := everything().root
	for r.at < len(words) && len(node.Children) > 0 {
		if words[r.at] == "--json" { // may stand anywhere
			r.at++
			continue
		}
		child := childNamed(node, words[r.at])
		if child == nil {
			break
		}
		node = child
		r.at++
	}
	r.flags, r.values, r.places = flagsOf(node), node.Positional, placesOf(node)
	for flags := true; r.at < len(words); r.at++ {
		w := words[r.at]
		switch bare := strings.TrimLeftFunc(w, isDash); {
		case w == "--":
			flags = false
		case flags && bare != w && bare != "":
			r.flag(w[:len(w)-len(bare)], bare)
		default:
			r.positional(w)
		}
	}
	return r.out, r.secrets
}

// isDash takes what a document makes of two hyphens for hyphens, too.
func isDash(c rune) bool { return unicode.Is(unicode.Pd, c) || c == '−' }

func placesOf(n *kong.Node) int {
	k := len(n.Positional)
	// Where there is no command yet, the words are all that a typo shows.
	if len(n.Children) > 0 || k > 0 && n.Positional[k-1].IsCumulative() {
		return math.MaxInt
	}
	return k
}

// hide replaces the end of the word at i, from byte from on.
func (r *redactor) hide(i, from int, with string) {
	if secret := r.words[i][from:]; secret != "" && secret != "-" {
		r.secrets = append(r.secrets, secret)
		r.out[i] = r.words[i][:from] + with
	}
}

// flag takes a word that begins with dashes, and its value.
func (r *redactor) flag(dashes, bare string) {
	name, _, joined := strings.Cut(bare, "=")
	value := len(dashes) + len(name) + 1
	flag := r.flags[name]
	if flag == nil {
		flag = everything().flags[name]
	}
	switch {
	case flag != nil && flag.IsBool():
	case flag != nil && flag.Tag.Get("secret") != "":
		if joined {
			r.hide(r.at, value, "-")
		} else if r.valueFollows() {
			r.at++
			r.hide(r.at, 0, "-")
		}
	case flag != nil:
		if !joined && !r.valueFollows() {
			return
		}
		if !joined {
			r.at++
			value = 0
		}
		switch {
		case flag.Tag.Has("sshkey"):
			r.key(value)
		case flag.Tag.Has("address"):
			r.url(value)
		case flag.Tag.Has("account"):
			r.account(value)
		default:
			r.userinfo(value)
		}
	default:
		r.unknown(len(dashes), bare)
	}
}

// valueFollows says whether the next word is the value of the flag before it.
func (r *redactor) valueFollows() bool {
	return r.at+1 < len(r.words) && knownFlag(r.words[r.at+1]) == nil
}

// userinfo hides the password before an @ in the word at hand, from byte from on: an address may have been given as a URL.
func (r *redactor) userinfo(from int) {
	w := r.words[r.at]
	if at := strings.LastIndex(w, "@"); at > from {
		if colon := strings.Index(w[from:at], ":"); colon >= 0 {
			from += colon + 1
			r.secrets = append(r.secrets, w[from:at])
			r.out[r.at] = w[:from] + hidden + w[at:]
		}
	}
}

// account hides what stands behind the colon of the word at hand, from byte from on: other
// commands take a password there.
func (r *redactor) account(from int) {
	if name, _, pair := strings.Cut(r.words[r.at][from:], ":"); pair {
		r.hide(r.at, from+len(name)+1, hidden)
	}
}

// key hides what stands in the place of a public key, from byte from on, and is none: it
// may be a private one, or a password.
func (r *redactor) key(from int) {
	if _, err := account.ParseKey(r.words[r.at][from:]); err != nil {
		r.hide(r.at, from, hidden)
	}
}

// unknown takes a flag that does not exist: it may be a secret flag with its
// value glued to it, and the next word may be its value.
func (r *redactor) unknown(dashes int, bare string) {
	if _, size := utf8.DecodeRuneInString(bare); dashes == 1 && len(bare) > size {
		r.hide(r.at, dashes+size, hidden)
	} else {
		r.hide(r.at, dashes+visible(bare), hidden)
	}
	if next := r.at + 1; next < len(r.words) && r.words[next] == strings.TrimLeftFunc(r.words[next], isDash) {
		r.at++
		r.hide(r.at, 0, hidden)
	}
}

// visible is how many bytes of an unknown flag may be shown: its name, but no
// more of it than a secret flag's.
func visible(bare string) int {
	n := strings.IndexFunc(bare, func(c rune) bool { return (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' })
	if n < 0 {
		n = len(bare)
	}
	longest := 0
	for name, flag := range everything().flags {
		if flag.Tag.Get("secret") != "" && strings.HasPrefix(bare, name) {
			longest = max(longest, len(name))
		}
	}
	if longest > 0 {
		return min(n, longest)
	}
	return n
}

// positional takes any other word.
func (r *redactor) positional(w string) {
	name, _, joined := strings.Cut(w, "=")
	value := r.value()
	switch {
	case value != nil && value.Tag.Get("secret") != "":
		r.places--
		r.hide(r.at, 0, "-")
	case value != nil && value.Tag.Has("sshkey"):
		r.places--
		r.key(0)
	case joined && everything().flags[name] != nil:
		r.hide(r.at, len(name)+1, hidden)
	case r.places == 0, isKey(w):
		r.hide(r.at, 0, hidden)
	default:
		r.places--
		r.url(0)
	}
}

// isKey says whether w opens something, in whatever place it was typed: it is a licence
// key, a registration token, or the identity that belongs to an age recipient.
func isKey(w string) bool {
	return strings.HasPrefix(w, seal.Prefix) || strings.HasPrefix(w, token.Prefix) || strings.HasPrefix(strings.ToUpper(w), "AGE-SECRET-KEY-")
}

// value is the positional value that the next word is, or nil.
func (r *redactor) value() *kong.Positional {
	if len(r.values) == 0 {
		return nil
	}
	v := r.values[0]
	if !v.IsCumulative() {
		r.values = r.values[1:]
	}
	return v
}

// url hides the password and the query of the URL that the word at hand has from byte
// from on. A query may be a signature.
func (r *redactor) url(from int) {
	if from > len(r.words[r.at]) {
		return
	}
	before, w := r.words[r.at][:from], r.words[r.at][from:]
	start := 0
	if scheme, _, ok := strings.Cut(w, "://"); ok && !strings.ContainsAny(scheme, ":@/") {
		start = len(scheme) + 3
	}
	at := strings.LastIndex(w, "@")
	if query := strings.Index(w[start:], "?"); query >= 0 && start+query < at {
		// A password with a ? in it, or a signature with an @: nothing tells.
		from := start + strings.IndexAny(w[start:], ":?") + 1
		r.secrets = append(r.secrets, w[from:at], w[from:])
		r.out[r.at] = before + w[:from] + hidden
		return
	}
	if path, query, ok := strings.Cut(w, "?"); ok && strings.Contains(path, "/") {
		r.secrets = append(r.secrets, query)
		w = path + "?…"
	}
	if colon := strings.Index(w[start:max(at, start)], ":"); colon >= 0 {
		from := start + colon + 1
		r.secrets = append(r.secrets, w[from:at])
		w = w[:from] + hidden + w[at:]
	}
	r.out[r.at] = before + w
}

// knownFlag is the flag that a word names, or nil.
func knownFlag(word string) *kong.Flag {
	name, ok := strings.CutPrefix(flagName(word), "--")
	if !ok {
		return nil
	}
	return everything().flags[name]
}
