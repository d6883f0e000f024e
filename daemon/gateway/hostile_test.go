package gateway

import (
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sealgate/appliance"
	"sealgate/appliance/spool"
	"sealgate/daemon/gateway/event"
	"sealgate/daemon/link"
)

// alone is a gateway's end of the link, with nobody at the other.
func alone(t *testing.T) *joined {
	t.Helper()
	home := appliance.Home(t.TempDir())
	if err := os.Mkdir(home.Link(), 0o700); err != nil {
		t.Fatal(err)
	}
	s, err := spool.Open(filepath.Join(t.TempDir(), "events"), spool.Options{})
	if err != nil {
		t.Fatal(err)
	}
	log := slog.New(slog.DiscardHandler)
	g := &gateway{home: home, log: log, events: event.New(s, log)}
	t.Cleanup(func() { g.events.Close() })
	return newJoined(g, s, nil)
}

// The hole: each command that a server gives had a result that waits until the server has
// heard it. The attack: a server that was taken over gives commands at each poll and
// hears no result. What must hold: it does not fill the gateway's memory.
func TestAServerGivesFewCommandsAtATime(t *testing.T) {
	j := alone(t)
	for range 10 {
		j.obey(t.Context(), nil, nil, make([]link.Command, 1000))
	}
	j.obey(t.Context(), nil, nil, []link.Command{{ID: strings.Repeat("x", 1<<16)}})
	if len(j.results) != maxUnderWay || j.doing != 0 {
		t.Errorf("%d results wait, %d commands are being done", len(j.results), j.doing)
	}
	j.heard(j.results[:10])
	j.obey(t.Context(), nil, nil, []link.Command{{ID: "later"}})
	if got := j.results[len(j.results)-1].Command; got != "later" {
		t.Errorf("the last result is of %q", got)
	}
}

// The hole: the status holds what a server says, and is read to a bound. The attack: a
// server that was taken over is longer than that. What must hold: the status is read.
func TestWhatAServerSaysFitsIntoTheStatus(t *testing.T) {
	j := alone(t)
	long := strings.Repeat("\x00", 1<<17)
	j.decide(link.Revision{Number: 7, SHA256: "s"}, errors.New(long))
	j.say(&link.Problem{Code: link.ServerFailed, Text: long})
	s, err := link.ReadStatus(j.home)
	if err != nil || s.Refused == nil || s.Refused.Number != 7 || s.Error == "" {
		t.Errorf("%+v, %v", s, err)
	}
}
