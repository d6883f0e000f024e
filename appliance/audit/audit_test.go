package audit

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
)

// written is a log with n records of commands, by name.
func written(t testing.TB, n int) *Log {
	t.Helper()
	l := New(filepath.Join(t.TempDir(), "log", "audit"))
	t.Cleanup(func() { l.Close() })
	for i := range n {
		say(t, l, fmt.Sprint("command-", i+1))
	}
	return l
}

func say(t testing.TB, l *Log, words ...string) Head {
	t.Helper()
	h, err := l.Append(Record{Event: Command, User: "anna", UID: new(uint32(0)), Words: words, Exit: new(0)})
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func verify(t testing.TB, l *Log, heads ...Head) Report {
	t.Helper()
	r, err := Verify(t.Context(), l.dir, heads)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// sound fails unless the log verifies.
func sound(t testing.TB, l *Log, records int, heads ...Head) Report {
	t.Helper()
	r := verify(t, l, heads...)
	if len(r.Findings) > 0 || r.Records != records {
		t.Fatalf("%d records, %v", r.Records, r.Findings)
	}
	return r
}

func only(t testing.TB, l *Log) string {
	t.Helper()
	names, err := files(l.dir)
	if err != nil || len(names) != 1 {
		t.Fatalf("files %v, %v", names, err)
	}
	return filepath.Join(l.dir, names[0])
}

// Several records take their places in a row.
func TestAppendSeveral(t *testing.T) {
	dir := t.TempDir()
	l := New(dir)
	defer l.Close()
	h, err := l.Append(Record{Event: Command, User: "a"}, Record{Event: Command, User: "b"}, Record{Event: Command, User: "c"})
	if err != nil || h.Seq != 3 || l.Head() != h {
		t.Errorf("%+v, %v", h, err)
	}
	if _, err := l.Append(Record{Event: Command, Words: []string{strings.Repeat("x", MaxRecord)}}, Record{Event: Command}); err == nil {
		t.Error("one that is too long is not told of")
	}
	report, err := Verify(t.Context(), dir, []Head{l.Head()})
	if err != nil || len(report.Findings) > 0 || report.Records != 4 {
		t.Errorf("%+v, %v", report, err)
	}
}

func TestAppend(t *testing.T) {
	l := written(t, 3)
	r := sound(t, l, 3)
	if r.Last != l.Head() || r.First != 1 || r.Last.Seq != 3 {
		t.Errorf("%+v, head %v", r, l.Head())
	}
	data, err := os.ReadFile(only(t, l))
	if err != nil {
		t.Fatal(err)
	}
	// What docs/FORMATS.md promises: anybody can follow the chain.
	prev := strings.Repeat("0", 64)
	for line := range bytes.Lines(data) {
		body, rest, _ := bytes.Cut(line, []byte(`,"hash":"`))
		if !bytes.Contains(body, []byte(`"prev":"`+prev+`"`)) || !bytes.Contains(body, []byte(`"uid":0`)) || !bytes.Contains(body, []byte(`"exit":0`)) {
			t.Errorf("%s", line)
		}
		if prev = fmt.Sprintf("%x", sha256.Sum256(body)); !bytes.HasPrefix(rest, []byte(prev)) {
			t.Errorf("%s is not %s", rest, prev)
		}
	}
	for path, mode := range map[string]os.FileMode{l.dir: 0o700, only(t, l): 0o600, headFile(l.dir): 0o600} {
		if info, err := os.Stat(path); err != nil || info.Mode().Perm() != mode {
			t.Errorf("%s: %v, %v", path, info.Mode(), err)
		}
	}
}

func TestGoesOnAfterRestart(t *testing.T) {
	l := written(t, 3)
	l.Close()
	next := New(l.dir)
	defer next.Close()
	if h := say(t, next, "again"); h.Seq != 4 {
		t.Errorf("record %d", h.Seq)
	}
	sound(t, l, 4)
}

// Many commands end at once; each record has its place.
func TestConcurrent(t *testing.T) {
	l := written(t, 1)
	var wg sync.WaitGroup
	var mu sync.Mutex
	seen := map[uint64]bool{}
	for range 50 {
		wg.Go(func() {
			for range 10 {
				h, err := l.Append(Record{Event: Command, Words: []string{"x"}})
				if err != nil {
					t.Error(err)
				}
				mu.Lock()
				seen[h.Seq] = true
				mu.Unlock()
			}
		})
	}
	for range 5 { // and readers see a whole log
		if r := verify(t, l); len(r.Findings) > 0 {
			t.Error(r.Findings)
		}
	}
	wg.Wait()
	sound(t, l, 501)
	if len(seen) != 500 {
		t.Errorf("%d places", len(seen))
	}
}

// Each way to tamper with a log is found and named.
func TestTampering(t *testing.T) {
	forged := func(before, like string) string {
		was, _ := ReadRecord([]byte(before))
		r, _ := ReadRecord([]byte(like))
		r.Words = []string{"innocent"}
		line, _, _ := r.seal(Head{was.Seq, was.Hash})
		return strings.TrimSuffix(string(line), "\n")
	}
	for name, c := range map[string]struct {
		do   func(lines []string) []string
		want []string // file's line and record, what
	}{
		"changed":          {func(l []string) []string { l[4] = strings.Replace(l[4], "anna", "otto", 1); return l }, []string{"line 5: record 5 was changed"}},
		"number changed":   {func(l []string) []string { l[4] = strings.Replace(l[4], `"seq":5`, `"seq":9`, 1); return l }, []string{"line 5: record 5 was changed"}},
		"hash changed":     {func(l []string) []string { l[4] = l[4][:len(l[4])-3] + `x"}`; return l }, []string{"line 5: record 5 was changed", "line 6: record 6 does not follow record 5"}},
		"hash made anew":   {func(l []string) []string { l[4] = forged(l[3], l[4]); return l }, []string{"line 6: record 6 does not follow record 5"}},
		"removed":          {func(l []string) []string { return slices.Delete(l, 4, 5) }, []string{"line 5: record 5 is missing"}},
		"several removed":  {func(l []string) []string { return slices.Delete(l, 4, 7) }, []string{"line 5: record 5 is missing, as all up to 7 are"}},
		"first removed":    {func(l []string) []string { return l[1:] }, []string{"record 1 is missing, and no record says"}},
		"last removed":     {func(l []string) []string { return l[:9] }, []string{"record 10 is missing: the end was cut off"}},
		"all removed":      {func([]string) []string { return nil }, []string{"record 1 is missing, as all up to 10 are: the end was cut off"}},
		"copied":           {func(l []string) []string { return slices.Insert(l, 5, l[4]) }, []string{"line 6: record 5 stands behind record 5: it was moved, or inserted"}},
		"inserted":         {func(l []string) []string { return slices.Insert(l, 5, forged(l[4], l[5])) }, []string{"line 7: record 6 stands behind record 6", "line 8: record 7 does not follow record 6"}},
		"inserted text":    {func(l []string) []string { return slices.Insert(l, 5, "hello") }, []string{"line 6: record 6 is damaged or cut short"}},
		"reordered":        {func(l []string) []string { l[4], l[5] = l[5], l[4]; return l }, []string{"line 5: record 5 is missing", "line 6: record 5 stands behind record 6"}},
		"cut short":        {func(l []string) []string { l[4] = l[4][:40]; return l }, []string{"line 5: record 5 is damaged or cut short", "line 6: record 5 is missing"}},
		"last cut short":   {func(l []string) []string { l[9] = l[9][:40]; return l }, []string{"line 10: record 10 is damaged", "record 10 is missing: the end was cut off"}},
		"everything anew":  {func(l []string) []string { return rewritten(l, 4) }, []string{"line 10: record 10 is not the one whose hash was kept elsewhere"}},
		"a feigned repair": {func(l []string) []string { l[4] = `{"seq":5,"event":"repaired"}`; return l }, []string{"line 5: record 5 is damaged", "line 6: record 5 is missing"}},
	} {
		t.Run(name, func(t *testing.T) {
			l := written(t, 10)
			path := only(t, l)
			data, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			lines := c.do(strings.Split(strings.TrimSuffix(string(data), "\n"), "\n"))
			for i := range lines {
				lines[i] += "\n"
			}
			if err := os.WriteFile(path, []byte(strings.Join(lines, "")), 0o600); err != nil {
				t.Fatal(err)
			}
			r := verify(t, l)
			if len(r.Findings) != len(c.want) {
				t.Errorf("found %v", r.Findings)
			}
			for i, f := range r.Findings {
				if i < len(c.want) && (!strings.Contains(f.String(), c.want[i]) || !strings.HasPrefix(f.File, "0000")) {
					t.Errorf("found %q, want %q", f, c.want[i])
				}
			}
		})
	}
}

// rewritten is what somebody does who knows the format: he changes a record
// and makes all hashes behind it anew.
func rewritten(lines []string, at int) []string {
	was, _ := ReadRecord([]byte(lines[at-1]))
	head := Head{was.Seq, was.Hash}
	for i := at; i < len(lines); i++ {
		r, _ := ReadRecord([]byte(lines[i]))
		r.User = "otto"
		var line []byte
		line, head, _ = r.seal(head)
		lines[i] = strings.TrimSuffix(string(line), "\n")
	}
	return lines
}

// A chain that was made anew with the head beside it shows against what
// witnesses kept, and only against that.
func TestRewrittenChain(t *testing.T) {
	l := written(t, 10)
	sent := l.Head()
	path := only(t, l)
	data, _ := os.ReadFile(path)
	lines := rewritten(strings.Split(strings.TrimSuffix(string(data), "\n"), "\n"), 4)
	os.WriteFile(path, []byte(strings.Join(lines, "\n")+"\n"), 0o600)
	last, _ := ReadRecord([]byte(lines[9]))
	os.WriteFile(headFile(l.dir), []byte(Head{last.Seq, last.Hash}.String()+"\n"), 0o600)
	sound(t, l, 10)
	r := verify(t, l, sent)
	if len(r.Findings) != 2 || !strings.Contains(r.Findings[0].String(), "record 10 has two different hashes") ||
		!strings.Contains(r.Findings[1].String(), "line 10: record 10 is not the one") {
		t.Error(r.Findings)
	}
	heads, err := ReadHeads(strings.NewReader("<85>Jan  2 03:04:05 sealgated[1]: "+sent.Line("id-1")+"\nother\n"+Head{3, genesis}.Line("id-2")+"\n"), "id-1")
	if err != nil || len(heads) != 1 || heads[0] != sent {
		t.Errorf("%v, %v", heads, err)
	}
}

// A write that was cut off at any byte stays visible, and is no finding.
func TestTornWrite(t *testing.T) {
	l := written(t, 3)
	l.Close()
	path := only(t, l)
	whole, _ := os.ReadFile(path)
	third := bytes.LastIndexByte(whole[:len(whole)-1], '\n') + 1
	for cut := third; cut < len(whole); cut++ {
		if err := os.WriteFile(path, whole[:cut], 0o600); err != nil {
			t.Fatal(err)
		}
		os.Remove(headFile(l.dir)) // the third record never was on the disk
		after := New(l.dir)
		say(t, after, "after")
		after.Close()
		records := 4
		switch cut {
		case third: // nothing is left of it
			records = 3
		case len(whole) - 1: // only the line end is missing
			records = 5
		}
		r := sound(t, l, records)
		if (len(r.Notes) == 1) != (cut > third && cut < len(whole)-1) {
			t.Fatalf("cut at %d: %v", cut, r.Notes)
		}
		if data, _ := os.ReadFile(path); !bytes.HasPrefix(data, whole[:cut]) {
			t.Fatalf("cut at %d: something was taken away", cut)
		}
	}
}

// A killed writer's torn line, before the next start.
func TestTornWriteUnrepaired(t *testing.T) {
	l := written(t, 3)
	file, _ := os.OpenFile(only(t, l), os.O_APPEND|os.O_WRONLY, 0)
	file.WriteString(`{"seq":4,"ti`)
	file.Close()
	if r := sound(t, l, 3); len(r.Notes) != 1 {
		t.Errorf("notes %v", r.Notes)
	}
	// Garbage that is no line, or many, is torn as well.
	file, _ = os.OpenFile(only(t, l), os.O_APPEND|os.O_WRONLY, 0)
	file.Write([]byte("\x00\x00\n\n\xff"))
	file.Close()
	say(t, l, "after")
	sound(t, l, 5)
}

// What happens to the file of a running log shows in the next record.
func TestTamperingWhileOpen(t *testing.T) {
	for name, do := range map[string]func(path string) error{
		"cut":     func(path string) error { return os.Truncate(path, 0) },
		"gone":    os.Remove,
		"renamed": func(path string) error { return os.Rename(path, path+".old") },
		"all gone": func(path string) error {
			return os.RemoveAll(filepath.Dir(path))
		},
	} {
		t.Run(name, func(t *testing.T) {
			l := written(t, 5)
			if err := do(only(t, l)); err != nil {
				t.Fatal(err)
			}
			say(t, l, "after")
			r := verify(t, l)
			if r.Records != 2 || len(r.Findings) != 1 || !strings.Contains(r.Findings[0].String(), "record 5 was gone or changed when the log was opened, says record 1") {
				t.Errorf("%+v", r)
			}
		})
	}
}

// A log that was cut while nobody had it open shows for ever, not only until
// the next start.
func TestCutWhileClosed(t *testing.T) {
	l := written(t, 5)
	l.Close()
	path := only(t, l)
	data, _ := os.ReadFile(path)
	at := bytes.LastIndexByte(data[:len(data)-1], '\n') + 1
	os.Truncate(path, int64(at))
	next := New(l.dir)
	defer next.Close()
	say(t, next, "after")
	if r := verify(t, l); len(r.Findings) != 1 || r.Findings[0].Record != 5 {
		t.Errorf("%+v", r)
	}
	os.WriteFile(headFile(l.dir), []byte("nonsense"), 0o600)
	if r := verify(t, l); len(r.Findings) != 2 || r.Findings[1].File != "head" {
		t.Errorf("%+v", r)
	}
	next.Close()
	again := New(l.dir)
	defer again.Close()
	say(t, again, "after")
	for r := range Newest(l.dir) {
		if r.Event == Repaired && strings.Contains(r.Note, "head") {
			return
		}
	}
	t.Error("nothing tells of the damaged head")
}

// Files have a size, all of them have one, and what made room is no finding.
func TestRotation(t *testing.T) {
	l := written(t, 0)
	l.perFile, l.keep = 4<<10, 32<<10
	for i := range 400 {
		say(t, l, fmt.Sprint("command-", i))
	}
	names, err := files(l.dir)
	if err != nil || len(names) < 6 || len(names) > 9 {
		t.Errorf("files %v, %v", names, err)
	}
	total := int64(0)
	for _, name := range names {
		info, _ := os.Stat(filepath.Join(l.dir, name))
		if total += info.Size(); info.Size() > 5<<10 {
			t.Errorf("%s has %d bytes", name, info.Size())
		}
	}
	if total > 33<<10 {
		t.Errorf("%d bytes", total)
	}
	r := verify(t, l, Head{1, genesis}) // too old to be compared
	if len(r.Findings) > 0 || len(r.Notes) != 1 || r.First < 2 {
		t.Errorf("%+v", r)
	}
	// The same log, cut by somebody else.
	if err := os.Remove(filepath.Join(l.dir, names[0])); err != nil {
		t.Fatal(err)
	}
	if r := verify(t, l); len(r.Findings) != 1 || !strings.Contains(r.Findings[0].What, "no record says that they made room") {
		t.Errorf("%+v", r)
	}
	if err := os.Remove(filepath.Join(l.dir, names[3])); err != nil {
		t.Fatal(err)
	}
	if r := verify(t, l); len(r.Findings) != 2 || r.Findings[0].File != names[4] || r.Findings[0].Line != 1 {
		t.Errorf("%+v", r)
	}
}

func TestNewest(t *testing.T) {
	l := written(t, 0)
	l.perFile = 2 << 10
	for i := range 30 {
		say(t, l, fmt.Sprint(i+1))
	}
	want := uint64(30)
	for r, err := range Newest(l.dir) {
		if err != nil || r.Seq != want || r.Words[0] != fmt.Sprint(want) {
			t.Fatalf("record %d, %v, want %d", r.Seq, err, want)
		}
		if want--; want == 3 {
			break
		}
	}
	for _, err := range Newest(filepath.Join(l.dir, "none")) {
		t.Error(err)
	}
}

// A folder that cannot be written is an error each time, and none any more
// when it can be.
func TestErrorsEnd(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "log")
	if err := os.WriteFile(dir, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	l := New(dir)
	defer l.Close()
	for range 2 {
		if _, err := l.Append(Record{Event: Start}); err == nil || !strings.Contains(err.Error(), dir) {
			t.Fatal(err)
		}
	}
	os.Remove(dir)
	say(t, l, "now")
	sound(t, l, 1)
	if _, err := l.Append(Record{Event: Command, Words: []string{strings.Repeat("x", MaxRecord)}}); err == nil {
		t.Error("a record has no bound")
	}
	say(t, l, "and again")
	sound(t, l, 2)
}

// On a full disk each record is an error; what was half written stays, and the
// log goes on when there is room.
func TestFullDisk(t *testing.T) {
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=1m"); err != nil {
		t.Fatalf("mount a tmpfs (needs root): %v", err)
	}
	defer syscall.Unmount(dir, syscall.MNT_DETACH)
	l := New(filepath.Join(dir, "audit"))
	defer l.Close()
	say(t, l, "first")
	ballast := filepath.Join(dir, "ballast")
	if err := os.WriteFile(ballast, make([]byte, 2<<20), 0o600); !errors.Is(err, syscall.ENOSPC) {
		t.Fatal(err)
	}
	written := 1
	for range 100 {
		_, err := l.Append(Record{Event: Command, Words: []string{"x"}})
		if err == nil {
			written++
		} else if !errors.Is(err, syscall.ENOSPC) {
			t.Fatal(err)
		}
	}
	if written > 50 {
		t.Errorf("%d records on a full disk", written)
	}
	os.Remove(ballast)
	say(t, l, "last")
	if r := verify(t, l); len(r.Findings) > 0 || len(r.Notes) != 1 || r.Records < written+2 {
		t.Errorf("%+v, %d were written", r, written)
	}
}

func FuzzReadRecord(f *testing.F) {
	r := Record{Event: Command, User: "anna", Words: []string{"files", "send"}, Exit: new(4), Error: "x", Torn: &Torn{1, genesis}}
	line, _, err := r.seal(Head{7, genesis})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(line[:len(line)-1])
	f.Add(line[:40])
	f.Add([]byte(`{"seq":1,"prev":"` + genesis + `","hash":"` + genesis + `"}`))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, line []byte) {
		r, err := ReadRecord(line)
		if err != nil {
			if !Changed(err) && r.Seq != 0 {
				t.Errorf("%q is no record and says %+v", line, r)
			}
			return
		}
		again := r
		sealed, _, err := again.seal(Head{r.Seq - 1, r.Prev})
		if err != nil {
			return // it grew over the bound
		}
		if back, err := ReadRecord(sealed[:len(sealed)-1]); err != nil || back.Seq != r.Seq || len(back.Words) != len(r.Words) {
			t.Errorf("%q becomes %q, %v", line, sealed, err)
		}
	})
}

func BenchmarkAppend(b *testing.B) {
	l := written(b, 0)
	for b.Loop() {
		say(b, l, "export-remote", "--protocol", "scp", "--user", "backup", "--password", "-", "backup.example.com/srv/dumps/")
	}
}

func BenchmarkVerify(b *testing.B) {
	l := written(b, 0)
	for range 10_000 {
		l.waiting = append(l.waiting, &entry{record: Record{Event: Command, User: "anna", Words: []string{"status"}}})
	}
	say(b, l, "last")
	for b.Loop() {
		verify(b, l)
	}
	info, _ := os.Stat(only(b, l))
	b.SetBytes(info.Size())
}
