package shell

import (
	"context"
	"sync"

	"sealgate/control"
)

// running is one command on its way: it can be interrupted, and a second time
// it is left alone. It is also the [control.UI] of that command.
type running struct {
	console *console
	answer  asker
	pages   *pager // nil: no pauses

	ctx       context.Context
	cancel    context.CancelFunc
	abandoned chan struct{}

	mu          sync.Mutex
	interrupted bool
	left        bool
}

// start makes a command that ends with ctx at the latest.
func start(ctx context.Context, c *console, answer asker) *running {
	ctx, cancel := context.WithCancel(ctx)
	return &running{console: c, answer: answer, ctx: ctx, cancel: cancel, abandoned: make(chan struct{})}
}

// interrupt cancels the command; when it was cancelled before, it stops waiting
// for it.
func (r *running) interrupt() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.interrupted {
		r.interrupted = true
		r.cancel()
		return
	}
	if !r.left {
		r.left = true
		close(r.abandoned)
	}
}

func (r *running) gone() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.left
}

// run sends req and shows what comes back, all but the result.
func (r *running) run(d dialer, req control.Request) (control.Result, error) {
	defer r.cancel()
	return d.call(r.ctx, r.abandoned, req, r)
}

// Text shows s, unless nobody waits for it any more.
func (r *running) Text(stream control.Stream, s string) {
	switch show := func(piece string) { r.console.text(stream, piece) }; {
	case r.gone():
	case r.pages == nil || stream != control.Out && r.pages.ended():
		show(s)
	default:
		r.pages.show(r.ctx, filterText(s), show)
	}
}

// Progress shows p in the same way.
func (r *running) Progress(p control.Progress) {
	if !r.gone() {
		r.console.report(p)
	}
}

// Ask puts the question to whoever is there.
func (r *running) Ask(ctx context.Context, q control.Question) (string, error) {
	if r.gone() {
		return "", errInterrupt
	}
	r.pages.begin()
	return r.answer(ctx, q)
}
