package event

import (
	"time"

	"sealgate/appliance/model"
	"sealgate/appliance/store"
)

// Format is a message that a syslog server gets.
func Format(v *store.Violation, a *model.Action) []byte { return format(v, a, time.Now()) }
