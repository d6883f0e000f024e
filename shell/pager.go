package shell

import (
	"context"
	"sync"

	"sealgate/control"
)

// pager stops before more than a screenful has passed, and goes on with a key:
// blank for a page, Enter for a line, q for the end. A nil one does not count.
type pager struct {
	keys func(context.Context) (key, error)
	// aside keeps what was typed ahead from being the answer.
	aside func() (back func())
	size  func() (rows, columns int)
	note  func(string)

	mu          sync.Mutex
	row, column int    // used of this screen
	quit        bool   // the rest is not wanted
	back        func() // gives back what was typed ahead
}

const (
	morePrompt = "--more-- (blank: page, Enter: line, q: quit)"
	moreShort  = "--more--"
)

// begin starts a new screenful: what stood there was looked at.
func (p *pager) begin() {
	if p != nil {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.row, p.column = 0, 0
	}
}

// end is the end of the text.
func (p *pager) end() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.back != nil {
		p.back()
	}
}

// ended says that the rest was not wanted.
func (p *pager) ended() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.quit
}

// show hands text, which is fit for the terminal, to emit, in pieces of a
// screenful at most.
func (p *pager) show(ctx context.Context, text string, emit func(string)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.quit {
		return
	}
	rows, width := p.size()
	from := 0
	for i, r := range text {
		if p.column >= width && r != '\n' {
			p.row, p.column = p.row+1, 0
		}
		if p.column == 0 && p.row >= max(rows-1, 1) {
			emit(text[from:i])
			from = i
			if p.more(ctx); p.quit {
				return
			}
			rows, width = p.size()
		}
		p.advance(r)
	}
	emit(text[from:])
}

func (p *pager) advance(r rune) {
	switch r {
	case '\n':
		p.row, p.column = p.row+1, 0
	case '\t':
		p.column += 8 - p.column%8
	default:
		p.column += columns(string(r))
	}
}

// more waits for a key that says how to go on.
func (p *pager) more(ctx context.Context) {
	if p.back == nil {
		p.back = p.aside()
	}
	rows, width := p.size()
	prompt := morePrompt
	if len(prompt) >= width {
		prompt = cut(moreShort, width-1)
	}
	p.note(prompt)
	defer p.note("\r\x1b[K")
	for {
		k, err := p.keys(ctx)
		switch {
		case err != nil, k.r == 'q', k.r == 'Q', k.r == ctrlC, k.r == ctrlD:
			p.quit = true
			return
		case k.r == ' ':
			p.row = 0
			return
		case k.r == keyEnter:
			p.row = max(rows-2, 0)
			return
		}
	}
}

// paged shows text that no command says: candidates, help at a question mark.
func (s *session) paged(text string) {
	p := s.newPager()
	defer p.end()
	p.show(s.ctx, text, func(piece string) { s.console.text(control.Out, piece) })
}

func (s *session) newPager() *pager {
	return &pager{
		keys:  s.patience.next,
		aside: s.keys.aside,
		size: func() (int, int) {
			rows, _ := size(s.std.Out)
			return rows, terminalWidth(s.std.Out)
		},
		note: s.console.note,
	}
}
