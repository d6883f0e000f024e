package transfer

import (
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"path"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// maxURL is the longest URL that ParseTarget reads; Linux takes no longer path either.
const maxURL = 4096

var defaultPorts = map[string]int{"ftp": 21, "http": 80, "https": 443, "scp": 22}

// Target is where one file goes.
type Target struct {
	// Protocol is ftp, http, https or scp.
	Protocol string
	// Host is a name or an address in lower case, an IPv6 address without brackets.
	Host string
	// Port is never 0 after ParseTarget.
	Port int
	// Path begins with "/", ends in the file's name, and has its percent-escapes undone. With ftp it starts at the
	// folder that the login leads to, unless it begins with "//"; with scp it is absolute.
	Path string
	// RawPath is the path as it was spelt, kept for http and https, where %2F and / differ.
	RawPath string
	// Query is what follows "?" with http and https. It may hold a signature, so it is never shown.
	Query string
}

// ParseTarget reads HOST[:PORT]/path. A path that ends in "/" is a folder and gets name appended, before a query. A
// scheme that agrees with protocol is accepted ("sftp" is scp). Percent-escapes are undone for every protocol.
//
// Names may begin with "-": nothing here becomes an argument of another program. Hosts may not.
func ParseTarget(protocol, raw, name string) (Target, error) {
	t := Target{Protocol: protocol}
	if err := t.parse(raw, name); err != nil {
		return Target{}, err
	}
	return t, nil
}

func (t *Target) parse(raw, name string) error {
	port, ok := defaultPorts[t.Protocol]
	if !ok {
		return noProtocol(t.Protocol)
	}
	t.Port = port
	if len(raw) > maxURL {
		return badTarget("", "the URL is longer than %d bytes", maxURL)
	}
	rest, err := cutScheme(t.Protocol, raw)
	if err != nil {
		return err
	}
	slash := strings.IndexByte(rest, '/')
	authority, spelt := rest, ""
	if slash >= 0 {
		authority, spelt = rest[:slash], rest[slash:]
	}
	if strings.Contains(authority, "@") {
		// Not shown: what stands before the @ may be a password.
		return badTarget("give the user with --user and the password with --password", "the URL holds a user name")
	}
	if strings.ContainsFunc(rest, unicode.IsControl) || !utf8.ValidString(rest) {
		return badTarget("", "the URL holds a control character or is not UTF-8")
	}
	if err := t.setAuthority(authority); err != nil {
		return err
	}
	if slash < 0 {
		return badTarget("HOST/ is the top folder, HOST/folder/ another one", "the URL names no path")
	}
	return t.setPath(spelt, name)
}

func noProtocol(name string) error {
	return badTarget("use ftp, http, https or scp", "there is no protocol %q", name)
}

// cutScheme takes off "scheme://" when it agrees with protocol.
func cutScheme(protocol, raw string) (string, error) {
	scheme, rest, found := strings.Cut(raw, "://")
	if !found || strings.ContainsAny(scheme, "/@?[") {
		return raw, nil // "://" further on is part of a path
	}
	scheme = strings.ToLower(scheme)
	if strings.ContainsFunc(scheme, func(r rune) bool { return (r < 'a' || r > 'z') && (r < '0' || r > '9') }) {
		return "", badTarget("leave the scheme out", "what stands before :// is not a scheme") // it may be a password
	}
	if scheme == "sftp" {
		scheme = "scp"
	}
	if scheme != protocol {
		return "", badTarget("leave the scheme out", "the URL says %s, the protocol is %s", strconv.Quote(scheme), protocol)
	}
	return rest, nil
}

func (t *Target) setAuthority(authority string) error {
	host, port := authority, ""
	if inner, ok := strings.CutPrefix(authority, "["); ok {
		var after string
		if host, after, ok = strings.Cut(inner, "]"); !ok {
			return badTarget("", "the host has an opening bracket without a closing one")
		}
		if after != "" && after[0] != ':' {
			return badTarget("write [ADDRESS]:PORT", "something other than a port follows the bracket")
		}
		port = after
		// A zone is written %25eth0 in a URL and %eth0 everywhere else.
		host = strings.Replace(host, "%25", "%", 1)
		if addr, err := netip.ParseAddr(host); err != nil || !addr.Is6() || strings.ContainsFunc(addr.Zone(), notInName) {
			return badTarget("", "what stands in brackets is not an IPv6 address: %s", host)
		}
	} else {
		if strings.Count(authority, ":") > 1 {
			return badTarget("write an IPv6 address in brackets: [::1]/path", "the host holds more than one colon")
		}
		if i := strings.IndexByte(authority, ':'); i >= 0 {
			host, port = authority[:i], authority[i:]
		}
		if err := checkHostName(host); err != nil {
			return err
		}
	}
	t.Host = strings.ToLower(host)
	if port == "" {
		return nil
	}
	n, err := strconv.ParseUint(port[1:], 10, 16)
	if err != nil || n == 0 {
		return badTarget("a port is a number from 1 to 65535", "the port %s is not one", strconv.Quote(port[1:]))
	}
	t.Port = int(n)
	return nil
}

func checkHostName(host string) error {
	if host == "" {
		return badTarget("write HOST[:PORT]/path", "the URL names no host")
	}
	if len(host) > 253 {
		return badTarget("", "the host name is longer than 253 bytes")
	}
	if strings.ContainsFunc(host, notInName) || host[0] == '-' || host[0] == '.' {
		return badTarget("letters, digits, dots and hyphens; international names in their xn-- form",
			"the host %s is not a host name", strconv.Quote(host))
	}
	return nil
}

// notInName is what no host name holds, and no IPv6 zone.
func notInName(r rune) bool {
	return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '.' && r != '-' && r != '_'
}

func (t *Target) setPath(spelt, name string) error {
	if t.isHTTP() {
		if strings.Contains(spelt, "#") {
			return badTarget("write %23 for a # that belongs to the name", "the URL holds a fragment")
		}
		spelt, t.Query, _ = strings.Cut(spelt, "?")
	}
	if strings.HasSuffix(spelt, "/") {
		if err := checkName(name); err != nil {
			return err
		}
		spelt += url.PathEscape(name)
	}
	plain, err := url.PathUnescape(spelt)
	if err != nil {
		return badTarget("write %25 for a percent sign", "the path holds a percent sign that begins no escape")
	}
	t.Path = plain
	if t.isHTTP() {
		t.RawPath = spelt
	}
	return t.check()
}

// check is what holds for every Target that is used, parsed or made by hand.
func (t Target) check() error {
	if _, ok := defaultPorts[t.Protocol]; !ok {
		return noProtocol(t.Protocol)
	}
	if t.Host == "" || t.Port < 1 || t.Port > 65535 || !strings.HasPrefix(t.Path, "/") {
		return badTarget("write HOST[:PORT]/path", "the URL has no host, port or path")
	}
	if strings.ContainsFunc(t.Path+t.Query, unicode.IsControl) || !utf8.ValidString(t.Path+t.Query) {
		return badTarget("", "the path holds a control character or is not UTF-8")
	}
	return checkName(t.name())
}

func checkName(name string) error {
	if name == "" || name == "." || name == ".." || strings.Contains(name, "/") || len(name) > 255 {
		return badTarget("", "%s cannot be the name of a file", strconv.Quote(name))
	}
	return nil
}

// name is the last part of the path: the file's own name. It is empty when the path ends in "/".
func (t Target) name() string { _, name := path.Split(t.Path); return name }

// folder is the path without the name; it ends in "/".
func (t Target) folder() string { folder, _ := path.Split(t.Path); return folder }

func (t Target) isHTTP() bool { return t.Protocol == "http" || t.Protocol == "https" }

func (t Target) addr() string { return net.JoinHostPort(t.Host, strconv.Itoa(t.Port)) }

// hostPort is HOST[:PORT] as a user would write it.
func (t Target) hostPort() string {
	host := t.Host
	if strings.Contains(host, ":") {
		host = "[" + host + "]"
	}
	if t.Port != defaultPorts[t.Protocol] {
		host += ":" + strconv.Itoa(t.Port)
	}
	return host
}

// url is the target as http wants it, and a proxy's FTP gateway (RFC 1738: the root is written %2F, binary is asked for).
func (t Target) url() *url.URL {
	if t.Protocol == "ftp" {
		return &url.URL{Scheme: "ftp", Host: t.hostPort(), Opaque: "//" + t.hostPort() + gatewayPath(t.Path)}
	}
	return &url.URL{Scheme: t.Protocol, Host: t.hostPort(), Path: t.Path, RawPath: t.RawPath, RawQuery: t.Query}
}

func gatewayPath(path string) string {
	absolute := strings.HasPrefix(path, "//")
	levels := strings.Split(strings.TrimLeft(path, "/"), "/")
	for i, level := range levels {
		levels[i] = url.PathEscape(level)
	}
	spelt := "/" + strings.Join(levels, "/") + ";type=i"
	if absolute {
		return "/%2F" + spelt[1:]
	}
	return spelt
}

// String is the target with its scheme, safe on a terminal. A query is shown as "?…", since signed URLs carry their
// permission there.
func (t Target) String() string {
	s := fmt.Sprintf("%s://%s%s", t.Protocol, t.hostPort(), t.Path)
	if t.Query != "" {
		s += "?…"
	}
	return SafeText(s)
}
