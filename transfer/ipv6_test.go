package transfer_test

import (
	"strings"
	"testing"

	"sealgate/internal/faultproxy"
	"sealgate/internal/peers"
	"sealgate/transfer"
)

// Servers and proxies at IPv6 addresses. Servers of ftp listen there themselves in TestFTPServers, since they must tell
// their data connections.
func TestIPv6(t *testing.T) {
	lead := func(t *testing.T, to string) string {
		t.Helper()
		proxy := faultproxy.New(faultproxy.Plan{})
		t.Cleanup(proxy.Close)
		addr, err := proxy.Lead("[::1]:0", to)
		if err != nil {
			t.Fatal(err)
		}
		return addr
	}
	squid := peers.Squid(t, peers.ProxyConfig{Account: account, Auth: "digest", Connect: []string{"1024-65535"}})
	eachPlace(t, func(t *testing.T, p *place) {
		source := &random{size: 2 << 20}
		if p.protocol != "ftp" {
			p.addr = lead(t, p.server.Addr)
			if p.protocol == "scp" {
				p.trust(t)
			}
		}
		there := func(name string) {
			t.Helper()
			if _, err := p.upload(t, t.Context(), name, source); err != nil {
				t.Fatal(err)
			}
			p.mustHold(t, name, source.sum())
			dst, fetched, err := p.download(t, t.Context(), name)
			mustBe(t, dst, fetched, err, source.sum())
		}
		there("direct")
		if steps, _, err := p.probe(t, t.Context(), ""); err != nil || strings.Join(steps, " ") != way[p.protocol] {
			t.Errorf("%v after %q", err, steps)
		}
		var err error
		if p.options.Proxy, err = transfer.ParseProxy(lead(t, squid.Addr)); err != nil {
			t.Fatal(err)
		}
		p.options.Proxy.User, p.options.Proxy.Password = squid.User, squid.Password
		there("through a proxy")
	})
}
