package shell

import (
	"context"
	"io"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"sealgate/control"
)

func FuzzComplete(f *testing.F) {
	for _, s := range []string{"", "echo 'a b", `echo "a\`, "exp", "a  b", `--x='y`, "a | ma", "a|", `a '|' "|`, "a || b", `a \| b`, "日本 | x"} {
		f.Add(s, len(s), "my file", "my other", true)
		f.Add(s, len(s)/2, "match", "日|本", false)
	}
	f.Fuzz(func(t *testing.T, text string, pos int, one, two string, open bool) {
		line := []rune(text)
		if pos < 0 || pos > len(line) {
			return
		}
		cur := at(line, pos)
		if len(*cur.words()) == 0 || cur.start < 0 || cur.start > pos {
			t.Fatalf("%+v", cur)
		}
		all := []control.Candidate{{Value: one, Help: two}, {Value: two, Open: open}}
		offer{list: all, more: pos}.text(pos % maxWidth)
		for _, o := range []offer{{list: []control.Candidate{{Value: one, Open: open}}}, {list: all}, {list: all, more: 7, common: one}} {
			c := complete(line, pos, o)
			if c.pos < 0 || c.pos > len(c.line) {
				t.Fatalf("cursor %d in %q", c.pos, string(c.line))
			}
			if !c.changed {
				continue
			}
			// What stands before the word stays.
			if cut := c.line[:min(cur.start, len(c.line))]; string(cut) != string(line[:cur.start]) {
				t.Fatalf("%q became %q", text, string(c.line))
			}
			// The word is what the candidate says, however it had to be quoted.
			if !c.offer.several() && pos == len(line) {
				s := scanLine(c.line)
				if got := s.words[len(s.words)-1].text; got != c.offer.list[0].Value {
					t.Fatalf("%q completed with %q is %q: word %q", text, c.offer.list[0].Value, string(c.line), got)
				}
				if got := s.line(); len(got.Filters) != len(cur.line.Filters) {
					t.Fatalf("%q completed with %q is %q", text, one, string(c.line))
				}
			}
		}
	})
}

// Whatever is typed, at any width, the line editor must neither crash nor
// stand still. SEAL_SOAK is the number of rounds.
func TestEditorSurvivesAnything(t *testing.T) {
	rounds := 300
	if n, err := strconv.Atoi(os.Getenv("SEAL_SOAK")); err == nil {
		rounds = n
	}
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	pieces := strings.Split("a|b| |  |?|\t|\t\t|'|\"|\\|日|e\u0301|🙂|\x01|\x02|\x03|\x04|\x05|\x06|\x07|\x08|\x0b|\x0c|\x0e|\x10|\x12|\x12|\x13|"+
		"\x14|\x15|\x16|\x17|\x19|\x1a|\x00|\x1b|\x1b[A|\x1b[B|\x1b[C|\x1b[D|\x1b[H|\x1b[F|\x1b[3~|\x1b[1;5D|\x1b[1;5C|\x1bb|\x1bf|\x1bd|\x1b\x7f|\x1b\x14|"+
		"\x1b[99999999R|\x1b[1;1R|\x1bO|\x1bOA|\x1b]0;|\x07|\x1b[200~x ?\ny\x1b[201~|\x1b[200~|\x1b[201~|\x7f|\xff|\xe6\x97|\u009b|\uf700|\uf701|"+
		"some words of a line|export-local --path|\n", "|")
	pieces = append(pieces, "|", "| ma")

	var width atomic.Int32
	var shown atomic.Int64
	keys := newKeyboard()
	out := writerFunc(func(p []byte) (int, error) { shown.Add(int64(len(p))); return len(p), nil })
	e := newEditor(keys.next, out, func() int { return min(max(int(width.Load()), minWidth), maxWidth) }, actions{
		candidates: func(l Line) offer { return offer{list: completions(append([]string{"x"}, l.Words...))} },
		help:       func(Line) string { return "help\n" },
		show:       func(text string) { out.Write([]byte(text)) },
		failed:     func() { t.Error("the editor crashed") },
	})
	defer keys.end()
	var d decoder
	now := time.Unix(0, 0)
	for range rounds {
		prompt := strings.Repeat("p", random.IntN(60)) + "> "
		keep := random.IntN(2) == 0
		lines := make(chan string, 1)
		go func() {
			line, err := e.readLine(t.Context(), prompt)
			if err == nil && keep {
				if l, err := Split(line); err == nil {
					e.remember(Join(l))
				}
			}
			lines <- line
		}()
		var typed strings.Builder
		for range random.IntN(60) {
			typed.WriteString(pieces[random.IntN(len(pieces))])
		}
		text := typed.String() + "\x1b[201~\x03\n"
		for i := range len(text) {
			now = now.Add(time.Millisecond)
			for _, k := range d.feed(text[i], now) {
				if k.r == ctrlD {
					continue // ends the session where the line is empty
				}
				keys.press(k)
			}
			if random.IntN(10) == 0 {
				width.Store(int32(random.IntN(130)))
			}
		}
		select {
		case line := <-lines:
			if strings.IndexFunc(line, hidden) >= 0 {
				t.Fatalf("the line %q", line)
			}
		case <-time.After(enough):
			t.Fatalf("the editor stands still after %q", text)
		}
		keys.forget()
	}
	if shown.Load() == 0 {
		t.Error("nothing was drawn")
	}
}

