package commands

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"sealgate/appliance"
	"sealgate/control"
)

// through passes text, in pieces of that size, through filters.
func through(t testing.TB, text string, size int, filters ...[]string) string {
	t.Helper()
	stages, err := newStages(filters)
	if err != nil {
		t.Fatal(err)
	}
	u := &ui{}
	f := &filtered{UI: u, ctx: context.Background(), stages: stages}
	for len(text) > 0 {
		n := min(size, len(text))
		f.Text(control.Out, text[:n])
		text = text[n:]
	}
	f.Text(control.Err, "aside")
	f.end()
	if u.err.String() != "aside" {
		t.Errorf("standard error is %q", u.err.String())
	}
	return u.out.String()
}

func TestFilters(t *testing.T) {
	text := "alpha one\nbeta two\nALPHA three\n\nlast"
	for _, c := range []struct {
		filters [][]string
		want    string
	}{
		{[][]string{{"match", "alpha"}}, "alpha one\n"},
		{[][]string{{"match", "(?i)^alpha .*e$"}}, "alpha one\nALPHA three\n"},
		{[][]string{{"except", "a"}}, "ALPHA three\n\n"},
		{[][]string{{"match", "^$"}}, "\n"},
		{[][]string{{"match", "las"}}, "last"},
		{[][]string{{"count"}}, "5\n"},
		{[][]string{{"match", "zzz"}, {"count"}}, "0\n"},
		{[][]string{{"tail", "2"}}, "\nlast"},
		{[][]string{{"tail", "10000"}}, text},
		{[][]string{{"except", "^$"}, {"tail", "3"}, {"match", "t"}, {"json"}}, "beta two\nALPHA three\nlast"},
		{[][]string{{"count"}, {"count"}}, "1\n"},
	} {
		for _, size := range []int{1, 3, 1000} {
			if got := through(t, text, size, c.filters...); got != c.want {
				t.Errorf("%q in pieces of %d: %q, want %q", c.filters, size, got, c.want)
			}
		}
	}
	if got := through(t, "", 1, []string{"count"}); got != "0\n" {
		t.Errorf("nothing counts as %q", got)
	}
}

// The hole: 512 bytes of a regular expression that mean a hundred thousand
// instructions, which the supervisor would run for an operator. What must hold:
// it is refused, and nobody's filters go on when he has gone.
func TestFiltersAreCheap(t *testing.T) {
	for _, regex := range []string{strings.Repeat("(.?){1000}", 50), "((x{30}){30})?", strings.Repeat("[a-z]{99}", 9)} {
		if _, err := newStages([][]string{{"match", regex}}); err == nil || !strings.Contains(err.Error(), "repeats too much") {
			t.Errorf("%s: %v", regex, err)
		}
	}
	stages, err := newStages([][]string{{"match", "x"}})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	u := &ui{}
	f := &filtered{UI: u, ctx: ctx, stages: stages}
	f.Text(control.Out, "x\n")
	f.end()
	if u.out.String() != "" {
		t.Errorf("who has gone reads %q", u.out.String())
	}
}

// Whatever a command says, filters hold little.
func TestFiltersAreBounded(t *testing.T) {
	stages, err := newStages([][]string{{"match", "x"}, {"tail", "10000"}})
	if err != nil {
		t.Fatal(err)
	}
	f := &filtered{UI: &ui{}, ctx: t.Context(), stages: stages}
	for range 100_000 {
		f.Text(control.Out, strings.Repeat("x", 99)+"\n")
	}
	last := stages[1].(*tail)
	if n := len(last.ring) - last.first; n != maxTail || cap(last.ring) > 4*maxTail {
		t.Errorf("%d lines, room for %d", n, cap(last.ring))
	}
	for range 5 * maxHeld / 1000 {
		f.Text(control.Out, strings.Repeat("x", 1000)) // one line
	}
	if len(f.held) > maxHeld || cap(f.held) > 2*maxHeld || last.bytes > 2*maxHeld {
		t.Errorf("holds %d and %d bytes", cap(f.held), last.bytes)
	}
}

