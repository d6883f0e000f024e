package job

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"sealgate/appliance/model"
	"sealgate/appliance/store"
	"sealgate/commands"
	"sealgate/control"
)

// labels is a user interface that keeps what is under way.
type labels struct {
	control.UI
	said []string
}

func (l *labels) Progress(p control.Progress) { l.said = append(l.said, p.Label) }

// A bundle may take long, but not the gateway to begin with it.
func TestGatewaysThatDoNotAnswer(t *testing.T) {
	for name, c := range map[string]struct {
		meanwhile func(*testing.T, *store.Store, string) // is done with the gateway
		most      time.Duration
		want      string
		hint      string
	}{
		"its role is stopped": {nil, commandTime, `gateway "gw1" does not answer`, "gti-remote"},
		"it makes a bundle for ever": {func(t *testing.T, db *store.Store, gateway string) {
			if _, err := db.GiveCommands(t.Context(), gateway); err != nil {
				t.Fatal(err)
			}
		}, bundleTime, `gateway "gw1" took the command and did not say how it ended`, "it may have done it"},
		"it unregisters": {func(t *testing.T, db *store.Store, gateway string) {
			if _, err := db.Write(t.Context(), store.Change{}, func(tx *store.Tx) error { return tx.Delete(t.Context(), gateway) }); err != nil {
				t.Fatal(err)
			}
		}, lookEvery, `gateway "gw1" unregistered`, "register"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				home := t.TempDir()
				if err := store.Create(t.Context(), home, "admin", "", store.Options{}); err != nil {
					t.Fatal(err)
				}
				db, err := store.Open(t.Context(), home, store.Options{})
				if err != nil {
					t.Fatal(err)
				}
				defer db.Close()
				var gateway string
				if _, err := db.Write(t.Context(), store.Change{}, func(tx *store.Tx) error {
					group, err := tx.Create(t.Context(), store.Object{ParentID: model.RootID, Kind: model.GatewayGroup, Name: "g"})
					if err != nil {
						return err
					}
					if gateway, err = tx.Create(t.Context(), store.Object{ParentID: group, Kind: model.Gateway, Name: "gw1"}); err != nil {
						return err
					}
					return tx.PutGatewayKey(t.Context(), store.GatewayKey{GatewayID: gateway, Pin: "pin", Sealing: "key", Kind: "byol"})
				}); err != nil {
					t.Fatal(err)
				}
				x := commands.AskGateway{Gateway: "gw1", Kind: commands.GatewayTechInfo, Author: "tester"}
				id, err := db.AskGateway(t.Context(), store.GatewayCommand{GatewayID: gateway, Kind: x.Kind, Author: x.Author})
				if err != nil {
					t.Fatal(err)
				}
				if c.meanwhile != nil {
					c.meanwhile(t, db, gateway)
				}
				ui, begin := new(labels), time.Now()
				err = ended(context.Background(), db, x, id, bundleTime, ui)
				r := commands.ResultOf(err)
				if !strings.Contains(r.Error, c.want) || !strings.Contains(r.Hint, c.hint) || len(ui.said) == 0 || ui.said[0] != "waiting for the gateway" {
					t.Errorf("%q, %q, %q", r.Error, r.Hint, ui.said)
				}
				if took := time.Since(begin); took > c.most+lookEvery {
					t.Errorf("after %v", took)
				}
			})
		})
	}
}
