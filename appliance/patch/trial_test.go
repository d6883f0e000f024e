package patch

import (
	"errors"
	"sync"
	"testing"

	"sealgate/appliance"
)

// Of two who change the trial at once, neither loses what it said.
func TestTrialIsChangedByOneAtATime(t *testing.T) {
	home := appliance.Home(t.TempDir())
	const writers, changes = 8, 20
	var all sync.WaitGroup
	for range writers {
		all.Go(func() {
			for range changes {
				if _, err := Change(home, func(t *Trial) error { t.Starts++; return nil }); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	refusal := errors.New("no")
	if _, err := Change(home, func(t *Trial) error { t.Starts = 0; return refusal }); err != refusal {
		t.Errorf("a change that is none: %v", err)
	}
	if now, err := ReadTrial(home); err != nil || now.Starts != writers*changes {
		t.Errorf("%d of %d changes are left, %v", now.Starts, writers*changes, err)
	}
}
