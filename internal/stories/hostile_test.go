package stories

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/rogpeppe/go-internal/testscript"

	"sealgate/appliance/model"
	"sealgate/appliance/store"
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

// registerGateways has a management server know gateways by these names.
func registerGateways(t *testing.T, home string, names ...string) {
	t.Helper()
	db, err := store.Open(t.Context(), home, store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	_, err = db.Write(t.Context(), store.Change{}, func(tx *store.Tx) error {
		group, err := tx.Create(t.Context(), store.Object{ParentID: model.RootID, Kind: model.GatewayGroup, Name: "Edge"})
		if err != nil {
			return err
		}
		for _, name := range names {
			id, err := tx.Create(t.Context(), store.Object{ParentID: group, Kind: model.Gateway, Name: name})
			if err != nil {
				return err
			}
			if err := tx.PutGatewayKey(t.Context(), store.GatewayKey{GatewayID: id, Pin: "pin of " + name, Sealing: "key", Kind: "byol"}); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// The hole: completion draws what others named. The attack: files and gateways whose
// names reorder, clear or write to the clipboard, offered by Tab and explained by ?.
// What must hold: they are shown as escapes or not at all, and the prompt goes on.
func TestHostileNamesInCompletion(t *testing.T) {
	app := newAppliance(t)
	registerGateways(t, app.Home, "gw-a\u202egpj", "gw-b\u009b2J", "gw-c\x1b]52;c;aWQ=\x07", "gw-e\u200bf", "gw-fine")
	if err := app.Start(); err != nil {
		t.Fatal(err)
	}
	defer app.Stop()
	for _, name := range []string{"mx1_a\u202egpj.tgz", "mx1_b\u009b2J.tgz", "mx1_c\x1b]52;c;aWQ=\x07.tgz", "mx1_d\xff.tgz", "mx1_e\u200bf.tgz", "mx1_fine.tgz"} {
		if err := os.WriteFile(filepath.Join(app.Home, "exports", name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	term := startTerminal(t, exec.Command(filepath.Join(bin, "sealsh"), "--home", app.Home))
	term.expect("mx1> ")
	term.send("files delete mx1_\t\t")
	shown := term.until("mx1_fine.tgz")
	term.send("\x15files delete ?")
	shown += term.until("mx1_fine.tgz")
	term.send("\x15impctl gateway drain gw-\t\t")
	shown += term.until("gw-fine")
	term.send("\x15impctl gateway drain ?")
	shown += term.until("in gateway group \"Edge\"\r\n  --json")
	term.send("\x15impctl gateway drain gw-f\t")
	shown += term.until("drain gw-fine ")
	term.send("\x15version\r")
	term.expect("Sealgate dev")
	term.send("exit\r")
	shown += term.rest()
	for _, bad := range []string{"\u202e", "\u009b", "\x1b]52", "\u200b", "\xff"} {
		if strings.Contains(shown, bad) {
			t.Errorf("the terminal got %q of %q", bad, shown)
		}
	}
}
