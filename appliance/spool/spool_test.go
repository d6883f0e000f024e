package spool_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"sealgate/appliance/spool"
)

const childEnv = "SEALGATE_SPOOL_CHILD"

// TestMain can be a process that appends, says each number that Append returned, and
// never ends by itself.
func TestMain(m *testing.M) {
	if dir := os.Getenv(childEnv); dir != "" {
		s, err := spool.Open(dir, spool.Options{Segment: 10 << 10})
		if err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		for i := 1; ; i++ {
			n, err := s.Append(fmt.Appendf(nil, "record %d %s", i, strings.Repeat("x", i%300)))
			if err != nil {
				os.Exit(1)
			}
			fmt.Println(n)
		}
	}
	os.Exit(m.Run())
}

func open(t *testing.T, dir string, o spool.Options) *spool.Spool {
	t.Helper()
	s, err := spool.Open(dir, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func appendAll(t *testing.T, s *spool.Spool, bodies ...string) {
	t.Helper()
	for _, b := range bodies {
		if _, err := s.Append([]byte(b)); err != nil {
			t.Fatal(err)
		}
	}
}

// drain reads everything after a number, in pieces.
func drain(t *testing.T, s *spool.Spool, after uint64) (list []spool.Record) {
	t.Helper()
	for {
		part, err := s.Read(after, 7)
		if err != nil {
			t.Fatal(err)
		}
		if len(part) == 0 {
			return list
		}
		list = append(list, part...)
		after = part[len(part)-1].Sequence
	}
}

func TestRecordsComeBackInOrderAfterARestart(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "spool")
	s := open(t, dir, spool.Options{Segment: 100})
	for i := 1; i <= 50; i++ {
		appendAll(t, s, fmt.Sprint("record ", i))
	}
	s.Close()
	s = open(t, dir, spool.Options{Segment: 100})
	appendAll(t, s, "record 51")
	list := drain(t, s, 0)
	if len(list) != 51 {
		t.Fatalf("%d records; want 51", len(list))
	}
	for i, r := range list {
		if r.Sequence != uint64(i+1) || string(r.Body) != fmt.Sprint("record ", i+1) {
			t.Errorf("record %d is %d, %q", i+1, r.Sequence, r.Body)
		}
	}
	s.Acknowledge(51)
	if rest := s.Stats(); rest.Records != 0 {
		t.Errorf("after all were taken: %+v", rest)
	}
	s.Close()
	s = open(t, dir, spool.Options{})
	if n, err := s.Append([]byte("x")); n != 52 || err != nil {
		t.Errorf("a number was given again: %d, %v", n, err)
	}
}

func TestABoundedSpoolDropsTheOldestAndCounts(t *testing.T) {
	s := open(t, t.TempDir(), spool.Options{Segment: 200, Max: 1000})
	for i := range 100 {
		appendAll(t, s, fmt.Sprintf("%050d", i))
	}
	list := drain(t, s, 0)
	stats := s.Stats()
	if stats.Bytes > 1000 || len(list) == 0 || list[len(list)-1].Sequence != 100 {
		t.Fatalf("%+v, %d records", stats, len(list))
	}
	if uint64(len(list))+stats.Dropped != 100 || stats.Records != int64(len(list)) {
		t.Errorf("%d records and %d dropped of 100; %+v", len(list), stats.Dropped, stats)
	}
	if list[0].Sequence != stats.Dropped+1 {
		t.Errorf("the first record is %d, and %d were dropped", list[0].Sequence, stats.Dropped)
	}
}

func TestAKilledWriterLosesNothingThatItWasToldOf(t *testing.T) {
	dir := t.TempDir()
	child := exec.Command(os.Args[0])
	child.Env = append(os.Environ(), childEnv+"="+dir)
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	var last uint64
	for last < 2000 {
		if _, err := fmt.Fscanln(out, &last); err != nil {
			t.Fatal(err)
		}
	}
	child.Process.Kill()
	child.Wait()
	s := open(t, dir, spool.Options{})
	list := drain(t, s, 0)
	if uint64(len(list)) < last {
		t.Fatalf("%d records; %d were told of", len(list), last)
	}
	for i, r := range list {
		if want := fmt.Sprintf("record %d %s", i+1, strings.Repeat("x", (i+1)%300)); r.Sequence != uint64(i+1) || string(r.Body) != want {
			t.Fatalf("record %d is %d, %q", i+1, r.Sequence, r.Body)
		}
	}
}

func TestDamageIsNeverGivenOut(t *testing.T) {
	whole := t.TempDir()
	s := open(t, whole, spool.Options{})
	appendAll(t, s, "first", "second", "third")
	s.Close()
	names, _ := filepath.Glob(filepath.Join(whole, "*.seg"))
	if len(names) != 1 {
		t.Fatalf("segments %v", names)
	}
	data, err := os.ReadFile(names[0])
	if err != nil {
		t.Fatal(err)
	}
	for cut := range data {
		for name, damaged := range map[string][]byte{"cut": data[:cut], "flipped": append(append(bytes.Clone(data[:cut]), data[cut]^0x10), data[cut+1:]...)} {
			dir := t.TempDir()
			os.WriteFile(filepath.Join(dir, filepath.Base(names[0])), damaged, 0o600)
			s := open(t, dir, spool.Options{})
			for i, r := range drain(t, s, 0) {
				if want := []string{"first", "second", "third"}[i]; string(r.Body) != want || r.Sequence != uint64(i+1) {
					t.Fatalf("%s at %d: record %d is %d, %q", name, cut, i, r.Sequence, r.Body)
				}
			}
			n, err := s.Append([]byte("later"))
			if err != nil {
				t.Fatal(err)
			}
			if list := drain(t, s, n-1); len(list) != 1 || string(list[0].Body) != "later" {
				t.Fatalf("%s at %d: what came later is %v", name, cut, list)
			}
			s.Close()
		}
	}
}

func TestGrownTells(t *testing.T) {
	s := open(t, t.TempDir(), spool.Options{})
	grown := s.Grown()
	appendAll(t, s, "one")
	<-grown
	if list := drain(t, s, 0); len(list) != 1 {
		t.Errorf("%v", list)
	}
}

// Numbers begin anew with another epoch. Where only its name was lost they go on, and what
// was taken is not given out again.
func TestAnEpochLastsAsLongAsTheNumbers(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "spool")
	s := open(t, dir, spool.Options{})
	appendAll(t, s, "one")
	s.Acknowledge(1)
	first := s.Epoch()
	s.Close()
	if s = open(t, dir, spool.Options{}); s.Epoch() != first || len(first) != 32 || s.Taken() != 1 {
		t.Errorf("after a restart the epoch is %q, it was %q; %d is taken", s.Epoch(), first, s.Taken())
	}
	s.Close()
	for _, of := range []struct {
		name  string
		lose  func() error
		taken uint64
	}{
		{"the epoch's file", func() error { return os.Remove(filepath.Join(dir, "epoch")) }, 1},
		{"half of the file", func() error { return os.Truncate(filepath.Join(dir, "epoch"), 16) }, 2},
		{"the segments", func() error {
			names, err := filepath.Glob(filepath.Join(dir, "*.seg"))
			for _, name := range names {
				err = errors.Join(err, os.Remove(name))
			}
			return err
		}, 0},
	} {
		before := first
		if err := of.lose(); err != nil {
			t.Fatal(err)
		}
		s = open(t, dir, spool.Options{})
		if first = s.Epoch(); first == before || s.Taken() != of.taken {
			t.Errorf("%s was lost: the epoch was %s and is %s, %d are taken, want %d", of.name, before, first, s.Taken(), of.taken)
		}
		appendAll(t, s, "again")
		if list := drain(t, s, s.Taken()); len(list) != 1 || list[0].Sequence != of.taken+1 {
			t.Errorf("%s was lost: %v is there to be taken", of.name, list)
		}
		s.Acknowledge(of.taken + 1)
		s.Close()
	}
}

// Reading while others write gives each record once, in order, whatever the sizes.
func TestReadingFollowsWriting(t *testing.T) {
	s := open(t, t.TempDir(), spool.Options{Segment: 3 << 20})
	const records = 2000
	go func() {
		for i := 1; i <= records; i++ {
			if _, err := s.Append(fmt.Appendf(nil, "%d %s", i, strings.Repeat("x", i*37%5000))); err != nil {
				t.Error(err)
			}
		}
	}()
	for after := uint64(0); after < records; {
		grown := s.Grown()
		list, err := s.Read(after, 100)
		if err != nil {
			t.Fatal(err)
		}
		if len(list) == 0 {
			<-grown
		}
		for _, r := range list {
			after++
			if want := fmt.Sprintf("%d %s", after, strings.Repeat("x", int(after)*37%5000)); r.Sequence != after || string(r.Body) != want {
				t.Fatalf("record %d is %d, %.20q", after, r.Sequence, r.Body)
			}
		}
		if after%700 < 10 {
			s.Acknowledge(after)
		}
	}
}
