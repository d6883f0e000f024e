package shell

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// The terminal of the tests has 24 rows.
func TestLongOutputIsPaged(t *testing.T) {
	t.Parallel()
	a := startAppliance(t)
	p := sitDown(t, a)
	p.sees("mx> ")
	p.types("lines 60\recho ahead\r")
	p.sees("line 23\r\n" + morePrompt)
	p.types("x \r") // any other key is nothing; a page; a line
	p.sees("\r\x1b[Kline 24\r\n")
	p.sees("line 46\r\n" + morePrompt + "\r\x1b[K" + "line 47\r\n" + morePrompt)
	p.types("q")
	p.sees("\r\x1b[Kthat was all\r\n")
	p.sees("mx> ")
	p.sees(`RAN ["echo","ahead"]`) // what was typed ahead was no answer
	if out := p.output(); strings.Contains(out, "line 48") {
		t.Error("q did not end it")
	}
	p.sees("mx> ")
	p.enters("lines 22")
	p.enters("version")
	if n := strings.Count(p.output(), "--more--"); n != 3 {
		t.Errorf("%d pauses", n)
	}
	p.types("exit\r")
	p.exit()
	p.findsTerminalRestored()
}

func TestInterruptAtAFullScreen(t *testing.T) {
	t.Parallel()
	a := startAppliance(t)
	p := sitDown(t, a)
	p.sees("mx> ")
	p.types("endless\r")
	p.sees(morePrompt)
	p.types("\x03")
	p.sees("sealgate: error: interrupted before the end\r\n")
	p.sees("mx> ")
	if got := <-a.cancelled; got != "endless" {
		t.Errorf("%s was cancelled", got)
	}
	p.enters("version")
	want(t, a, `["endless"]`, `["version"]`)
}

// Ten thousand candidates: what they have in common is typed, a screenful is
// shown, and how many more there are.
func TestManyCandidates(t *testing.T) {
	t.Parallel()
	a := startAppliance(t)
	p := sitDown(t, a)
	p.sees("mx> ")
	p.types("many d\t")
	p.sees("mx> many dump_0")
	p.types("\t")
	p.sees("  dump_00000  a dump\r\n")
	p.sees(morePrompt)
	p.types("    ")
	p.sees("  dump_00099  a dump\r\n  ... and 9900 more: type a few letters first\r\n")
	p.enters("x")
	want(t, a, `["many","dump_0x"]`)
}

func TestScriptsAreNotPaged(t *testing.T) {
	t.Parallel()
	a := startAppliance(t)
	p := sitDown(t, a, "-c", "lines 100")
	p.sees("line 100\r\n")
	if code := p.exit(); code != 0 || strings.Contains(p.output(), "more") {
		t.Errorf("exit status %d", code)
	}
	if got := program(t, "", nil, "sealsh", "--home", a.home, "-c", "lines 100"); strings.Contains(got.out+got.err, "more") {
		t.Errorf("%+v", got)
	}
}

func TestPagerCounts(t *testing.T) {
	for _, c := range []struct {
		name, text string
		pieces     []string
	}{
		{"short", "1\n2\n3\n", []string{"1\n2\n3\n"}},
		{"one too many", "1\n2\n3\n4\n", []string{"1\n2\n3\n", "4\n"}},
		{"wrapped", strings.Repeat("x", 41) + "\n4\n", []string{strings.Repeat("x", 41) + "\n", "4\n"}},
		{"a full line is one", strings.Repeat("x", 20) + "\n2\n3\n", []string{strings.Repeat("x", 20) + "\n2\n3\n"}},
		{"endless line", strings.Repeat("x", 130), []string{strings.Repeat("x", 60), strings.Repeat("x", 60), strings.Repeat("x", 10)}},
		{"wide", strings.Repeat("日", 35), []string{strings.Repeat("日", 30), strings.Repeat("日", 5)}},
		{"tabs", "\t\t\tx\n2\n3\n", []string{"\t\t\tx\n2\n", "3\n"}},
	} {
		p := &pager{
			keys:  func(context.Context) (key, error) { return key{r: ' '}, nil },
			aside: func() func() { return func() {} },
			size:  func() (int, int) { return 4, 20 },
			note:  func(string) {},
		}
		var pieces []string
		p.show(t.Context(), c.text, func(s string) { pieces = append(pieces, s) })
		if diff := cmp.Diff(c.pieces, pieces); diff != "" {
			t.Errorf("%s: %s", c.name, diff)
		}
	}
}

func TestIdle(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, keys, before string }{
		{"at the prompt", "half a line", "half a line"},
		{"at a question", "secret\r", "Password: "},
		{"at a full screen", "lines 60\r", morePrompt},
		{"in a search", "version\r\x12v", "search: v"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			a := newAppliance(t)
			a.idle = 6
			a.start(t)
			p := sitDown(t, a)
			p.sees("mx> ")
			p.types(c.keys)
			p.sees(c.before)
			p.sees("sealgate: this session is idle: it ends in 3 seconds unless a key is pressed\r\n")
			p.sees("sealgate: this session was idle for 6 seconds and ends\r\n")
			if code := p.exit(); code != 0 {
				t.Errorf("exit status %d", code)
			}
			p.findsTerminalRestored()
			if strings.Contains(strings.Join(a.ran(), " "), "half") {
				t.Error("a line that was never entered has run")
			}
		})
	}
}

// A key ends the warning, and a command that runs is not idle.
func TestNotIdle(t *testing.T) {
	t.Parallel()
	a := newAppliance(t)
	a.idle = 6
	a.start(t)
	p := sitDown(t, a)
	p.sees("mx> ")
	p.types("ver")
	p.sees("unless a key is pressed\r\n")
	p.sees("mx> ver") // drawn again
	p.types("sion\r")
	p.sees("test 1.0")
	p.sees("mx> ")
	p.types("slow\r")
	p.sees("%")
	time.Sleep(time.Duration(a.idle+1) * time.Second)
	if out := p.output(); strings.Count(out, "idle") != 1 {
		t.Errorf("a command that runs was idle: %q", out)
	}
	p.types("\x03")
	p.sees("interrupted before the end")
	p.sees("mx> ")
	p.enters("version")
}

func TestSpoken(t *testing.T) {
	for d, want := range map[time.Duration]string{
		time.Second: "1 second", 90 * time.Second: "90 seconds", time.Minute: "1 minute", 15 * time.Minute: "15 minutes",
	} {
		if got := spoken(d); got != want {
			t.Error(fmt.Sprint(d), got)
		}
	}
}
