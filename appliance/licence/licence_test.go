package licence_test

import (
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"sealgate/appliance"
	"sealgate/appliance/anchor"
	"sealgate/appliance/licence"
	"sealgate/appliance/seal"
	"sealgate/appliance/store"
)

var now = time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)

// vendor signs for the appliance in home.
func vendor(t *testing.T) (home appliance.Home, mint func(l seal.Licence) store.Licence) {
	t.Helper()
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	_, anchor, err := anchor.MarshalKey(private)
	if err != nil {
		t.Fatal(err)
	}
	home = appliance.Home(t.TempDir())
	if err := os.Mkdir(home.Anchors(), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(home.Anchors(), "vendor.pub"), anchor, 0o644); err != nil {
		t.Fatal(err)
	}
	return home, func(l seal.Licence) store.Licence {
		t.Helper()
		if l.Product == "" {
			l.Product = seal.Product
		}
		l.Issued = now.Add(-time.Hour).Unix()
		key, err := seal.Mint(private, l)
		if err != nil {
			t.Fatal(err)
		}
		return store.Licence{ID: l.ID, Key: key}
	}
}

const challenge = "AAAA-BBBB-CCCC-DDDD-EEEE"

func TestLicencesAddUp(t *testing.T) {
	home, mint := vendor(t)
	rows := []store.Licence{
		mint(seal.Licence{ID: "unbound", Features: []string{"gateways=2", "unseal", "api"}}),
		mint(seal.Licence{ID: "this-server", Features: []string{"gateways=3", "api"}, Challenge: challenge}),
		mint(seal.Licence{ID: "this-pair", Features: []string{"gateways=5", "reports"}, Deployment: "pair-1", NotAfter: now.Add(time.Hour).Unix()}),
		mint(seal.Licence{ID: "ended", Features: []string{"gateways=100"}, NotAfter: now.Add(-time.Minute).Unix()}),
		mint(seal.Licence{ID: "another-server", Features: []string{"gateways=100"}, Challenge: "ZZZZ-BBBB-CCCC-DDDD-EEEE"}),
		mint(seal.Licence{ID: "another-pair", Features: []string{"gateways=100"}, Deployment: "pair-2"}),
		mint(seal.Licence{ID: "another-product", Features: []string{"gateways=100"}, Product: "toaster"}),
		{ID: "forged", Key: "SG1-AAAA"},
	}
	id := licence.Identity{Challenge: challenge, Deployment: "pair-1"}
	held := licence.Judge(home, id, rows, now)
	for i, want := range []error{nil, nil, nil, seal.ErrExpired, seal.ErrBinding, seal.ErrBinding, seal.ErrProduct, seal.ErrDamaged} {
		if !errors.Is(held[i].Refusal, want) || (held[i].Licence == nil) != (want != nil) {
			t.Errorf("%s: %v, not %v", held[i].ID, held[i].Refusal, want)
		}
	}
	if n := licence.Gateways(held); n != 10 {
		t.Errorf("%d gateways", n)
	}
	if f := licence.Features(held); !slices.Equal(f, []string{"api", "reports"}) {
		t.Errorf("features %v", f)
	}
	if n := licence.Gateways(licence.Judge(home, id, rows, now.Add(2*time.Hour))); n != 5 {
		t.Errorf("%d gateways when one has ended", n)
	}
	// An anchor that is taken away takes its licences along.
	if err := os.Remove(filepath.Join(home.Anchors(), "vendor.pub")); err != nil {
		t.Fatal(err)
	}
	if n := licence.Gateways(licence.Judge(home, id, rows, now)); n != 0 {
		t.Errorf("%d gateways without an anchor", n)
	}
}

func TestLeft(t *testing.T) {
	five := []licence.Held{{Licence: &seal.Licence{Features: []string{"gateways=2"}}}, {Licence: &seal.Licence{Features: []string{"gateways=3"}}}, {ID: "refused"}}
	for _, c := range []struct {
		held       []licence.Held
		registered map[licence.Kind]int
		want       int
	}{
		{nil, nil, 0}, {five, nil, 5},
		{five, map[licence.Kind]int{licence.BYOL: 2, licence.OnDemand: 40}, 3},
		{five, map[licence.Kind]int{licence.BYOL: 5}, 0},
		{five, map[licence.Kind]int{licence.BYOL: 9}, 0}, // a licence has ended since
	} {
		left := licence.Left(c.held, c.registered)
		if left[licence.BYOL] != c.want || left[licence.OnDemand] != licence.Unlimited {
			t.Errorf("%v: %v, not %d", c.registered, left, c.want)
		}
	}
}

func TestIdentity(t *testing.T) {
	home := appliance.Home(t.TempDir())
	if err := os.Mkdir(home.Run(), 0o711); err != nil {
		t.Fatal(err)
	}
	want := licence.Identity{Challenge: challenge, Deployment: "pair-1"}
	if err := licence.WriteIdentity(home, want); err != nil {
		t.Fatal(err)
	}
	if got, err := licence.ReadIdentity(home); err != nil || got != want {
		t.Errorf("%+v, %v", got, err)
	}
	if err := os.WriteFile(home.Identity(), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := licence.ReadIdentity(home); err == nil || !strings.Contains(err.Error(), "is damaged") {
		t.Errorf("a damaged one: %v", err)
	}
}
