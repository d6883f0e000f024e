package dfa

import (
	"fmt"
	"math/rand/v2"
	"regexp"
	"strings"
	"sync"
	"testing"
)

// FuzzMatch holds Match and Scan to regexp, alone and beside another expression.
func FuzzMatch(f *testing.F) {
	for _, expression := range []string{
		`a(?:foobar|.bazqux)`, `(?i)union.*?select`, `^\s*$`, `(?m)^x$`, `\bfoo\b`, `\Bo\B`, `\Aab|cd\z`, `(?i)k`, `[^a-z]+`, `(?s).`, `.`, ``,
		`x{2,5}y`, `(?:a|b)*c`, `é+`, `[\x{100}-\x{200}]`, `\x{fffd}`, `(?i)ſ`, `$^`, `(?-s).$`,
	} {
		for _, text := range []string{"", "aXbazqux", "UNION all\nSELECT", " foo ", "xfoo", "ab\ncd", "\xff\xfe", "K", "éé\x80", "xxxxy", "a\nx\nb", "Ā", "ſ"} {
			f.Add(expression, text)
		}
	}
	f.Fuzz(func(t *testing.T, expression, text string) {
		if len(expression) > 64 {
			return
		}
		re, err := regexp.Compile(expression)
		if err != nil {
			return
		}
		want := re.MatchString(text)
		alone, err := Compile(expression)
		if err != nil {
			t.Fatal(err)
		}
		for range 2 { // built, then found
			if got, known, _ := alone.Match(text); known && got != want {
				t.Fatalf("%q matches %q: %v, regexp says %v", expression, text, got, want)
			}
		}
		both, err := Compile(`(?i)o.?e`, expression)
		if err != nil {
			t.Fatal(err)
		}
		var hits [2]bool
		known, _ := both.Scan(text, func(id uint32) { hits[id] = true })
		if first := regexp.MustCompile(`(?i)o.?e`).MatchString(text); known && hits != [2]bool{first, want} {
			t.Fatalf("beside another, %q matches %q: %v, regexp says %v", expression, text, hits, want)
		}
	})
}

func TestBytes(t *testing.T) {
	s, err := CompileBytes(`\x{bc}[^>\x{be}]*[>\x{be}]`, `^.$`)
	if err != nil {
		t.Fatal(err)
	}
	for text, want := range map[string][2]bool{"\xbcscript\xbe": {true, false}, "\u00bcscript>": {true, false}, "¼": {false, false}, "\xff": {false, true}} {
		var hits [2]bool
		if known, _ := s.Scan(text, func(id uint32) { hits[id] = true }); !known || hits != want {
			t.Errorf("%q: %v, want %v", text, hits, want)
		}
	}
}

// A set whose automaton has 2^18 states gives up instead of filling memory, and
// its answers until then are right.
func TestMemoryIsBounded(t *testing.T) {
	s, err := Compile(`a.{18}b`)
	if err != nil {
		t.Fatal(err)
	}
	var text strings.Builder
	random := rand.New(rand.NewPCG(1, 2))
	for range 1 << 20 {
		text.WriteByte("ac"[random.IntN(2)])
	}
	_, known, _ := s.Match(text.String())
	if known {
		t.Error("a text that needs every state was followed to its end")
	}
	if bytes := s.cache.Load().bytes; bytes > memory+memory/8 {
		t.Errorf("the states take %d bytes", bytes)
	}
	if matched, known, _ := s.Match("a" + strings.Repeat("x", 18) + "b"); !matched || !known {
		t.Errorf("after giving up: %v %v", matched, known)
	}
}

func TestManyGoroutinesShareASet(t *testing.T) {
	s, err := Compile(`(?i)select.+from`, `<script`, `\.\./`)
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for n := range 8 {
		wg.Go(func() {
			for i := range 300 {
				text := fmt.Sprintf("%d %d select x%d from y <script>", n, i, i*n)
				var hits [3]bool
				if known, _ := s.Scan(text, func(id uint32) { hits[id] = true }); !known || hits != [3]bool{true, true, false} {
					t.Errorf("%q: %v %v", text, hits, known)
				}
			}
		})
	}
	wg.Wait()
}
