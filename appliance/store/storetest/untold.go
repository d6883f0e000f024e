package storetest

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"sealgate/appliance/model"
	"sealgate/appliance/store"
)

type originKey struct{}

// witness counts how often it is told, and finds origins in contexts.
type witness int

func (*witness) Origin(ctx context.Context) (store.Origin, bool) {
	o, ok := ctx.Value(originKey{}).(store.Origin)
	return o, ok
}

func (w *witness) Committed() { *w++ }

// What a request has written is kept, in its order, until somebody is told of it, and
// nothing else is.
func untoldWrites(t *testing.T, open func(*testing.T) *store.Store) {
	home := open(t).Home()
	told := new(witness)
	s, err := store.Open(t.Context(), home, store.Options{Witness: told})
	if err != nil {
		t.Fatal(err)
	}
	from := store.Origin{Address: "192.0.2.7", Method: "POST", Path: "/marker/{x}"}
	request := context.WithValue(t.Context(), originKey{}, from)
	refused := errors.New("refused")
	site := func(name string) func(*store.Tx) error {
		return func(tx *store.Tx) error {
			_, err := tx.Create(t.Context(), store.Object{ParentID: model.RootID, Kind: model.Site, Name: name})
			return err
		}
	}
	for _, w := range []struct {
		ctx     context.Context
		summary string
		fn      func(*store.Tx) error
	}{
		{request, "first", site("a")},
		{t.Context(), "nobody's", site("b")},
		{request, "nothing", func(*store.Tx) error { return nil }},
		{request, "refused", func(tx *store.Tx) error { return errors.Join(site("c")(tx), refused) }},
		{request, "second", site("d")},
	} {
		if _, err := s.Write(w.ctx, store.Change{Author: "zoe", Summary: w.summary}, w.fn); err != nil && !errors.Is(err, refused) {
			t.Fatal(err)
		}
	}
	for _, ctx := range []context.Context{request, t.Context()} {
		if err := s.Note(ctx, store.Change{Author: "zoe", Summary: "a deed"}); err != nil {
			t.Fatal(err)
		}
	}
	if *told != 3 {
		t.Errorf("told %d times, not 3", *told)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}

	// It outlives the process.
	s, err = store.Open(t.Context(), home, store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	newest, err := s.Revision(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	list, err := s.UntoldWrites(t.Context(), 10)
	if err != nil {
		t.Fatal(err)
	}
	for i, w := range list {
		if ago := time.Since(time.UnixMilli(w.At)); ago < 0 || ago > time.Hour {
			t.Errorf("write %d was stored %v ago", i, ago)
		}
	}
	want := []store.UntoldWrite{
		{Origin: from, User: "zoe", Summary: "first", Revision: newest - 2},
		{Origin: from, User: "zoe", Summary: "second", Revision: newest},
		{Origin: from, User: "zoe", Summary: "a deed"},
	}
	if diff := cmp.Diff(want, list, cmpopts.IgnoreFields(store.UntoldWrite{}, "ID", "At")); diff != "" {
		t.Fatal(diff)
	}
	if strings.Contains(taken(t, s, store.SnapshotOptions{Unseal: unseal}), "marker") {
		t.Error("a snapshot has them")
	}
	if err := s.Told(t.Context(), list[:2]); err != nil {
		t.Fatal(err)
	}
	left, err := s.UntoldWrites(t.Context(), 10)
	if diff := cmp.Diff(list[2:], left); diff != "" || err != nil {
		t.Fatal(err, diff)
	}
	if first, err := s.UntoldWrites(t.Context(), 0); len(first) != 0 || err != nil {
		t.Error(first, err)
	}
}
