package stories

import (
	"fmt"
	"net"
	"time"
	"unicode/utf8"

	"github.com/rogpeppe/go-internal/testscript"
)

// attack holds what terminals obey: a clipboard write, a cleared screen, an
// eight-bit control sequence, a right-to-left override, broken UTF-8.
const attack = "\x1b]52;c;aWQ=\x07\x1b[2J\u009b31m\u202egpj.exe\xff"

// hostile answers the first words of a client with an attack.
func hostile(kind string) (net.Listener, error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	answers := map[string]string{
		"hostile-ftp":  "530 refused " + attack + "\r\n",
		"hostile-http": "HTTP/1.1 403 " + attack + "\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
		"hostile-ssh":  attack + "\r\nSSH-2.0-" + attack + "\r\n",
	}
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			c.SetDeadline(time.Now().Add(5 * time.Second))
			if kind == "hostile-http" {
				c.Read(make([]byte, 4096))
			}
			fmt.Fprint(c, answers[kind])
			c.(*net.TCPConn).CloseWrite()
			c.Read(make([]byte, 4096))
			c.Close()
		}
	}()
	return ln, nil
}

// plain stdout|stderr|log holds nothing that a terminal would obey.
func plain(ts *testscript.TestScript, neg bool, args []string) {
	text := of(ts).app.Log()
	if args[0] != "log" {
		text = ts.ReadFile(args[0])
	}
	if !utf8.ValidString(text) {
		ts.Fatalf("%s is no UTF-8: %q", args[0], text)
	}
	for i, r := range text {
		switch {
		case r == '\n':
		case r < ' ', r >= 0x7f && r < 0xa0, r >= 0x200b && r <= 0x200f, r >= 0x202a && r <= 0x202e, r >= 0x2066 && r <= 0x2069:
			ts.Fatalf("%s has %q at %d: %q", args[0], r, i, text)
		}
	}
}
