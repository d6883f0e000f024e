package seed

import (
	"context"
	"fmt"
	"time"

	"sealgate/appliance/store"
)

const maxSystemEvents = 900 // of one source no more are kept than 1000

// systemEvents adds what happened to the management server and to two gateways.
func (f *filler) systemEvents(ctx context.Context) error {
	s := newStream(f.options.Seed, "system events")
	var list []store.SystemEvent
	for n := range grown(f.options.Scale, maxSystemEvents/4, 5, maxSystemEvents) {
		at := f.options.Base.Add(time.Duration(n) * 43 * time.Minute)
		list = append(list, store.SystemEvent{
			ID: s.uuid(at), Source: pick(s, []string{"mx1", "gw1", "gw2"}), Time: at.UnixMilli(), Severity: pick(s, store.Severities),
			Code: pick(s, []string{"gateway-connected", "configuration-taken", "server-down"}), Text: fmt.Sprintf("%s%04d happened", MarkSystemEvent, n+1),
		})
	}
	f.made(store.SystemEvents, int64(len(list)), 0)
	return f.store.AddSystemEvents(ctx, list)
}