// The hole: a paste that is over when it stands still. The attack: a network, or who
// wrote what is pasted, that stops in its midst and goes on with lines. What must hold:
// they are inserted, and a paste without an end costs one Ctrl-C.
func TestPasteThatStandsStill(t *testing.T) {
	var d decoder
	now := time.Now()
	var keys []key
	types := func(text string) {
		for i := range len(text) {
			keys = append(keys, d.feed(text[i], now)...)
		}
	}
	types("\x1b[200~files list\x03")
	now = now.Add(10 * time.Minute)
	types("\nimpctl reboot --yes\n\x1b[201~")
	if len(keys) != 1 || keys[0] != (key{keyPaste, "files list impctl reboot --yes"}) {
		t.Fatalf("%+v", keys)
	}
	keys = nil
	types("\x1b[200~files list\rx\x03")
	if keys != nil {
		t.Fatalf("%+v", keys)
	}
	now = now.Add(pasteWait + time.Second)
	types("\x03v\r")
	if len(keys) != 3 || keys[0].r != ctrlC || keys[1].r != 'v' || keys[2].r != keyEnter {
		t.Fatalf("%+v", keys)
	}
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }

func TestInterruptPressedBeforeTheCommandStarts(t *testing.T) {
	k := newKeyboard()
	for _, r := range []rune{'a', ctrlC, 'b'} {
		k.press(key{r: r})
	}
	interrupted := 0
	k.onInterrupt(func() bool { interrupted++; return true })
	got, err := k.next(context.Background())
	if interrupted != 1 || got.r != 'b' || err != nil {
		t.Errorf("interrupted %d times, next key %q, %v", interrupted, got.r, err)
	}
}

func TestEndOfInputIsNotEnter(t *testing.T) {
	keys := newKeyboard()
	e := newEditor(keys.next, io.Discard, func() int { return 80 }, actions{})
	for _, r := range "impctl reboot" {
		keys.press(key{r: r})
	}
	keys.end()
	if line, err := e.readLine(t.Context(), "> "); err != io.EOF || line != "" {
		t.Errorf("%q, %v", line, err)
	}
}

func TestInterruptedLine(t *testing.T) {
	keys := newKeyboard()
	e := newEditor(keys.next, io.Discard, func() int { return 80 }, actions{})
	defer keys.end()
	keys.press(key{r: 'x'})
	keys.press(key{r: ctrlC})
	if _, err := e.readLine(t.Context(), "> "); err != errInterrupt {
		t.Errorf("%v", err)
	}
}

