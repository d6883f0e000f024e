package transfer_test

import (
	"bytes"
	"context"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sealgate/internal/peers"
	"sealgate/transfer"
)

func rule(t *testing.T, network string, allow bool) transfer.Rule {
	t.Helper()
	parsed, err := transfer.ParseNetwork(network)
	if err != nil {
		t.Fatal(err)
	}
	return transfer.Rule{Network: parsed, Allow: allow}
}

func TestPolicyDecides(t *testing.T) {
	own := transfer.Policy{
		rule(t, "127.0.0.1", true), rule(t, "10.0.0.0/8", false), rule(t, "10.1.0.0/16", true), rule(t, "169.254.0.0/16", true), rule(t, "0.0.0.0/0", true),
	}
	for address, want := range map[string][2]bool{ // with the built-in rules alone, with own
		"192.0.2.1":                {true, true},
		"10.2.3.4":                 {true, false},
		"10.1.3.4":                 {true, true},
		"127.0.0.1":                {false, true},
		"127.0.0.2":                {false, false},
		"::ffff:127.0.0.1":         {false, true},
		"::ffff:127.0.0.2":         {false, false},
		"64:ff9b::7f00:2":          {false, false},
		"::1":                      {false, false},
		"::":                       {false, false},
		"0.0.0.0":                  {false, false},
		"169.254.1.1":              {false, true},
		"169.254.169.254":          {false, false},
		"::ffff:169.254.169.254":   {false, false},
		"64:ff9b::169.254.169.254": {false, false},
		"fd00:ec2::254":            {false, false},
		"fd20:ce::254":             {false, false},
		"100.100.100.200":          {false, false},
		"64:ff9b::100.100.100.200": {false, false},
		"168.63.129.16":            {false, false},
		"168.63.129.17":            {true, true},
		"192.0.0.192":              {false, false},
		"fd00:ec2::253":            {true, true},
		"fe80::1%lo":               {false, false},
		"224.0.0.1":                {false, false},
		"255.255.255.255":          {false, false},
		"ff02::1":                  {false, false},
		"2001:db8::1":              {true, true},
	} {
		parsed := netip.MustParseAddr(address)
		if got := (transfer.Policy{}).Decide(parsed).Allow; got != want[0] {
			t.Errorf("%s: %v by default", address, got)
		}
		if got := own.Decide(parsed).Allow; got != want[1] {
			t.Errorf("%s: %v with own rules", address, got)
		}
	}
}

// However the address is written, and whatever a name resolves to, nobody on loopback hears of it.
func TestLoopbackIsRefused(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	go func() {
		for {
			c, err := listener.Accept()
			if err != nil {
				return
			}
			t.Errorf("%s came through", c.RemoteAddr())
			c.Close()
		}
	}()
	_, port, _ := net.SplitHostPort(listener.Addr().String())
	for _, protocol := range []string{"ftp", "http", "https", "scp"} {
		for _, host := range []string{"127.0.0.1", "localhost", "[::ffff:127.0.0.1]", "0.0.0.0", "[::]"} {
			target, err := transfer.ParseTarget(protocol, host+":"+port+"/x", "")
			if err != nil {
				t.Fatal(err)
			}
			_, err = transfer.Upload(t.Context(), target, text("x"), transfer.Options{User: "u", Password: "secret"})
			fault := mustFail(t, err, transfer.OpConnect, transfer.Forbidden, "secret")
			if !strings.Contains(fault.Hint, "impctl transfer-policy allow ") {
				t.Errorf("the hint is %q", fault.Hint)
			}
		}
	}
}

// answerNames makes every name resolve to the next of addresses, the last one for ever.
func answerNames(t *testing.T, addresses ...string) {
	t.Helper()
	server, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		for question := make([]byte, 512); ; {
			n, from, err := server.ReadFrom(question)
			if err != nil {
				return
			}
			answer := bytes.Clone(question[:n])
			answer[2], answer[3] = 0x81, 0x80                   // an answer, recursion available
			copy(answer[6:], []byte{0, 0, 0, 0, 0, 0})          // no answers, authorities, additions
			end := 12 + bytes.IndexByte(answer[12:], 0) + 1 + 4 // behind the question
			answer = answer[:end]
			if answer[end-3] == 1 { // for an A record
				answer[7] = 1
				address := netip.MustParseAddr(addresses[0]).As4()
				answer = append(answer, 0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 0, 0, 4)
				answer = append(answer, address[:]...)
				addresses = addresses[min(1, len(addresses)-1):]
			}
			server.WriteTo(answer, from)
		}
	}()
	system := net.DefaultResolver
	net.DefaultResolver = &net.Resolver{PreferGo: true, Dial: func(context.Context, string, string) (net.Conn, error) {
		return net.Dial("udp", server.LocalAddr().String())
	}}
	t.Cleanup(func() {
		net.DefaultResolver = system
		server.Close()
	})
}