func TestFiltersAreAClosedList(t *testing.T) {
	for _, c := range []struct {
		filters [][]string
		says    string
	}{
		{[][]string{{"sh"}}, "filter 1, behind the |, is none that there is: nothing else is run there"},
		{[][]string{{"sh", "-c", "id"}}, "nothing else is run there"},
		{[][]string{{"count"}, {"s3cret"}}, "filter 2, behind the |, is none"},
		{[][]string{{"Match", "x"}}, "is none"},
		{[][]string{{"mat", "x"}}, "is none"},
		{[][]string{{}}, "filter 1 is missing"},
		{[][]string{{"match"}}, "filter 1, match, takes one REGEX"},
		{[][]string{{"match", "a", "b"}}, "takes one REGEX"},
		{[][]string{{"count", "x"}}, "filter 1, count, takes no value"},
		{[][]string{{"json", "x"}}, "filter 1, json, takes no value"},
		{[][]string{{"count"}, {"match", "a(b"}}, "filter 2, match, does not hold: missing closing ) in the regular expression"},
		{[][]string{{"except", "(a{1000}){1000}"}}, "filter 1, except, does not hold: "},
		{[][]string{{"match", "(?=x)"}}, "does not hold: invalid or unsupported Perl syntax"},
		{[][]string{{"match", strings.Repeat("x", maxRegex+1)}}, "has 513 bytes, at most 512 are allowed"},
		{[][]string{{"tail", "0"}}, "not a number from 1 to 10000"},
		{[][]string{{"tail", "10001"}}, "not a number"},
		{[][]string{{"tail", "-5"}}, "not a number"},
		{[][]string{{"tail"}}, "takes one N"},
		{make([][]string, maxFilters+1), "17 filters are too many"},
	} {
		e, h, u := newEnv(t, appliance.ManagementServer, Administrator)
		e.Filters = c.filters
		res, entry := Run(t.Context(), e, words("impctl server stop"))
		if res.Exit != control.ExitUsage || !strings.Contains(res.Error, c.says) || res.Hint == "" {
			t.Errorf("%q: %+v", c.filters, res)
		}
		if len(h.acts) > 0 || u.out.Len() > 0 {
			t.Errorf("%q: the command has run", c.filters)
		}
		if kept := fmt.Sprint(res, entry); strings.Contains(kept, "s3cret") || strings.Contains(kept, "-c") {
			t.Errorf("%q: kept %s", c.filters, kept)
		}
	}
}

func TestFilteredCommand(t *testing.T) {
	e, _, u := newEnv(t, appliance.ManagementServer, Administrator)
	e.Filters = [][]string{{"match", "export"}, {"count"}}
	res, entry := Run(t.Context(), e, words("help"))
	if res.Exit != 0 || u.out.String() != "3\n" {
		t.Errorf("%+v, %q", res, u.out.String())
	}
	if d := cmp.Diff([]string{"help", "|", "match", "export", "|", "count"}, entry.Words); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff(e.Filters, res.Filters); d != "" {
		t.Error(d)
	}

	// The exit status is the command's own, and an error is not filtered away.
	e, _, u = newEnv(t, appliance.ManagementServer, Administrator)
	e.Filters = [][]string{{"json"}, {"match", "nothing"}}
	res, _ = Run(t.Context(), e, words("export-local --pwd wrong"))
	if res.Exit != control.ExitDenied || !strings.Contains(u.out.String(), `"exit":3`) {
		t.Errorf("%+v, %q", res, u.out.String())
	}
	e, _, u = newEnv(t, appliance.ManagementServer, Administrator)
	e.Filters = [][]string{{"json"}}
	if Run(context.Background(), e, words("status")); !strings.HasPrefix(u.out.String(), `{"product":`) {
		t.Errorf("%q", u.out.String())
	}
}

// A filter that does not exist may be the rest of a password.
func TestUnknownFilterIsNotKept(t *testing.T) {
	e, _, u := newEnv(t, appliance.ManagementServer, Administrator)
	e.Filters = [][]string{{"s3cret-rest"}}
	res, entry := Run(t.Context(), e, words("export-local --pwd right"))
	if kept := fmt.Sprint(res, entry, u.out.String(), u.err.String()); strings.Contains(kept, "s3cret") {
		t.Errorf("kept %s", kept)
	}
	if d := cmp.Diff([][]string{{hidden}}, res.Filters); d != "" {
		t.Error(d)
	}
}

func FuzzFilters(f *testing.F) {
	f.Add("a\nb\n", "match", "a", 1)
	f.Add("a\nb", "tail", "1", 3)
	f.Add("\n\n\xff", "except", "(", 2)
	f.Add("", "count", "", 1)
	f.Fuzz(func(t *testing.T, text, name, value string, size int) {
		filter := []string{name}
		if value != "" {
			filter = append(filter, value)
		}
		if _, err := newStages([][]string{filter}); err != nil {
			if res := ResultOf(err); res.Exit != control.ExitUsage || res.Hint == "" {
				t.Fatalf("%q: %+v", filter, res)
			}
			return
		}
		size = min(max(size, 1), 1<<10)
		whole, pieces := through(t, text, len(text)+1, filter), through(t, text, size, filter)
		if whole != pieces {
			t.Fatalf("%q of %q: %q, in pieces %q", filter, text, whole, pieces)
		}
	})
}