// The hole: a crash of the line editor ends the session, or worse. It costs
// the line.
func TestEditorCrashCostsTheLine(t *testing.T) {
	keys := newKeyboard()
	defer keys.end()
	failed := 0
	e := newEditor(keys.next, io.Discard, func() int { return 80 }, actions{
		candidates: func(Line) offer { panic("on purpose") },
		failed:     func() { failed++ },
	})
	for _, r := range "lost\tkept\r" {
		keys.press(key{r: r})
	}
	if line, err := e.readLine(t.Context(), "> "); err != errInterrupt || line != "" || failed != 1 {
		t.Errorf("%q, %v, told %d times", line, err, failed)
	}
	if line, err := e.readLine(t.Context(), "> "); err != nil || line != "kept" {
		t.Errorf("%q, %v", line, err)
	}
}

func FuzzKeys(f *testing.F) {
	for _, s := range []string{"a\x1b[A\x03", "\x1b[200~x\ny\x1b[201~\r", "\xe6\x97\xa5", "\x1b]0;x\x07y", "\x1bO\x1b[[A"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, typed []byte) {
		var d decoder
		now := time.Unix(0, 0)
		for _, c := range typed {
			now = now.Add(time.Duration(c) * 10 * time.Millisecond)
			for _, k := range d.feed(c, now) {
				if k.r == 0 || k.r == 26 || k.r == keyEsc || k.r == keyLF || k.r > 0x7f && k.r < 0xa0 {
					t.Fatalf("key %U of %q", k.r, typed)
				}
				if k.paste != tooLongPaste && strings.IndexFunc(k.paste, hidden) >= 0 {
					t.Fatalf("paste %q", k.paste)
				}
			}
		}
		for _, c := range []byte("\x1b[201~") {
			d.feed(c, now)
		}
		if keys := d.feed(ctrlC, now.Add(time.Hour)); len(keys) == 0 || keys[len(keys)-1].r != ctrlC {
			t.Fatalf("Ctrl-C is lost after %q", typed)
		}
	})
}

func FuzzEditor(f *testing.F) {
	for _, s := range []string{"export-local\r", "\x12lo\x12\x13\x7f\x05x\r", "日本 a\x1b[D\x1b[D\t\t?\r", "\x1b[A\x1b[B\x17\x19\x0b\x15\x0c", "ab | ma\t\x01\x1bd\x1bf\x1b\x7f\x04",
		"abcdefgh" + strings.Repeat("\x15\x19\x19", 20), "\x1b[200~a\nb\x1b[201~\x1bb\x1b[3~\x02\x06\x03x\x04"} {
		f.Add([]byte(s), 20, "some words of a line", "> ")
		f.Add([]byte(s), 80, "日本 🙂", "[mx] mx1> ")
	}
	f.Fuzz(func(t *testing.T, typed []byte, width int, past, prompt string) {
		var d decoder
		var keys []key
		for _, c := range typed[:min(len(typed), 256)] {
			keys = append(keys, d.feed(c, time.Unix(0, 0))...)
		}
		next := func(context.Context) (key, error) {
			if len(keys) == 0 {
				return key{}, errNobody
			}
			k := keys[0]
			keys = keys[1:]
			return k, nil
		}
		e := newEditor(next, io.Discard, func() int { return min(max(width, minWidth), maxWidth) }, actions{
			candidates: func(l Line) offer { return offer{list: completions(append([]string{"x"}, l.Words...))} },
			help:       func(Line) string { return "help\n" },
			show:       func(string) {},
			failed:     func() { t.Fatal("the editor crashed") },
		})
		e.remember(filterLine(past))
		for {
			line, err := e.readLine(t.Context(), filterLine(prompt))
			if strings.IndexFunc(line, hidden) >= 0 {
				t.Fatalf("the line %q", line)
			}
			if err == io.EOF {
				return
			}
			e.remember(line)
			width++
		}
	})
}
