package transfer

import (
	"io"

	"golang.org/x/sys/unix"
)

const (
	// landBlock is what is written at once, in bytes, while the next block comes.
	landBlock = 512 << 10
	// flushEvery is how much lies in memory, in bytes, before the kernel is asked to begin writing it to the disk: the
	// end, which waits for all of it, is near then.
	flushEvery = 8 << 20
)

// ReadFrom gathers what comes in small pieces, as TLS gives it, and writes it while more comes. It returns when all
// that came is in the file.
func (d *download) ReadFrom(r io.Reader) (n int64, err error) {
	full, free, landed := make(chan []byte), make(chan []byte, 2), make(chan error, 1)
	for range cap(free) {
		free <- make([]byte, landBlock)
	}
	go func() { landed <- d.landAll(full, free) }()
	for err == nil {
		var block []byte
		select {
		case block = <-free:
		case err := <-landed:
			return n, err
		}
		var got int
		got, err = d.fill(block, r)
		n += int64(got)
		select {
		case full <- block[:got]:
		case err := <-landed:
			return n, err
		}
	}
	close(full)
	if failed := <-landed; failed != nil {
		return n, failed
	}
	if err == io.EOF {
		err = nil
	}
	return n, err
}

// fill reads until block is full or r ends.
func (d *download) fill(block []byte, r io.Reader) (n int, err error) {
	for n < len(block) && err == nil {
		var got int
		got, err = r.Read(block[n:])
		n += got
		d.meter.add(got)
	}
	return n, err
}

func (d *download) landAll(full <-chan []byte, free chan<- []byte) error {
	for block := range full {
		if err := d.land(block); err != nil {
			return err
		}
		free <- block[:cap(block)]
	}
	return nil
}

// Write appends what the server has sent.
func (d *download) Write(p []byte) (int, error) {
	before := d.at
	err := d.land(p)
	n := int(d.at - before)
	d.meter.add(n)
	return n, err
}

// land appends p to the file, or nothing of what would make it larger than the server has said.
func (d *download) land(p []byte) error {
	if d.size >= 0 && d.at+int64(len(p)) > d.size {
		return sizeError{d.size, d.at + int64(len(p))}
	}
	n, err := d.file.Write(p)
	d.at += int64(n)
	d.began.Store(true)
	if err != nil {
		d.failed = err
	}
	d.flush()
	return err
}

// flush has the kernel begin to write; a file system that cannot is none the worse at the end.
func (d *download) flush() {
	if d.at-d.flushed >= flushEvery {
		_ = unix.SyncFileRange(int(d.file.Fd()), d.flushed, d.at-d.flushed, unix.SYNC_FILE_RANGE_WRITE)
		d.flushed = d.at
	}
}
