package link

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"sealgate/appliance"
	"sealgate/appliance/licence"
	"sealgate/appliance/model"
	"sealgate/appliance/secret"
	"sealgate/appliance/store"
	"sealgate/appliance/token"
	"sealgate/daemon/errand"
)

const sessionSize = 16

// channel is what a key exchange is bound to: who speaks with whom, over which TLS
// connection. Somebody in the middle has two connections, and none of them fits.
func channel(server, gateway token.Pin, state tls.ConnectionState) ([]byte, error) {
	exported, err := state.ExportKeyingMaterial("EXPERIMENTAL sealgate register", nil, 32)
	if err != nil {
		return nil, err
	}
	bound := []byte(Protocol + " register\x00")
	for _, part := range [][]byte{server[:], gateway[:], exported} {
		bound = append(binary.AppendUvarint(bound, uint64(len(part))), part...)
	}
	return bound, nil
}

// read reads a message, and refuses the version of another time by name.
func read(w http.ResponseWriter, r *http.Request, message any, version *int) error {
	if err := ReadJSON(http.MaxBytesReader(w, r.Body, MaxMessage), MaxMessage, message); err != nil {
		return &Problem{Code: BadRequest, Text: err.Error()}
	}
	if *version != Version {
		return &Problem{Code: BadVersion, Text: fmt.Sprintf("the gateway speaks version %d of the link, the management server version %d", *version, Version),
			Hint: "bring both to the same release"}
	}
	return nil
}

