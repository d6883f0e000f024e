package commands

import (
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"sealgate/appliance"
	"sealgate/control"
)

func TestAbbreviations(t *testing.T) {
	for line, want := range map[string]string{
		"stat":                 "status",
		"impc ser sto":         "impctl server stop",
		"impc ser restart":     "impctl server restart",
		"fi l":                 "files list",
		"--json stat":          "--json status",
		"he exp":               "", // ambiguous, as it would be without help
		"he export-l":          "help export-local",
		"? fi li":              "? files list",
		"fi li -h":             "files list -h",
		"qu":                   "quit",
		"export-l --pwd right": "export-local --pwd -",
	} {
		e, _, _ := newEnv(t, appliance.ManagementServer, Administrator)
		e.Prompt = true
		res, entry := Run(t.Context(), e, words(line))
		if want == "" {
			if res.Exit != control.ExitUsage {
				t.Errorf("%q: %+v", line, res)
			}
			continue
		}
		if res.Exit != 0 || strings.Join(res.History, " ") != want || strings.Join(entry.Words, " ") != want {
			t.Errorf("%q: %+v, %+v", line, res, entry)
		}
	}
	// Ambiguous ones name the commands, and run none of them.
	for line, says := range map[string]string{
		"ex":           `"ex" is short for several commands: exit, export-local, export-remote`,
		"impc ser sta": `"impctl server sta" is short for several commands: impctl server start, impctl server status`,
	} {
		e, h, _ := newEnv(t, appliance.ManagementServer, Administrator)
		e.Prompt = true
		if res, _ := Run(t.Context(), e, words(line)); res.Exit != control.ExitUsage || res.Error != says || res.Hint == "" || h.acts != nil {
			t.Errorf("%q: %+v", line, res)
		}
	}
	// What a caller or a role has not, is not in the way.
	e, _, _ := newEnv(t, appliance.ManagementServer, Operator)
	e.Prompt = true
	if res, _ := Run(t.Context(), e, words("impc ser s")); res.History[2] != "status" {
		t.Errorf("%+v", res)
	}
	// Scripts write commands out.
	e, h, _ := newEnv(t, appliance.ManagementServer, Administrator)
	for _, line := range []string{"stat", "impc ser sto", "impctl server sto"} {
		if res, _ := Run(t.Context(), e, words(line)); res.Exit != control.ExitUsage || h.acts != nil {
			t.Errorf("%q: %+v", line, res)
		}
	}
}

// offered is what Tab offers behind a line.
func offered(t *testing.T, e *Env, line string) (values []string) {
	t.Helper()
	for _, c := range Complete(t.Context(), e, words(line)).Candidates {
		values = append(values, c.Value)
	}
	return values
}

func TestCompleteBehindAbbreviations(t *testing.T) {
	e, _, _ := newEnv(t, appliance.ManagementServer, Administrator)
	e.Prompt = true
	for line, want := range map[string]string{
		"impc ser st":        "start status stop",
		"he impc ser res":    "restart",
		"export-l --exp":     "--exptype",
		"ex --":              "",
		"impc --json ser st": "start status stop",
	} {
		if got := offered(t, e, line); strings.Join(got, " ") != want {
			t.Errorf("%q: %q", line, got)
		}
	}
	if got := Next(t.Context(), e, words("ex ")); !strings.Contains(got, "short for several commands: exit, ") {
		t.Errorf("%q", got)
	}
}

