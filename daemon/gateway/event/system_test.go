package event_test

import (
	"encoding/json"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"sealgate/appliance/spool"
	"sealgate/appliance/store"
	"sealgate/daemon/gateway/event"
)

// spooled are the system events in a spool.
func spooled(t *testing.T, s *spool.Spool) (list []store.SystemEvent) {
	t.Helper()
	for after := uint64(0); ; {
		records, err := s.Read(after, 1000)
		if err != nil {
			t.Fatal(err)
		}
		if len(records) == 0 {
			return list
		}
		for _, r := range records {
			var e event.Record
			if err := json.Unmarshal(r.Body, &e); err != nil {
				t.Fatal(err)
			}
			if after = r.Sequence; e.Kind == event.System {
				list = append(list, *e.System)
			}
		}
	}
}

// A server that comes and goes a thousand times fills no spool, and hides nothing else.
func TestSystemEventsAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, err := spool.Open(filepath.Join(t.TempDir(), "spool"), spool.Options{})
		if err != nil {
			t.Fatal(err)
		}
		l := event.New(s, slog.New(slog.DiscardHandler))
		defer l.Close()
		for range 1000 {
			l.Tell(event.Medium, event.ServerDown, "the server %s does not answer", strings.Repeat("ü", 1000))
		}
		l.Tell(event.High, event.Refused, "no")
		list := spooled(t, s)
		if len(list) != 61 || list[60].Code != event.Refused || list[60].Severity != event.High || list[60].Text != "no" || list[60].Time != time.Now().UnixMilli() {
			t.Errorf("%d are kept, the last is %+v", len(list), list[len(list)-1])
		}
		if text := list[0].Text; len(text) > 400 || !strings.HasPrefix(text, "the server üü") {
			t.Errorf("it says %q", text)
		}
		time.Sleep(2 * time.Minute)
		for range 5 {
			l.Tell(event.Medium, event.ServerDown, "down")
		}
		if list = spooled(t, s); len(list) != 63 || list[61].Text != "down (940 more such events came too fast and were left out)" || list[62].Text != "down" {
			t.Errorf("two minutes later %d are kept: %+v", len(list), list[61:])
		}
	})
}

// What a spool drops is told of, once.
func TestLossesAreTold(t *testing.T) {
	s, err := spool.Open(filepath.Join(t.TempDir(), "spool"), spool.Options{Max: 64 << 10, Segment: 8 << 10})
	if err != nil {
		t.Fatal(err)
	}
	l := event.New(s, slog.New(slog.DiscardHandler))
	defer l.Close()
	l.TellLosses()
	for range 1000 {
		l.Put(&violation, nil)
	}
	dropped := s.Stats().Dropped
	for range 3 {
		l.TellLosses()
	}
	if list := spooled(t, s); dropped == 0 || len(list) != 1 || list[0].Code != event.Dropped {
		t.Errorf("%d dropped events are told of by %+v", dropped, list)
	}
}
