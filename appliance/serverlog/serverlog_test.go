package serverlog_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"sealgate/appliance/serverlog"
)

func open(t *testing.T, dir string) *serverlog.Log {
	t.Helper()
	log, err := serverlog.Server.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { log.Close() })
	return log
}

// newest are the newest lines, at most limit.
func newest(t *testing.T, dir string, limit int) []string {
	t.Helper()
	var lines []string
	for line, err := range serverlog.Server.Newest(dir) {
		if err != nil {
			t.Fatal(err)
		}
		if lines = append(lines, string(line)); len(lines) == limit {
			break
		}
	}
	return lines
}

func TestNewestFirst(t *testing.T) {
	dir := t.TempDir()
	log := open(t, dir)
	fmt.Fprint(log, "one\ntwo\n")
	fmt.Fprint(log, "three\n")
	if got := strings.Join(newest(t, dir, 10), " "); got != "three two one" {
		t.Errorf("the lines, newest first: %s", got)
	}
}

func TestFilesArePutAside(t *testing.T) {
	dir := t.TempDir()
	log := open(t, dir)
	line := strings.Repeat("x", 60<<10)
	const lines = 12 * 140 // twelve files of 8 MiB
	for i := range lines {
		fmt.Fprintf(log, "%d %s\n", i, line)
	}
	aside, err := serverlog.Server.Aside(dir)
	if err != nil || len(aside) != 8 {
		t.Fatalf("%d files are kept aside (%v), want the newest 8", len(aside), err)
	}
	i := lines - 1
	for _, got := range newest(t, dir, lines) {
		if want := fmt.Sprintf("%d ", i); !strings.HasPrefix(got, want) {
			t.Fatalf("a line begins %q, want %q", got[:10], want)
		}
		i--
	}
	entries, _ := os.ReadDir(dir)
	for _, e := range entries {
		if info, err := e.Info(); err != nil || info.Size() > 8<<20 {
			t.Errorf("%s has %d bytes (%v), at most 8 MiB are written", e.Name(), info.Size(), err)
		}
	}
}

func TestLongAndTornLines(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, serverlog.Server.Current()), []byte("whole\ntorn"), 0o600); err != nil {
		t.Fatal(err)
	}
	log := open(t, dir)
	log.Write(append(bytes.Repeat([]byte{'y'}, 1<<20), '\n'))
	fmt.Fprintln(log, "after")
	lines := newest(t, dir, 10)
	if len(lines) != 4 || lines[0] != "after" || len(lines[1]) >= 64<<10 || lines[2] != "torn" {
		t.Errorf("%d lines, %.20q", len(lines), lines)
	}
}

// Many lines at once are the same lines.
func TestManyLinesAtOnce(t *testing.T) {
	dir := t.TempDir()
	log := open(t, dir)
	var text bytes.Buffer
	const n = 20_000
	for i := range n {
		fmt.Fprintf(&text, "%d %s\n", i, strings.Repeat("x", i%100))
		if i == n/2 {
			text.WriteString(strings.Repeat("y", 100<<10) + "\n")
		}
	}
	log.Write(text.Bytes())
	lines := newest(t, dir, 2*n)
	if len(lines) != n+1 || lines[n-1-n/2] != strings.Repeat("y", 64<<10-1) {
		t.Fatalf("%d lines, %.20q", len(lines), lines[n-1-n/2])
	}
	lines = slices.Delete(lines, n-1-n/2, n-n/2)
	for i, line := range lines {
		if want := fmt.Sprintf("%d %s", n-1-i, strings.Repeat("x", (n-1-i)%100)); line != want {
			t.Fatalf("%q, want %q", line, want)
		}
	}
}

func TestLinkInItsPlace(t *testing.T) {
	dir := t.TempDir()
	if err := os.Symlink("/etc/hostname", filepath.Join(dir, serverlog.Server.Current())); err != nil {
		t.Fatal(err)
	}
	if _, err := serverlog.Server.Open(dir); err == nil {
		t.Error("a link in the log's place was opened")
	}
}

func TestWritersTakeTurns(t *testing.T) {
	dir := t.TempDir()
	log := open(t, dir)
	var writers sync.WaitGroup
	for w := range 8 {
		writers.Go(func() {
			for i := range 200 {
				fmt.Fprintf(log, "writer %d line %d end\n", w, i)
			}
		})
	}
	writers.Wait()
	lines := newest(t, dir, 2000)
	for _, line := range lines {
		if !strings.HasPrefix(line, "writer ") || !strings.HasSuffix(line, " end") {
			t.Fatalf("a torn line: %q", line)
		}
	}
	if len(lines) != 1600 {
		t.Errorf("%d lines, want 1600", len(lines))
	}
}