// begin opens a session for a registration by password.
func (s *Server) begin(w http.ResponseWriter, r *http.Request, p *Peer) error {
	var m Begin
	if err := read(w, r, &m, &m.Version); err != nil {
		return err
	}
	if err := s.heldUp(r.Context(), p); err != nil {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.begun {
		return &Problem{Code: NoSession, Text: "a connection is for one registration"}
	}
	bound, err := channel(s.pin, p.Pin, p.tls.ConnectionState())
	if err != nil {
		return err
	}
	session := make([]byte, sessionSize)
	rand.Read(session)
	x, err := s.Supervisor.BeginExchange(r.Context(), bound, session)
	if errors.Is(err, errand.ErrBusy) {
		return s.busy(r.Context(), p, time.Minute)
	}
	if err != nil {
		return err
	}
	p.begun, p.session = true, session
	return Answer(w, Begun{Version: Version, Session: session, Hashing: x.Hashing, Share: x.Share})
}

// heldUp refuses who is one too many, and an address from which wrong guesses came.
func (s *Server) heldUp(ctx context.Context, p *Peer) error {
	if p.turnedAway {
		return &Problem{Code: Busy, Text: "too many gateways register at the moment", Hint: "try again in a minute", After: 5}
	}
	if wait := s.wrong.wait(p.Address); wait > 0 {
		return s.busy(ctx, p, wait)
	}
	return nil
}

func (s *Server) busy(ctx context.Context, p *Peer, wait time.Duration) error {
	s.note(ctx, p, errand.TooMany, "", "")
	seconds := int(math.Ceil(wait.Seconds()))
	return &Problem{Code: Busy, Text: fmt.Sprintf("there were too many wrong passwords or tokens; registering is possible again in %d s", seconds),
		Hint: "a registration token is not held up by other addresses' wrong passwords", After: seconds}
}

// finish registers who knows the password, or has a token.
func (s *Server) finish(w http.ResponseWriter, r *http.Request, p *Peer) error {
	var m Finish
	if err := read(w, r, &m, &m.Version); err != nil {
		return err
	}
	ctx := r.Context()
	if err := s.heldUp(ctx, p); err != nil {
		return err
	}
	// Nothing is said about names or licences before the secret is known to be right.
	proof, verifier, err := s.prove(ctx, p, m)
	if err != nil {
		return err
	}
	group, note, err := s.register(ctx, p, m, verifier)
	if err != nil {
		return s.refused(ctx, p, m.Name, err)
	}
	s.registered(p)
	s.note(ctx, p, errand.Registered, m.Name, fmt.Sprintf("in group %q, by %s, its key has the pin %s", group, by(verifier), p.key()))
	return Answer(w, Finished{Version: Version, Proof: proof, Server: s.Name, Group: group, Note: note})
}

func by(verifier string) string {
	if verifier == "" {
		return "password"
	}
	return "token"
}

// prove checks the password or the form of the token. A token's verifier is for the
// transaction.
func (s *Server) prove(ctx context.Context, p *Peer, m Finish) (proof []byte, verifier string, err error) {
	if m.Token != "" {
		t, err := token.Parse(m.Token)
		if err != nil || t.Pin != s.pin {
			return nil, "", s.wrongToken(ctx, p, m.Name)
		}
		// The transaction looks again; strangers do not get that far.
		good := false
		err = s.Store.Read(ctx, func(q *store.Reader) (err error) {
			good, err = q.RegistrationToken(ctx, t.Verifier(), s.Now())
			return err
		})
		if err == nil && !good {
			err = s.wrongToken(ctx, p, m.Name)
		}
		return nil, t.Verifier(), err
	}
	p.mu.Lock()
	session := p.session
	p.session = nil // whatever comes of it
	p.mu.Unlock()
	if session == nil || !slices.Equal(session, m.Session) {
		return nil, "", s.noSession(ctx, p, m.Name)
	}
	proof, err = s.Supervisor.FinishExchange(ctx, session, m.Share, m.Proof)
	switch {
	case errors.Is(err, errand.ErrWrong):
		s.wrong.failed(p.Address)
		s.note(ctx, p, errand.WrongSecret, m.Name, "")
		return nil, "", &Problem{Code: WrongSecret, Text: "the secure password is wrong, or somebody is between the gateway and the management server",
			Hint: "the password is the secure one of the management server"}
	case errors.Is(err, errand.ErrNoSession):
		return nil, "", s.noSession(ctx, p, m.Name)
	case errors.Is(err, errand.ErrBusy):
		return nil, "", s.busy(ctx, p, time.Minute)
	}
	return proof, "", err
}

func (s *Server) noSession(ctx context.Context, p *Peer, name string) error {
	s.wrong.failed(p.Address)
	s.note(ctx, p, errand.NoSession, name, "")
	return &Problem{Code: NoSession, Text: "the session is none of this connection, was used, or took too long", Hint: "register again"}
}

func (s *Server) wrongToken(ctx context.Context, p *Peer, name string) error {
	s.wrong.failed(p.Address)
	s.note(ctx, p, errand.WrongToken, name, "")
	return &Problem{Code: WrongSecret, Text: "the registration token is not one of this management server, or has expired",
		Hint: "make a fresh one: GET /SecureSphere/api/v1/administration/gatewayRegistrationToken"}
}

var (
	errToken = errors.New("no such token")
	notes    = map[Code]errand.Kind{NameTaken: errand.NameTaken, NoLicence: errand.NoLicence, NotAccepted: errand.NotAccepted}
)

// refused notes why a transaction was.
func (s *Server) refused(ctx context.Context, p *Peer, name string, err error) error {
	if errors.Is(err, errToken) {
		return s.wrongToken(ctx, p, name)
	}
	if problem, ok := errors.AsType[*Problem](err); ok {
		s.note(ctx, p, notes[problem.Code], name, problem.Text)
	}
	return err
}

// admission is a registration that waits to be written.
type admission struct {
	registration
	address  netip.Addr
	verifier string // of its token
	done     bool
	err      error
}

// maxAdmitted go into one transaction.
const maxAdmitted = 64

// register makes the gateway with all that belongs to it in one transaction. The same
// key may do it again: its answer was perhaps lost. Gateways that come at once share a
// transaction, because the disk takes as long for many as for one.
func (s *Server) register(ctx context.Context, p *Peer, m Finish, verifier string) (group, note string, err error) {
	asked := m.Group
	address, err := check(&m)
	if err != nil {
		return "", "", err
	}
	key := store.GatewayKey{Pin: p.key(), Sealing: base64.StdEncoding.EncodeToString(m.Sealing), Kind: m.Licensing}
	a := &admission{registration: registration{m: m, asked: asked, key: key}, address: address, verifier: verifier}
	s.queue.Lock()
	s.waiting = append(s.waiting, a)
	s.queue.Unlock()
	s.pen.Lock()
	defer s.pen.Unlock()
	for !a.done { // else who held the pen wrote it with his own
		s.admit(context.WithoutCancel(ctx))
	}
	return a.m.Group, strings.Join(a.notes, "; "), a.err
}

// admit writes those that wait, with s.pen held.
func (s *Server) admit(ctx context.Context) {
	s.queue.Lock()
	batch := s.waiting[:min(len(s.waiting), maxAdmitted)]
	s.waiting = slices.Clone(s.waiting[len(batch):])
	s.queue.Unlock()
	err := s.write(ctx, batch)
	for _, a := range batch {
		a.done = true
		if a.err == nil {
			a.err = err
		}
	}
}

func (s *Server) write(ctx context.Context, batch []*admission) error {
	id, err := licence.ReadIdentity(s.Home)
	if err != nil {
		return err
	}
	change := store.Change{Author: "gateway " + batch[0].m.Name, Summary: "register gateway " + batch[0].m.Name}
	if more := len(batch) - 1; more > 0 {
		change.Summary += fmt.Sprintf(" and %d more", more)
	}
	_, err = s.Store.Write(ctx, change, func(tx *store.Tx) error {
		for _, a := range batch {
			a.tx = tx
			// Who is refused is so before anything was written.
			if a.err = a.admissible(ctx, s.Home, id, s.Now()); a.err != nil {
				continue
			}
			if err := a.admit(ctx); err != nil {
				return err
			}
		}
		return nil
	})
	return err
}

func (a *admission) admissible(ctx context.Context, home appliance.Home, id licence.Identity, now time.Time) error {
	if a.verifier != "" {
		if ok, err := a.tx.RegistrationToken(ctx, a.verifier, now); err != nil || !ok {
			return errors.Join(err, errToken)
		}
	}
	if err := a.find(ctx); err != nil {
		return err
	}
	return a.licensed(ctx, home, id, now)
}

func (a *admission) admit(ctx context.Context) error {
	if err := a.object(ctx); err != nil {
		return err
	}
	if err := a.alias(ctx, a.address); err != nil {
		return err
	}
	return a.tx.PutGatewayKey(ctx, a.key)
}

// check bounds what a gateway says of itself.
func check(m *Finish) (netip.Addr, error) {
	refuse := func(format string, args ...any) (netip.Addr, error) {
		return netip.Addr{}, &Problem{Code: NotAccepted, Text: fmt.Sprintf(format, args...)}
	}
	config := appliance.NewConfig("", appliance.Gateway, m.Name, time.Time{})
	config.Listen = "0.0.0.0:0"
	if config.Validate() != nil {
		return refuse("a gateway's name is 1 to 63 letters, digits, '-' or '.'")
	}
	if m.Group == "" {
		m.Group = model.DefaultGroupName
	}
	for _, name := range []struct {
		what, is string
		most     int
	}{{"gateway group", m.Group, model.MaxName}, {"alias", m.Alias, 100}} {
		if name.is == "" || len(name.is) > name.most || !printable(name.is) || strings.ContainsAny(name.is, "<>") {
			return refuse("the name of a %s is 1 to %d bytes, without control characters, < and >", name.what, name.most)
		}
	}
	address, err := netip.ParseAddr(m.Address)
	switch {
	case err != nil || address.Zone() != "" || address.IsUnspecified() || address.IsMulticast():
		return refuse("the gateway's data address is not an IP address")
	case m.Mask < 0 || m.Mask > address.BitLen():
		return refuse("the mask of the gateway's data address is 0 to %d", address.BitLen())
	case len(m.Interface) > 64 || !printable(m.Interface) || len(m.Software) > 64 || !printable(m.Software):
		return refuse("the names of the gateway's interface and release have at most 64 bytes, without control characters")
	case m.Licensing != string(licence.BYOL) && m.Licensing != string(licence.OnDemand):
		return refuse("a gateway counts as %s or %s", licence.BYOL, licence.OnDemand)
	}
	if _, err := secret.ParseRecipient(m.Sealing); err != nil {
		return refuse("the key that secrets are to be sealed to is none")
	}
	return address.Unmap(), nil
}

func printable(s string) bool {
	return utf8.ValidString(s) && !strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) })
}

