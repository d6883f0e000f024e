package transfer

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"syscall"
)

// Rule says whether transfers may connect to the addresses of a network.
type Rule struct {
	Network netip.Prefix `json:"network"`
	Allow   bool         `json:"allow"`
}

// Policy are the owner's rules about where transfers may connect to. Of several that hold for an address the longest
// prefix decides, the owner's before a built-in one. The zero value is the built-in rules alone.
type Policy []Rule

// builtIn keeps transfers off what only this machine, or whoever runs it, should reach: services on loopback, and the
// credentials that cloud providers hand out on link-local and metadata addresses. Everything else is allowed.
var builtIn = Policy{
	{netip.MustParsePrefix("0.0.0.0/0"), true},
	{netip.MustParsePrefix("::/0"), true},
	{netip.MustParsePrefix("0.0.0.0/8"), false},          // unspecified: Linux takes it for loopback
	{netip.MustParsePrefix("100.100.100.200/32"), false}, // metadata of Alibaba Cloud
	{netip.MustParsePrefix("127.0.0.0/8"), false},
	{netip.MustParsePrefix("168.63.129.16/32"), false}, // of Azure, beside the link-local one
	{netip.MustParsePrefix("169.254.0.0/16"), false},
	{netip.MustParsePrefix("169.254.169.254/32"), false},
	{netip.MustParsePrefix("192.0.0.192/32"), false}, // of Oracle Cloud, the old one
	{netip.MustParsePrefix("224.0.0.0/4"), false},
	{netip.MustParsePrefix("255.255.255.255/32"), false},
	{netip.MustParsePrefix("::/127"), false}, // unspecified and loopback
	{netip.MustParsePrefix("::1/128"), false},
	{netip.MustParsePrefix("fd00:ec2::254/128"), false}, // of AWS
	{netip.MustParsePrefix("fd20:ce::254/128"), false},  // of Google Cloud
	{netip.MustParsePrefix("fe80::/10"), false},
	{netip.MustParsePrefix("ff00::/8"), false},
}

// Rules are all rules that hold, the built-in ones too, in the order of their networks.
func (p Policy) Rules() []Rule {
	all := slices.Clone(p)
	for _, rule := range builtIn {
		if !slices.ContainsFunc(p, func(own Rule) bool { return own.Network == rule.Network }) {
			all = append(all, rule)
		}
	}
	slices.SortFunc(all, func(a, b Rule) int { return a.Network.Compare(b.Network) })
	return all
}

// Decide is the rule that holds for address.
func (p Policy) Decide(address netip.Addr) Rule {
	address = plainAddress(address)
	var best Rule
	for _, rule := range p.Rules() {
		if rule.Network.Contains(address) && (!best.Network.IsValid() || rule.Network.Bits() > best.Network.Bits()) {
			best = rule
		}
	}
	return best
}

var nat64 = netip.MustParsePrefix("64:ff9b::/96")

// plainAddress is address without a zone, and the IPv4 address where it only wraps one.
func plainAddress(address netip.Addr) netip.Addr {
	address = address.WithZone("").Unmap()
	if nat64.Contains(address) {
		wrapped := address.As16()
		return netip.AddrFrom4([4]byte(wrapped[12:]))
	}
	return address
}

// ParseNetwork reads a network such as 10.0.0.0/8, or one address.
func ParseNetwork(raw string) (netip.Prefix, error) {
	if address, err := netip.ParseAddr(raw); err == nil {
		address = address.WithZone("").Unmap()
		return netip.PrefixFrom(address, address.BitLen()), nil
	}
	network, err := netip.ParsePrefix(raw)
	if err != nil || network.Addr().Is4In6() {
		return netip.Prefix{}, badTarget("for example 10.0.0.0/8, 192.0.2.7 or 2001:db8::/32", "%q is not a network", raw)
	}
	return network.Masked(), nil
}

// forbidden is the refusal of an address.
type forbidden struct {
	address string
	rule    Rule
}

