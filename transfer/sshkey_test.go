package transfer_test

import (
	"crypto/ed25519"
	"crypto/rand"
	"strings"
	"testing"

	"golang.org/x/crypto/ssh"

	"sealgate/internal/peers"
	"sealgate/transfer"
)

func newSigner(t *testing.T) ssh.Signer {
	t.Helper()
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := ssh.NewSignerFromKey(private)
	if err != nil {
		t.Fatal(err)
	}
	return signer
}

// The key comes before the password, and is enough where the server knows it.
func TestKeyLogin(t *testing.T) {
	key := newSigner(t)
	source := &random{size: 1 << 20}
	sshd := func(c peers.SSHDConfig) *place {
		c.Account = account
		return alone(t, endpoint{"scp", "scp", func() (*peers.Server, error) { return peers.StartSSHD(c) }, true})
	}
	p := sshd(peers.SSHDConfig{AuthorizedKeys: []ssh.PublicKey{key.PublicKey()}})
	p.options.Key, p.options.Password = key, ""
	if _, err := p.upload(t, t.Context(), "file", source); err != nil {
		t.Fatal(err)
	}
	p.mustHold(t, "file", source.sum())
	dst, fetched, err := p.download(t, t.Context(), "file")
	mustBe(t, dst, fetched, err, source.sum())

	// A password that is wrong is never told to a server that takes the key.
	p.options.Password = "wrong"
	if _, err := p.upload(t, t.Context(), "file", source); err != nil {
		t.Fatal(err)
	}

	// A server that does not know the key: the password, and without one the hint names the key.
	p = sshd(peers.SSHDConfig{})
	p.options.Key = key
	if _, err := p.upload(t, t.Context(), "file", source); err != nil {
		t.Fatal(err)
	}
	p.options.Password = ""
	fault := mustFail(t, second(p.upload(t, t.Context(), "file", source)), transfer.OpLogin, transfer.LoginRefused)
	if !strings.Contains(fault.Hint, "impctl ssh-key show") {
		t.Errorf("the hint is %q", fault.Hint)
	}
}

func TestDropbear(t *testing.T) {
	p := alone(t, endpoint{"scp", "scp", func() (*peers.Server, error) { return peers.StartDropbear(account) }, true})
	source := &random{size: 8 << 20}
	if _, err := p.upload(t, t.Context(), "file", source); err != nil {
		t.Fatal(err)
	}
	p.mustHold(t, "file", source.sum())
	dst, fetched, err := p.download(t, t.Context(), "file")
	mustBe(t, dst, fetched, err, source.sum())
	p.options.Password = "not-the-password"
	mustFail(t, second(p.upload(t, t.Context(), "file", source)), transfer.OpLogin, transfer.LoginRefused, p.options.Password)
}
