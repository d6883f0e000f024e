package proxy

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"

	"sealgate/appliance/model"
	"sealgate/daemon/gateway/waf"
)

// newMasker is the web service's data masking group, for what events tell.
func newMasker(list []model.DataMask) (*waf.Masker, error) {
	masks := make([]waf.Mask, len(list))
	for i, m := range list {
		masks[i] = waf.Mask{Name: m.Name, Match: m.Match, Parameters: m.InParameters, Headers: m.InHeaders, Cookies: m.InCookies, Enabled: m.Enabled}
	}
	return waf.NewMasker(masks)
}

// maxText bounds a text of an event, in bytes.
const maxText = 4 << 10

// text is a stranger's bytes as an event may hold them: UTF-8, of bounded length.
func text(s string) string {
	return strings.ToValidUTF8(s[:min(len(s), maxText)], "\uFFFD")
}

// fingerprint tells sessions apart without giving them away.
func fingerprint(session string) string {
	sum := sha256.Sum256([]byte(session))
	return hex.EncodeToString(sum[:8])
}
