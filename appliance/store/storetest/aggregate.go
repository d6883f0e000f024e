package storetest

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"sealgate/appliance/store"
)

// History is what a store has of alerts and violations.
func History(t testing.TB, s *store.Store) (alerts map[int64]store.Alert, violations []store.Violation) {
	t.Helper()
	snap, err := s.Snapshot(t.Context(), store.SnapshotOptions{Without: []store.Kind{store.Config, store.Users, store.Audit, store.Archives, store.FailedArchives, store.Jobs}})
	if err != nil {
		t.Fatal(err)
	}
	defer snap.Close()
	alerts = make(map[int64]store.Alert)
	for _, table := range snap.Tables() {
		err := snap.Rows(t.Context(), table, func(line []byte) error {
			switch table.Kind {
			case store.Violations:
				var v store.Violation
				if err := json.Unmarshal(line, &v); err != nil {
					return err
				}
				violations = append(violations, v)
			case store.Alerts:
				var a store.Alert
				if err := json.Unmarshal(line, &a); err != nil {
					return err
				}
				if _, twice := alerts[a.Number]; twice {
					return fmt.Errorf("two alerts have number %d", a.Number)
				}
				alerts[a.Number] = a
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return alerts, violations
}

// CheckAlerts holds every alert to what it sums up: violations of one kind from
// one source or against one application, of one day, within twelve hours. It
// returns how many alerts have a source, and how many an application alone.
func CheckAlerts(t testing.TB, s *store.Store) (bySource, byTarget int) {
	t.Helper()
	alerts, violations := History(t, s)
	sums := make(map[int64][]store.Violation)
	for _, v := range violations {
		sums[v.AlertNumber] = append(sums[v.AlertNumber], v)
	}
	for number, a := range alerts {
		sum := sums[number]
		delete(sums, number)
		if int64(len(sum)) != a.Count {
			t.Errorf("alert %d counts %d violations, there are %d", number, a.Count, len(sum))
			continue
		}
		if a.SourceIP == "" {
			byTarget++
		} else {
			bySource++
		}
		first, last := a.LastTime, a.Time
		for _, v := range sum {
			first, last = min(first, v.Time), max(last, v.Time)
			if v.Type != a.Type || v.Policy != a.Policy || v.Severity != a.Severity || v.Action != a.Action {
				t.Errorf("violation %+v of another kind is in alert %+v", v, a)
			}
			if a.SourceIP != "" && v.SourceIP != a.SourceIP || a.SourceIP == "" && (v.Service != a.Service || v.Application != a.Application) {
				t.Errorf("violation %+v from elsewhere is in alert %+v", v, a)
			}
			if a.Service != "" && v.Service != a.Service {
				t.Errorf("alert %+v names a service of a part of its violations: %+v", a, v)
			}
		}
		if first != a.Time || last != a.LastTime {
			t.Errorf("alert %d is from %d to %d, its violations are from %d to %d", number, a.Time, a.LastTime, first, last)
		}
		begin, end := time.UnixMilli(first).UTC(), time.UnixMilli(last).UTC()
		if end.Sub(begin) > 12*time.Hour || begin.Format(time.DateOnly) != end.Format(time.DateOnly) {
			t.Errorf("alert %d is from %v to %v", number, begin, end)
		}
	}
	for number, sum := range sums {
		t.Errorf("%d violations have alert %d, which does not exist", len(sum), number)
	}
	return bySource, byTarget
}

// attacks are random violations as gateways send them: roughly in the order of
// time, over two days.
func attacks(r *rand.Rand, n int) []store.Violation {
	list := make([]store.Violation, n)
	for i := range list {
		service := fmt.Sprintf("Service %d", r.IntN(4))
		list[i] = store.Violation{
			ID: fmt.Sprintf("attack-%d", i), Time: at(0) + int64(i)*24*3600*1000/int64(n) + int64(r.IntN(600_000)),
			Type: fmt.Sprintf("type %d", r.IntN(2)), Severity: "high", Policy: "p", Action: []string{"block", "none"}[r.IntN(2)],
			SourceIP: fmt.Sprintf("198.51.100.%d", r.IntN(r.IntN(200)+1)), Site: "Site", ServerGroup: "Group", Service: service, Application: "App",
			Gateway: fmt.Sprintf("gw-%d", r.IntN(2)),
		}
	}
	return list
}

// aggregation sends violations in batches, many of them again, and begins anew
// with what is stored now and then.
func aggregation(t *testing.T, open func(*testing.T) *store.Store) {
	s, r := open(t), Random(t)
	list := attacks(r, 3000)
	var a *store.Aggregator
	for sent := 0; sent < len(list); {
		if a == nil || r.IntN(5) == 0 {
			var err error
			if a, err = s.Aggregator(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		size := min(1+r.IntN(200), len(list)-sent)
		batch := list[max(sent-r.IntN(50), 0) : sent+size]
		if err := a.Append(t.Context(), slices.Clone(batch)); err != nil {
			t.Fatal(err)
		}
		sent += size
	}
	bySource, byTarget := CheckAlerts(t, s)
	if bySource == 0 || byTarget == 0 || bySource+byTarget > len(list)/5 {
		t.Errorf("%d violations became %d alerts of sources and %d of applications", len(list), bySource, byTarget)
	}
	_, violations := History(t, s)
	numbers := make(map[int64]bool)
	for _, v := range violations {
		numbers[v.EventNumber] = true
	}
	if len(violations) != len(list) || len(numbers) != len(list) || numbers[0] {
		t.Errorf("%d violations became %d with %d numbers", len(list), len(violations), len(numbers))
	}
	days, err := s.EventDays(t.Context())
	if err != nil || len(days) != 2 {
		t.Fatalf("days %q, %v", days, err)
	}
	if err := s.DropDay(t.Context(), days[1]); err != nil {
		t.Fatal(err)
	}
	if err := a.Append(t.Context(), slices.Clone(list[len(list)-20:])); err != nil {
		t.Fatal(err)
	}
	CheckAlerts(t, s)
	check(t, s)
}
