// Package seal decides whether an appliance is sealed: whether its shell is the
// closed list of commands, or an administrator's login gets a real one.
//
// It is sealed unless a licence key is recorded whose Ed25519 signature is an
// anchor's, which grants the feature "unseal", is bound to nothing or to this
// appliance, and is in its time. Every look checks all of that again, so a
// record that was edited by hand, an anchor that was taken away or a licence that
// ended seal the appliance without a restart. What cannot be read is sealed.
//
// No anchor is compiled in: they are files, see [appliance.Home.Anchors].
package seal

import (
	"cmp"
	"context"
	"encoding/base32"
	"errors"
	"strings"
	"sync"
	"time"

	"sealgate/appliance"
	"sealgate/appliance/anchor"
	"sealgate/appliance/guard"
	"sealgate/appliance/secret"
)

// Errors of licence keys; each comes with the reason and a hint.
var (
	ErrDamaged = errors.New("that is no whole licence key")
	ErrRefused = errors.New("the licence key is refused")
)

// Why a key was refused, where it matters to whom; they read as [ErrRefused].
var (
	ErrProduct = reason{1} // it is another product's
	ErrBinding = reason{2} // it is another appliance's
	ErrExpired = reason{3}
)

type reason struct{ n int }

func (reason) Error() string { return ErrRefused.Error() }
func (reason) Unwrap() error { return ErrRefused }

// Seal is an appliance's. It may be used concurrently.
type Seal struct {
	home     appliance.Home
	keys     *secret.Keys
	identity string // the challenge
	attempts guard.Guard
	mu       sync.Mutex // held by the one that reads and writes the record
}

// New is the seal of the appliance with that id.
func New(home appliance.Home, id string, keys *secret.Keys) *Seal {
	return &Seal{home: home, keys: keys, identity: challenge(id, keys)}
}

// challenge names an appliance by its id and its key, so that a copy of
// appliance.json does not have it: 100 bits as five groups of four.
func challenge(id string, keys *secret.Keys) string {
	text := base32.StdEncoding.EncodeToString(keys.Derive("challenge\x00" + id))
	var groups []string
	for i := 0; i < 20; i += 4 {
		groups = append(groups, text[i:i+4])
	}
	return strings.Join(groups, "-")
}

// State is how the seal is at a moment.
type State struct {
	Licence    *Licence `json:"licence,omitempty"` // nil: sealed
	Why        string   `json:"why,omitempty"`     // why a recorded licence does not unseal any more
	Challenge  string   `json:"challenge"`         // what a licence for this appliance alone is bound to
	Deployment string   `json:"deployment,omitempty"`
}

// Sealed says whether the appliance is.
func (s State) Sealed() bool { return s.Licence == nil }

// State looks at the seal. The error is about keeping the time of the look; the
// state holds all the same.
func (s *Seal) State(now time.Time) (State, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r, err := readRecord(s.home, s.keys)
	if err != nil {
		return State{Why: err.Error(), Challenge: s.identity}, nil
	}
	state := State{Challenge: s.identity, Deployment: r.Deployment}
	if r.Key == "" {
		return state, nil
	}
	if state.Licence, err = s.judge(r, r.Key, now); err != nil {
		state.Why = err.Error()
	}
	return state, s.keep(r)
}

// judge gives the licence of a key that unseals this appliance now.
func (s *Seal) judge(r *record, key string, now time.Time) (*Licence, error) {
	l, err := accept(s.home, key, s.identity, r.Deployment)
	if err != nil {
		return nil, err
	}
	if err := l.valid(r.mark(l, now)); err != nil {
		return nil, err
	}
	return l, nil
}

func (s *Seal) keep(r *record) error {
	if !r.changed {
		return nil
	}
	return r.write(s.home, s.keys)
}

// accept checks everything about a key but its times.
func accept(home appliance.Home, key, challenge, deployment string) (*Licence, error) {
	l, err := open(key, anchor.Read(home.Anchors(), anchor.Owners(home)))
	if err != nil {
		return nil, err
	}
	return l, cmp.Or(l.ours(), l.unseals(), l.fits(challenge, deployment))
}

// Accept says whether a key holds for what an appliance is, whatever it grants.
func Accept(home appliance.Home, key, challenge, deployment string, at time.Time) (*Licence, error) {
	l, err := open(key, anchor.Read(home.Anchors(), anchor.Owners(home)))
	if err != nil {
		return nil, err
	}
	return l, cmp.Or(l.ours(), l.fits(challenge, deployment), l.valid(at))
}

// Check says whether key would unseal an appliance that is about to be created
// in home.
func Check(home appliance.Home, key, deployment string, now time.Time) error {
	l, err := accept(home, key, "", deployment)
	if err != nil {
		return err
	}
	return l.valid(now)
}

// Unlock records key when it unseals this appliance. Attempts come one after the
// other, and after failures they wait; ctx ends the wait.
func (s *Seal) Unlock(ctx context.Context, key string, now func() time.Time) (State, error) {
	var state State
	var refusal error
	_, err := s.attempts.Attempt(ctx, "unlock", func() (bool, error) {
		state, refusal = s.unlock(key, now())
		return refusal == nil, nil
	})
	return state, cmp.Or(err, refusal)
}

func (s *Seal) unlock(key string, now time.Time) (State, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r, err := readRecord(s.home, s.keys)
	if err != nil {
		return State{}, err
	}
	l, err := s.judge(r, key, now)
	if err != nil {
		return State{}, cmp.Or(err, s.keep(r))
	}
	r.Key, r.changed = key, true
	return State{Licence: l, Challenge: s.identity, Deployment: r.Deployment}, s.keep(r)
}

// Again seals the appliance. The times at which licences were seen stay.
func (s *Seal) Again() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	r, err := readRecord(s.home, s.keys)
	if err != nil || r.Key == "" {
		return err
	}
	r.Key, r.changed = "", true
	return s.keep(r)
}
