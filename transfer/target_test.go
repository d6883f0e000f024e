package transfer_test

import (
	"errors"
	"net/url"
	"path"
	"strings"
	"testing"
	"unicode"

	"github.com/google/go-cmp/cmp"

	"sealgate/transfer"
)

func TestParseTarget(t *testing.T) {
	type T = transfer.Target
	for _, test := range []struct {
		protocol, raw string
		want          T
		shown         string
	}{
		{"ftp", "host/file", T{Protocol: "ftp", Host: "host", Port: 21, Path: "/file"}, "ftp://host/file"},
		{"ftp", "host/", T{Protocol: "ftp", Host: "host", Port: 21, Path: "/own.name"}, "ftp://host/own.name"},
		{"ftp", "host//etc/x", T{Protocol: "ftp", Host: "host", Port: 21, Path: "//etc/x"}, "ftp://host//etc/x"},
		{"ftp", "host/%2Fetc/x", T{Protocol: "ftp", Host: "host", Port: 21, Path: "//etc/x"}, "ftp://host//etc/x"},
		{"ftp", "host/a?b#c", T{Protocol: "ftp", Host: "host", Port: 21, Path: "/a?b#c"}, "ftp://host/a?b#c"},
		{"ftp", "ftp://HOST:2121/f", T{Protocol: "ftp", Host: "host", Port: 2121, Path: "/f"}, "ftp://host:2121/f"},
		{"scp", "192.168.1.8/home/u/f", T{Protocol: "scp", Host: "192.168.1.8", Port: 22, Path: "/home/u/f"}, "scp://192.168.1.8/home/u/f"},
		{"scp", "sftp://h/f", T{Protocol: "scp", Host: "h", Port: 22, Path: "/f"}, "scp://h/f"},
		{"scp", "SCP://h:22/f", T{Protocol: "scp", Host: "h", Port: 22, Path: "/f"}, "scp://h/f"},
		{"scp", "[::1]:2222/f", T{Protocol: "scp", Host: "::1", Port: 2222, Path: "/f"}, "scp://[::1]:2222/f"},
		{"scp", "[fe80::1%25eth0]/f", T{Protocol: "scp", Host: "fe80::1%eth0", Port: 22, Path: "/f"}, "scp://[fe80::1%eth0]/f"},
		{"scp", "h/-rf", T{Protocol: "scp", Host: "h", Port: 22, Path: "/-rf"}, "scp://h/-rf"},
		{"scp", "h/user@example/f", T{Protocol: "scp", Host: "h", Port: 22, Path: "/user@example/f"}, "scp://h/user@example/f"},
		{"scp", "h/a%20b", T{Protocol: "scp", Host: "h", Port: 22, Path: "/a b"}, "scp://h/a b"},
		{"scp", "h/\u202egnp.exe", T{Protocol: "scp", Host: "h", Port: 22, Path: "/\u202egnp.exe"}, `scp://h/\u202egnp.exe`},
		{"http", "h:8080/dav/", T{Protocol: "http", Host: "h", Port: 8080, Path: "/dav/own.name", RawPath: "/dav/own.name"}, "http://h:8080/dav/own.name"},
		{"https", "h/dav/?sig=secret", T{Protocol: "https", Host: "h", Port: 443, Path: "/dav/own.name", RawPath: "/dav/own.name", Query: "sig=secret"}, "https://h/dav/own.name?…"},
		{"https", "h/a%2Fb/c", T{Protocol: "https", Host: "h", Port: 443, Path: "/a/b/c", RawPath: "/a%2Fb/c"}, "https://h/a/b/c"},
		{"https", "h/go?to=http://other/", T{Protocol: "https", Host: "h", Port: 443, Path: "/go", RawPath: "/go", Query: "to=http://other/"}, "https://h/go?…"},
	} {
		got, err := transfer.ParseTarget(test.protocol, test.raw, "own.name")
		if err != nil {
			t.Errorf("%s: %v", test.raw, err)
			continue
		}
		if diff := cmp.Diff(test.want, got); diff != "" {
			t.Errorf("%s:\n%s", test.raw, diff)
		}
		if got.String() != test.shown {
			t.Errorf("%s is shown as %s, want %s", test.raw, got, test.shown)
		}
	}
}

