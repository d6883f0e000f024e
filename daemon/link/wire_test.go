package link

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestReadJSON(t *testing.T) {
	var m Begin
	for _, bad := range []string{"", "{", "[]", `{"version":"1"}`, "{\"version\":1,\"x\":\"\xff\"}", `{"version":1}` + strings.Repeat(" ", 100), `{"version":1}{}`} {
		if err := ReadJSON(strings.NewReader(bad), 100, &m); err == nil {
			t.Errorf("%.20q was read", bad)
		}
	}
	if err := ReadJSON(strings.NewReader(`{"version":1,"later":[]}`), 100, &m); err != nil || m.Version != 1 {
		t.Errorf("%+v, %v", m, err)
	}
}

// What the other end says is fit for a terminal, however long.
func TestProblemIsSafe(t *testing.T) {
	p := &Problem{Text: "a\x1b[31m\u202eb" + strings.Repeat("x", 1<<16)}
	if s := p.Error(); strings.ContainsAny(s, "\x1b\u202e") || len(s) > 4096 {
		t.Errorf("%.40q, %d bytes", s, len(s))
	}
}

// Whatever is read is written again as the same, and a registration that is let in
// keeps to its bounds.
func FuzzMessages(f *testing.F) {
	for _, m := range []any{
		Begin{1}, Begun{Version: 1, Session: []byte("s")}, Finish{Version: 1, Name: "gw1", Alias: "a", Address: "192.0.2.1", Mask: 24, Licensing: "byol", Sealing: make([]byte, 32)},
		Finished{Version: 1, Server: "mx1"}, Poll{Version: 1, Addresses: []string{"::1"}, Refused: &Refused{Reason: "r"}}, Polled{Version: 1, Commands: []Command{{ID: "1"}}},
		Acknowledged{Sequence: 7, Waited: 2}, Problem{Code: Busy, Text: "t", After: 1},
	} {
		data, err := json.Marshal(m)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Add([]byte(`{"name":"\u0000","mask":-1,"address":"fe80::1%x"}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		for _, m := range []any{new(Begin), new(Begun), new(Finish), new(Finished), new(Poll), new(Polled), new(Acknowledged), new(Problem)} {
			if ReadJSON(bytes.NewReader(data), 1<<10, m) != nil {
				continue
			}
			if len(data) > 1<<10 || !utf8.Valid(data) {
				t.Errorf("%T of %d bytes was read", m, len(data))
			}
			if finish, ok := m.(*Finish); ok {
				checked(t, *finish)
			}
		}
	})
}

func checked(t *testing.T, m Finish) {
	address, err := check(&m)
	if err != nil {
		if p, ok := errors.AsType[*Problem](err); !ok || p.Code != NotAccepted {
			t.Errorf("%+v is refused with %v", m, err)
		}
		return
	}
	for _, s := range []string{m.Name, m.Group, m.Alias, m.Interface, m.Software} {
		if len(s) > 250 || strings.ContainsAny(s, "\x00\x1b\n<>") {
			t.Errorf("%q is accepted", s)
		}
	}
	if !address.IsValid() || m.Mask < 0 || m.Mask > 128 {
		t.Errorf("%s/%d is accepted", address, m.Mask)
	}
}
