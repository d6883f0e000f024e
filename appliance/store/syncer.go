package store

import (
	"errors"
	"os"
)

// syncer syncs files beside everything else: the last of them does not wait for
// the disk to take all that came before.
type syncer struct {
	work chan func() error
	done chan error
}

func (s *syncer) start() {
	if s.work != nil {
		return
	}
	work, done := make(chan func() error, 16), make(chan error, 1)
	s.work, s.done = work, done
	go func() { // wait may come before this begins
		var failed error
		for do := range work {
			if err := do(); failed == nil {
				failed = err
			}
		}
		done <- failed
	}()
}

func (s *syncer) file(file *os.File) {
	s.start()
	s.work <- func() error { return errors.Join(file.Sync(), file.Close()) }
}

// path syncs a file that is there, whatever its name is later.
func (s *syncer) path(path string) error {
	file, err := os.Open(path)
	if err == nil {
		s.file(file)
	}
	return err
}

// wait returns the first failure.
func (s *syncer) wait() error {
	if s.work == nil {
		return nil
	}
	close(s.work)
	s.work = nil
	return <-s.done
}
