package event

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"strconv"
	"time"
)

// target is a syslog server and the one that stands in for it.
type target struct {
	protocol, host string
	port           int
	secondHost     string
	secondPort     int
}

const (
	maxSenders  = 64
	queueLength = 1000
	sendTimeout = 5 * time.Second
	retryEvery  = 2 * time.Second
)

// sender sends messages to one target in their order.
type sender struct {
	target
	log    *Log
	queue  chan []byte
	conn   net.Conn
	failed bool // it was told already
}

func newSender(t target, l *Log) *sender {
	return &sender{target: t, log: l, queue: make(chan []byte, queueLength)}
}

func (s *sender) run() {
	defer func() {
		if s.conn != nil {
			s.conn.Close()
		}
	}()
	for message := range s.queue {
		for !s.send(message) {
			s.log.mu.Lock()
			closed := s.log.closed
			s.log.mu.Unlock()
			if closed {
				s.log.lost.Add(1)
				break
			}
			time.Sleep(retryEvery)
		}
	}
}

// send sends one message. A connection that the server has closed is noticed before
// the message is lost in it.
func (s *sender) send(message []byte) bool {
	if s.conn != nil && s.stream() && s.ended() {
		s.drop()
	}
	if s.conn == nil {
		if err := s.dial(); err != nil {
			if !s.failed {
				s.log.log.Warn("a syslog server cannot be reached", "server", s.host, "error", err)
			}
			s.failed = true
			return false
		}
		s.failed = false
	}
	if s.stream() { // RFC 6587, 3.4.1 and RFC 5425: the length goes before the message
		message = append(fmt.Appendf(nil, "%d ", len(message)), message...)
	}
	s.conn.SetWriteDeadline(time.Now().Add(sendTimeout))
	if _, err := s.conn.Write(message); err != nil {
		s.drop()
		return false
	}
	return true
}

func (s *sender) stream() bool {
	return s.protocol == "TCP" || s.protocol == "TLS" || s.protocol == "SSL"
}

func (s *sender) drop() {
	s.conn.Close()
	s.conn = nil
}

// ended looks whether the server has closed; it never sends anything.
func (s *sender) ended() bool {
	s.conn.SetReadDeadline(time.Now().Add(time.Millisecond))
	_, err := s.conn.Read(make([]byte, 1))
	timeout, ok := err.(net.Error)
	return err != nil && !(ok && timeout.Timeout())
}

func (s *sender) dial() (err error) {
	if s.conn, err = s.dialTo(s.host, s.port); err != nil && s.secondHost != "" {
		s.conn, err = s.dialTo(s.secondHost, s.secondPort)
	}
	return err
}

func (s *sender) dialTo(host string, port int) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(context.Background(), sendTimeout)
	defer cancel()
	address := net.JoinHostPort(host, strconv.Itoa(port))
	switch s.protocol {
	case "TCP":
		return new(net.Dialer).DialContext(ctx, "tcp", address)
	case "TLS", "SSL":
		// The system's authorities say whom to trust.
		return (&tls.Dialer{Config: &tls.Config{MinVersion: tls.VersionTLS12}}).DialContext(ctx, "tcp", address)
	}
	return new(net.Dialer).DialContext(ctx, "udp", address)
}
