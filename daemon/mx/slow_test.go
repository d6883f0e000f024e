package mx

import (
	"bufio"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"testing"
	"testing/synctest"
)

// pipes is a listener of connections within the test's clock.
type pipes chan net.Conn

func (p pipes) Accept() (net.Conn, error) {
	conn, ok := <-p
	if !ok {
		return nil, net.ErrClosed
	}
	return conn, nil
}
func (p pipes) Close() error   { return nil }
func (p pipes) Addr() net.Addr { return &net.TCPAddr{} }

// The hole: a connection costs the server a descriptor. The attacks, without a session:
// a body that was announced and never comes, an answer that nobody reads. What must
// hold: the server ends the connection.
func TestSlowClients(t *testing.T) {
	for name, attack := range map[string]func(net.Conn) error{
		"sends no body": func(conn net.Conn) error {
			fmt.Fprint(conn, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n")
			_, err := io.Copy(io.Discard, bufio.NewReader(conn))
			return err
		},
		"reads no answer": func(conn net.Conn) error {
			fmt.Fprint(conn, "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
			return nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				srv := newServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
					w.WriteHeader(http.StatusUnauthorized)
					w.Write(make([]byte, 1<<20))
				}), slog.New(slog.DiscardHandler))
				ended := make(chan struct{})
				srv.ConnState = func(_ net.Conn, state http.ConnState) {
					if state == http.StateClosed {
						close(ended)
					}
				}
				ln := make(pipes)
				served := make(chan error, 1)
				go func() { served <- srv.Serve(ln) }()
				client, server := net.Pipe()
				ln <- server
				if err := attack(client); err != nil {
					t.Error(err)
				}
				<-ended
				close(ln)
				<-served
			})
		})
	}
}
