package job

import (
	"context"
	"slices"
	"time"

	"sealgate/appliance"
	"sealgate/appliance/store"
	"sealgate/commands"
	"sealgate/daemon/link"
)

// systemEvents reads system events, whether the role runs or not.
func systemEvents(ctx context.Context, home appliance.Home, x commands.Events) ([]commands.Event, error) {
	db, err := store.Open(ctx, string(home), store.Options{ReadOnly: true})
	if err != nil {
		return nil, err
	}
	defer closing(db)
	filter := store.SystemEventFilter{Source: x.Source, Severity: x.Severity}
	if !x.Since.IsZero() {
		filter.Since = x.Since.UnixMilli()
	}
	found, err := db.SystemEvents(ctx, filter, x.Limit)
	if err != nil {
		return nil, err
	}
	list := []commands.Event{}
	for _, e := range slices.Backward(found) {
		list = append(list, commands.Event{Time: time.UnixMilli(e.Time).UTC(), Severity: e.Severity, Source: e.Source, Code: e.Code, Text: link.Brief(e.Text)})
	}
	return list, nil
}
