package daemon

import (
	"io"
	"testing"
)

// A daemon that asks its role to end is there still; one that was killed is not.
func TestWhetherADaemonIsGone(t *testing.T) {
	ours, theirs, err := socketPair()
	if err != nil {
		t.Fatal(err)
	}
	defer theirs.Close()
	if isGone(theirs) {
		t.Error("one that says nothing is gone")
	}
	if err := ours.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadAll(theirs); err != nil || isGone(theirs) {
		t.Errorf("one that asks its role to end is gone, %v", err)
	}
	if err := ours.Close(); err != nil {
		t.Fatal(err)
	}
	if !isGone(theirs) {
		t.Error("one that is gone is there")
	}
}
