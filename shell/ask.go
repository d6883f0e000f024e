package shell

import (
	"context"
	"errors"
	"io"
	"unicode/utf8"

	"sealgate/control"
)

// asker gets an answer from whoever is there.
type asker func(ctx context.Context, q control.Question) (string, error)

var (
	errNoAnswer    = errors.New("no answer was given")
	errInputEnded  = errors.New("standard input ended before the answer")
	errNeedsPerson = errors.New("this needs an answer at a terminal")
	errInterrupt   = errors.New("interrupted")
)

// maxAnswer is in bytes.
const maxAnswer = 4096

// askLine takes the next line of standard input.
func askLine(in *input) asker {
	return func(ctx context.Context, q control.Question) (string, error) {
		if q.Confirm {
			return "", errNeedsPerson
		}
		line, err := in.readLine(ctx)
		switch {
		case err == io.EOF:
			return "", errInputEnded
		case err != nil:
			return "", err
		case !utf8.ValidString(line):
			return "", errors.New("the answer on standard input is not UTF-8")
		}
		return line, nil
	}
}

// typist is a person's keyboard: next waits for a key, interrupt cancels the
// command that asks.
type typist struct {
	next      func(context.Context) (key, error)
	interrupt func()
}

// ask shows the question and takes the answer. A secret is not echoed in any
// form. Enter ends it, Ctrl-C cancels the command, Ctrl-D on nothing refuses.
func (t typist) ask(ctx context.Context, c *console, q control.Question) (string, error) {
	c.settle()
	c.note(filterText(q.Prompt))
	defer c.note("\n")
	echo := func(s string) {
		if !q.Secret {
			c.note(s)
		}
	}
	var answer []rune
	add := func(s string) {
		if len(string(answer))+len(s) <= maxAnswer {
			answer = append(answer, []rune(s)...)
			echo(s)
		}
	}
	erase := func(n int) {
		for ; n > 0 && len(answer) > 0; n-- {
			echo("\b \b")
			if wide(answer[len(answer)-1]) {
				echo("\b \b")
			}
			answer = answer[:len(answer)-1]
		}
	}
	for {
		k, err := t.next(ctx)
		if err != nil {
			return "", err
		}
		switch {
		case k.r == keyEnter:
			return string(answer), nil
		case k.r == ctrlC:
			t.interrupt()
			return "", errInterrupt
		case k.r == ctrlD && len(answer) == 0:
			return "", errNoAnswer
		case k.r == backspace || k.r == ctrlH:
			erase(1)
		case k.r == ctrlU:
			erase(len(answer))
		case k.r == keyPaste && k.paste != tooLongPaste:
			add(k.paste)
		case typeable(k.r):
			add(string(k.r))
		}
	}
}
