package store

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"sealgate/appliance/model"
)

// RevertError means that the configuration cannot go back: what it would need is
// gone or in use.
type RevertError struct {
	Number int64
	Reason error
}

func (e *RevertError) Error() string {
	return fmt.Sprintf("the configuration cannot go back to revision %d: %v", e.Number, e.Reason)
}

func (e *RevertError) Unwrap() error { return e.Reason }

// Revert makes the configuration objects what they were at a revision, as a new
// revision whose number it returns; 0 means that nothing differs. Users, licences,
// SSL keys and credentials stay as they are: their secrets are in no revision. What
// needs one of those that is gone is a *RevertError, and so is a revision that does
// not exist.
func (s *Store) Revert(ctx context.Context, number int64, author string) (int64, error) {
	newest, err := s.Revision(ctx)
	if err != nil {
		return 0, err
	}
	if number < 1 || number > newest {
		return 0, &RevertError{number, fmt.Errorf("there are revisions 1 to %d", newest)}
	}
	change := Change{Author: author, Summary: fmt.Sprintf("go back to revision %d", number)}
	made, err := s.Write(ctx, change, func(t *Tx) error {
		states, err := t.statesAt(ctx, number)
		if err != nil {
			return err
		}
		return t.restore(ctx, states)
	})
	var used *InUseError
	if errors.As(err, &used) || errors.Is(err, ErrDangling) || errors.Is(err, ErrPredefined) || errors.Is(err, ErrExists) || errors.Is(err, ErrNotFound) {
		return 0, &RevertError{number, err}
	}
	return made, err
}

// former is what an object was; a nil State means that it was not there.
type former struct {
	id, kind string
	state    *State
}

// statesAt tells what the objects that changed after a revision were at it.
func (t *Tx) statesAt(ctx context.Context, number int64) ([]former, error) {
	rows, err := t.tx.QueryContext(ctx, "SELECT "+revisionColumns+" FROM revisions WHERE number > $1 ORDER BY number", number)
	if err != nil {
		return nil, err
	}
	later, err := collect(rows, func(r *Revision) error { return scanRevision(rows.Scan, r) })
	if err != nil {
		return nil, err
	}
	seen := make(map[string]bool)
	var list []former
	for _, r := range later {
		for _, d := range r.Difference {
			if _, err := model.Lookup(d.Kind); err != nil || seen[d.ID] {
				continue // no object, or an earlier revision said what it was
			}
			seen[d.ID] = true
			list = append(list, former{d.ID, d.Kind, d.Before})
		}
	}
	return list, nil
}

// restore gives objects their former states. Names are freed first and documents
// come last, so that neither names nor references stand in each other's way.
func (t *Tx) restore(ctx context.Context, states []former) error {
	for _, step := range []func(context.Context, []former) error{t.freeNames, t.recreate, t.redescribe, t.discard} {
		if err := step(ctx, states); err != nil {
			return err
		}
	}
	return nil
}

func (t *Tx) freeNames(ctx context.Context, states []former) error {
	for _, f := range states {
		o, err := t.Get(ctx, f.id)
		if errors.Is(err, ErrNotFound) {
			continue
		}
		if err != nil {
			return err
		}
		if f.state != nil && f.state.Name == o.Name && f.state.Parent == o.ParentID {
			continue
		}
		if err := t.Rename(ctx, f.id, f.id); err != nil {
			return err
		}
	}
	return nil
}

// recreate makes what is missing, parents before children, without documents.
func (t *Tx) recreate(ctx context.Context, states []former) error {
	var missing []former
	for _, f := range states {
		if f.state == nil {
			continue
		}
		if _, err := t.Get(ctx, f.id); errors.Is(err, ErrNotFound) {
			missing = append(missing, f)
		} else if err != nil {
			return err
		}
	}
	for len(missing) > 0 {
		var orphans []former
		for _, f := range missing {
			if slices.ContainsFunc(missing, func(p former) bool { return p.id == f.state.Parent }) {
				orphans = append(orphans, f)
				continue
			}
			_, err := t.Create(ctx, Object{ID: f.id, ParentID: f.state.Parent, Kind: f.kind, Name: f.state.Name})
			if err != nil {
				return err
			}
		}
		missing = orphans
	}
	return nil
}

func (t *Tx) redescribe(ctx context.Context, states []former) error {
	for _, f := range states {
		if f.state == nil {
			continue
		}
		if err := t.Move(ctx, f.id, f.state.Parent); err != nil {
			return err
		}
		if err := t.Rename(ctx, f.id, f.state.Name); err != nil {
			return err
		}
		if err := t.Update(ctx, f.id, f.state.Document); err != nil {
			return err
		}
	}
	return nil
}

// discard deletes what was not there. What lies in it goes with it. Documents go first,
// since such objects may use one another.
func (t *Tx) discard(ctx context.Context, states []former) error {
	empty := func(ctx context.Context, id string) error { return t.Update(ctx, id, nil) }
	for _, step := range []func(context.Context, string) error{empty, t.Delete} {
		for _, f := range states {
			if f.state != nil {
				continue
			}
			if err := step(ctx, f.id); err != nil && !errors.Is(err, ErrNotFound) {
				return err
			}
		}
	}
	return nil
}

// collapse leaves one difference for each object: what it was before the first and
// after the last, and none where several made it what it was.
func collapse(list []Difference) []Difference {
	index := make(map[string]int, len(list))
	merged := make([]Difference, 0, len(list))
	again := make(map[string]bool)
	for _, d := range list {
		key := d.Kind + d.ID
		if i, ok := index[key]; ok {
			merged[i].After, again[key] = d.After, true
			continue
		}
		index[key] = len(merged)
		merged = append(merged, d)
	}
	return slices.DeleteFunc(merged, func(d Difference) bool { return again[d.Kind+d.ID] && d.Before.same(d.After) })
}

func (s *State) same(other *State) bool {
	if s == nil || other == nil {
		return s == other
	}
	return s.Parent == other.Parent && s.Name == other.Name && string(s.Document) == string(other.Document)
}
