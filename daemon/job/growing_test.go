package job

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"os"
	"sync"
	"testing"
	"time"
)

func newFile(t *testing.T) *os.File {
	t.Helper()
	f, err := os.Create(t.TempDir() + "/f")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

// Readers that start at any time see every byte once, and the end.
func TestFollowersSeeEverything(t *testing.T) {
	g := newGrowing(newFile(t))
	random := rand.New(rand.NewPCG(1, 2))
	want := make([]byte, 3<<20)
	for i := range want {
		want[i] = byte(random.Uint32())
	}
	var wg sync.WaitGroup
	follow := func() {
		r, err := g.Open(t.Context())
		if err != nil {
			t.Error(err)
			return
		}
		defer r.Close()
		got, err := io.ReadAll(r)
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("%d bytes of %d, %v", len(got), len(want), err)
		}
	}
	wg.Go(follow)
	for rest := want; len(rest) > 0; {
		n := min(1+random.IntN(100_000), len(rest))
		if _, err := g.Write(rest[:n]); err != nil {
			t.Fatal(err)
		}
		rest = rest[n:]
		if len(rest)%3 == 0 {
			wg.Go(follow)
		}
		if g.Size() != -1 {
			t.Fatal("a growing file has a size")
		}
	}
	g.finish(nil)
	wg.Go(follow)
	wg.Wait()
	if g.Size() != int64(len(want)) {
		t.Errorf("size is %d", g.Size())
	}
}

func TestFollowerEnds(t *testing.T) {
	g := newGrowing(newFile(t))
	ctx, cancel := context.WithCancel(t.Context())
	cancelled, _ := g.Open(ctx)
	closed, _ := g.Open(t.Context())
	failed, _ := g.Open(t.Context())
	time.AfterFunc(10*time.Millisecond, cancel)
	if _, err := cancelled.Read(make([]byte, 1)); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	time.AfterFunc(10*time.Millisecond, func() { closed.Close() })
	if _, err := closed.Read(make([]byte, 1)); err == nil {
		t.Error("closed: no error")
	}
	why := errors.New("why")
	time.AfterFunc(10*time.Millisecond, func() { g.finish(why) })
	if _, err := failed.Read(make([]byte, 1)); !errors.Is(err, why) {
		t.Errorf("failed: %v", err)
	}
	if g.Size() != -1 {
		t.Error("a file that never will be whole has a size")
	}
}
