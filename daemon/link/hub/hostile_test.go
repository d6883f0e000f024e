package hub

import (
	"bytes"
	"fmt"
	"log/slog"
	"net/netip"
	"strings"
	"testing"
	"time"

	"sealgate/appliance/store"
	"sealgate/daemon/link"
)

// The hole: the log told of each change of what a gateway says. The attack: a gateway
// that was taken over says something else at each poll, until the log holds nothing
// else. What must hold: it has a bounded number of lines in a minute.
func TestAGatewayDoesNotFillTheLog(t *testing.T) {
	var log bytes.Buffer
	now := time.Now()
	h := &Hub{Config: Config{Log: slog.New(slog.NewTextHandler(&log, nil)), Now: func() time.Time { return now }},
		gateways: map[string]*gateway{"id": {id: "id", name: "gw1", changed: make(chan struct{})}}}
	from := link.Gateway{GatewayKey: store.GatewayKey{GatewayID: "id"}, Peer: &link.Peer{Address: netip.MustParseAddr("192.0.2.1")}}
	flood := func() int {
		log.Reset()
		for i := range 500 {
			said := link.Poll{Running: link.Revision{Number: int64(i)}, Refused: &link.Refused{Revision: link.Revision{SHA256: fmt.Sprint(i)}}, Spool: link.Spool{Dropped: int64(i)}}
			if _, _, err := h.hear(t.Context(), from, said); err != nil {
				t.Fatal(err)
			}
		}
		return strings.Count(log.String(), "\n")
	}
	if n := flood(); n != linesTold {
		t.Errorf("%d lines", n)
	}
	now = now.Add(linesEvery)
	if n := flood(); n != linesTold {
		t.Errorf("a minute later %d lines", n)
	}
}
