// Package transfer moves one stream to one URL, or one file from one, over ftp, http, https or scp (the SFTP
// protocol, and the old one where there is no SFTP) and reports how far it is.
// It knows nothing of dumps, commands or appliances.
//
// What it promises:
//
//   - After success the file lies whole under its final name. Where the protocol can rename (ftp, scp) nobody sees less
//     than the whole file there, ever: it is written beside its final name as NAME.xxxxxxxx.part, its size is compared,
//     and then it is renamed. With http and https that is the server's own promise; a proxy's FTP gateway and an
//     account that may run scp and nothing else, used where there is no other way, cannot rename, and a notice says so.
//   - A download gives a whole file and its SHA-256, or none. It goes on with the same file alone: the same size and the
//     same time of its last change, or what If-Range says.
//   - After a failure or a cancel no final name was written, and the .part is removed where the server can still be
//     reached; where it cannot, the error's hint names it.
//   - What breaks is tried again, and goes on from where the server has it (ftp, scp) or starts again (http, https). A
//     refusal is final.
//   - A server is known before it is told a password: a host key that is unknown or changed and a certificate that does
//     not verify end the transfer. No option turns host keys off.
//   - Cancelling the context stops every wait at once; removing the .part may then take three seconds at most. A
//     network on which nothing moves ends the transfer after Options.IdleTimeout; a source that is slow (a file still
//     being written) does not.
//   - Memory does not grow with the size of the file.
//
// What it never does: repeat a secret in an error or a notice, hand a server's bytes to a terminal raw, send credentials
// to another host than the one that was named, or fall back to an unprotected connection after a failed handshake.
package transfer

import (
	"context"
	"crypto/x509"
	"time"

	"golang.org/x/crypto/ssh"
)

// What holds when Options leaves them at zero.
const (
	DefaultConnectTimeout = 15 * time.Second
	DefaultIdleTimeout    = 60 * time.Second
	DefaultTotalTimeout   = 24 * time.Hour
	DefaultRetries        = 5
	DefaultRetryWait      = time.Second
)

// Options say how to reach a server and whom to tell. The zero value is an anonymous transfer that trusts the system's
// certificate roots, knows no host key and tells nobody.
type Options struct {
	User, Password string

	// Key is offered to an SSH server before the password; nil is none.
	Key ssh.Signer

	// Proxy leads every connection through an HTTP proxy: CONNECT for https, ftp and scp, requests with the whole URL
	// for http, and where ftp is refused CONNECT, the proxy's own FTP gateway.
	Proxy Proxy

	// Policy says which addresses may be connected to; it is asked about each address that is dialled, after names were
	// resolved, and about addresses in URLs that a proxy is to reach. Loopback, link-local, metadata, unspecified and
	// multicast addresses are refused unless it allows them.
	Policy Policy

	// Insecure accepts a TLS certificate that does not verify. It says nothing about SSH host keys.
	Insecure bool
	// RootCAs are the certificate authorities to trust; nil means the system's.
	RootCAs *x509.CertPool

	// KnownHosts is a file in OpenSSH's known_hosts format. It need not exist; it is created with mode 0600 when a key
	// is accepted.
	KnownHosts string
	// AskHostKey decides about the key of a host that KnownHosts does not list: host is as known_hosts spells it,
	// keyType as in "ssh-ed25519", fingerprint as in "SHA256:…". The connection is closed while it decides, so it may
	// take its time. When it is nil an unknown key is refused. A changed key is refused without asking.
	AskHostKey func(ctx context.Context, host, keyType, fingerprint string) (bool, error)

	// TLSServers is a file of the ftp servers that have offered TLS. One that stops offering it is refused. It is created
	// when the first one does; empty remembers nothing.
	TLSServers string

	// Progress is told how many bytes were handed to the network, or came from it, at most ten times a second and once at
	// the end. Calls never overlap and none comes after Upload or Download has returned. The count goes back when a redirect or
	// a retry makes the file start again, or go on from where the server has it.
	Progress func(sent int64)
	// Notice is told what the user should know although the transfer goes on: one line, safe on a terminal.
	Notice func(string)

	// ConnectTimeout bounds one connection: name, TCP and TLS. Zero means DefaultConnectTimeout.
	ConnectTimeout time.Duration
	// IdleTimeout is how long the network may stand still. Zero means DefaultIdleTimeout.
	IdleTimeout time.Duration
	// TotalTimeout bounds the whole transfer, its retries too. Zero means DefaultTotalTimeout.
	TotalTimeout time.Duration

	// Retries is how many attempts in a row may get no further after what time may heal: lost connections, time-outs,
	// the HTTP statuses 408, 429, 500, 502, 503 and 504, and FTP's 4xx but to a password. Zero means DefaultRetries,
	// less none.
	Retries int
	// RetryWait is the first wait between two attempts. It doubles up to 30 s, and up to half of it is left out at
	// random; a Retry-After of up to 60 s is obeyed. Zero means DefaultRetryWait.
	RetryWait time.Duration
}

func (o Options) withDefaults() Options {
	if o.ConnectTimeout <= 0 {
		o.ConnectTimeout = DefaultConnectTimeout
	}
	if o.IdleTimeout <= 0 {
		o.IdleTimeout = DefaultIdleTimeout
	}
	if o.TotalTimeout <= 0 {
		o.TotalTimeout = DefaultTotalTimeout
	}
	if o.Retries == 0 {
		o.Retries = DefaultRetries
	}
	if o.RetryWait <= 0 {
		o.RetryWait = DefaultRetryWait
	}
	return o
}

// Result is what a finished transfer, or a failed one until then, has done.
type Result struct {
	// Bytes is how far into the file the last attempt came.
	Bytes int64
	// Notices are the lines that Options.Notice was told.
	Notices []string
}
