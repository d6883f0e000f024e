package transfer_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"sealgate/internal/peers"
	"sealgate/transfer"
)

// Another client's connections obey the policy and go through the proxy alone.
func TestDialerObeys(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "here") }))
	defer server.Close()
	address := server.Listener.Addr().String()
	_, port, _ := strings.Cut(address, ":")
	get := func(o transfer.Options) (string, error) {
		client := http.Client{Transport: &http.Transport{DialContext: transfer.Dialer(t.Context(), o)}}
		defer client.CloseIdleConnections()
		answer, err := client.Get(server.URL)
		if err != nil {
			return "", err
		}
		defer answer.Body.Close()
		body, err := io.ReadAll(answer.Body)
		return string(body), err
	}

	_, err := get(transfer.Options{})
	mustFail(t, err, transfer.OpConnect, transfer.Forbidden)
	if got, err := get(transfer.Options{Policy: loopback}); err != nil || got != "here" {
		t.Errorf("allowed: %q, %v", got, err)
	}

	proxy := peers.Squid(t, peers.ProxyConfig{Account: account, Auth: "basic", Connect: []string{port}})
	through := transfer.Options{Policy: loopback, Proxy: transfer.Proxy{Host: proxy.Host, Port: proxy.Port, User: proxy.User, Password: proxy.Password}}
	if got, err := get(through); err != nil || got != "here" {
		t.Errorf("through the proxy: %q, %v", got, err)
	}
	through.Proxy.Password = "wrong-password"
	_, err = get(through)
	mustFail(t, err, transfer.OpProxy, transfer.LoginRefused, "wrong-password")

	through.Proxy = transfer.Proxy{Host: proxy.Host, Port: proxy.Port, User: "u", Password: "two\r\nlines"}
	_, err = get(through)
	mustFail(t, err, transfer.OpProxy, transfer.BadTarget, "two\r\nlines")
	if _, err := transfer.Dialer(t.Context(), transfer.Options{})(t.Context(), "tcp", "nowhere"); err == nil {
		t.Error("an address without a port is dialled")
	}
}
