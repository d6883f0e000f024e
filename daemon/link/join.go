package link

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/netip"
	"net/url"
	"time"

	"sealgate/appliance"
	"sealgate/appliance/secret"
	"sealgate/appliance/token"
	"sealgate/transfer"
)

// Join is what a gateway registers with: a password or a token.
type Join struct {
	Server      string // HOST:PORT
	Password    string // the *secure* one of the management server
	Token       string
	Name        string
	Group       string // "": the default one, or the one in which the gateway is
	Alias       string
	DataAddress string // on which it serves; "": the one that reaches the management server
	Licensing   string
	Software    string

	hash func(secret.Hashing, context.Context, string) ([]byte, error) // nil: Hash
}

// How often a server is tried that has no room for one more gateway now, and one that
// cut the connection, did not answer in time, or has no room after it had seen a proof by
// the password: each of those was perhaps a guess of somebody who plays the server.
const (
	maxBusy    = 100
	maxCut     = 5
	longestTry = 10 * time.Second // to wait; longer is for the caller
)

// Register registers the keys of id. A server at which too many gateways register is
// tried again for a while.
func (id *Identity) Register(ctx context.Context, j Join) (Registration, error) {
	for busy, cut := 0, 0; ; {
		r, proved, err := id.register(ctx, j)
		wait := time.Second
		p, refused := errors.AsType[*Problem](err)
		switch {
		case refused && p.Code == Busy:
			if busy++; proved {
				cut++
			}
			wait = time.Duration(min(max(p.After, 0), 3600)) * time.Second
		case !refused && interrupted(err) && ctx.Err() == nil:
			cut++
		default:
			return r, explained(j, err)
		}
		if busy == maxBusy || cut == maxCut || wait > longestTry {
			return r, explained(j, err)
		}
		select {
		case <-time.After(wait/2 + rand.N(wait+time.Millisecond)):
		case <-ctx.Done():
			return r, context.Cause(ctx)
		}
	}
}

// interrupted says whether a server that is there may answer the next time.
func interrupted(err error) bool {
	_, cut := errors.AsType[*url.Error](err)
	late, ok := errors.AsType[net.Error](err)
	return cut || ok && late.Timeout()
}

// register tries once; proved says that the server has seen a proof by the password.
func (id *Identity) register(ctx context.Context, j Join) (r Registration, proved bool, err error) {
	var known *token.Pin
	if j.Token != "" {
		t, err := token.Parse(j.Token)
		if err != nil {
			return r, false, err
		}
		known = &t.Pin // the token is shown to nobody else
	}
	cert, err := id.certificate()
	if err != nil {
		return r, false, err
	}
	conn, err := dial(ctx, j.Server, cert, known)
	if err != nil {
		return r, false, err
	}
	defer conn.Close()
	client := newClient(once(conn))
	defer client.Close()
	m, err := id.introduce(j, conn)
	if err != nil {
		return r, false, err
	}
	confirms := func([]byte) bool { return true }
	if known == nil {
		if confirms, err = id.exchange(ctx, client, conn.ConnectionState(), j, &m); err != nil {
			return r, false, err
		}
	}
	proved = known == nil
	var done Finished
	if err := client.Call(ctx, PathRegisterFinish, m, &done); err != nil {
		return r, proved, err
	}
	if !confirms(done.Proof) {
		return r, proved, errMiddle
	}
	return Registration{Server: j.Server, Pin: pinOf(conn.ConnectionState()), ServerName: Brief(done.Server), Name: j.Name, Group: Brief(done.Group),
		DataAddress: m.Address, Since: time.Now().UTC().Truncate(time.Second), Note: Brief(done.Note)}, proved, nil
}

// once hands out a connection that is there. Registering is of one connection.
func once(conn net.Conn) func(context.Context) (net.Conn, error) {
	given := false
	return func(context.Context) (net.Conn, error) {
		if given {
			return nil, io.EOF
		}
		given = true
		return plain{conn}, nil
	}
}

// exchange proves to the server that the gateway knows the password, and returns what
// says whether the server does.
func (id *Identity) exchange(ctx context.Context, client *Client, state tls.ConnectionState, j Join, m *Finish) (func([]byte) bool, error) {
	var begun Begun
	if err := client.Call(ctx, PathRegisterBegin, Begin{Version}, &begun); err != nil {
		return nil, err
	}
	if len(begun.Session) == 0 || len(begun.Session) > 64 {
		return nil, errors.New("the management server's answer is not what it should be")
	}
	bound, err := channel(pinOf(state), id.Pin(), state)
	if err != nil {
		return nil, err
	}
	if j.hash == nil {
		j.hash = secret.Hashing.Hash
	}
	hash, err := j.hash(begun.Hashing, ctx, j.Password)
	if err != nil {
		return nil, err
	}
	x := secret.PasswordExchange(hash, bound, begun.Session)
	c, err := x.Finish(begun.Share)
	if err != nil {
		return nil, err
	}
	m.Session, m.Share, m.Proof = begun.Session, x.Share(), c.Own()
	return c.Confirms, nil
}

// introduce is what the gateway says of itself.
func (id *Identity) introduce(j Join, conn net.Conn) (Finish, error) {
	opener, err := id.Opener()
	if err != nil {
		return Finish{}, err
	}
	m := Finish{Version: Version, Token: j.Token, Name: j.Name, Group: j.Group, Alias: j.Alias, Address: j.DataAddress, Licensing: j.Licensing,
		Sealing: opener.Recipient(), Software: j.Software}
	local, _ := conn.LocalAddr().(*net.TCPAddr)
	if m.Address == "" && local != nil {
		m.Address = local.AddrPort().Addr().Unmap().WithZone("").String()
	}
	address, err := netip.ParseAddr(m.Address)
	if err != nil {
		return Finish{}, fmt.Errorf("the data address %q is no IP address", m.Address)
	}
	m.Mask = address.BitLen()
	if name, bits, ok := interfaceOf(address); ok {
		m.Interface, m.Mask = name, bits
	}
	return m, nil
}

// interfaceOf finds the interface that has an address.
func interfaceOf(address netip.Addr) (name string, bits int, ok bool) {
	interfaces, err := net.Interfaces()
	if err != nil {
		return "", 0, false
	}
	for _, i := range interfaces {
		addresses, err := i.Addrs()
		if err != nil {
			continue
		}
		for _, a := range addresses {
			if p, err := netip.ParsePrefix(a.String()); err == nil && p.Addr() == address {
				return i.Name, p.Bits(), true
			}
		}
	}
	return "", 0, false
}

var errMiddle = errors.New("the management server did not prove that it knows the secure password: somebody may be in between")

// explained says what was attempted, and what can be done.
func explained(j Join, err error) error {
	if err == nil || errors.Is(err, context.Canceled) {
		return err
	}
	hint := "look at the address, and at the firewalls in between"
	switch p, ok := errors.AsType[*Problem](err); {
	case ok:
		hint = transfer.SafeText(Brief(p.Hint))
	case errors.Is(err, ErrOtherServer):
		hint = "it is another one than the token is of, or somebody is in between"
	case errors.Is(err, token.ErrForm):
		hint = "copy all of it from the answer of GET /SecureSphere/api/v1/administration/gatewayRegistrationToken"
	case errors.Is(err, errMiddle):
		hint = "look at the address; nothing was kept"
	}
	if text := Why(err); text != err.Error() {
		err = errors.New(text)
	}
	return appliance.Faultf(hint, "cannot register at %s: %w", j.Server, err)
}
