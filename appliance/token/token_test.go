package token_test

import (
	"errors"
	"strings"
	"testing"

	"sealgate/appliance/token"
)

func TestTokens(t *testing.T) {
	a, b := token.New(token.Pin{1, 2, 3}), token.New(token.Pin{1, 2, 3})
	if a.String() == b.String() || a.Verifier() == b.Verifier() {
		t.Error("two tokens are the same")
	}
	back, err := token.Parse(a.String())
	if err != nil || back != a || back.Verifier() != a.Verifier() {
		t.Errorf("%v, %v", back, err)
	}
	if strings.Contains(a.String(), a.Verifier()) {
		t.Error("a token holds its verifier")
	}
	for _, text := range []string{"", "SGT1-", a.String()[1:], a.String() + "A", a.String()[:len(a.String())-1], a.String() + "\n", "SGT1-" + strings.Repeat("=", 64)} {
		if _, err := token.Parse(text); !errors.Is(err, token.ErrForm) {
			t.Errorf("%q: %v", text, err)
		}
	}
}
