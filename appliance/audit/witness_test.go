package audit

import (
	"context"
	"net"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// A syslog daemon that stands still, or is not there, is an error and no wait.
func TestSyslogThatStandsStill(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	if err := Syslog(path).Keep(t.Context(), "id", Head{1, genesis}); err == nil {
		t.Error("nobody was there, and kept it")
	}
	socket, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer socket.Close()
	for range 100_000 { // the socket's queue is bounded
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		err := Syslog(path).Keep(ctx, "id", Head{1, genesis})
		cancel()
		if err != nil {
			return
		}
	}
	t.Error("a queue without end")
}

func TestReadHeads(t *testing.T) {
	a, b := Head{7, strings.Repeat("ab", 32)}, Head{9, strings.Repeat("cd", 32)}
	text := "Jan  2 03:04:05 mx1 sealgated[1]: " + a.Line("id-1") + "\r\n" +
		"2026-01-02T03:04:05Z mx1 " + b.Line("id-2") + "\n" +
		strings.Replace(b.Line("id-1"), "cd", "zz", 1) + "\n" +
		"<85>" + b.Line("id-1")
	heads, err := ReadHeads(strings.NewReader(text), "id-1")
	if err != nil || len(heads) != 2 || heads[0] != a || heads[1] != b {
		t.Errorf("%v, %v", heads, err)
	}
	json := `{"records":[{"note":"` + a.Line("id-1") + `"},` + strings.Repeat(`{"note":"x"},`, 10_000) + `{"note":"` + b.Line("id-1") + `"}]}`
	if heads, err := ReadHeads(strings.NewReader(json), "id-1"); err != nil || len(heads) != 2 || heads[0] != a || heads[1] != b {
		t.Errorf("in JSON: %v, %v", heads, err)
	}
	if _, err := ReadHeads(strings.NewReader(strings.Replace(text, "record=7", "record=99999999999999999999", 1)), "id-1"); err == nil {
		t.Error("a number without bound")
	}
}
