package techinfo

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"runtime/debug"
	"sync"
	"time"

	"filippo.io/age"
)

// collector gets one kind of facts.
type collector struct {
	name string // also its folder in the bundle
	get  func(context.Context, *collection) error
}

// collectTime is how long a collector may take.
const collectTime = 30 * time.Second

// atATime collectors run.
const atATime = 4

// collection is what a collector got. A collector that overran its time may still
// be adding to it: take gives what is there then, and ignores the rest.
type collection struct {
	name string

	mu    sync.Mutex
	taken bool
	items []item
	notes []string
}

// item is a file to be: either its content, or where that lies.
type item struct {
	name string
	data []byte
	path string // content is size bytes of this file from offset on
	from int64
	size int64
	mute bool // it is not for a person to read

	seal  age.Recipient // nil: as it is
	plain int64         // of a file that is sealed, its bytes before
}

type collected struct {
	name  string
	items []item
	notes []string
}

func (c *collection) add(i item) {
	i.name = c.name + "/" + i.name
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.taken {
		c.items = append(c.items, i)
	}
}

// text adds a small file.
func (c *collection) text(name string, data []byte) {
	c.add(item{name: name, data: data, size: int64(len(data))})
}

// binary adds a small file that no person reads.
func (c *collection) binary(name string, data []byte) {
	c.add(item{name: name, data: data, size: int64(len(data)), mute: true})
}

// json adds a value.
func (c *collection) json(name string, v any) error {
	data, err := json.MarshalIndent(v, "", "  ")
	if err == nil {
		c.text(name, append(data, '\n'))
	}
	return err
}

func (c *collection) note(format string, args ...any) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.taken {
		c.notes = append(c.notes, fmt.Sprintf(format, args...))
	}
}

func (c *collection) take() collected {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.taken = true
	return collected{c.name, c.items, c.notes}
}

// run runs collectors, each as long as it may take, and returns what they got in their
// order.
func run(ctx context.Context, list []collector, long time.Duration) []collected {
	results := make([]collected, len(list))
	places := make(chan struct{}, atATime)
	var all sync.WaitGroup
	for i, c := range list {
		all.Go(func() {
			places <- struct{}{}
			defer func() { <-places }()
			results[i] = c.run(ctx, long)
		})
	}
	all.Wait()
	return results
}

// run returns when the collector does, or at the end of its time.
func (c collector) run(ctx context.Context, long time.Duration) collected {
	ctx, cancel := context.WithTimeoutCause(ctx, long, fmt.Errorf("it took longer than %v", long))
	defer cancel()
	into := &collection{name: c.name}
	done := make(chan error, 1)
	go func() {
		defer func() {
			if p := recover(); p != nil {
				done <- fmt.Errorf("it crashed: %v\n%s", p, debug.Stack())
			}
		}()
		done <- c.get(ctx, into)
	}()
	select {
	case err := <-done:
		if err != nil && ctx.Err() != nil {
			err = context.Cause(ctx)
		}
		if err != nil {
			into.note("%v", err)
		}
	case <-ctx.Done():
		into.note("%v", context.Cause(ctx))
	}
	return into.take()
}

// maxSmall is the most that is read of a file of the system, in bytes.
const maxSmall = 1 << 20

// copyFile adds what a small file of the system holds now. Files of /proc have no
// size until they are read.
func (c *collection) copyFile(name, path string) {
	data, err := readSmall(path)
	if err != nil {
		c.note("%v", err)
		return
	}
	c.text(name, data)
}

// log adds the end of a growing file, at most limit bytes of it.
func (c *collection) log(path string, limit int64) {
	info, err := os.Lstat(path)
	if err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("%s is not a regular file", path)
	}
	if err != nil {
		c.note("%v", err)
		return
	}
	size := info.Size()
	if size > limit {
		c.note("of %s the last %d of %d bytes", filepath.Base(path), limit, size)
	}
	c.add(item{name: filepath.Base(path), path: path, from: max(0, size-limit), size: min(size, limit)})
}
