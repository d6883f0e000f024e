package cpace

import (
	"bytes"
	"crypto/sha512"
	"encoding/hex"
	"testing"

	"github.com/bwesterb/go-ristretto"
)

func unhex(t *testing.T, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func scalarOf(t *testing.T, s string) (scalar ristretto.Scalar) {
	t.Helper()
	if !scalar.SetBytesStrict((*[32]byte)(unhex(t, s))) {
		t.Fatalf("%s is no scalar", s)
	}
	return scalar
}

// Appendix B.3 of draft-irtf-cfrg-cpace-21.
func TestDraft(t *testing.T) {
	const (
		sid = "7e4b4791d6a8ef019b936c79fb7f2c57"
		g   = "222b6b195fe84b1652badb6f6a3ae3d24341e7306967f0b8115b40d5698c7e56"
		ya  = "da3d23700a9e5699258aef94dc060dfda5ebb61f02a5ea77fad53f4ff0976d08"
		a   = "d6bac480f2c386c394efc7c47adb9925dcd2630b64f240c50f8d0eec482b9157"
		yb  = "d2316b454718c35362d83d69df6320f38578ed5984651435e2949762d900b80d"
		b   = "3ea7e0b19560d7c0b0f5734f63b955286dfa8232b5ebe63324e2d9e7433f7258"
		k   = "80b69a8a76457ab6a4d7f887a4bf6b55a2f80ac19c333f917a05fc9887c8b40f"
		isk = "b69effbf61b51d56401c0f65601abe428de8206feaaf0e32198896dcae7b35cd2b38950a39dfd5d4a79164614c2984f7daa460b588c1e80c3fa2068af7900447"
	)
	session := unhex(t, sid)
	base := generator([]byte("Password"), lengthValue([]byte("A_initiator"), []byte("B_responder")), session)
	if got := hex.EncodeToString(base.Bytes()); got != g {
		t.Fatalf("the generator is %s, want %s", got, g)
	}
	// The draft's sides send other associated data than ours.
	first, second := with("ADa", base, session, scalarOf(t, ya)), with("ADb", base, session, scalarOf(t, yb))
	if got := hex.EncodeToString(first.Share()); got != a {
		t.Errorf("Ya is %s, want %s", got, a)
	}
	if got := hex.EncodeToString(second.Share()); got != b {
		t.Errorf("Yb is %s, want %s", got, b)
	}
	for _, side := range []struct{ mine, other *Exchange }{{first, second}, {second, first}} {
		secret, ok := multiply(&side.mine.scalar, side.other.Share())
		if got := hex.EncodeToString(secret); !ok || got != k {
			t.Errorf("K is %s, %v, want %s", got, ok, k)
		}
	}
	transcript := append(lengthValue(unhex(t, a), []byte("ADa")), lengthValue(unhex(t, b), []byte("ADb"))...)
	sum := sha512.Sum512(append(lengthValue([]byte(group+"_ISK"), session, unhex(t, k)), transcript...))
	if got := hex.EncodeToString(sum[:]); got != isk {
		t.Errorf("ISK is %s, want %s", got, isk)
	}
}

// Appendix B.3.10 and B.3.11.
func TestMultiply(t *testing.T) {
	s := scalarOf(t, "7cd0e075fa7955ba52c02759a6c90dbbfc10e6d40aea8d283e407d88cf538a05")
	got, ok := multiply(&s, unhex(t, "2c3c6b8c4f3800e7aef6864025b4ed79bd599117e427c41bd47d93d654b4a51c"))
	if want := unhex(t, "7c13645fe790a468f62c39beb7388e541d8405d1ade69d1778c5fe3e7f6b600e"); !ok || !bytes.Equal(got, want) {
		t.Errorf("got %x, %v", got, ok)
	}
	for _, bad := range []string{
		"2b3c6b8c4f3800e7aef6864025b4ed79bd599117e427c41bd47d93d654b4a51c",
		"0000000000000000000000000000000000000000000000000000000000000000",
		"00", "", "2c3c6b8c4f3800e7aef6864025b4ed79bd599117e427c41bd47d93d654b4a51c00",
	} {
		if _, ok := multiply(&s, unhex(t, bad)); ok {
			t.Errorf("%q is taken for a point", bad)
		}
	}
}

func TestExchange(t *testing.T) {
	prove := func(first, second *Exchange) (bool, bool) {
		a, err := first.Finish(second.Share())
		if err != nil {
			t.Fatal(err)
		}
		b, err := second.Finish(first.Share())
		if err != nil {
			t.Fatal(err)
		}
		return a.Confirms(b.Own()), b.Confirms(a.Own())
	}
	in := func(role Role, password, channel, session string) *Exchange {
		return New(role, []byte(password), []byte(channel), []byte(session))
	}
	if a, b := prove(in(Initiator, "p", "c", "s"), in(Responder, "p", "c", "s")); !a || !b {
		t.Error("the same password does not agree")
	}
	for what, other := range map[string]*Exchange{
		"password": in(Responder, "q", "c", "s"), "channel": in(Responder, "p", "d", "s"), "session": in(Responder, "p", "c", "t"),
		"role": in(Initiator, "p", "c", "s"), "boundary": in(Responder, "pc", "", "s"),
	} {
		if a, b := prove(in(Initiator, "p", "c", "s"), other); a || b {
			t.Errorf("another %s agrees", what)
		}
	}
	mirror := in(Initiator, "p", "c", "s")
	c, err := mirror.Finish(mirror.Share())
	if err != nil || c.Confirms(c.Own()) {
		t.Errorf("a side agrees with its own reflection: %v", err)
	}
}
