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
	s := newSession(Target{Protocol: "scp", Host: host, Port: port, Path: "/"}, o)
	if err := s.checkLogins(); err != nil {
		return nil, err
	}
	var keys []ssh.PublicKey
	for _, algorithms := range [][]string{hostKeyAlgorithms[:1], hostKeyAlgorithms[1:4], hostKeyAlgorithms[4:]} {
		key, err := s.fetchKey(ctx, algorithms)
		if _, other := errors.AsType[*ssh.AlgorithmNegotiationError](err); other {
			continue
		}
		if err != nil {
			return nil, err
		}
		keys = append(keys, key)
	}
	if len(keys) == 0 {
		return nil, s.wrap(OpHostKey, ProtocolBroken, errors.New("the server has no host key of a type that is accepted here"), "")
	}
	return keys, nil
}

func (s *session) fetchKey(ctx context.Context, algorithms []string) (ssh.PublicKey, error) {
	var shown ssh.PublicKey
	_, _, err := s.sshHandshake(ctx, &ssh.ClientConfig{
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
	s          *session
	callback   ssh.HostKeyCallback
	algorithms []string

	shown    ssh.PublicKey // what the server showed
	accepted bool
	unknown  bool
	fault    error // why it was refused, unless it is unknown
}

// newHostKeyCheck reads known_hosts. A file that is not there knows no host; one that cannot be read or understood ends
// the transfer.
func (s *session) newHostKeyCheck() (*hostKeyCheck, error) {
	check := &hostKeyCheck{s: s, algorithms: hostKeyAlgorithms, callback: knowsNone}
	if s.trusted != nil {
		check.algorithms = algorithmsFor(s.trusted)
		return check, nil
	}
	if s.o.KnownHosts == "" {
		return check, nil
	}
	known, err := knownhosts.NewDB(s.o.KnownHosts)
	if errors.Is(err, os.ErrNotExist) {
		return check, nil
	}
	if err != nil {
		return nil, s.wrap(OpHostKey, LocalFailure, fmt.Errorf("known hosts: %w", err), "repair or remove that line")
	}
	check.callback = known.HostKeyCallback()
	if algorithms := known.HostKeyAlgorithms(s.target.addr()); len(algorithms) > 0 {
		// Only types that are known: a server with several keys must not look like one whose key has changed.
		check.algorithms = algorithms
	}
	return check, nil
}

func knowsNone(string, net.Addr, ssh.PublicKey) error { return &xknownhosts.KeyError{} }

// judge is the callback of the handshake.
func (c *hostKeyCheck) judge(host string, remote net.Addr, key ssh.PublicKey) error {
	c.shown = key
	if c.s.trusted != nil {
		if string(c.s.trusted.Marshal()) == string(key.Marshal()) {
			c.accepted = true
			return nil
		}
		c.fault = c.s.keyChanged(key, c.s.trusted)
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
		c.fault = c.s.wrap(OpHostKey, HostKeyChanged,
			fmt.Errorf("the key %s is marked as revoked", fingerprint(key)), "do not use this server before its owner has explained that")
	case errors.As(err, &mismatch) && len(mismatch.Want) == 0:
		c.unknown = true
	case errors.As(err, &mismatch):
		var want []ssh.PublicKey
		for _, known := range mismatch.Want {
			want = append(want, known.Key)
		}
		c.fault = c.s.keyChanged(key, want...)
	default:
		c.fault = c.s.wrap(OpHostKey, HostKeyChanged, err, "")
	}
	return err
}

// keyChanged is loud: it may be a new machine, and it may be somebody in between.
func (s *session) keyChanged(got ssh.PublicKey, want ...ssh.PublicKey) error {
	var known []string
	for _, key := range want {
		known = append(known, fingerprint(key))
	}
	return s.wrap(OpHostKey, HostKeyChanged,
		fmt.Errorf("the host key has changed: known is %s, the server shows %s; somebody may be listening in", strings.Join(known, " or "), fingerprint(got)),
		fmt.Sprintf("when its owner confirms the new key: impctl known-hosts remove %[1]s, then %[2]s", s.target.hostPort(), s.acceptCommand()))
}

func (s *session) keyUnknown(key ssh.PublicKey) error {
	return s.wrap(OpHostKey, HostKeyUnknown,
		fmt.Errorf("the host key of %s is not known: the server shows %s", s.target.hostPort(), fingerprint(key)),
		s.acceptCommand())
}

// acceptCommand is the one command that accepts the server's key, on the way that the transfer goes.
func (s *session) acceptCommand() string {
	command := "impctl known-hosts add " + s.target.hostPort()
	if s.o.Proxy.set() {
		command += " --proxy " + s.o.Proxy.String()
	}
	if s.o.Proxy.User != "" {
		command += " --proxy-user " + s.o.Proxy.User + ":-"
	}
	return command
}

// settle decides about a key that is not known, with the connection closed: a server would not wait for an answer.
func (s *session) settle(ctx context.Context, key ssh.PublicKey) error {
	if s.o.AskHostKey == nil {
		return s.keyUnknown(key)
	}
	yes, err := s.o.AskHostKey(ctx, knownhosts.Normalize(s.target.addr()), key.Type(), ssh.FingerprintSHA256(key))
	if err != nil {
		if ctx.Err() != nil {
			return s.fault(ctx, OpHostKey, err)
		}
		return s.wrap(OpHostKey, HostKeyUnknown, err, s.acceptCommand())
	}
	if !yes {
		return s.wrap(OpHostKey, HostKeyUnknown, fmt.Errorf("the host key of %s was not accepted", s.target.hostPort()), "only the answer yes accepts it")
	}
	s.trusted = key
	if s.o.KnownHosts == "" {
		return nil
	}
	if _, err := AddKnownHost(s.o.KnownHosts, s.target.Host, s.target.Port, key); err != nil {
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
