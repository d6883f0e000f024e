package transfer

import (
	"encoding/base64"
	"slices"
	"strings"

	"github.com/icholy/digest"
)

// maxAsked is how often one request may be asked for authorization: once for a scheme, once more for a stale nonce.
const maxAsked = 3

// authorization answers what one server or proxy asks for: Digest (RFC 7616), or Basic where that is all it takes.
type authorization struct {
	user, password string

	basic  bool
	digest *digest.Challenge // nil: not asked for
	count  int               // of requests that used its nonce
}

// header authorizes one request. It is empty as long as nothing was asked for.
func (a *authorization) header(method, uri string) string {
	switch {
	case a.digest != nil:
		a.count++
		answer, err := digest.Digest(a.digest, digest.Options{
			Method: method, URI: uri, Count: a.count, Username: a.user, Password: a.password})
		if err != nil {
			return "" // learn takes only what can be answered
		}
		return answer.String()
	case a.basic:
		return "Basic " + basicToken(a.user, a.password)
	}
	return ""
}

// protected says that TLS protects the password now, which may be told before it is asked for.
func (a *authorization) protected() { a.basic = a.user != "" && a.digest == nil }

// unasked says whether there is a password that nobody has asked for yet.
func (a *authorization) unasked() bool { return a.user != "" && !a.basic && a.digest == nil }

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
			a.digest, a.count = asked, 0
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
	if !digest.CanDigest(asked) || len(asked.QOP) > 0 && !asked.SupportsQOP("auth") {
		return nil
	}
	return asked
}

// foreign are the schemes of challenges that are not known here, for an error's words.
func foreign(challenges []string) string {
	var names []string
	for _, challenge := range challenges {
		if name := scheme(challenge); !isKnown(challenge) && !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return strings.Join(names, ", ")
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
