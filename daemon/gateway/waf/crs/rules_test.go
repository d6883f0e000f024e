package crs

import (
	"io/fs"
	"slices"
	"strconv"
	"strings"
	"testing"

	coreruleset "github.com/corazawaf/coraza-coreruleset/v4"
)

// What is read is written again: nothing of a rule is lost on the way to Coraza.
func TestRulesAreWrittenAsRead(t *testing.T) {
	names, err := fs.Glob(coreruleset.FS, "@owasp_crs/*.conf")
	if err != nil || len(names) < 20 {
		t.Fatal(names, err)
	}
	rules := 0
	for _, name := range names {
		text, err := fs.ReadFile(coreruleset.FS, name)
		if err != nil {
			t.Fatal(err)
		}
		all, err := read(coreruleset.FS, name)
		if err != nil {
			t.Fatal(err)
		}
		var written strings.Builder
		for i := range all {
			rules += 1 + len(all[i].chain)
			written.WriteString(all[i].String())
		}
		if want, got := plain(string(text)), plain(written.String()); got != want {
			at := 0
			for at < min(len(got), len(want)) && got[at] == want[at] {
				at++
			}
			t.Errorf("%s: wrote %q, read %q", name, got[at:min(at+80, len(got))], want[at:min(at+80, len(want))])
		}
	}
	if rules < 600 {
		t.Errorf("%d directives were read", rules)
	}
}

// plain is SecLang without comments, line ends and the spaces around them, and
// with the operator that is meant where none is named.
func plain(text string) string {
	var b strings.Builder
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		b.WriteString(strings.TrimSpace(strings.TrimSuffix(line, `\`)))
	}
	return strings.NewReplacer(" ", "", `\"`, `"`).Replace(b.String())
}

// A level keeps its own rules and those below, and nothing above.
func TestLevels(t *testing.T) {
	for level := 1; level <= 4; level++ {
		all, err := directives(Options{Paranoia: level})
		if err != nil {
			t.Fatal(err)
		}
		var kept []int
		for i := range all {
			for _, tag := range all[i].list() {
				if n, ok := strings.CutPrefix(tag, "tag:'paranoia-level/"); ok {
					of, _ := strconv.Atoi(strings.Trim(n, "'"))
					kept = append(kept, of)
				}
			}
		}
		slices.Sort(kept)
		if slices.Max(kept) != level || !slices.Equal(slices.Compact(kept), []int{1, 2, 3, 4}[:level]) {
			t.Errorf("level %d keeps rules of %v", level, slices.Compact(kept))
		}
	}
}

// Most rules stand behind a gate, and plain traffic opens few.
func TestPlainTrafficOpensFewGates(t *testing.T) {
	s := load(t, Options{Paranoia: 1})
	if len(s.gates.rules) < 150 {
		t.Errorf("%d rules are gated", len(s.gates.rules))
	}
	for _, l := range loads() {
		tx := l.through(s)
		open := 0
		for i := range s.gates.rules {
			if tx.state.isHit(i) {
				open++
			}
		}
		if tx.Close(); open > 8 {
			t.Errorf("%s: %d rules have to be looked at", l.name, open)
		}
	}
}

// FuzzGates holds the gated rules to all rules, evaluated one by one by Coraza's operators.
func FuzzGates(f *testing.F) {
	gated, ungated := load(f, Options{Paranoia: 2}), load(f, Options{Paranoia: 2, Ungated: true})
	for _, l := range loads()[:2] { // the oracle takes longer over the others than a fuzzer waits
		f.Add(l.uri, l.kind, l.body)
	}
	for _, s := range []string{"1' union select a from b--", "<script>alert(1)</script>", ";cat /etc/passwd", "../../etc/passwd", "${jndi:ldap://x}", "%2527 or 1=1",
		`\u0027 or \x31=1`, "&lt;img onerror=alert(1)&gt;", "\xbcscript\xbealert(1)\xbc/script\xbe", "a\x00b", "http://169.254.169.254/", "() { :; }; id"} {
		f.Add("/?a="+strings.NewReplacer(" ", "+", "\x00", "%00", "&", "%26", "#", "%23").Replace(s), "application/x-www-form-urlencoded", "b="+s+"&b=x&c=2&c="+s)
		f.Add("/", "application/json", `{"a":["`+strings.ReplaceAll(s, `"`, `\"`)+`",1]}`)
		f.Add("/", "text/xml", "<a b='1'>"+s+"</a>")
		f.Add("/", "multipart/form-data; boundary=x", "--x\r\nContent-Disposition: form-data; name=\"a\"; filename=\"a.php\"\r\nContent-Type: text/plain\r\n\r\n"+s+"\r\n--x--\r\n")
	}
	f.Fuzz(func(t *testing.T, uri, kind, body string) {
		if len(uri)+len(body) > 1<<10 {
			return
		}
		l := traffic{"", "POST", uri, kind, body}
		a, b := l.through(gated), l.through(ungated)
		defer a.Close()
		defer b.Close()
		got, want := matched(a, gated.Rules), matched(b, gated.Rules)
		slices.Sort(got)
		slices.Sort(want)
		if !slices.Equal(got, want) {
			t.Errorf("%q %q %q:\n got %q\nwant %q", uri, kind, body, got, want)
		}
	})
}