// Where a gateway is to be named, Tab knows those that are registered, and ? where they are.
func TestCompleteGateways(t *testing.T) {
	e, _, _ := newEnv(t, appliance.ManagementServer, Administrator)
	for line, want := range map[string]string{
		"impctl gateway restart g":       "gw1,gw 2",
		"impctl gateway drain e":         "edge",
		"impctl gateway re-register e":   "edge",
		"impctl gateway get-tech-info g": "gw1,gw 2",
		"show events --source g":         "gw1,gw 2",
		"show events --source=g":         "--source=gw1,--source=gw 2",
		"impctl gateway drain gw1 g":     "",
	} {
		if got := offered(t, e, line); strings.Join(got, ",") != want {
			t.Errorf("%q: %q", line, got)
		}
	}
	if got := Next(t.Context(), e, words("impctl gateway drain g")); got != "NAME: the gateway\n  gw1   in gateway group \"Shop\"\n  gw 2  in gateway group \"a\\x1b[2J\"\n" {
		t.Errorf("%q", got)
	}
	if res := Complete(t.Context(), e, words("impctl gateway drain many")); len(res.Candidates) != 2 || res.More != 3 || res.Common != "many-a" {
		t.Errorf("%+v", res)
	}
	gateway, _, _ := newEnv(t, appliance.Gateway, Administrator)
	if res := Complete(t.Context(), gateway, words("impctl gateway restart g")); len(res.Candidates) != 0 {
		t.Errorf("a gateway knows %+v", res.Candidates)
	}
}

func TestCompleteFilters(t *testing.T) {
	e, _, _ := newEnv(t, appliance.ManagementServer, Administrator)
	for _, c := range []struct {
		filter     []string
		want, next string
	}{
		{[]string{""}, "match except count tail json", "  count   how many lines\n"},
		{[]string{"ma"}, "match", "only lines that match"},
		{[]string{"match", ""}, "", "REGEX: only lines that match this RE2 expression, of at most 512 bytes"},
		{[]string{"tail", ""}, "", "N: the last N lines, at most 10000"},
		{[]string{"count", ""}, "", "nothing may follow"},
		{[]string{"sh", ""}, "", "nothing may follow"},
	} {
		e.Filters = [][]string{{"match", "x"}, c.filter}
		var got []string
		for _, found := range Complete(t.Context(), e, words("files list")).Candidates {
			got = append(got, found.Value)
		}
		if strings.Join(got, " ") != c.want {
			t.Errorf("%q: %q", c.filter, got)
		}
		if got := Next(t.Context(), e, words("files list")); !strings.Contains(got, c.next) {
			t.Errorf("%q: %q", c.filter, got)
		}
	}
}

func TestGreet(t *testing.T) {
	for rights, want := range map[Rights]string{
		Administrator: "[mx] box> ", Operator: "[mx, read-only] box> ", Nobody: "[mx, read-only] box> ",
	} {
		e, h, _ := newEnv(t, appliance.ManagementServer, rights)
		if err := os.WriteFile(string(h.home)+"/motd", []byte("maintenance tonight"), 0o600); err != nil {
			t.Fatal(err)
		}
		banner, res := Greet(e)
		if res.Prompt != want || res.Idle != 15*60 {
			t.Errorf("%+v", res)
		}
		if strings.HasPrefix(banner, "maintenance tonight\n"+Product) != (rights > Nobody) {
			t.Errorf("%q", banner)
		}
	}
}