func (f *forbidden) Error() string {
	return fmt.Sprintf("the transfer policy refuses %s (%s)", f.address, f.rule.Network)
}

// judge is the error for an address that no connection may be made to.
func (s *session) judge(address netip.Addr) error {
	if rule := s.o.Policy.Decide(address); !rule.Allow {
		return &forbidden{address.String(), rule}
	}
	return nil
}

// judgeDial is a net.Dialer's last word: the address is the one that is really dialled, whatever a name resolved to.
func (s *session) judgeDial(_ context.Context, _, address string, _ syscall.RawConn) error {
	dialled, err := netip.ParseAddrPort(address)
	if err != nil {
		return err
	}
	return s.judge(dialled.Addr())
}

// metadataNames are what clouds' own name servers resolve to 169.254.169.254.
var metadataNames = []string{"metadata", "metadata.google.internal", "metadata.goog", "instance-data", "instance-data.ec2.internal"}

// judgeForProxy looks at what a proxy is asked to reach, as far as that can be known here: the proxy resolves names
// itself. What it may take for an address in an old spelling (127.1, 0x7f000001) is refused.
func (s *session) judgeForProxy(host string) error {
	if address, err := netip.ParseAddr(host); err == nil {
		return s.judge(address)
	}
	host = strings.TrimSuffix(host, ".")
	last := host[strings.LastIndexByte(host, '.')+1:]
	if host == "localhost" || strings.HasSuffix(host, ".localhost") {
		return s.judge(netip.AddrFrom4([4]byte{127, 0, 0, 1}))
	}
	if slices.Contains(metadataNames, host) {
		return s.judge(netip.AddrFrom4([4]byte{169, 254, 169, 254}))
	}
	if last == "" || strings.Trim(last, "0123456789") == "" || strings.HasPrefix(last, "0x") {
		return badTarget("write an address as 192.0.2.7", "a proxy may take %q for an address", host)
	}
	return nil
}

// maxPolicy bounds a policy file, in bytes.
const maxPolicy = 1 << 20

// LoadPolicy reads the owner's rules: a line "allow NETWORK" or "deny NETWORK" for each. A file that is not there has
// none; one that cannot be understood is an error, since it may hold a denial.
func LoadPolicy(file string) (Policy, error) {
	text, err := readSmall(file, maxPolicy)
	if err != nil {
		return nil, policyFault(file, err)
	}
	return parsePolicy(file, text)
}

func parsePolicy(file string, text []byte) (Policy, error) {
	var policy Policy
	for i, line := range strings.Split(string(text), "\n") {
		word, network, _ := strings.Cut(line, " ")
		if line == "" {
			continue
		}
		parsed, err := ParseNetwork(network)
		if err != nil || word != "allow" && word != "deny" {
			return nil, policyFault(file, fmt.Errorf("line %d is neither allow NETWORK nor deny NETWORK", i+1))
		}
		policy = append(policy, Rule{parsed, word == "allow"})
	}
	return policy, nil
}

// ChangePolicy adds rule to the owner's, in the place of one for the same network.
func ChangePolicy(file string, rule Rule) error {
	return changeFile(file, maxPolicy, func(text []byte) ([]byte, error) {
		policy, err := parsePolicy(file, text)
		if err != nil {
			return nil, err
		}
		policy = slices.DeleteFunc(policy, func(r Rule) bool { return r.Network == rule.Network })
		policy = append(policy, rule)
		slices.SortFunc(policy, func(a, b Rule) int { return a.Network.Compare(b.Network) })
		var out bytes.Buffer
		for _, r := range policy {
			fmt.Fprintf(&out, "%s %s\n", map[bool]string{true: "allow", false: "deny"}[r.Allow], r.Network)
		}
		return out.Bytes(), nil
	}, policyFault)
}

func policyFault(file string, err error) error {
	if _, ok := errors.AsType[*Error](err); ok {
		return err
	}
	return &Error{Op: OpTarget, Kind: LocalFailure, Err: inWords(err, "transfer policy %s", file)}
}
