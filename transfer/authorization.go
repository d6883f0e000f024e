package transfer

import (
	"crypto/md5"
	"crypto/rand"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/icholy/digest"
)

// maxAsked is how often one request may be asked for authorization: once for a scheme, once more for a stale nonce.
const maxAsked = 3

// authorization answers what one server or proxy asks for: Digest (RFC 7616), or Basic where that is all it takes.
type authorization struct {
	user, password string

	basic   bool
	digest  *digest.Challenge // nil: not asked for
	session string            // what a -sess algorithm makes its key of beside the password
	count   int               // of requests that used its nonce
}

// supported is the hint where nothing is asked for that can be given.
const supported = "Basic and Digest are supported, Digest with qop=auth and MD5, SHA-256 or SHA-512"

// header authorizes one request. It is empty as long as nothing was asked for.
func (a *authorization) header(method, uri string) string {
	switch {
	case a.digest != nil:
		a.count++
		return a.answer(method, uri)
	case a.basic:
		return "Basic " + basicToken(a.user, a.password)
	}
	return ""
}

// answer is the answer to the digest that was asked for. The library knows no -sess, whose key holds both nonces.
func (a *authorization) answer(method, uri string) string {
	asked := *a.digest
	o := digest.Options{Method: method, URI: uri, Count: a.count, Username: a.user, Password: a.password}
	if plain, ok := cutSession(asked.Algorithm); ok {
		asked.Algorithm, o.Cnonce = plain, a.session
		o.A1 = hashed(plain, hashed(plain, a.user, asked.Realm, a.password), asked.Nonce, a.session)
	}
	answer, err := digest.Digest(&asked, o)
	if err != nil {
		return "" // learn takes only what can be answered
	}
	answer.Algorithm = a.digest.Algorithm
	return answer.String()
}

// cutSession takes the -sess off an algorithm.
func cutSession(algorithm string) (plain string, ok bool) {
	const suffix = "-SESS"
	if upper := strings.ToUpper(algorithm); strings.HasSuffix(upper, suffix) {
		return strings.TrimSuffix(upper, suffix), true
	}
	return algorithm, false
}

// hashed is what RFC 7616 calls H, of parts with colons between them.
func hashed(algorithm string, parts ...string) string {
	text := []byte(strings.Join(parts, ":"))
	switch algorithm {
	case "SHA-256":
		return fmt.Sprintf("%x", sha256.Sum256(text))
	case "SHA-512":
		return fmt.Sprintf("%x", sha512.Sum512(text))
	case "SHA-512-256":
		return fmt.Sprintf("%x", sha512.Sum512_256(text))
	}
	return fmt.Sprintf("%x", md5.Sum(text))
}

// protected says that TLS protects the password now, which may be told before it is asked for.
func (a *authorization) protected() { a.basic = a.user != "" && a.digest == nil }

// unasked says whether there is a password that nobody has asked for yet.
func (a *authorization) unasked() bool { return a.user != "" && !a.basic && a.digest == nil }

// challengesOf are the challenges in a refusal's header. One line may hold several with commas between them, as each of
// them holds commas between its parameters: a new one begins with a word that no = follows.
func challengesOf(header http.Header, name string) []string {
	var all []string
	for _, line := range header.Values(name) {
		first := true
		for _, part := range splitList(line) {
			if first || beginsChallenge(part) {
				all = append(all, part)
			} else {
				all[len(all)-1] += ", " + part
			}
			first = false
		}
	}
	return all
}

// splitList are the members of a list, without those that are empty. Commas within quotes separate nothing.
func splitList(line string) (parts []string) {
	begin, quoted, escaped := 0, false, false
	for i := 0; i <= len(line); i++ {
		switch {
		case i == len(line) || line[i] == ',' && !quoted:
			if part := strings.TrimSpace(line[begin:i]); part != "" {
				parts = append(parts, part)
			}
			begin = i + 1
		case escaped:
			escaped = false
		case quoted && line[i] == '\\':
			escaped = true
		case line[i] == '"':
			quoted = !quoted
		}
	}
	return parts
}

func beginsChallenge(part string) bool {
	name, rest, _ := strings.Cut(part, " ")
	return !strings.Contains(name, "=") && !strings.HasPrefix(strings.TrimSpace(rest), "=")
}

// learn takes the challenges of a refusal and says whether another try is worth it. Whoever asked for Digest once is
// not told the password in the clear any more.
func (a *authorization) learn(challenges []string) bool {
	if a.user == "" {
		return false
	}
	basic := false
	for _, challenge := range challenges {
		if asked := usableDigest(challenge); asked != nil {
			again := a.digest == nil || asked.Stale
			a.digest, a.session, a.count = asked, rand.Text(), 0
			return again
		}
		basic = basic || strings.EqualFold(scheme(challenge), "Basic")
	}
	if !basic || a.basic || a.digest != nil {
		return false
	}
	a.basic = true
	return true
}

// usableDigest is challenge as a digest that can be answered without a hash of the body, else nil.
func usableDigest(challenge string) *digest.Challenge {
	asked, err := digest.ParseChallenge(challenge)
	if err != nil {
		return nil
	}
	for i, qop := range asked.QOP {
		asked.QOP[i] = strings.TrimSpace(qop)
	}
	plain := *asked
	session := false
	if plain.Algorithm, session = cutSession(asked.Algorithm); session && len(asked.QOP) == 0 {
		return nil // it would not be told our nonce
	}
	if !digest.CanDigest(&plain) || len(asked.QOP) > 0 && !asked.SupportsQOP("auth") {
		return nil
	}
	return asked
}

// foreign is what challenges ask for and is not known here, for an error's words.
func foreign(challenges []string) string {
	var names []string
	for _, challenge := range challenges {
		if name := foreignName(challenge); !isKnown(challenge) && !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	if len(names) == 0 {
		return "a login that it does not describe"
	}
	return strings.Join(names, ", ")
}

func foreignName(challenge string) string {
	name := scheme(challenge)
	asked, err := digest.ParseChallenge(challenge)
	if err != nil {
		return name
	}
	if asked.Algorithm != "" {
		name += " with algorithm=" + asked.Algorithm
	}
	if len(asked.QOP) > 0 {
		name += " with qop=" + strings.Join(asked.QOP, ",")
	}
	return name
}

// isKnown says whether challenge can be answered by who has the password.
func isKnown(challenge string) bool {
	return strings.EqualFold(scheme(challenge), "Basic") || usableDigest(challenge) != nil
}

func scheme(challenge string) string {
	name, _, _ := strings.Cut(strings.TrimSpace(challenge), " ")
	return name
}

func basicToken(user, password string) string {
	return base64.StdEncoding.EncodeToString([]byte(user + ":" + password))
}