// registration is one that is under way.
type registration struct {
	tx    *store.Tx
	m     Finish
	asked string // the group that the gateway named, if it did
	key   store.GatewayKey
	notes []string // what is not as it asked
}

// find finds the gateway's object, wherever it is, unless the name is another's.
func (r *registration) find(ctx context.Context) error {
	groups, err := r.tx.List(ctx, model.RootID, model.GatewayGroup)
	if err != nil {
		return err
	}
	for _, group := range groups {
		o, err := r.tx.Find(ctx, group.ID, model.Gateway, r.m.Name)
		if errors.Is(err, store.ErrNotFound) {
			continue
		}
		if err != nil {
			return err
		}
		r.key.GatewayID, r.m.Group = o.ID, group.Name
		if r.asked != "" && r.asked != group.Name {
			r.notes = append(r.notes, fmt.Sprintf("the gateway is known there, and stays in gateway group %q", group.Name))
		}
		before, err := r.tx.KeyOfGateway(ctx, o.ID)
		if err == nil && before.Pin != r.key.Pin {
			return &Problem{Code: NameTaken, Text: fmt.Sprintf("a gateway named %s is registered, by another key", r.m.Name),
				Hint: "unregister that one, or delete it: DELETE /SecureSphere/api/v1/conf/gateways/" + r.m.Name}
		}
		if err == nil {
			r.key.Epoch, r.key.Sequence = before.Epoch, before.Sequence
		} else if !errors.Is(err, store.ErrNotFound) {
			return err
		}
		break
	}
	other, err := r.tx.GatewayKey(ctx, r.key.Pin)
	if errors.Is(err, store.ErrNotFound) || err == nil && other.GatewayID == r.key.GatewayID {
		return nil
	}
	if err != nil {
		return err
	}
	return &Problem{Code: NameTaken, Text: "the gateway's key is registered under another name", Hint: "impctl gateway unregister gives it up"}
}

