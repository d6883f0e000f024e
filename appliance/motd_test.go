package appliance

import (
	"os"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestMotd(t *testing.T) {
	home := Home(t.TempDir())
	path := home.path("motd")
	says := func(want string) {
		t.Helper()
		if got := home.Motd(); got != want {
			t.Errorf("%q, want %q", got, want)
		}
		os.Remove(path)
	}
	says("")
	for text, want := range map[string]string{
		"hello":                          "hello\n",
		"two\nlines\n\n":                 "two\nlines\n",
		"\n":                             "",
		"cut \xff here":                  "cut  here\n",
		strings.Repeat("é", 5_000):       strings.Repeat("é", 2_048) + "\n",
		"x" + strings.Repeat("é", 5_000): "x" + strings.Repeat("é", 2_047) + "\n",
	} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		says(want)
	}
	// What is no file of this folder is not read.
	if err := os.Symlink("/etc/passwd", path); err != nil {
		t.Fatal(err)
	}
	says("")
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	says("")
}

func TestIdle(t *testing.T) {
	c := NewConfig("id", ManagementServer, "mx1", time.Unix(0, 0))
	c.Listen = "127.0.0.1:0"
	for seconds, ok := range map[int]bool{0: true, 60: true, 86_400: true, 59: false, -1: false, 86_401: false} {
		c.IdleTimeout = seconds
		if err := c.Validate(); (err == nil) != ok {
			t.Errorf("%d: %v", seconds, err)
		}
	}
	if c.IdleTimeout = 0; c.Idle() != defaultIdle {
		t.Error(c.Idle())
	}
}
