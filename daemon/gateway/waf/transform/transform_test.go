package transform

import (
	"fmt"
	"slices"
	"testing"

	"github.com/corazawaf/coraza/v3"
	"github.com/corazawaf/coraza/v3/experimental/plugins"
	"github.com/corazawaf/coraza/v3/experimental/plugins/plugintypes"
)

// oracle makes Coraza transform a value, by each name.
func oracle(t testing.TB) func(name, value string) string {
	names := slices.Collect(func(yield func(string) bool) {
		for name := range By {
			if !yield(name) {
				return
			}
		}
	})
	shown := map[string]string{}
	rules := "SecRuleEngine On\n"
	for i, name := range names {
		plugins.RegisterOperator("capture"+name, func(plugintypes.OperatorOptions) (plugintypes.Operator, error) {
			return operator(func(value string) { shown[name] = value }), nil
		})
		rules += fmt.Sprintf("SecRule ARGS_GET:x \"@capture%s x\" \"id:%d,phase:1,pass,nolog,t:none,t:%s\"\n", name, i+1, name)
	}
	waf, err := coraza.NewWAF(coraza.NewWAFConfig().WithDirectives(rules))
	if err != nil {
		t.Fatal(err)
	}
	return func(name, value string) string {
		tx := waf.NewTransaction()
		defer tx.Close()
		tx.AddGetRequestArgument("x", value)
		tx.ProcessRequestHeaders()
		return shown[name]
	}
}

type operator func(string)

func (o operator) Evaluate(_ plugintypes.TransactionState, value string) bool {
	o(value)
	return false
}

func FuzzTransform(f *testing.F) {
	for _, s := range []string{"", "plain", "%41%u0041%uff21%u00c0%zz%+%u12", `\x41\u0041\u{1f600}\101\777\8\n\q\`, `\41 b\00\ff01 c\`, "&lt;&#x41;&amp",
		"C:\\a\\..\\b. \\c:stream", "/a/./b/../c//", "a/**/b/*c", "--><!--#*/", "QUJD", "QU JD", "QUI=", "\xff a\u00a0\u0085b\xa0", "A\"b'^ ,;/ (X", "é漢字😀", "\x00a\x00",
		"a/. /b", " /. ", "...", "./", "a:b/"} {
		f.Add(s)
	}
	ask := oracle(f)
	f.Fuzz(func(t *testing.T, s string) {
		for name, transform := range By {
			if got, want := transform(s), ask(name, s); got != want {
				t.Errorf("%s of %q is %q, Coraza says %q", name, s, got, want)
			}
		}
	})
}