// licensed refuses a gateway that no licence lets in.
func (r *registration) licensed(ctx context.Context, home appliance.Home, id licence.Identity, now time.Time) error {
	keys, err := r.tx.GatewayKeys(ctx)
	if err != nil {
		return err
	}
	kind := licence.Kind(r.m.Licensing)
	registered := make(map[licence.Kind]int)
	var users []string
	for _, k := range keys {
		if k.Pin == r.key.Pin {
			continue
		}
		registered[licence.Kind(k.Kind)]++
		if k.Kind == string(kind) {
			users = append(users, k.GatewayID)
		}
	}
	latest, err := r.tx.Latest(ctx)
	if err != nil {
		return err
	}
	if latest.After(now) {
		now = latest
	}
	rows, err := r.tx.Licences(ctx)
	if err != nil {
		return err
	}
	held := licence.Judge(home, id, rows, now)
	if licence.Left(held, registered)[kind] > 0 {
		return nil
	}
	used, err := r.names(ctx, users)
	if err != nil {
		return err
	}
	return &Problem{Code: NoLicence, Text: fmt.Sprintf("licences let %d %s gateways register, and %d are: %s", licence.Gateways(held), kind, registered[kind], used),
		Hint: "load a licence with more gateways, delete one that is not needed, or register as " + string(licence.OnDemand)}
}

// names are those of gateways, of many the first few.
func (r *registration) names(ctx context.Context, ids []string) (string, error) {
	const shown = 5
	if len(ids) == 0 {
		return "none", nil
	}
	var names []string
	for _, id := range ids[:min(len(ids), shown)] {
		o, err := r.tx.Get(ctx, id)
		if err != nil {
			return "", err
		}
		names = append(names, o.Name)
	}
	if more := len(ids) - shown; more > 0 {
		names = append(names, fmt.Sprintf("and %d more", more))
	}
	return strings.Join(names, ", "), nil
}

