package job

import (
	"context"
	"io"
	"os"
	"sync"

	"golang.org/x/sys/unix"
)

// growing is a file that is still being written, as a [transfer.Source]: its
// readers wait for more until the writer says that it is whole. So an upload
// follows an export at its own pace, starts again when it must, and never holds
// the export up.
type growing struct {
	file  *os.File
	early bool  // the disk begins while the file grows: a sync will follow
	begun int64 // what the disk was told of; the writer's own

	mu   sync.Mutex
	size int64
	end  error // nil while it grows, io.EOF when it is whole, else why it never will be
	more chan struct{}
}

// writeBack bytes are handed to the disk at a time.
const writeBack = 8 << 20

func newGrowing(file *os.File) *growing {
	return &growing{file: file, more: make(chan struct{})}
}

// Write appends to the file. With early, the disk begins with it, and the sync
// at the end finds little left to do.
func (g *growing) Write(p []byte) (int, error) {
	n, err := g.file.Write(p)
	if g.early && g.size-g.begun >= writeBack {
		// Best effort: not every file system can.
		_ = unix.SyncFileRange(int(g.file.Fd()), g.begun, g.size-g.begun, unix.SYNC_FILE_RANGE_WRITE)
		g.begun = g.size
	}
	g.change(int64(n), nil)
	return n, err
}

// finish says that the file is whole, or, with an error, that it never will be.
func (g *growing) finish(err error) {
	if err == nil {
		err = io.EOF
	}
	g.change(0, err)
}

func (g *growing) change(n int64, end error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.size += n
	if end != nil {
		g.end = end
	}
	close(g.more)
	g.more = make(chan struct{})
}

func (g *growing) state() (size int64, more <-chan struct{}, end error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.size, g.more, g.end
}

// Size is -1 until the file is whole.
func (g *growing) Size() int64 {
	size, _, end := g.state()
	if end != io.EOF {
		return -1
	}
	return size
}

// Open gives a reader from the beginning.
func (g *growing) Open(ctx context.Context) (io.ReadCloser, error) {
	ctx, cancel := context.WithCancel(ctx)
	return &follower{g: g, ctx: ctx, cancel: cancel}, nil
}

type follower struct {
	g      *growing
	ctx    context.Context
	cancel context.CancelFunc
	at     int64
}

func (f *follower) Read(p []byte) (int, error) {
	for {
		size, more, end := f.g.state()
		if f.at < size {
			n, err := f.g.file.ReadAt(p[:min(int64(len(p)), size-f.at)], f.at)
			f.at += int64(n)
			if n > 0 {
				err = nil
			}
			return n, err
		}
		if end != nil {
			return 0, end
		}
		select {
		case <-more:
		case <-f.ctx.Done():
			return 0, context.Cause(f.ctx)
		}
	}
}

func (f *follower) Close() error {
	f.cancel()
	return nil
}