// filled is an appliance with n dumps.
func filled(t testing.TB, n int) *Env {
	e, h, _ := newEnv(t, appliance.ManagementServer, Administrator)
	for i := range n {
		at := time.Unix(int64(1_700_000_000+i*3600), 0).UTC().Format("20060102_150405")
		if err := os.WriteFile(fmt.Sprintf("%s/mx1_%s.tgz", h.home.Exports(), at), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return e
}

// Of many files Tab is told the first, how many there are, and how all begin.
func TestCompleteManyFiles(t *testing.T) {
	e := filled(t, 250)
	res := Complete(t.Context(), e, words("files delete m"))
	if len(res.Candidates) != maxCandidates || res.More != 150 || res.Common != "mx1_202311" || res.Candidates[0].Help == "" {
		t.Errorf("%d candidates, %d more, common %q", len(res.Candidates), res.More, res.Common)
	}
	if d := cmp.Diff(res.Candidates[0].Value, "mx1_20231114_221320.tgz"); d != "" {
		t.Error(d)
	}
	res = Complete(t.Context(), e, words("files delete mx1_20231115"))
	if len(res.Candidates) != 24 || res.More != 0 || res.Common != "" {
		t.Errorf("%d candidates, %d more, common %q", len(res.Candidates), res.More, res.Common)
	}
	// With flags beside the files nothing is common.
	if res := Complete(t.Context(), e, words("files delete ")); res.More != 151 || res.Common != "" {
		t.Errorf("%d more, common %q", res.More, res.Common)
	}
	if text := Next(t.Context(), e, words("files delete ")); !strings.HasSuffix(text, "  ... and 151 more: type a few letters first\n") {
		t.Errorf("%s", text)
	}
}

func BenchmarkComplete10000(b *testing.B) {
	e := filled(b, 10_000)
	old := time.Now().Add(-time.Hour)
	if err := os.Chtimes(e.Host.Home().Exports(), old, old); err != nil {
		b.Fatal(err)
	}
	for _, line := range []string{"files delete mx1_2023", "files delete ", "impctl server st"} {
		b.Run(strings.ReplaceAll(line, " ", "_"), func(b *testing.B) {
			for b.Loop() {
				if res := Complete(b.Context(), e, words(line)); len(res.Candidates) == 0 {
					b.Fatal("nothing")
				}
			}
		})
	}
}

func FuzzCompleteWords(f *testing.F) {
	for _, seed := range []string{"", "impc ser st", "files send ", "export-local --exptype=", "help ?", "? imp ", "-- -", "--json --json ",
		"export-remote --protocol h", "impctl known-hosts remove ", "files delete a \xff", "e --pwd x --", "help help help"} {
		f.Add(seed, "ma", true)
		f.Add(seed, "", false)
	}
	e := filled(f, 120)
	f.Fuzz(func(t *testing.T, line, filter string, prompt bool) {
		e := *e
		e.Prompt = prompt
		list := words(line)
		if filter != "" {
			e.Filters = [][]string{words(filter)}
			list = words(filter)
		}
		res := Complete(t.Context(), &e, words(line))
		if len(res.Candidates) > maxCandidates || res.More < 0 || res.More > 0 && len(res.Candidates) < maxCandidates {
			t.Fatalf("%q: %d candidates and %d more", line, len(res.Candidates), res.More)
		}
		partial := list[len(list)-1]
		for _, c := range res.Candidates {
			if !strings.HasPrefix(c.Value, partial) {
				t.Fatalf("%q: %q does not begin with %q", line, c.Value, partial)
			}
			if !strings.HasPrefix(c.Value, res.Common) {
				t.Fatalf("%q: %q does not begin with what is common, %q", line, c.Value, res.Common)
			}
		}
		if text := Next(t.Context(), &e, words(line)); !strings.HasSuffix(text, "\n") {
			t.Fatalf("%q: %q", line, text)
		}
	})
}

// One grammar answers everybody at the same time, and no line leaves anything
// in it.
func TestGrammarIsShared(t *testing.T) {
	var all sync.WaitGroup
	for i := range 8 {
		e, _, _ := newEnv(t, appliance.ManagementServer, Administrator)
		e.Prompt = true
		line := words([]string{"help export-local", "impc ser status", "export-local --pwd right --exptype 2", "files delete --"}[i%4])
		all.Go(func() {
			for range 20 {
				Complete(t.Context(), e, line)
				Next(t.Context(), e, line)
				Run(t.Context(), e, line)
			}
		})
	}
	all.Wait()
	e, h, _ := newEnv(t, appliance.ManagementServer, Administrator)
	if Run(t.Context(), e, words("export-local --pwd right")); h.export == nil || h.export.Options.NoAlerts {
		t.Errorf("%+v", h.export)
	}
}