// object makes the gateway and its group, or brings what the gateway says up to date.
func (r *registration) object(ctx context.Context) error {
	says := map[string]any{"gatewayIP": r.m.Address, "softwareVersion": r.m.Software}
	if r.m.Interface != "" {
		says["networkInterfaceList"] = []string{r.m.Interface}
	}
	if r.key.GatewayID != "" {
		return r.update(ctx, r.key.GatewayID, says)
	}
	in, err := r.tx.Find(ctx, model.RootID, model.GatewayGroup, r.m.Group)
	if errors.Is(err, store.ErrNotFound) {
		in.ID, err = r.tx.Create(ctx, store.Object{ParentID: model.RootID, Kind: model.GatewayGroup, Name: r.m.Group})
	}
	if err != nil {
		return err
	}
	r.key.GatewayID, err = r.create(ctx, in.ID, model.Gateway, r.m.Name, says)
	return err
}

func (r *registration) create(ctx context.Context, parent, kind, name string, document map[string]any) (string, error) {
	text, err := json.Marshal(document)
	if err != nil {
		return "", err
	}
	return r.tx.Create(ctx, store.Object{ParentID: parent, Kind: kind, Name: name, Document: text})
}

func (r *registration) update(ctx context.Context, id string, says map[string]any) error {
	o, err := r.tx.Get(ctx, id)
	if err != nil {
		return err
	}
	document := make(map[string]any)
	if err := json.Unmarshal(o.Document, &document); err != nil {
		return err
	}
	for field, value := range says {
		document[field] = value
	}
	text, err := json.Marshal(document)
	if err != nil {
		return err
	}
	return r.tx.Update(ctx, id, text)
}

// alias gives the gateway its alias, unless it has one of the name, or its address is
// another alias's.
func (r *registration) alias(ctx context.Context, address netip.Addr) error {
	in, err := r.tx.Find(ctx, r.key.GatewayID, model.Address, address.String())
	if errors.Is(err, store.ErrNotFound) {
		in.ID, err = r.create(ctx, r.key.GatewayID, model.Address, address.String(), map[string]any{"networkInterface": r.m.Interface, "mask": r.m.Mask})
	}
	if err != nil {
		return err
	}
	have, err := r.tx.List(ctx, r.key.GatewayID, model.Alias)
	if err != nil {
		return err
	}
	for _, a := range have {
		var of struct {
			Address string `json:"internalAddress"`
		}
		if err := json.Unmarshal(a.Document, &of); err != nil {
			return err
		}
		switch {
		case of.Address == in.ID:
			if a.Name != r.m.Alias {
				r.notes = append(r.notes, fmt.Sprintf("%s has the alias %q there, and keeps it", address, a.Name))
			}
			return nil
		case a.Name == r.m.Alias:
			r.notes = append(r.notes, fmt.Sprintf("the alias %q is of another address there, and stays there", a.Name))
			return nil
		}
	}
	_, err = r.create(ctx, r.key.GatewayID, model.Alias, r.m.Alias, map[string]any{"internalAddress": in.ID})
	return err
}

// unregister deletes the gateway that asks for it. One whose aliases rules use stays,
// without its key.
func (s *Server) unregister(w http.ResponseWriter, r *http.Request, g Gateway) error {
	ctx := r.Context()
	o, err := s.Store.Get(ctx, g.GatewayID)
	if err != nil {
		return err
	}
	change := store.Change{Author: "gateway " + o.Name, Summary: "unregister gateway " + o.Name}
	_, err = s.Store.Write(ctx, change, func(tx *store.Tx) error { return tx.Delete(ctx, o.ID) })
	if _, used := errors.AsType[*store.InUseError](err); used {
		_, err = s.Store.Write(ctx, change, func(tx *store.Tx) error { return tx.DropGatewayKey(ctx, o) })
	}
	if err != nil {
		return err
	}
	s.note(ctx, g.Peer, errand.Unregistered, o.Name, "")
	return Answer(w, struct{}{})
}
