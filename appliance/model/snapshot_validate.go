package model

import (
	"errors"
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// maxFaults bounds what is said of a snapshot that is wrong in many places.
const maxFaults = 20

// checker collects what is wrong.
type checker struct {
	s      *Snapshot
	faults []error
	places map[string]string // which web service has an alias and port
}

func (c *checker) faultf(format string, args ...any) {
	if len(c.faults) < maxFaults {
		c.faults = append(c.faults, fmt.Errorf(format, args...))
	}
}

// Validate says everything that is wrong with a snapshot, up to a bound. A valid one
// names nothing that it does not hold.
func (s *Snapshot) Validate() error {
	c := &checker{s: s, places: make(map[string]string)}
	c.bounds()
	switch s.Group.FailMode {
	case "", "open", FailClosed:
	default:
		c.faultf("the gateway group's failMode is open or closed, not %q", s.Group.FailMode)
	}
	if err := checkMetrics(s.Group.Metrics); err != nil {
		c.faultf("%w", err)
	}
	c.objects()
	for i := range s.Services {
		c.service(&s.Services[i])
	}
	return errors.Join(c.faults...)
}

func (c *checker) bounds() {
	s := c.s
	if len(s.Services) > MaxSnapshotServices {
		c.faultf("there are %d web services, at most %d are allowed", len(s.Services), MaxSnapshotServices)
	}
	objects := len(s.IPGroups) + len(s.SSLSettings) + len(s.ActionSets) + len(s.ErrorPages) + len(s.ErrorPagePolicies) + len(s.URLRewriteGroups) +
		len(s.DataMaskingGroups) + len(s.ParameterTypes) + len(s.Dictionaries) + len(s.DataSets) + len(s.Policies)
	if objects > maxSnapshotObjects {
		c.faultf("there are %d objects, at most %d are allowed", objects, maxSnapshotObjects)
	}
	entries := 0
	for _, list := range s.IPGroups {
		entries += len(list)
	}
	if entries > maxSnapshotEntries {
		c.faultf("the IP groups have %d entries, at most %d are allowed", entries, maxSnapshotEntries)
	}
	if err := s.Group.Limits.check(); err != nil {
		c.faultf("%w", err)
	}
}

func (c *checker) objects() {
	s := c.s
	for name, entries := range s.IPGroups {
		for _, e := range entries {
			if err := e.check(); err != nil {
				c.faultf("IP group %q: %w", name, err)
			}
		}
	}
	for name, page := range s.ErrorPages {
		if (page.RedirectURL == "") == (page.Content == "") {
			c.faultf("error page %q has not exactly one of redirectUrl and errorPageContent", name)
		}
		c.status("error page "+strconv.Quote(name), page.Status)
	}
	for name, rules := range s.ErrorPagePolicies {
		for _, r := range rules {
			if _, ok := s.ErrorPages[r.Page]; !ok {
				c.faultf("error page policy %q names the error page %q, which is not there", name, r.Page)
			}
		}
	}
	for name, rules := range s.URLRewriteGroups {
		for _, r := range rules {
			c.pattern("URL rewrite group "+strconv.Quote(name), r.HostToFind)
			c.pattern("URL rewrite group "+strconv.Quote(name), r.PathToFind)
		}
	}
	for name, masks := range s.DataMaskingGroups {
		for _, m := range masks {
			c.pattern("data masking group "+strconv.Quote(name), m.Match)
		}
	}
	for name, set := range s.ActionSets {
		for _, a := range set.Actions {
			if err := a.check(); err != nil {
				c.faultf("action set %q: action %q: %w", name, a.Name, err)
			}
		}
	}
}

func (c *checker) pattern(of, expression string) {
	if _, err := regexp.Compile(expression); err != nil {
		c.faultf("%s: %q is no regular expression", of, expression)
	}
}

func (c *checker) status(of, status string) {
	if n, err := strconv.Atoi(status); status != "" && (err != nil || n < 200 || n > 599) {
		c.faultf("%s: %q is no status of an answer", of, status)
	}
}

func (e IPEntry) check() error {
	_, _, err := e.Range()
	return err
}

// Range is the first and the last address of an entry.
func (e IPEntry) Range() (first, last netip.Addr, err error) {
	switch e.Type {
	case "single", "range":
		if first, err = netip.ParseAddr(e.IPAddressFrom); err != nil {
			return first, last, fmt.Errorf("%q is no IP address", e.IPAddressFrom)
		}
		first = first.Unmap().WithZone("")
		if last = first; e.Type == "single" {
			return first, last, nil
		}
		if last, err = netip.ParseAddr(e.IPAddressTo); err != nil {
			return first, last, fmt.Errorf("%q is no IP address", e.IPAddressTo)
		}
		last = last.Unmap().WithZone("")
		if first.Is4() != last.Is4() || last.Less(first) {
			return first, last, fmt.Errorf("%s to %s is no range", first, last)
		}
		return first, last, nil
	case "network":
		addr, err := netip.ParseAddr(e.NetworkAddress)
		if err != nil {
			return first, last, fmt.Errorf("%q is no IP address", e.NetworkAddress)
		}
		bits := e.CIDRMask
		if addr.Is4In6() {
			addr, bits = addr.Unmap(), bits-96
		}
		prefix, err := addr.Prefix(bits)
		if err != nil {
			return first, last, fmt.Errorf("%s/%d is no network", addr, e.CIDRMask)
		}
		return prefix.Addr(), lastOf(prefix), nil
	}
	return first, last, fmt.Errorf("the type of an entry is single, range or network, not %q", e.Type)
}

func lastOf(p netip.Prefix) netip.Addr {
	bytes := p.Addr().AsSlice()
	for bit := p.Bits(); bit < 8*len(bytes); bit++ {
		bytes[bit/8] |= 0x80 >> (bit % 8)
	}
	last, _ := netip.AddrFromSlice(bytes)
	return last
}

// Kinds of actions that gateways carry out.
const (
	ActionIPBlock      = "ipBlock"
	ActionSessionBlock = "sessionBlock"
	ActionUserBlock    = "userBlock"
	ActionSyslog       = "syslog"
)

// UsualBlock is how long a block lasts whose action does not say it, in seconds.
const UsualBlock = 300

func (a Action) check() error {
	switch a.Type {
	case ActionIPBlock, ActionSessionBlock, ActionUserBlock:
		least := 1
		if a.Type == ActionUserBlock {
			least = 0 // releases that did not carry it out left its length open
		}
		if a.Seconds < least || a.Seconds > 365*24*3600 {
			return fmt.Errorf("a block of %d seconds", a.Seconds)
		}
	case ActionSyslog:
		if a.Host == "" || a.Port < 1 || a.Port > 65535 {
			return fmt.Errorf("the syslog server %q, port %d", a.Host, a.Port)
		}
		switch strings.ToUpper(a.Protocol) {
		case "", "UDP", "TCP", "TLS", "SSL":
		default:
			return fmt.Errorf("the protocol is UDP, TCP or TLS, not %q", a.Protocol)
		}
	}
	return nil
}

func (c *checker) service(s *SnapshotService) {
	of := fmt.Sprintf("web service %q of %q", s.Name, s.ServerGroup)
	if s.Site == "" || s.ServerGroup == "" || s.Name == "" {
		c.faultf("%s: site, server group and web service must have names", of)
	}
	switch s.Mode {
	case ModeActive, ModeSimulation, ModeDisabled:
	default:
		c.faultf("%s: the operation mode is active, simulation or disabled, not %q", of, s.Mode)
	}
	c.ipGroup(of, s.IgnoreIPGroup)
	c.ipGroup(of, s.LimitIPGroup)
	for _, f := range s.ForwardedConnections {
		c.ipGroup(of, f.IPGroup)
		if f.Header == "" {
			c.faultf("%s: a forwarded connection names no header", of)
		}
	}
	named(c, of, "error page policy", s.ErrorPagePolicies, c.s.ErrorPagePolicies)
	named(c, of, "URL rewrite group", s.URLRewriteGroups, c.s.URLRewriteGroups)
	if s.DataMaskingGroup != "" {
		named(c, of, "data masking group", []string{s.DataMaskingGroup}, c.s.DataMaskingGroups)
	}
	c.status(of, s.ErrorStatus)
	for _, m := range s.HostMappings {
		switch m.MatchType {
		case "", "Exact", "Prefix", "Suffix":
		case "Regex":
			c.pattern(of, m.Host)
		default:
			c.faultf("%s: the host match type is Exact, Prefix, Suffix or Regex, not %q", of, m.MatchType)
		}
	}
	for _, k := range s.Keys {
		if k.Name == "" || k.Certificate == "" || k.PrivateKey == "" && k.Secret == "" {
			c.faultf("%s: the certificate %q lacks a part", of, k.Name)
		}
	}
	if len(s.Inbound) > maxSnapshotRules {
		c.faultf("%s has %d inbound rules, at most %d are allowed", of, len(s.Inbound), maxSnapshotRules)
	}
	for i := range s.Inbound {
		c.inbound(of, s, &s.Inbound[i])
	}
}

func named[T any](c *checker, of, kind string, names []string, there map[string]T) {
	for _, name := range names {
		if _, ok := there[name]; !ok {
			c.faultf("%s names the %s %q, which is not there", of, kind, name)
		}
	}
}

func (c *checker) ipGroup(of, name string) {
	if name != "" {
		named(c, of, "IP group", []string{name}, c.s.IPGroups)
	}
}

func (c *checker) key(of string, s *SnapshotService, name string) {
	if name != "" && !slices.ContainsFunc(s.Keys, func(k SnapshotKey) bool { return k.Name == name }) {
		c.faultf("%s names the certificate %q, which is not there", of, name)
	}
}

func (c *checker) settings(of, name string) {
	if name != "" {
		named(c, of, "SSL settings", []string{name}, c.s.SSLSettings)
	}
}

func (c *checker) inbound(of string, s *SnapshotService, in *SnapshotInbound) {
	of = fmt.Sprintf("%s: inbound rule of alias %q", of, in.Alias)
	c.key(of, s, in.Certificate)
	c.settings(of, in.SSLSettings)
	c.key(of, s, in.Authority)
	if in.Authority != "" && in.Certificate == "" {
		c.faultf("%s: certificates of clients need a server certificate", of)
	}
	for _, expression := range in.ClientRules {
		c.pattern(of, expression)
	}
	if len(in.Ports) == 0 {
		c.faultf("%s has no port", of)
	}
	for _, port := range in.Ports {
		if port < 1 || port > 65535 {
			c.faultf("%s: port %d is outside 1 to 65535", of, port)
		}
		place := fmt.Sprintf("%s:%d", in.Alias, port)
		if other, taken := c.places[place]; taken {
			c.faultf("%s: port %d belongs to the web service %q already", of, port, other)
		}
		c.places[place] = s.Name
	}
	if len(in.Outbound) > maxSnapshotRules {
		c.faultf("%s has %d outbound rules, at most %d are allowed", of, len(in.Outbound), maxSnapshotRules)
	}
	for _, out := range in.Outbound {
		c.key(of, s, out.ClientCertificate)
		c.settings(of, out.SSLSettings)
		if out.ClientRule != "" {
			named(c, of, "client authentication rule", []string{out.ClientRule}, in.ClientRules)
		}
		switch {
		case out.Port < 1 || out.Port > 65535:
			c.faultf("%s: the server's port %d is outside 1 to 65535", of, out.Port)
		case out.Host == "" || strings.ContainsAny(out.Host, "/@ \t\r\n"):
			c.faultf("%s: %q is no server", of, out.Host)
		case out.URLPrefix != "" && out.URLPrefix[0] != '/':
			c.faultf("%s: the URL prefix %q does not begin with /", of, out.URLPrefix)
		case strings.LastIndexByte(out.ExternalHost, '*') > 0:
			c.faultf("%s: the external host %q has a * that is not its beginning", of, out.ExternalHost)
		case (out.ClientCertificate != "" || out.SSLSettings != "") && !out.Encrypt:
			c.faultf("%s: a client certificate and SSL settings need encrypt", of)
		}
	}
}
