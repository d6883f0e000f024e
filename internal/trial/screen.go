package trial

import (
	"fmt"
	"io"
	"regexp"
	"time"
)

// Screen is what a program shows at a terminal.
type Screen struct {
	pieces chan string
	seen   string // since the last Expect
}

// NewScreen reads r to its end.
func NewScreen(r io.Reader) *Screen {
	s := &Screen{pieces: make(chan string, 100)}
	go func() {
		defer close(s.pieces)
		for piece := make([]byte, 4096); ; {
			n, err := r.Read(piece)
			if n > 0 {
				s.pieces <- string(piece[:n])
			}
			if err != nil {
				return
			}
		}
	}()
	return s
}

// Expect waits for a pattern and returns what its groups matched.
func (s *Screen) Expect(pattern string) ([]string, error) {
	re := regexp.MustCompile(pattern)
	deadline := time.After(Patience)
	for {
		if at := re.FindStringSubmatchIndex(s.seen); at != nil {
			found := re.FindStringSubmatch(s.seen)
			s.seen = s.seen[at[1]:]
			return found, nil
		}
		select {
		case piece, ok := <-s.pieces:
			if !ok {
				return nil, fmt.Errorf("ended before %q came:\n%s", pattern, s.seen)
			}
			s.seen += piece
		case <-deadline:
			return nil, fmt.Errorf("%q does not come:\n%s", pattern, s.seen)
		}
	}
}

// Rest waits for the end and returns what was shown until then.
func (s *Screen) Rest() string {
	for piece := range s.pieces {
		s.seen += piece
	}
	return s.seen
}
