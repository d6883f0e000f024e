// Package appliance is what a machine is: its role and names
// ([Config], kept in appliance.json), where its files lie ([Home]), and the
// error that carries a hint ([Fault]). The packages below it hold the rest, as
// files and rows. Nothing here listens, and nothing here knows a command.
package appliance

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// Role is what an appliance plays.
type Role string

// The two roles.
const (
	ManagementServer Role = "mx"
	Gateway          Role = "gateway"
)

// Title is the role in words.
func (r Role) Title() string {
	if r == Gateway {
		return "gateway"
	}
	return "management server"
}

// Config is what first-time login decided. It holds no secret.
type Config struct {
	Format      int       `json:"format"` // 1
	ID          string    `json:"id"`     // UUID, this machine's identity
	Role        Role      `json:"role"`
	Name        string    `json:"name"`
	Listen      string    `json:"listen"`                 // management address, ADDR:PORT; port 0 is any free port
	IdleTimeout int       `json:"idle_timeout,omitempty"` // seconds without a key that end a prompt; 0: 15 minutes
	Created     time.Time `json:"created"`
	AssetTag    string    `json:"asset_tag,omitempty"` // what the owner's inventory calls the machine

	Joining // gateways only
}

// Joining is how a gateway joins a management server. What is empty is the default.
type Joining struct {
	ManagementServer string `json:"management_server,omitempty"` // HOST:PORT
	GatewayGroup     string `json:"gateway_group,omitempty"`
	Alias            string `json:"alias,omitempty"`
	DataAddress      string `json:"data_address,omitempty"` // IP address on which it serves
	Licensing        string `json:"licensing,omitempty"`    // byol or on-demand
}

// Validate says which rule j breaks, naming flags.
func (j Joining) Validate() error {
	if j.ManagementServer != "" {
		if err := validAddress(j.ManagementServer, false); err != nil {
			return fmt.Errorf("--management-server %q: %w", j.ManagementServer, err)
		}
	}
	if j.DataAddress != "" && net.ParseIP(j.DataAddress) == nil {
		return fmt.Errorf("--data-address %q is not an IP address", j.DataAddress)
	}
	if j.Licensing != "" && j.Licensing != "byol" && j.Licensing != "on-demand" {
		return fmt.Errorf("--licensing is byol or on-demand, not %q", j.Licensing)
	}
	return nil
}

const configFormat = 1

// Bounds of the idle time-out. There is none without an end: a forgotten
// prompt is somebody else's.
const (
	defaultIdle = 15 * time.Minute
	minIdle     = time.Minute
	maxIdle     = 24 * time.Hour
)

// Idle is how long a prompt waits for a key.
func (c Config) Idle() time.Duration {
	if c.IdleTimeout == 0 {
		return defaultIdle
	}
	return time.Duration(c.IdleTimeout) * time.Second
}

// NewConfig fills in what every new appliance has.
func NewConfig(id string, role Role, name string, now time.Time) Config {
	return Config{Format: configFormat, ID: id, Role: role, Name: name, Created: now.UTC().Truncate(time.Second)}
}

// Validate says which rule c breaks, naming flags of `sealgated init`.
func (c Config) Validate() error {
	switch {
	case c.Role != ManagementServer && c.Role != Gateway:
		return fmt.Errorf("--role is mx or gateway, not %q", c.Role)
	case !validName(c.Name):
		return fmt.Errorf("--name %q: a name is 1 to 63 letters, digits, '-' or '.', and begins with a letter or digit", c.Name)
	}
	if idle := c.Idle(); idle < minIdle || idle > maxIdle {
		return fmt.Errorf("idle_timeout is %d to %d seconds, not %d", minIdle/time.Second, maxIdle/time.Second, c.IdleTimeout)
	}
	if err := validAddress(c.Listen, true); err != nil {
		return fmt.Errorf("--listen %q: %w", c.Listen, err)
	}
	if !validTag(c.AssetTag) {
		return fmt.Errorf("--asset-tag %.100q: a tag is at most %d printable ASCII characters", c.AssetTag, maxTag)
	}
	if c.Role == ManagementServer && c.Joining != (Joining{}) {
		return errors.New("--management-server, --gateway-group, --alias, --data-address and --licensing are for a gateway, and this is a management server")
	}
	return c.Joining.Validate()
}

// validName keeps names fit for file names and terminals.
func validName(name string) bool {
	if name == "" || len(name) > 63 || name[0] == '-' || name[0] == '.' {
		return false
	}
	for _, r := range name {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', r == '-', r == '.':
		default:
			return false
		}
	}
	return true
}

const maxTag = 64

func validTag(tag string) bool {
	return len(tag) <= maxTag && !strings.ContainsFunc(tag, func(r rune) bool { return r < ' ' || r > '~' })
}

func validAddress(address string, listening bool) error {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return errors.New("must be HOST:PORT")
	}
	n, err := strconv.Atoi(port)
	if err != nil || n < 0 || n > 65535 || (n == 0 && !listening) {
		return fmt.Errorf("port %q is not a port number", port)
	}
	if listening && host != "" && net.ParseIP(host) == nil {
		return fmt.Errorf("%q is not an IP address", host)
	}
	if !listening && host == "" {
		return errors.New("the host is missing")
	}
	return nil
}

// Home is an appliance's folder.
type Home string

// DefaultHome is where an installed appliance keeps its state.
const DefaultHome Home = "/var/lib/sealgate"

