package commands

import "strings"

// hidden stands in the place of a secret.
const hidden = "********"

// Redact takes the secrets out of words, so that history and logs may keep
// them. It does not need the words to parse: the value of a flag that the
// grammar does not know is hidden too.
func Redact(words []string) []string {
	out := make([]string, len(words))
	copy(out, words)
	for _, at := range secretPlaces(words) {
		prefix := ""
		if strings.HasPrefix(words[at], "--") {
			if name, _, ok := strings.Cut(words[at], "="); ok {
				prefix = name + "="
			}
		}
		out[at] = prefix + hidden
	}
	for i, w := range out {
		out[i] = maskUserinfo(w)
	}
	return out
}

// secretPlaces are the indices of words that are a secret or carry one behind
// an equals sign. "-", which asks for the secret, is none.
func secretPlaces(words []string) []int {
	var places []int
	for i := 0; i < len(words); i++ {
		w := words[i]
		if !strings.HasPrefix(w, "-") || w == "-" || w == "--" {
			continue
		}
		name, value, joined := strings.Cut(strings.TrimLeft(w, "-"), "=")
		if flag := everything().flags[name]; flag != nil && (flag.Tag.Get("secret") == "" || flag.IsBool()) {
			continue
		}
		switch {
		case joined && value != "-":
			places = append(places, i)
		case !joined && i+1 < len(words) && words[i+1] != "-":
			i++
			// Behind an unknown flag another flag is no value; behind a secret one it is.
			if everything().flags[name] == nil && strings.HasPrefix(words[i], "--") {
				i--
				continue
			}
			places = append(places, i)
		}
	}
	return places
}

// secretsIn are the secrets themselves.
func secretsIn(words []string) []string {
	var secrets []string
	for _, at := range secretPlaces(words) {
		secret := words[at]
		if strings.HasPrefix(secret, "--") {
			if _, value, ok := strings.Cut(secret, "="); ok {
				secret = value
			}
		}
		if secret != "" {
			secrets = append(secrets, secret)
		}
	}
	return secrets
}

// maskUserinfo hides the password of user:password@host.
func maskUserinfo(word string) string {
	at := strings.LastIndex(word, "@")
	if at < 0 {
		return word
	}
	start := 0
	if i := strings.Index(word, "://"); i >= 0 && i < at {
		start = i + 3
	}
	colon := strings.Index(word[start:at], ":")
	if colon < 0 {
		return word
	}
	return word[:start+colon+1] + hidden + word[at:]
}
