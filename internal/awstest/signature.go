package awstest

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"
)

// maxSkew is how far off a request's time may be.
const maxSkew = 5 * time.Minute

// signed says for which service a request is signed, or why its signature does not
// hold. It is Signature Version 4, made anew from what AWS documents.
func signed(r *http.Request, body []byte) (service string, err error) {
	const algorithm = "AWS4-HMAC-SHA256 "
	fields := map[string]string{}
	rest, ok := strings.CutPrefix(r.Header.Get("Authorization"), algorithm)
	if !ok {
		return "", fmt.Errorf("the request is not signed with %s", algorithm)
	}
	for field := range strings.SplitSeq(rest, ",") {
		name, value, _ := strings.Cut(strings.TrimSpace(field), "=")
		fields[name] = value
	}
	scope := strings.Split(fields["Credential"], "/")
	if len(scope) != 5 || scope[4] != "aws4_request" {
		return "", fmt.Errorf("the credential is %q", fields["Credential"])
	}
	key, day, region, service := scope[0], scope[1], scope[2], scope[3]
	secrets := map[string]string{AccessKey: SecretKey, RoleAccessKey: RoleSecretKey}
	secret, ok := secrets[key]
	switch date, err := time.Parse("20060102T150405Z", r.Header.Get("X-Amz-Date")); {
	case !ok:
		return service, fmt.Errorf("the access key %s is not known", key)
	case region != Region:
		return service, fmt.Errorf("the request is for region %s", region)
	case err != nil || date.Format("20060102") != day || time.Since(date).Abs() > maxSkew:
		return service, fmt.Errorf("the request is of %s", r.Header.Get("X-Amz-Date"))
	case key == RoleAccessKey && r.Header.Get("X-Amz-Security-Token") != RoleToken:
		return service, fmt.Errorf("the session token is not the role's")
	}
	names := strings.Split(fields["SignedHeaders"], ";")
	for _, must := range []string{"host", "x-amz-date"} {
		if !slices.Contains(names, must) {
			return service, fmt.Errorf("the header %s is not signed", must)
		}
	}
	if r.URL.RawQuery != "" || r.URL.Path != "/" {
		return service, fmt.Errorf("the query API is asked at %s", r.URL)
	}
	canonical := canonicalRequest(r, names, body)
	text := strings.Join([]string{strings.TrimSpace(algorithm), r.Header.Get("X-Amz-Date"), strings.Join(scope[1:], "/"), hash(canonical)}, "\n")
	signing := []byte("AWS4" + secret)
	for _, part := range scope[1:] {
		signing = sum(signing, part)
	}
	if hex.EncodeToString(sum(signing, text)) != fields["Signature"] {
		return service, fmt.Errorf("the signature does not match")
	}
	return service, nil
}

func canonicalRequest(r *http.Request, names []string, body []byte) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n/\n\n", r.Method)
	for _, name := range names {
		value := strings.Join(r.Header.Values(name), ",")
		switch name {
		case "host":
			value = r.Host
		case "content-length":
			value = fmt.Sprint(r.ContentLength)
		}
		fmt.Fprintf(&b, "%s:%s\n", name, strings.Join(strings.Fields(value), " "))
	}
	fmt.Fprintf(&b, "\n%s\n%s", strings.Join(names, ";"), hash(string(body)))
	return b.String()
}

func sum(key []byte, text string) []byte {
	h := hmac.New(sha256.New, key)
	h.Write([]byte(text))
	return h.Sum(nil)
}

func hash(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:])
}