// The places in a home, as docs/FORMATS.md describes them.
func (h Home) path(elem ...string) string {
	return filepath.Join(append([]string{string(h)}, elem...)...)
}

func (h Home) Config() string      { return h.path("appliance.json") } // role and names
func (h Home) Run() string         { return h.path("run") }            // what a running daemon leaves: lock, socket
func (h Home) Socket() string      { return h.path("run", "control.sock") }
func (h Home) Lock() string        { return h.path("run", "lock") }
func (h Home) Data() string        { return h.path("data") }                 // generations of the database
func (h Home) Exports() string     { return h.path("exports") }              // dumps
func (h Home) TechInfo() string    { return h.path("techinfo") }             // support bundles
func (h Home) GatewayInfo() string { return h.path("techinfo", "gateways") } // bundles that were pulled from gateways
func (h Home) Results() string     { return h.path("results") }              // bundles on their way from a gateway
func (h Home) Incoming() string    { return h.path("incoming") }             // downloads that are not whole yet
func (h Home) Spool() string       { return h.path("spool") }                // what a gateway was told and has to tell
func (h Home) Uploads() string     { return h.path("spool", "uploads") }     // files of requests while they are inspected
func (h Home) Snapshot() string    { return h.path("spool", "config.json") }
func (h Home) HealthLog() string   { return h.path("spool", "health.log") }
func (h Home) Link() string        { return h.path("link") }                    // a gateway's keys, and where it is registered
func (h Home) Certificate() string { return h.path("certificate") }             // the management address's certificate and key
func (h Home) TLSServers() string  { return h.path("tls_servers") }             // ftp servers that have offered TLS
func (h Home) KnownHosts() string  { return h.path("known_hosts") }             // SSH host keys that were accepted
func (h Home) Logs() string        { return h.path("log") }                     // the server log
func (h Home) FirstLogin() string  { return h.path("log", "ec2_auto_ftl.log") } // the steps of the set-up
func (h Home) Audit() string       { return h.path("log", "audit") }            // who did what, chained
func (h Home) Recipient() string   { return h.path("recipient.pub") }           // seals secrets and opens none
func (h Home) SupportKey() string  { return h.path("support.pub") }             // to whom core files are sealed
func (h Home) Cores() string       { return h.path("coredumps") }               // core files, where the owner puts some
func (h Home) Seal() string        { return h.path("seal", "record") }
func (h Home) Trial() string       { return h.path("release.json") }         // which release is to run, and how it came to that
func (h Home) Hotfix() string      { return h.path("hotfix") }               // where a new appliance's first patch is
func (h Home) HotfixPatch() string { return h.path("hotfix.enc") }           // that patch, on its way
func (h Home) Identity() string    { return h.path("run", "identity.json") } // what licences are bound to, for the role

// Folders are those that every home has.
func (h Home) Folders() []string {
	return []string{h.Logs(), h.Exports(), h.TechInfo(), h.Certificate(), h.Spool(), h.Link(), h.Results()}
}

// Installed says whether h is the home of an installed appliance.
func (h Home) Installed() bool { return filepath.Clean(string(h)) == string(DefaultHome) }

// Anchors is the folder of the public keys that sign licences: root's own,
// out of the daemon's reach, where the appliance is installed; else in the home.
func (h Home) Anchors() string {
	if h.Installed() {
		return "/etc/sealgate/anchors"
	}
	return h.path(AnchorsName)
}

// PatchAnchors is the folder of the public keys that sign patches, and of the
// identities that open them.
func (h Home) PatchAnchors() string { return filepath.Join(h.Anchors(), "patches") }

// Releases is the folder of what patches brought. Where the appliance is installed
// it is root's, as is every folder above it: whoever owns a folder can put another
// one in the place of what lies in it.
func (h Home) Releases() string {
	if h.Installed() {
		return "/var/lib/sealgate-releases"
	}
	return h.path("releases")
}

// AnchorsName is the only folder that may be in a home before its creation.
const AnchorsName = "anchors"

// TransferPolicy holds the owner's rules about where transfers may connect to.
func (h Home) TransferPolicy() string { return h.path("transfer_policy") }

// ErrNoAppliance means that a folder holds none.
var ErrNoAppliance = errors.New("no appliance here")

// Load reads the configuration.
func (h Home) Load() (Config, error) {
	data, err := os.ReadFile(h.Config())
	if errors.Is(err, fs.ErrNotExist) {
		return Config{}, fmt.Errorf("%w: %s does not exist", ErrNoAppliance, h.Config())
	}
	if err != nil {
		return Config{}, err
	}
	var c Config
	if err := json.Unmarshal(data, &c); err != nil {
		return Config{}, fmt.Errorf("%s is damaged: %w", h.Config(), err)
	}
	if c.Format != configFormat {
		return Config{}, fmt.Errorf("%s has format %d, this release reads format %d", h.Config(), c.Format, configFormat)
	}
	if err := c.Validate(); err != nil {
		return Config{}, fmt.Errorf("%s is damaged: %w", h.Config(), err)
	}
	return c, nil
}

// Fault is an error that knows what the reader can do about it.
type Fault struct {
	Err  error
	Hint string // a sentence or a command to paste
}

func (f *Fault) Error() string { return f.Err.Error() }
func (f *Fault) Unwrap() error { return f.Err }

// Faultf is an error with a hint.
func Faultf(hint, format string, args ...any) error {
	return &Fault{Err: fmt.Errorf(format, args...), Hint: hint}
}
