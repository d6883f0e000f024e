// Package keyring is what the daemon does with an appliance's keys for the role, which
// cannot read them: the server's side of key exchanges by the *secure* password, and
// private keys sealed to gateways.
//
// The role was perhaps taken over. It gets one guess at the password for each exchange,
// as a stranger does, and a bounded number of them in a while; it never holds what the
// password could be guessed from.
package keyring

import (
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"sync"
	"time"

	"sealgate/appliance/secret"
	"sealgate/appliance/secret/cpace"
	"sealgate/daemon/errand"
)

// Bounds. Wrong guesses are free at first, then each takes a while to be had back.
const (
	maxExchanges = 2048
	exchangeLife = 2 * time.Minute
	freeGuesses  = 20
	guessEvery   = 5 * time.Second
	maxBinding   = 512 // bytes of what an exchange is bound to
)

// Keyring uses an appliance's keys for its role.
type Keyring struct {
	keys *secret.Keys
	now  func() time.Time

	mu      sync.Mutex
	open    map[string]exchange // by session
	guesses float64             // that may still fail
	counted time.Time           // when guesses was right
}

type exchange struct {
	*cpace.Exchange
	until time.Time
}

// New is the keyring of an appliance.
func New(keys *secret.Keys, now func() time.Time) *Keyring {
	return &Keyring{keys: keys, now: now, open: make(map[string]exchange), guesses: freeGuesses, counted: now()}
}

// refill counts the guesses that time gave back, with k.mu held, and says whether
// there is one.
func (k *Keyring) refill() error {
	now := k.now()
	k.guesses = min(freeGuesses, k.guesses+max(0, now.Sub(k.counted)).Seconds()/guessEvery.Seconds())
	k.counted = now
	if k.guesses < 1 {
		return fmt.Errorf("%w: too many wrong passwords", errand.ErrBusy)
	}
	return nil
}

// begin keeps an exchange until it is finished or too old.
func (k *Keyring) begin(session []byte, e *cpace.Exchange) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if err := k.refill(); err != nil {
		return err
	}
	if _, twice := k.open[string(session)]; twice {
		return errand.ErrNoSession
	}
	if len(k.open) >= maxExchanges {
		k.drop()
	}
	k.open[string(session)] = exchange{e, k.counted.Add(exchangeLife)}
	return nil
}

// drop makes room: who keeps many exchanges open holds nobody up for long.
func (k *Keyring) drop() {
	var oldest string
	for id, e := range k.open {
		if oldest == "" || e.until.Before(k.open[oldest].until) {
			oldest = id
		}
	}
	delete(k.open, oldest)
}

// take ends an exchange, whatever comes of it. The guess that it is counts until
// right says that it was none.
func (k *Keyring) take(session []byte) (*cpace.Exchange, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	e, ok := k.open[string(session)]
	delete(k.open, string(session))
	if err := k.refill(); err != nil {
		return nil, err
	}
	if !ok || e.until.Before(k.counted) {
		return nil, errand.ErrNoSession
	}
	k.guesses--
	return e.Exchange, nil
}

func (k *Keyring) right() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.guesses = min(freeGuesses, k.guesses+1)
}

// BeginExchange begins a key exchange by the *secure* password.
func (k *Keyring) BeginExchange(channel, session []byte) (errand.Exchange, error) {
	if len(channel) > maxBinding || len(session) == 0 || len(session) > maxBinding {
		return errand.Exchange{}, errors.New("an exchange is bound to something, and to less")
	}
	hashing, x, err := k.keys.SecureExchange(channel, session)
	if err != nil {
		return errand.Exchange{}, err
	}
	return errand.Exchange{Hashing: hashing, Share: x.Share()}, k.begin(session, x)
}

// FinishExchange proves nothing to who has not proved that it knows the password.
func (k *Keyring) FinishExchange(session, share, proof []byte) ([]byte, error) {
	x, err := k.take(session)
	if err != nil {
		return nil, err
	}
	c, err := x.Finish(share)
	if err != nil || !c.Confirms(proof) {
		return nil, errand.ErrWrong
	}
	k.right()
	return c.Own(), nil
}

// SealFor seals a private key to a gateway, and nothing else: no password and no
// credential is one.
func (k *Keyring) SealFor(recipient []byte, id string, sealed []byte) ([]byte, error) {
	to, err := secret.ParseRecipient(recipient)
	if err != nil {
		return nil, err
	}
	private, err := k.keys.Unseal(id, sealed)
	if err != nil {
		return nil, err
	}
	if !privateKey(private) {
		return nil, fmt.Errorf("secret %q is no private key", id)
	}
	return to.Seal(id, private), nil
}

// privateKey says whether data is one private key in PEM form, and nothing else.
func privateKey(data []byte) bool {
	block, rest := pem.Decode(data)
	if block == nil || len(rest) > 0 {
		return false
	}
	for _, parse := range []func([]byte) error{
		func(der []byte) error { _, err := x509.ParsePKCS8PrivateKey(der); return err },
		func(der []byte) error { _, err := x509.ParsePKCS1PrivateKey(der); return err },
		func(der []byte) error { _, err := x509.ParseECPrivateKey(der); return err },
	} {
		if parse(block.Bytes) == nil {
			return true
		}
	}
	return false
}
