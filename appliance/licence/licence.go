// Package licence is the licences of a management server: which of the loaded ones
// hold, and how many gateways they let register.
//
// A gateway counts as one of two kinds, as it registered: BYOL needs a place in a
// licence, On-Demand is paid for elsewhere and needs none. Licences add up. One that
// ended or does not fit any more lets no further gateway in; it throws none out.
package licence

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"slices"
	"strings"
	"time"

	"sealgate/appliance"
	"sealgate/appliance/ownership"
	"sealgate/appliance/seal"
	"sealgate/appliance/store"
)

// Identity is what a licence may be bound to. It is no secret.
type Identity struct {
	Challenge  string `json:"challenge"`
	Deployment string `json:"deployment,omitempty"`
}

// WriteIdentity leaves the appliance's identity for its role, which cannot read the
// keys that it follows from.
func WriteIdentity(home appliance.Home, id Identity) error {
	owner, err := ownership.Of(home)
	if err != nil {
		return err
	}
	data, err := json.Marshal(id)
	if err != nil {
		return err
	}
	return owner.WriteRecord(home.Identity(), append(data, '\n'))
}

// ReadIdentity reads what WriteIdentity wrote.
func ReadIdentity(home appliance.Home) (Identity, error) {
	var id Identity
	data, err := os.ReadFile(home.Identity())
	if err != nil {
		return id, err
	}
	if err := json.Unmarshal(data, &id); err != nil {
		return id, fmt.Errorf("%s is damaged: %w", home.Identity(), err)
	}
	return id, nil
}

// Held is a loaded licence.
type Held struct {
	ID      string
	Loaded  time.Time
	Licence *seal.Licence // nil: it does not hold
	Refusal error         // why not
}

// Judge says which of the loaded licences hold at a time.
func Judge(home appliance.Home, id Identity, rows []store.Licence, at time.Time) []Held {
	var list []Held
	for _, row := range rows {
		h := Held{ID: row.ID, Loaded: row.Created}
		l, err := seal.Accept(home, row.Key, id.Challenge, id.Deployment, at)
		if h.Refusal = err; err == nil {
			h.Licence = l
		}
		list = append(list, h)
	}
	return list
}

// Features are what the licences that hold grant, gateways and unsealing aside.
func Features(list []Held) []string {
	var all []string
	for _, h := range list {
		if h.Licence == nil {
			continue
		}
		for _, f := range h.Licence.Features {
			if name, _, _ := strings.Cut(f, "="); name != seal.Unseal && name != seal.Gateways {
				all = append(all, f)
			}
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// Kind is how a gateway counts.
type Kind string

// The kinds.
const (
	BYOL     Kind = "byol"
	OnDemand Kind = "on-demand"
)

// Unlimited is left for what needs no licence.
const Unlimited = math.MaxInt

// Gateways is how many gateways the licences that hold let register.
func Gateways(list []Held) int {
	sum := 0
	for _, h := range list {
		if h.Licence == nil {
			continue
		}
		n, _ := h.Licence.Count(seal.Gateways)
		sum += n
	}
	return sum
}

// Left is how many more gateways of each kind may register, beside those that have.
func Left(list []Held, registered map[Kind]int) map[Kind]int {
	return map[Kind]int{
		BYOL:     max(0, Gateways(list)-registered[BYOL]),
		OnDemand: Unlimited,
	}
}

// Now is the time at which licences are judged: a clock turned back makes none of
// them younger than the newest write.
func Now(ctx context.Context, db *store.Store, now time.Time) (time.Time, error) {
	latest, err := db.Latest(ctx)
	if latest.After(now) {
		now = latest
	}
	return now, err
}

// Loaded judges all licences of a management server, which may run or not.
func Loaded(ctx context.Context, home appliance.Home, now time.Time) (list []Held, err error) {
	db, err := store.Open(ctx, string(home), store.Options{ReadOnly: true})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	id, err := ReadIdentity(home)
	if err != nil {
		return nil, err
	}
	if now, err = Now(ctx, db, now); err != nil {
		return nil, err
	}
	rows, err := db.Licences(ctx)
	return Judge(home, id, rows, now), err
}
