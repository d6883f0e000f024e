package urlpath_test

import (
	"net/url"
	"path"
	"strings"
	"testing"

	"sealgate/daemon/gateway/urlpath"
)

func TestCanonical(t *testing.T) {
	for target, want := range map[string]string{
		"/":                        "/",
		"":                         "/",
		"*":                        "*",
		"/admin/x":                 "/admin/x",
		"/admin/x?a=/../b":         "/admin/x",
		"/%61dmin/x":               "/admin/x",
		"//admin///x":              "/admin/x",
		"/./admin/./x":             "/admin/x",
		"/y/../admin/x":            "/admin/x",
		"/y/%2e%2E/admin/x":        "/admin/x",
		"/../../admin":             "/admin",
		"/y//../admin":             "/admin",
		"/admin;jsessionid=1/x;v":  "/admin/x",
		"/y/..;a=b/admin":          "/admin",
		"/;a/admin":                "/admin",
		"/admin%3Ba/x":             "/admin/x",
		"/admin%2fx":               "/admin/x",
		`/y\..\admin\x`:            "/admin/x",
		"/y%5c..%5cadmin":          "/admin",
		"/admin/":                  "/admin/",
		"/admin/.":                 "/admin/",
		"/admin/x/..":              "/admin/",
		"/admin/;a":                "/admin/",
		"/..":                      "/",
		"/.well-known/...":         "/.well-known/...",
		"/caf%C3%A9/a%20b":         "/café/a b",
		"/100%25":                  "/100%25",
		"/%2561dmin":               "/%2561dmin",
		"/%%36%31dmin":             "/%2561dmin",
		"/%zz":                     "/%25zz",
		"/what%3F":                 "/what%3F",
		"/A":                       "/A",
		"no/slash":                 "/no/slash",
		"/a%00b":                   "/a\x00b",
		"/a/b/../../../../c/d/e/.": "/c/d/e/",
	} {
		if got := urlpath.Canonical(target); got != want {
			t.Errorf("the path of %q is %q, not %q", target, got, want)
		}
	}
}

func TestPrefix(t *testing.T) {
	for prefix, want := range map[string]string{
		"":              "",
		"/":             "/",
		"/admin":        "/admin",
		"/admin/":       "/admin/",
		"//%61dmin/./x": "/admin/x",
		"/admin;v=1/":   "/admin/",
		"/admin;v=1":    "/admin",
		"/.":            "/.",
		"/a/..":         "/a/..",
		"/a/../b":       "/b",
		"/a b":          "/a b",
		"/a%20b":        "/a b",
		"/100%":         "/100%25",
		"/100%25/":      "/100%25/",
		"/what?":        "/what%3F",
	} {
		if got := urlpath.Prefix(prefix); got != want {
			t.Errorf("the prefix %q is %q, not %q", prefix, got, want)
		}
	}
}

func TestAmbiguous(t *testing.T) {
	for _, target := range []string{"/%2561dmin", "/y%2fadmin", "/y%5Cadmin", `/y\admin`, "/admin%00.png", "/y/../admin", "/y/%2e./admin", "/y/..;/admin",
		"/%u0061dmin", "/%", "/y/%c0%ae%c0%ae/admin", "/y%0a", "/y#/../admin", "/y/..", "//static/admin", "///admin", "//"} {
		if !urlpath.Ambiguous(target) {
			t.Errorf("all read %q alike, it says", target)
		}
	}
	for _, target := range []string{"/", "*", "/admin", "/y//admin", "/./admin", "/%61dmin", "/admin;a=..", "/a%20b", "/caf%C3%A9", "/x?q=%2f..%2f%00", "/...", "/what%3F", "/a%23"} {
		if urlpath.Ambiguous(target) {
			t.Errorf("%q has two readings, it says", target)
		}
	}
}

// A canonical path is its own; where all read a target alike, they read what other
// libraries do, and decode it twice for nothing.
func FuzzCanonical(f *testing.F) {
	for _, target := range []string{"/", "*", "", "/a/../b?c", "/%2561", "/%%36%31", `\..\x`, "/a;b/..;c/%3b", "/%zz%", "/%c0%ae", "/a//%2e%2e//b/.", "x%3F?"} {
		f.Add(target)
	}
	f.Fuzz(func(t *testing.T, target string) {
		canonical := urlpath.Canonical(target)
		if again := urlpath.Canonical(canonical); again != canonical {
			t.Fatalf("%q is %q, and that is %q", target, canonical, again)
		}
		if canonical == "*" {
			return
		}
		if canonical[0] != '/' || strings.Contains(canonical, "//") || strings.ContainsAny(canonical, `\;?`) {
			t.Fatalf("%q is %q", target, canonical)
		}
		for name := range strings.SplitSeq(canonical, "/") {
			if name == "." || name == ".." {
				t.Fatalf("%q is %q", target, canonical)
			}
		}
		if !strings.HasPrefix(canonical, urlpath.Prefix(canonical)) {
			t.Fatalf("%q is no prefix of itself, but %q", canonical, urlpath.Prefix(canonical))
		}
		raw, _, _ := strings.Cut(target, "?")
		if urlpath.Ambiguous(target) || strings.Contains(raw, ";") || strings.Contains(strings.ToUpper(raw), "%3B") {
			return
		}
		decoded, err := url.PathUnescape(raw)
		if err != nil {
			t.Fatalf("%q is not ambiguous: %v", target, err)
		}
		once, err := url.PathUnescape(canonical)
		if err != nil {
			t.Fatalf("%q is %q: %v", target, canonical, err)
		}
		if want := path.Clean("/" + decoded); want != path.Clean(once) {
			t.Fatalf("%q is %q, and %q elsewhere", target, canonical, want)
		}
		if twice, err := url.PathUnescape(decoded); err == nil && twice != decoded {
			t.Fatalf("%q is not ambiguous, but %q decoded twice", target, twice)
		}
	})
}
