package session

import (
	"crypto/sha256"
	"encoding/hex"
	"net/http"

	"sealgate/daemon/mx/openapi"
)

// The cookies of a session. Clients of the API send back the first; the second is
// there for those that look for it, and opens nothing.
const (
	cookieName    = "JSESSIONID"
	cookieSSO     = "SSOSESSIONID"
	cookiePath    = "/SecureSphere" // the API and the GUI
	idBytes       = 32
	cookiesLooked = 4 // of one name, in one request
)

// hashed is what is kept of a session's id.
type hashed [sha256.Size]byte

func hashOf(id string) hashed { return sha256.Sum256([]byte(id)) }

// presented are the ids that a request brings, hashed. Another site of the same
// domain may have set a cookie of our name, so all of a few are looked at.
func presented(r *http.Request) []hashed {
	var ids []hashed
	for i, c := range r.CookiesNamed(cookieName) {
		if i < cookiesLooked && len(c.Value) == hex.EncodedLen(idBytes) {
			ids = append(ids, hashOf(c.Value))
		}
	}
	return ids
}

func setCookies(c *openapi.Call, id, sso string) {
	for _, cookie := range []http.Cookie{{Name: cookieName, Value: id}, {Name: cookieSSO, Value: sso}} {
		cookie.Path, cookie.Secure, cookie.HttpOnly, cookie.SameSite = cookiePath, true, true, http.SameSiteStrictMode
		if id == "" {
			cookie.MaxAge = -1
		}
		c.Header.Add("Set-Cookie", cookie.String())
	}
}
