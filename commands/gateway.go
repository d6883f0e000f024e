package commands

import (
	"context"
	"net"
	"strings"
	"time"

	"sealgate/appliance"
	"sealgate/control"
	"sealgate/transfer"
)

// DefaultPort is that of a management server.
const DefaultPort = "8083"

type gatewayRegisterCmd struct {
	ManagementServer  string `placeholder:"HOST[:PORT]" help:"the management server (default: the one that the appliance was created with; port 8083)"`
	GatewayGroup      string `placeholder:"NAME" help:"the gateway group, which is made if it is new (default: the one that the appliance was created with, else the default group)"`
	Alias             string `placeholder:"NAME" help:"the alias by which rules find the gateway's data address (default AWS Default)"`
	DataAddress       string `placeholder:"IP" help:"the address on which it serves (default: the one that reaches the management server)"`
	Licensing         string `enum:",byol,on-demand" default:"" placeholder:"{byol,on-demand}" help:"how the gateway counts: it needs a place in a licence, or none (default: as the appliance was created, else byol)"`
	RegistrationToken string `placeholder:"TOKEN" secret:"registration token" help:"a token of the management server instead of its secure password; - asks for it"`
}

func (gatewayRegisterCmd) Help() string {
	return `It asks for the secure password of the management server, which does not cross the
network: both ends prove to each other that they know it. From then on they know
each other by their keys. An answer that was lost does no harm: register again.`
}

// Register is the work of impctl gateway register.
type Register struct {
	appliance.Joining
	Password string `json:"password,omitempty"` // one of the two
	Token    string `json:"token,omitempty"`
}

// Registration is where a gateway belongs, and how its connection is.
type Registration struct {
	Name         string    `json:"name"`
	Server       string    `json:"management_server,omitempty"` // HOST:PORT; "": nowhere
	ServerName   string    `json:"management_server_name,omitempty"`
	Pin          string    `json:"management_server_pin,omitempty"` // SHA-256 of its key
	Group        string    `json:"gateway_group,omitempty"`
	DataAddress  string    `json:"data_address,omitempty"`
	Since        time.Time `json:"registered,omitzero"`
	Note         string    `json:"note,omitempty"`    // what is not as was asked: the management server knew the gateway
	Pending      string    `json:"pending,omitempty"` // how a registration that is tried again and again went last
	Connected    bool      `json:"connected"`
	Changed      time.Time `json:"connected_changed,omitzero"` // when Connected became what it is
	Error        string    `json:"error,omitempty"`            // why it is not connected
	Revision     int64     `json:"revision,omitempty"`         // of the configuration that runs
	Refused      string    `json:"refused,omitempty"`          // why a configuration was not taken
	NotListening string    `json:"not_listening,omitempty"`    // where it does not though the configuration says so, and why
}

func (c *gatewayRegisterCmd) Run(ctx context.Context, e *Env) error {
	config := e.Host.Config()
	r := Register{Joining: config.Joining, Token: c.RegistrationToken}
	for _, f := range []struct {
		typed string
		is    *string
	}{{withPort(c.ManagementServer), &r.ManagementServer}, {c.GatewayGroup, &r.GatewayGroup}, {c.Alias, &r.Alias}, {c.DataAddress, &r.DataAddress}, {c.Licensing, &r.Licensing}} {
		if f.typed != "" {
			*f.is = f.typed
		}
	}
	if r.ManagementServer == "" {
		return usage("impctl gateway register --management-server mx.example.com", "--management-server is missing, and the appliance was created without one")
	}
	if err := r.Validate(); err != nil {
		return usage("help impctl gateway register", "%s", err)
	}
	if r.Token == "" {
		password, err := e.askSecret(ctx, "secure password of the management server", false)
		if err != nil {
			return err
		}
		r.Password = password
	}
	got, err := e.Host.Register(ctx, e.Caller, r, e.UI)
	if err != nil {
		return err
	}
	return e.Out(got, "registered\n"+registrationLines(got))
}

// withPort is an address with the usual port, if it has none.
func withPort(address string) string {
	if address == "" {
		return ""
	}
	if _, _, err := net.SplitHostPort(address); err == nil {
		return address
	}
	return net.JoinHostPort(strings.Trim(address, "[]"), DefaultPort)
}

type gatewayUnregisterCmd struct {
	Forget bool `help:"also when the management server cannot be told: delete the gateway there as well"`
}

func (gatewayUnregisterCmd) Help() string {
	return `The management server forgets the gateway's key, and the gateway itself unless rules
use its aliases. The gateway goes on with the configuration that it has.`
}

func (c *gatewayUnregisterCmd) Run(ctx context.Context, e *Env) error {
	was, err := e.Host.Unregister(ctx, e.Caller, c.Forget, e.UI)
	if err != nil {
		return err
	}
	return e.Out(was, "unregistered from "+transfer.SafeText(was.Server)+"\n")
}

type gatewayShowCmd struct{}

func (gatewayShowCmd) Run(_ context.Context, e *Env) error {
	r := e.Host.Status().Registration
	if r == nil {
		return &Failure{control.ExitFailed, "the gateway's registration cannot be read", "show log says why"}
	}
	return e.Out(r, registrationLines(*r))
}

func registrationLines(r Registration) string {
	text := row("gateway", "%s", r.Name)
	if r.Server == "" {
		text += row("management server", "none: it is not registered")
	} else {
		text += row("gateway group", "%s", quote(r.Group)) +
			row("management server", "%s, %s", transfer.SafeText(r.Server), quote(r.ServerName)) +
			row("its key", "%s", r.Pin) +
			row("registered", "%s", stamp(r.Since)) +
			row("data address", "%s", transfer.SafeText(r.DataAddress))
	}
	if r.Note != "" {
		text += row("note", "%s", transfer.SafeText(r.Note))
	}
	return text + linkLines(r)
}

// linkLines say how the connection is.
func linkLines(r Registration) string {
	text := ""
	if r.Pending != "" {
		text += row("registration", "is tried again: %s", transfer.SafeText(r.Pending))
	}
	if r.Server == "" {
		return text
	}
	switch {
	case r.Connected:
		text += row("connected", "since %s", stamp(r.Changed))
	case r.Changed.IsZero():
		text += row("connected", "not yet")
	case r.Error != "":
		text += row("connected", "not since %s: %s", stamp(r.Changed), transfer.SafeText(r.Error))
	default:
		text += row("connected", "not since %s", stamp(r.Changed))
	}
	if r.Revision != 0 {
		text += row("configuration", "revision %d", r.Revision)
	}
	if r.NotListening != "" {
		text += row("does not listen", "at %s", transfer.SafeText(r.NotListening))
	}
	if r.Refused != "" {
		text += row("refused", "%s", transfer.SafeText(r.Refused))
	}
	return text
}
