package seal

import "crypto/ed25519"

// SignForTest signs what is no licence.
func SignForTest(private ed25519.PrivateKey, body string) string { return sign(private, []byte(body)) }
