package store

import (
	"os"
	"os/exec"
	"testing"

	"golang.org/x/sys/unix"
)

// A child has the files of its parent until it runs its program: a lock that was let go
// of is free all the same.
func TestLockIsLetGoOfWhileChildrenStart(t *testing.T) {
	home := t.TempDir()
	if err := os.Mkdir(dataFolder(home), 0o700); err != nil {
		t.Fatal(err)
	}
	program, err := exec.LookPath("true")
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for range 200 {
			_ = exec.Command(program).Run()
		}
	}()
	for n := 0; ; n++ {
		select {
		case <-ended:
			return
		default:
		}
		lock, err := lockData(home, unix.LOCK_EX)
		if err != nil {
			t.Fatalf("after %d: %v", n, err)
		}
		if err := lock.Close(); err != nil {
			t.Fatal(err)
		}
	}
}
