package shell

import "strings"

// quoteWord writes one word. The style is the quote that the user opened, or 0
// for none yet. An unfinished word keeps its quote open, so that the user can go on
// typing. In --flag=value the quote stands before the value, where people
// write it.
func quoteWord(w string, style rune, finished bool) string {
	if style == 0 && !needsQuote(w) {
		return w
	}
	flag := ""
	if strings.HasPrefix(w, "--") {
		if i := strings.IndexByte(w, '='); i > 0 && !needsQuote(w[:i]) {
			flag, w = w[:i+1], w[i+1:]
		}
	}
	if style == 0 || style == '\'' && strings.Contains(w, "'") {
		style = '\''
		if strings.Contains(w, "'") {
			style = '"'
		}
	}
	if style == '"' {
		w = doubleQuoted.Replace(w)
	}
	q := string(style)
	if !finished {
		return flag + q + w
	}
	return flag + q + w + q
}

var doubleQuoted = strings.NewReplacer(`\`, `\\`, `"`, `\"`)

// needsQuote also names what the prompt would take for itself: a question mark
// at the start of a word asks for help there, a # starts a comment in a script.
func needsQuote(w string) bool {
	if w == "" || strings.ContainsAny(w, " \t'\"\\|") {
		return true
	}
	return w != "?" && (w[0] == '?' || w[0] == '#')
}
