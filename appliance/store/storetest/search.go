package storetest

import (
	"cmp"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"

	"sealgate/appliance/store"
)

// Random is a source of numbers that a failing test names.
func Random(t *testing.T) *rand.Rand {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	return rand.New(rand.NewPCG(seed, 0))
}

// Violations are random ones of a few days, with few and with many values of what
// is searched for, and several in one millisecond. Most come in the order of their
// times, and their numbers are far enough apart for many segments.
func Violations(r *rand.Rand, days, n int) []store.Violation {
	list := make([]store.Violation, n)
	for i := range list {
		service := r.IntN(90)
		second := days * 24 * 3600 * i / n
		if r.IntN(10) == 0 {
			second = r.IntN(days * 24 * 3600)
		}
		list[i] = store.Violation{
			ID: fmt.Sprintf("v-%d", i), EventNumber: int64(200*i + 1), AlertNumber: int64(1 + r.IntN(n/10)),
			Time:     at(0) + int64(second-second%20)*1000,
			Severity: []string{"high", "medium", "low", "informative"}[min(r.IntN(20), 3)],
			SourceIP: fmt.Sprintf("192.0.2.%d", r.IntN(r.IntN(250)+1)), Path: fmt.Sprintf("/p/%d", r.IntN(r.IntN(200)+1)),
			Site: fmt.Sprintf("Site %d", service/30), ServerGroup: fmt.Sprintf("Group %d", service/10),
			Service: fmt.Sprintf("Service %d", service), Application: fmt.Sprintf("App %d", service%2),
		}
	}
	return list
}

// someFilter is a filter that a few of the violations meet, mostly.
func someFilter(r *rand.Rand, list []store.Violation) store.ViolationFilter {
	v := list[r.IntN(len(list))]
	var f store.ViolationFilter
	for range 1 + r.IntN(2) {
		switch r.IntN(13) {
		case 0:
			f.From = v.Time
		case 1:
			f.To = v.Time
		case 2:
			f.SourceIP = v.SourceIP
		case 3:
			f.Path = v.Path
		case 4:
			f.Severity = v.Severity
		case 5:
			f.Site = v.Site
		case 6:
			f.ServerGroup = v.ServerGroup
		case 7:
			f.Service = v.Service
		case 8:
			f.Application = v.Application
		case 9:
			f.AlertNumber = v.AlertNumber
		case 10:
			f.EventNumber = v.EventNumber
		case 11:
			f.Sites = []string{v.Site, "Site 2"}[:r.IntN(3)]
		case 12:
			f.Service = "absent"
		}
	}
	return f
}

// meets is the filter in Go.
func meets(f store.ViolationFilter, v store.Violation) bool {
	same := func(want, have string) bool { return want == "" || want == have }
	return v.Time >= f.From && (f.To == 0 || v.Time <= f.To) &&
		same(f.SourceIP, v.SourceIP) && same(f.Path, v.Path) && same(f.Severity, v.Severity) && same(f.Site, v.Site) &&
		same(f.ServerGroup, v.ServerGroup) && same(f.Service, v.Service) && same(f.Application, v.Application) &&
		(f.AlertNumber == 0 || f.AlertNumber == v.AlertNumber) && (f.EventNumber == 0 || f.EventNumber == v.EventNumber) &&
		(f.Sites == nil || slices.Contains(f.Sites, v.Site))
}

func search(t *testing.T, open func(*testing.T) *store.Store) {
	s := open(t)
	r := Random(t)
	list := Violations(r, 3, 4000)
	for part := range slices.Chunk(list, 500) {
		if err := s.Append(t.Context(), store.Batch{Violations: part}); err != nil {
			t.Fatal(err)
		}
	}
	Search(t, s, list, r)
	Search(t, imported(t, open, s), list, r)
}

// imported is a store that another one's rows were loaded into.
func imported(t *testing.T, open func(*testing.T) *store.Store, from *store.Store) *store.Store {
	t.Helper()
	to := open(t)
	if err := to.Close(); err != nil {
		t.Fatal(err)
	}
	staging, err := store.Stage(t.Context(), to.Home(), schema(t), store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	load(t, staging, from, store.SnapshotOptions{Unseal: unseal})
	if err := errors.Join(staging.Finish(t.Context()), staging.Commit()); err != nil {
		t.Fatal(err)
	}
	return reopen(t, to.Home())
}

// Search compares searches with going through the violations that the store has.
func Search(t *testing.T, s *store.Store, list []store.Violation, r *rand.Rand) {
	t.Helper()
	slices.SortFunc(list, func(a, b store.Violation) int {
		return cmp.Or(cmp.Compare(b.Time, a.Time), cmp.Compare(b.EventNumber, a.EventNumber))
	})
	for range 400 {
		f, limit := someFilter(r, list), 1+r.IntN(300)
		var want []store.Violation
		for _, v := range list {
			if len(want) < limit && meets(f, v) {
				want = append(want, v)
			}
		}
		got, err := s.Violations(t.Context(), f, limit)
		if err != nil {
			t.Fatal(err)
		}
		if diff := gocmp.Diff(want, got); diff != "" {
			t.Fatalf("%+v, up to %d (-want +got):\n%s", f, limit, diff)
		}
	}
}