// The name server says something else after the redirect, as it does when somebody aims at what only this machine sees.
func TestPolicyAfterRedirect(t *testing.T) {
	p := alone(t, endpoint{"http", "http", func() (*peers.Server, error) {
		return peers.StartNginx(peers.NginxConfig{Account: account, Server: []string{`location / { return 307 $uri/again; }`}})
	}, false})
	answerNames(t, "127.0.0.1", "127.0.0.2")
	p.addr = "rebinding.test:" + portOf(p.server)
	p.options.Policy = transfer.Policy{rule(t, "127.0.0.1", true)}
	fault := mustFail(t, second(p.upload(t, t.Context(), "x", text("x"))), transfer.OpConnect, transfer.Forbidden)
	if !strings.Contains(fault.Error(), "refuses 127.0.0.2") {
		t.Errorf("%v", fault)
	}
}

// The proxy is judged when it is dialled, and what it is asked for as far as that can be seen.
func TestPolicyThroughProxy(t *testing.T) {
	options := transfer.Options{User: "u", Password: "hunter2", Policy: transfer.Policy{rule(t, "127.0.0.1", true)}}
	proxy := newFake(t, func(f *fake, c net.Conn) { t.Error("the proxy was asked") })
	var err error
	if options.Proxy, err = transfer.ParseProxy(proxy.addr); err != nil {
		t.Fatal(err)
	}
	for host, kind := range map[string]transfer.Kind{
		"127.0.0.2": transfer.Forbidden, "[::1]": transfer.Forbidden, "[::ffff:127.0.0.2]": transfer.Forbidden, "169.254.169.254": transfer.Forbidden, "metadata.google.internal": transfer.Forbidden, "Metadata.Google.Internal.": transfer.Forbidden,
		"127.1": transfer.BadTarget, "2130706434": transfer.BadTarget, "0x7f000002": transfer.BadTarget, "127.0.0.2.": transfer.BadTarget,
	} {
		for _, protocol := range []string{"ftp", "http", "https", "scp"} {
			target, err := transfer.ParseTarget(protocol, host+"/x", "")
			if err != nil {
				t.Fatal(err)
			}
			mustFail(t, second(transfer.Upload(t.Context(), target, text("x"), options)), "", kind, "hunter2")
		}
	}
	target, err := transfer.ParseTarget("http", "server.invalid/x", "")
	if err != nil {
		t.Fatal(err)
	}
	options.Policy = nil
	mustFail(t, second(transfer.Upload(t.Context(), target, text("x"), options)), transfer.OpProxy, transfer.Forbidden, "hunter2")
}

func TestPolicyFile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "policy")
	if policy, err := transfer.LoadPolicy(file); err != nil || len(policy) != 0 {
		t.Fatal(policy, err)
	}
	for _, r := range []transfer.Rule{rule(t, "127.0.0.0/8", true), rule(t, "10.0.0.1/8", false), rule(t, "127.0.0.0/8", false), rule(t, "::1", true)} {
		if err := transfer.ChangePolicy(file, r); err != nil {
			t.Fatal(err)
		}
	}
	text, err := os.ReadFile(file)
	if want := "deny 10.0.0.0/8\ndeny 127.0.0.0/8\nallow ::1/128\n"; err != nil || string(text) != want {
		t.Errorf("%q, %v", text, err)
	}
	for _, broken := range []string{"allow\n", "permit 10.0.0.0/8\n", "deny 10.0.0.0/8 \n", "deny 10.0.0.0/33\n"} {
		if err := os.WriteFile(file, []byte(broken), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := transfer.LoadPolicy(file)
		mustFail(t, err, transfer.OpTarget, transfer.LocalFailure)
		mustFail(t, transfer.ChangePolicy(file, rule(t, "::1", true)), transfer.OpTarget, transfer.LocalFailure)
	}
	for _, raw := range []string{"", "x", "10.0.0.0/33", "::ffff:10.0.0.0/104", "10.0.0.0-10.0.0.9"} {
		_, err := transfer.ParseNetwork(raw)
		mustFail(t, err, transfer.OpTarget, transfer.BadTarget)
	}
}
