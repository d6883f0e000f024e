package trial

import (
	"fmt"
	"os"
)

// Main is TestMain of tests that run the programs: it builds them into a folder, which
// it tells in bin, and returns the exit status.
func Main(m interface{ Run() int }, bin *string) int {
	dir, err := os.MkdirTemp("", "programs-*")
	if err == nil {
		defer os.RemoveAll(dir)
		*bin = dir
		err = Build(dir)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return m.Run()
}
