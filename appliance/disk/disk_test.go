package disk

import (
	"errors"
	"io"
	"os"
	"syscall"
	"testing"

	"sealgate/appliance"
)

// On a small file system the writer stops before the reserve, with a hint, and
// the kernel never has to say that the disk is full.
func TestWriterKeepsTheReserve(t *testing.T) {
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=20m"); err != nil {
		t.Fatalf("mount a tmpfs (needs root): %v", err)
	}
	defer syscall.Unmount(dir, syscall.MNT_DETACH)
	f, err := os.Create(dir + "/f")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	w := Writer(f, dir)
	var written int
	for err == nil {
		var n int
		n, err = w.Write(make([]byte, 64<<10))
		written += n
	}
	var fault *appliance.Fault
	if !errors.As(err, &fault) || fault.Hint == "" || errors.Is(err, syscall.ENOSPC) {
		t.Errorf("the end is %v", err)
	}
	s, err := Of(dir)
	if err != nil || s.Free < s.Reserve || s.Reserve != s.Total/reserveShare {
		t.Errorf("%+v, %v", s, err)
	}
	if written < 18<<20 {
		t.Errorf("only %d bytes were written", written)
	}
}

func TestOfNothing(t *testing.T) {
	if _, err := Writer(io.Discard, "/none/such").Write([]byte("x")); err == nil {
		t.Error("a folder that does not exist has space")
	}
}