func TestParseTargetRefuses(t *testing.T) {
	for _, test := range []struct{ protocol, raw, name, says string }{
		{"gopher", "h/f", "n", "there is no protocol"},
		{"ftp", "scp://h/f", "n", `the URL says "scp", the protocol is ftp`},
		{"https", "http://h/f", "n", "leave the scheme out"},
		{"ftp", "ftps://h/f", "n", "the protocol is ftp"},
		{"ftp", "", "n", "names no host"},
		{"ftp", "/f", "n", "names no host"},
		{"ftp", "h", "n", "names no path"},
		{"ftp", "user:hunter2@h/f", "n", "--user"},
		{"scp", "scp://user:hunter2@h/f", "n", "--user"},
		{"ftp", "user:hunter2://x@h/f", "n", ""},
		{"ftp", "h:/f", "n", "a port is a number"},
		{"ftp", "h:0/f", "n", "a port is a number"},
		{"ftp", "h:65536/f", "n", "a port is a number"},
		{"ftp", "h:+21/f", "n", "a port is a number"},
		{"ftp", "h:21x/f", "n", "a port is a number"},
		{"ftp", "::1/f", "n", "brackets"},
		{"ftp", "[::1/f", "n", "bracket"},
		{"ftp", "[::1]x/f", "n", "bracket"},
		{"ftp", "[127.0.0.1]/f", "n", "not an IPv6 address"},
		{"ftp", "-oProxyCommand=x/f", "n", "is not a host name"},
		{"ftp", "-host/f", "n", "is not a host name"},
		{"ftp", "h\x1b[2J/f", "n", "control character"},
		{"ftp", "h/f\r\nDELE x", "n", "control character"},
		{"ftp", "h/f%0d%0aDELE%20x", "n", "control character"},
		{"ftp", "h/f%00", "n", "control character"},
		{"ftp", "h/f\u0085", "n", "control character"},
		{"ftp", "h/\xff", "n", "UTF-8"},
		{"scp", "h/%ff", "n", "UTF-8"},
		{"scp", "h/100%", "n", "%25"},
		{"scp", "h/a/..", "n", "cannot be the name"},
		{"scp", "h/", "", "cannot be the name"},
		{"scp", "h/", "a/b", "cannot be the name"},
		{"scp", "h/", "a\nb", "control character"},
		{"scp", "h/" + strings.Repeat("n", 256), "n", "cannot be the name"},
		{"scp", "h/" + strings.Repeat("n/", 3000), "n", "longer than 4096 bytes"},
		{"http", "h/f#x", "n", "%23"},
		{"ftp", "münchen/f", "n", "xn--"},
	} {
		_, err := transfer.ParseTarget(test.protocol, test.raw, test.name)
		if err == nil {
			t.Errorf("%q is accepted", test.raw)
			continue
		}
		fault := mustFail(t, err, transfer.OpTarget, transfer.BadTarget, "hunter2")
		if !strings.Contains(fault.Error()+" "+fault.Hint, test.says) {
			t.Errorf("%q: %v (%s) does not say %q", test.raw, fault, fault.Hint, test.says)
		}
	}
}

func FuzzParseTarget(f *testing.F) {
	for _, seed := range []string{"host/file", "ftp://h:1/a/", "[::1%25lo]:2/x?y=z", "u:p@h/x", "h/%2e%2e", "h//%00", "https://h/a%2Fb?c#d", "[::% ]/"} {
		f.Add("ftp", seed, "name")
		f.Add("https", seed, "name")
	}
	f.Fuzz(func(t *testing.T, protocol, raw, name string) {
		target, err := transfer.ParseTarget(protocol, raw, name)
		if err != nil {
			var fault *transfer.Error
			if !errors.As(err, &fault) || target != (transfer.Target{}) {
				t.Fatalf("%v, %#v", err, target)
			}
			if text := fault.Error(); transfer.SafeText(text) != text && !strings.HasSuffix(text, "…") {
				t.Fatalf("unsafe: %q", text)
			}
			return
		}
		if target.Host == "" || target.Host[0] == '-' || strings.ContainsAny(target.Host, "@/ []") || target.Port < 1 || target.Port > 65535 {
			t.Fatalf("host and port: %#v", target)
		}
		last := path.Base(target.Path)
		if target.Path[0] != '/' || strings.HasSuffix(target.Path, "/") || last == ".." || last == "." {
			t.Fatalf("path: %#v", target)
		}
		if strings.ContainsFunc(target.Path+target.Query, unicode.IsControl) {
			t.Fatalf("control characters: %#v", target)
		}
		if shown := target.String(); transfer.SafeText(shown) != shown {
			t.Fatalf("unsafe: %q", shown)
		}
		// What is parsed can be written as a URL and parsed again.
		if target.Query == "" && !strings.Contains(target.Host, "%") && target.RawPath == "" {
			host := target.Host
			if strings.Contains(host, ":") {
				host = "[" + host + "]"
			}
			escaped := (&url.URL{Path: target.Path}).EscapedPath()
			again, err := transfer.ParseTarget(protocol, host+escaped, name)
			again.Port = target.Port
			if len(escaped) < 3000 && (err != nil || again != target) {
				t.Fatalf("%#v became %#v: %v", target, again, err)
			}
		}
	})
}
