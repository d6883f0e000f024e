package link

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	"sealgate/appliance/token"
)

const (
	dialTimeout = 30 * time.Second
	pingEvery   = 15 * time.Second // on a connection that is silent
	pingTimeout = 15 * time.Second
)

// ErrOtherServer means that the server has another key than the one that is known.
var ErrOtherServer = errors.New("the server's key is not the one of the management server that is meant")

// Client is a gateway's end of the link. Its methods may be called concurrently; they
// share a connection, which is made when it is needed.
type Client struct {
	http *http.Client
	down atomic.Bool   // the last poll failed
	up   chan struct{} // has a value when a poll succeeds after that
}

// NewClient speaks to the management server at HOST:PORT that has the key of pin.
func NewClient(address string, pin token.Pin, id *Identity) (*Client, error) {
	cert, err := id.certificate()
	if err != nil {
		return nil, err
	}
	return newClient(func(ctx context.Context) (net.Conn, error) {
		conn, err := dial(ctx, address, cert, &pin)
		if err != nil {
			return nil, err
		}
		return plain{conn}, nil
	}), nil
}

func newClient(dial func(context.Context) (net.Conn, error)) *Client {
	protocols := new(http.Protocols)
	protocols.SetUnencryptedHTTP2(true) // inside of a TLS connection that is made here
	return &Client{up: make(chan struct{}, 1), http: &http.Client{
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport: &http.Transport{
			DialContext:            func(ctx context.Context, _, _ string) (net.Conn, error) { return dial(ctx) },
			Protocols:              protocols,
			DisableCompression:     true,
			MaxResponseHeaderBytes: 16 << 10,
			HTTP2:                  &http.HTTP2Config{SendPingTimeout: pingEvery, PingTimeout: pingTimeout, WriteByteTimeout: pingTimeout},
		},
	}}
}

// dial makes a connection; of a server that no pin names, the caller looks at the key.
func dial(ctx context.Context, address string, cert tls.Certificate, pin *token.Pin) (*tls.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	raw, err := (&net.Dialer{KeepAlive: pingEvery}).DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	conn := tls.Client(raw, &tls.Config{
		Certificates:       []tls.Certificate{cert},
		NextProtos:         []string{Protocol},
		MinVersion:         tls.VersionTLS13,
		InsecureSkipVerify: true, // the pin says who it is, not a name
		VerifyConnection: func(s tls.ConnectionState) error {
			if s.NegotiatedProtocol != Protocol {
				return errors.New("it is no management server that gateways can register at")
			}
			if pin != nil && pinOf(s) != *pin {
				return ErrOtherServer
			}
			return nil
		},
	})
	if err := conn.HandshakeContext(ctx); err != nil {
		raw.Close()
		return nil, err
	}
	return conn, nil
}

// pinOf is the pin of the other end's key.
func pinOf(s tls.ConnectionState) token.Pin {
	return sha256.Sum256(s.PeerCertificates[0].RawSubjectPublicKeyInfo)
}

// plain hides that a connection is TLS from package http, which would ask for the
// protocol's usual name.
type plain struct{ net.Conn }

// Close closes connections that nothing uses.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// Do sends a request; the caller closes the answer's body. An answer that is no
// success is an error, a *Problem where the server says why.
func (c *Client) Do(ctx context.Context, method, path string, header http.Header, body io.Reader) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, method, "http://sealgate"+path, body)
	if err != nil {
		return nil, err
	}
	for name, values := range header {
		req.Header[name] = values
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode == http.StatusOK {
		return resp, nil
	}
	defer resp.Body.Close()
	var p Problem
	if err := ReadJSON(resp.Body, MaxMessage, &p); err != nil || p.Code == "" {
		if resp.StatusCode == http.StatusTooManyRequests {
			return nil, &Problem{Code: Busy, Text: "the management server is busy", Hint: "try again in a minute", After: 5}
		}
		return nil, fmt.Errorf("the management server answers with status %d", resp.StatusCode)
	}
	return nil, &p
}

// Call posts a message and reads the answer into out.
func (c *Client) Call(ctx context.Context, path string, in, out any) error {
	data, err := json.Marshal(in)
	if err != nil {
		return err
	}
	resp, err := c.Do(ctx, http.MethodPost, path, nil, bytes.NewReader(data))
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	return ReadJSON(resp.Body, MaxMessage, out)
}
