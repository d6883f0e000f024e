package commands

import (
	"context"
	"fmt"
	"regexp"
	"strings"

	"sealgate/control"
	"sealgate/transfer"
)

type knownHostsCmd struct {
	List   knownHostsListCmd   `cmd:"" example:"impctl known-hosts list" rights:"operator" help:"list the host keys that are accepted, and the ftp servers that must offer TLS"`
	Add    knownHostsAddCmd    `cmd:"" example:"impctl known-hosts add backup.example.com:2222" exits:"4,130" help:"fetch a server's host key and accept it"`
	Scan   knownHostsScanCmd   `cmd:"" example:"impctl known-hosts scan backup.example.com:2222" looks:"" exits:"4,130" help:"show a server's host keys, and accept none"`
	Remove knownHostsRemoveCmd `cmd:"" example:"impctl known-hosts remove backup.example.com:2222" help:"forget a server's host keys, or that it must offer TLS"`
}

// AcceptHostKey is the work of impctl known-hosts add.
type AcceptHostKey struct {
	Host        string `json:"host"`
	Port        int    `json:"port"`
	Fingerprint string `json:"fingerprint,omitempty"` // the key that is expected; empty: ask
	Look        bool   `json:"look,omitempty"`        // accept none

	Proxy transfer.Proxy `json:"proxy,omitzero"`
}

// HostKey is one accepted key.
type HostKey struct {
	Hosts       []string `json:"hosts"`
	Type        string   `json:"type"`
	Fingerprint string   `json:"fingerprint,omitempty"` // none: the type is ftp-tls, an ftp server that has offered TLS
}

// hostKeys are the result of commands about them.
type hostKeys struct {
	Keys []HostKey `json:"keys"`
}

type knownHostsListCmd struct{}

func (knownHostsListCmd) Run(_ context.Context, e *Env) error {
	list, err := e.knownHosts()
	if err != nil {
		return err
	}
	if len(list) == 0 && !e.json {
		e.Say("no host key is accepted; impctl known-hosts add HOST[:PORT] fetches one")
	}
	return e.Out(hostKeys{list}, hostKeyLines(list))
}

// knownHosts are the host keys that are accepted and the ftp servers that may not stop offering TLS.
func (e *Env) knownHosts() ([]HostKey, error) {
	list := []HostKey{}
	known, err := transfer.KnownHosts(e.Host.Home().KnownHosts())
	for _, k := range known {
		list = append(list, HostKey{k.Hosts, k.Key.Type(), k.Fingerprint()})
	}
	if err != nil {
		return nil, err
	}
	servers, err := transfer.TLSServers(e.Host.Home().TLSServers())
	for _, server := range servers {
		list = append(list, HostKey{Hosts: []string{server}, Type: "ftp-tls"})
	}
	return list, err
}

func hostKeyLines(list []HostKey) string {
	var b strings.Builder
	for _, k := range list {
		fingerprint := k.Fingerprint
		if fingerprint == "" {
			fingerprint = "must offer TLS, as it has before"
		}
		fmt.Fprintf(&b, "%-30s %-20s %s\n", strings.Join(k.Hosts, ","), k.Type, fingerprint)
	}
	return b.String()
}

var fingerprint = regexp.MustCompile(`^SHA256:[A-Za-z0-9+/]{43}$`)

type knownHostsAddCmd struct {
	Host        string `arg:"" help:"HOST[:PORT]; port 22 when it is left out"`
	Fingerprint string `placeholder:"SHA256:…" help:"accept only the key with this fingerprint, without asking"`
	proxyFlags
}

func (knownHostsAddCmd) Help() string {
	return `Compare the fingerprint with what the server's owner sees:
ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub`
}

func (c *knownHostsAddCmd) Run(ctx context.Context, e *Env) error {
	t, err := hostAndPort(c.Host)
	if err != nil {
		return err
	}
	if c.Fingerprint != "" && !fingerprint.MatchString(c.Fingerprint) {
		return usage("ssh-keygen -lf prints it on the server", "a fingerprint is SHA256: and 43 letters, digits, + or /")
	}
	if c.Fingerprint == "" && !e.Terminal {
		return usage("run it at a terminal, or give --fingerprint SHA256:… as the server's owner told you",
			"nobody is there to compare the fingerprint of %s", quote(c.Host))
	}
	proxy, err := c.proxy()
	if err != nil {
		return err
	}
	added, err := e.Host.AcceptHostKey(ctx, e.Caller, AcceptHostKey{Host: t.Host, Port: t.Port, Fingerprint: c.Fingerprint, Proxy: proxy}, e.UI)
	if err != nil {
		return err
	}
	return e.Out(hostKeys{added}, "accepted\n"+hostKeyLines(added))
}

type knownHostsScanCmd struct {
	Host string `arg:"" help:"HOST[:PORT]; port 22 when it is left out"`
	proxyFlags
}

func (c *knownHostsScanCmd) Run(ctx context.Context, e *Env) error {
	t, err := hostAndPort(c.Host)
	if err != nil {
		return err
	}
	proxy, err := c.proxy()
	if err != nil {
		return err
	}
	keys, err := e.Host.AcceptHostKey(ctx, e.Caller, AcceptHostKey{Host: t.Host, Port: t.Port, Look: true, Proxy: proxy}, e.UI)
	if err != nil {
		return err
	}
	return e.Out(hostKeys{keys}, hostKeyLines(keys))
}

type knownHostsRemoveCmd struct {
	Host string `arg:"" complete:"hosts" help:"HOST[:PORT] as impctl known-hosts list shows it"`
}

func (c *knownHostsRemoveCmd) Run(_ context.Context, e *Env) error {
	t, err := hostAndPort(c.Host)
	if err != nil {
		return err
	}
	n, err := transfer.RemoveKnownHost(e.Host.Home().KnownHosts(), t.Host, t.Port)
	if err != nil {
		return err
	}
	forgotten, err := transfer.ForgetTLSServer(e.Host.Home().TLSServers(), t.Host, t.Port)
	if err != nil {
		return err
	}
	if forgotten {
		n++
	}
	if n == 0 {
		return &Failure{control.ExitFailed, fmt.Sprintf("nothing is known of %s", quote(c.Host)), "impctl known-hosts list"}
	}
	return e.Out(struct {
		Removed int `json:"removed"`
	}{n}, fmt.Sprintf("removed %d of %s\n", n, c.Host))
}

// hostAndPort reads HOST[:PORT] as a scp target does.
func hostAndPort(s string) (transfer.Target, error) {
	// As a known_hosts file has it, [name]:port, brackets stand around any name.
	if name, port, ok := strings.Cut(strings.TrimPrefix(s, "["), "]:"); ok && !strings.Contains(name, ":") {
		s = name + ":" + port
	}
	t, err := transfer.ParseTarget("scp", s+"/", "x")
	if err != nil || strings.Contains(s, "/") {
		return t, usage("for example backup.example.com or [2001:db8::1]:2222", "%s is not HOST[:PORT]", quote(s))
	}
	return t, nil
}

func (e *Env) hostCandidates(prefix string) []control.Candidate {
	known, err := e.knownHosts()
	if err != nil {
		return nil
	}
	var list []control.Candidate
	for _, k := range known {
		for _, host := range k.Hosts {
			list = append(list, control.Candidate{Value: prefix + host, Help: k.Type})
		}
	}
	return list
}
