package link

import (
	"fmt"
	"net/netip"
	"testing"
	"time"
)

func TestAttempts(t *testing.T) {
	now := time.Unix(1e9, 0)
	a := attempts{now: func() time.Time { return now }}
	one := netip.MustParseAddr("192.0.2.1")
	for i, want := range []time.Duration{0, 0, 1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300} {
		a.failed(one)
		if got := a.wait(one); got != want*time.Second {
			t.Errorf("after %d failures: %s, want %s", i+1, got, want*time.Second)
		}
	}
	now = now.Add(time.Minute)
	if got := a.wait(one); got != 4*time.Minute {
		t.Errorf("a minute later: %s", got)
	}
	if got := a.wait(netip.MustParseAddr("192.0.2.2")); got != 0 {
		t.Errorf("another address waits %s", got)
	}
	now = now.Add(4*time.Minute + forgetAfter + 1)
	a.failed(one) // somebody mistyped
	if got := a.wait(one); got != 0 {
		t.Errorf("a slip long after is held up for %s", got)
	}
	for range 3 { // one host has a whole network of IPv6 addresses
		a.failed(netip.MustParseAddr(fmt.Sprintf("2001:db8::%d", len(a.from))))
	}
	if a.wait(netip.MustParseAddr("2001:db8::ffff")) == 0 || a.wait(netip.MustParseAddr("2001:db8:0:1::1")) != 0 {
		t.Error("an IPv6 network is not one address")
	}
	for i := range maxAddresses + 10 {
		now = now.Add(time.Hour)
		a.failed(netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)}))
	}
	if len(a.from) != maxAddresses {
		t.Errorf("%d addresses are remembered", len(a.from))
	}
}
