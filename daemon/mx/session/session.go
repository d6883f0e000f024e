// Package session is who speaks to the management server: logins, sessions, and
// the limits of both. The REST API and the GUI share them.
//
// It promises that
//
//   - a session's id is 256 random bits that the server chose at a login, and only its
//     hash is kept, in memory: it ends with the process;
//   - a session ends when it was idle, is old, was logged out of, or when its account
//     was removed, disabled or locked, or got another password;
//   - a login costs one argon2id hash whether there is such an account or not, one hash
//     is computed at a time, and what waits for it is bounded; after failures an
//     address and a name together are held up, which holds up no other address.
package session

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"log/slog"
	"net/http"
	"net/netip"
	"sync"
	"time"

	"sealgate/appliance/secret"
	"sealgate/appliance/store"
	"sealgate/daemon/mx/openapi"
	"sealgate/daemon/mx/user"
)

// Limits of sessions.
const (
	Idle        = 30 * time.Minute
	Absolute    = 12 * time.Hour
	PerUser     = 10   // one more ends the user's oldest
	maxSessions = 4096 // of all; one more ends the one that was idle longest
	// lookAgain is how long an account's rights are believed without a look.
	lookAgain = time.Second
)

// Config is what sessions need.
type Config struct {
	Store     *store.Store
	Appliance string // its name, which no password may contain
	Log       *slog.Logger

	Now   func() time.Time                                                   // nil: the machine's clock
	Check func(ctx context.Context, verifier, password string) (bool, error) // nil: [secret.Check]
}

// Sessions are the sessions of a management server.
type Sessions struct {
	Config
	gate  *gate
	decoy string // the verifier of accounts that are not there

	mu   sync.Mutex
	byID map[hashed]*session
}

// session is one login.
type session struct {
	id            hashed
	userID, name  string
	passwordSet   int64
	created, used time.Time

	rights openapi.Caller
	looked time.Time
}

// New has no session yet.
func New(ctx context.Context, config Config) (*Sessions, error) {
	if config.Now == nil {
		config.Now = time.Now
	}
	if config.Check == nil {
		config.Check = secret.Check
	}
	decoy, err := secret.Hash(ctx, rand.Text())
	return &Sessions{Config: config, gate: newGate(config.Now), decoy: decoy, byID: make(map[hashed]*session)}, err
}

// Caller is who sends a request, or [openapi.ErrNoSession].
func (s *Sessions) Caller(r *http.Request) (openapi.Caller, error) {
	session := s.find(r)
	if session == nil {
		return openapi.Caller{}, openapi.ErrNoSession
	}
	rights, err := s.rights(r.Context(), session)
	rights.Address = addressOf(r)
	return rights, err
}

// find is the session of a request, which is in use then.
func (s *Sessions) find(r *http.Request) *session {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.Now()
	for _, id := range presented(r) {
		session := s.byID[id]
		switch {
		case session == nil:
		case session.over(now):
			delete(s.byID, id)
		default:
			session.used = now
			return session
		}
	}
	return nil
}

func (s *session) over(now time.Time) bool {
	return now.Sub(s.used) >= Idle || now.Sub(s.created) >= Absolute
}

// rights looks at a session's account, not more often than lookAgain. A session
// whose account is not what it was ends.
func (s *Sessions) rights(ctx context.Context, x *session) (openapi.Caller, error) {
	s.mu.Lock()
	rights, looked := x.rights, x.looked
	s.mu.Unlock()
	if now := s.Now(); now.Sub(looked) < lookAgain && !now.Before(looked) {
		return rights, nil
	}
	u, err := s.Store.User(ctx, x.name)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return openapi.Caller{}, err
	}
	d, broken := user.DetailsOf(u)
	if err != nil || broken != nil || u.ID != x.userID || !d.Active() || d.PasswordSet != x.passwordSet {
		s.end(func(other *session) bool { return other == x })
		return openapi.Caller{}, openapi.ErrNoSession
	}
	return s.look(ctx, x, u, d)
}

// look writes down what an account may do.
func (s *Sessions) look(ctx context.Context, x *session, u store.User, d user.Details) (openapi.Caller, error) {
	readOnly, sites, err := user.Rights(ctx, s.Store, u, d)
	if err != nil {
		return openapi.Caller{}, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	x.rights, x.looked = openapi.Caller{Name: u.Name, ReadOnly: readOnly, Sites: sites}, s.Now()
	return x.rights, nil
}

// begin starts a session and returns its id.
func (s *Sessions) begin(ctx context.Context, u store.User, d user.Details) (string, error) {
	raw := make([]byte, idBytes)
	rand.Read(raw)
	id, now := hex.EncodeToString(raw), s.Now()
	x := &session{id: hashOf(id), userID: u.ID, name: u.Name, passwordSet: d.PasswordSet, created: now, used: now}
	if _, err := s.look(ctx, x, u, d); err != nil {
		return "", err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.makeRoom(u.ID, now)
	s.byID[x.id] = x
	return id, nil
}

// makeRoom ends what is over, and what is too much with one more.
func (s *Sessions) makeRoom(userID string, now time.Time) {
	var oldest, idlest *session
	of := 0
	for id, x := range s.byID {
		if x.over(now) {
			delete(s.byID, id)
			continue
		}
		if x.userID == userID {
			if of++; oldest == nil || x.created.Before(oldest.created) {
				oldest = x
			}
		}
		if idlest == nil || x.used.Before(idlest.used) {
			idlest = x
		}
	}
	switch {
	case of >= PerUser:
		delete(s.byID, oldest.id)
	case len(s.byID) >= maxSessions:
		delete(s.byID, idlest.id)
	}
}

// Changed has the rights of an account's sessions looked at again by their next request.
func (s *Sessions) Changed(userID string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, x := range s.byID {
		if x.userID == userID {
			x.looked = time.Time{}
		}
	}
}

func (s *Sessions) end(which func(*session) bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for id, x := range s.byID {
		if which(x) {
			delete(s.byID, id)
		}
	}
}

func addressOf(r *http.Request) netip.Addr {
	a, _ := netip.ParseAddrPort(r.RemoteAddr)
	return a.Addr().Unmap()
}
