package serverlog

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A disk that is full costs lines, and the log says so later.
func TestFullDisk(t *testing.T) {
	dir := t.TempDir()
	log, err := Server.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer full.Close()
	kept := log.file
	log.file = full
	for range 3 {
		if n, err := fmt.Fprintln(log, "lost"); n != 5 || err != nil {
			t.Fatalf("a write that the disk does not take: %d, %v", n, err)
		}
	}
	log.file = kept
	fmt.Fprintln(log, "kept")
	data, err := os.ReadFile(filepath.Join(dir, Server.Current()))
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(string(data), "\n")
	if len(lines) != 3 || !strings.Contains(lines[0], `"lines":3`) || lines[1] != "kept" {
		t.Errorf("the log holds %q", lines)
	}
}
