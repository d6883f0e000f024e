package transfer

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"

	"github.com/skeema/knownhosts"
	"golang.org/x/crypto/ssh"
	xknownhosts "golang.org/x/crypto/ssh/knownhosts"
)

// hostKeyAlgorithms are asked for when nothing is known of a host, the best first: the same order as OpenSSH, so that
// both show the same fingerprint.
var hostKeyAlgorithms = []string{
	ssh.KeyAlgoED25519,
	ssh.KeyAlgoECDSA256, ssh.KeyAlgoECDSA384, ssh.KeyAlgoECDSA521,
	ssh.KeyAlgoRSASHA512, ssh.KeyAlgoRSASHA256,
}

// errSeenEnough ends a handshake that was only made for the host key.
var errSeenEnough = errors.New("the host key was all that was wanted")

// HostKeys fetches the keys of all types that the server at host:port has, one connection for each type, and nothing
// else: no user is named. They are not checked; whoever uses them must compare fingerprints.
func HostKeys(ctx context.Context, host string, port int, o Options) ([]ssh.PublicKey, error) {
	u := newUpload(Target{Protocol: "scp", Host: host, Port: port, Path: "/"}, nil, o)
	var keys []ssh.PublicKey
	for _, algorithms := range [][]string{hostKeyAlgorithms[:1], hostKeyAlgorithms[1:4], hostKeyAlgorithms[4:]} {
		key, err := u.fetchKey(ctx, algorithms)
		if _, other := errors.AsType[*ssh.AlgorithmNegotiationError](err); other {
			continue
		}
		if err != nil {
			return nil, err
		}
		keys = append(keys, key)
	}
	if len(keys) == 0 {
		return nil, u.wrap(OpHostKey, ProtocolBroken, errors.New("the server has no host key of a type that is accepted here"), "")
	}
	return keys, nil
}

func (u *upload) fetchKey(ctx context.Context, algorithms []string) (ssh.PublicKey, error) {
	var shown ssh.PublicKey
	_, _, err := u.sshHandshake(ctx, &ssh.ClientConfig{
		HostKeyAlgorithms: algorithms,
		HostKeyCallback: func(_ string, _ net.Addr, key ssh.PublicKey) error {
			shown = key
			return errSeenEnough
		},
	})
	if shown != nil {
		return shown, nil
	}
	return nil, err
}

// hostKeyCheck judges one server's key. Its callback runs before anything else is told to the server.
type hostKeyCheck struct {
	u          *upload
	callback   ssh.HostKeyCallback
	algorithms []string

	shown    ssh.PublicKey // what the server showed
	accepted bool
	unknown  bool
	fault    error // why it was refused, unless it is unknown
}

// newHostKeyCheck reads known_hosts. A file that is not there knows no host; one that cannot be read or understood ends
// the transfer.
func (u *upload) newHostKeyCheck() (*hostKeyCheck, error) {
	check := &hostKeyCheck{u: u, algorithms: hostKeyAlgorithms, callback: knowsNone}
	if u.trusted != nil {
		check.algorithms = algorithmsFor(u.trusted)
		return check, nil
	}
	if u.o.KnownHosts == "" {
		return check, nil
	}
	known, err := knownhosts.NewDB(u.o.KnownHosts)
	if errors.Is(err, os.ErrNotExist) {
		return check, nil
	}
	if err != nil {
		return nil, u.wrap(OpHostKey, LocalFailure, fmt.Errorf("known hosts: %w", err), "repair or remove that line")
	}
	check.callback = known.HostKeyCallback()
	if algorithms := known.HostKeyAlgorithms(u.target.addr()); len(algorithms) > 0 {
		// Only types that are known: a server with several keys must not look like one whose key has changed.
		check.algorithms = algorithms
	}
	return check, nil
}

func knowsNone(string, net.Addr, ssh.PublicKey) error { return &xknownhosts.KeyError{} }

// judge is the callback of the handshake.
func (c *hostKeyCheck) judge(host string, remote net.Addr, key ssh.PublicKey) error {
	c.shown = key
	if c.u.trusted != nil {
		if string(c.u.trusted.Marshal()) == string(key.Marshal()) {
			c.accepted = true
			return nil
		}
		c.fault = c.u.keyChanged(key, c.u.trusted)
		return c.fault
	}
	err := c.callback(host, remote, key)
	if err == nil {
		c.accepted = true
		return nil
	}
	var mismatch *xknownhosts.KeyError
	var revoked *xknownhosts.RevokedError
	switch {
	case errors.As(err, &revoked):
		c.fault = c.u.wrap(OpHostKey, HostKeyChanged,
			fmt.Errorf("the key %s is marked as revoked", fingerprint(key)), "do not use this server before its owner has explained that")
	case errors.As(err, &mismatch) && len(mismatch.Want) == 0:
		c.unknown = true
	case errors.As(err, &mismatch):
		var want []ssh.PublicKey
		for _, known := range mismatch.Want {
			want = append(want, known.Key)
		}
		c.fault = c.u.keyChanged(key, want...)
	default:
		c.fault = c.u.wrap(OpHostKey, HostKeyChanged, err, "")
	}
	return err
}

// keyChanged is loud: it may be a new machine, and it may be somebody in between.
func (u *upload) keyChanged(got ssh.PublicKey, want ...ssh.PublicKey) error {
	var known []string
	for _, key := range want {
		known = append(known, fingerprint(key))
	}
	return u.wrap(OpHostKey, HostKeyChanged,
		fmt.Errorf("the host key has changed: known is %s, the server shows %s; somebody may be listening in", strings.Join(known, " or "), fingerprint(got)),
		fmt.Sprintf("when its owner confirms the new key: impctl known-hosts remove %[1]s, then impctl known-hosts add %[1]s", u.target.hostPort()))
}

func (u *upload) keyUnknown(key ssh.PublicKey) error {
	return u.wrap(OpHostKey, HostKeyUnknown,
		fmt.Errorf("the host key of %s is not known: the server shows %s", u.target.hostPort(), fingerprint(key)),
		"impctl known-hosts add "+u.target.hostPort())
}

// settle decides about a key that is not known, with the connection closed: a server would not wait for an answer.
func (u *upload) settle(ctx context.Context, key ssh.PublicKey) error {
	if u.o.AskHostKey == nil {
		return u.keyUnknown(key)
	}
	yes, err := u.o.AskHostKey(ctx, knownhosts.Normalize(u.target.addr()), key.Type(), ssh.FingerprintSHA256(key))
	if err != nil {
		if ctx.Err() != nil {
			return u.fault(ctx, OpHostKey, err)
		}
		return u.wrap(OpHostKey, HostKeyUnknown, err, "impctl known-hosts add "+u.target.hostPort())
	}
	if !yes {
		return u.wrap(OpHostKey, HostKeyUnknown, fmt.Errorf("the host key of %s was not accepted", u.target.hostPort()), "only the answer yes accepts it")
	}
	u.trusted = key
	if u.o.KnownHosts == "" {
		return nil
	}
	if _, err := AddKnownHost(u.o.KnownHosts, u.target.Host, u.target.Port, key); err != nil {
		return err
	}
	return nil
}

func algorithmsFor(key ssh.PublicKey) []string {
	if key.Type() == ssh.KeyAlgoRSA {
		return []string{ssh.KeyAlgoRSASHA512, ssh.KeyAlgoRSASHA256}
	}
	return []string{key.Type()}
}

func fingerprint(key ssh.PublicKey) string { return key.Type() + " " + ssh.FingerprintSHA256(key) }
