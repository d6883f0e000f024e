package appliance

import (
	"os"
	"strings"
	"testing"
	"time"
)

func TestValidate(t *testing.T) {
	good := func() Config {
		c := NewConfig("id", Gateway, "gw-1.example", time.Now())
		c.Listen, c.ManagementServer, c.GatewayGroup = "[::1]:0", "mx:8083", "any name"
		return c
	}
	if err := good().Validate(); err != nil {
		t.Fatal(err)
	}
	for flag, spoil := range map[string]func(*Config){
		"--role":               func(c *Config) { c.Role = "x" },
		"--name":               func(c *Config) { c.Name = "a/b" },
		"--name ":              func(c *Config) { c.Name = "-a" },
		`--name "`:             func(c *Config) { c.Name = "" },
		"--listen":             func(c *Config) { c.Listen = "host:80" },
		"--listen ":            func(c *Config) { c.Listen = "127.0.0.1:70000" },
		"--management-server":  func(c *Config) { c.ManagementServer = "mx" },
		`--management-server `: func(c *Config) { c.ManagementServer = "mx:0" },
		"--data-address":       func(c *Config) { c.DataAddress = "gw1" },
		"--licensing":          func(c *Config) { c.Licensing = "free" },
		"--management-server,": func(c *Config) { c.Role, c.Joining = ManagementServer, Joining{Alias: "a"} },
	} {
		c := good()
		spoil(&c)
		if err := c.Validate(); err == nil || !strings.HasPrefix(err.Error(), strings.TrimSpace(flag)) {
			t.Errorf("%s: %v", flag, err)
		}
	}
}

func TestLoadDamaged(t *testing.T) {
	home := Home(t.TempDir())
	for _, text := range []string{"", "{", `{"format":2}`, `{"format":1,"role":"mx","name":"../x","listen":":1"}`} {
		if err := os.WriteFile(home.Config(), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := home.Load(); err == nil || !strings.Contains(err.Error(), home.Config()) {
			t.Errorf("%q: %v", text, err)
		}
	}
}
