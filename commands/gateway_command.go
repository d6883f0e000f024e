package commands

import (
	"context"
	"fmt"

	"sealgate/appliance"
)

// What a management server may ask of its gateways, in the words of the link.
const (
	GatewayRestart  = "restart"
	GatewayDrain    = "drain"
	GatewayTechInfo = "get-tech-info"
	GatewayRenew    = "re-register"
)

// AskGateway is the work of the management server's impctl gateway commands.
type AskGateway struct {
	Gateway string `json:"gateway"`
	Kind    string `json:"kind"`
	Author  string `json:"author"`
}

// SearchGateways asks for the registered gateways whose names begin with Prefix.
type SearchGateways struct {
	Prefix string `json:"prefix"`
	Most   int    `json:"most"`
}

// FoundGateways are the first of them by name, and what is known of the others.
type FoundGateways struct {
	Gateways []FoundGateway `json:"gateways"`
	More     int            `json:"more"`
	Last     string         `json:"last"` // the last name of all
}

// FoundGateway is one, and where it is.
type FoundGateway struct {
	Name  string `json:"name"`
	Group string `json:"group"`
}

// GatewayAnswer says what a gateway has done.
type GatewayAnswer struct {
	Gateway string `json:"gateway"`
	Kind    string `json:"kind"`
	Name    string `json:"name,omitempty"` // of the bundle
	Bytes   int64  `json:"bytes,omitempty"`
}

type gatewayRestartCmd struct {
	Name string `arg:"" optional:"" complete:"gateways" help:"on a management server: the gateway"`
}

func (gatewayRestartCmd) Help() string {
	return `On a gateway it restarts the gateway. On a management server it says which; the
gateway restarts when it has heard of it, which it does within moments if it is
connected.`
}

func (c *gatewayRestartCmd) Run(ctx context.Context, e *Env) error {
	if e.Host.Config().Role == appliance.Gateway {
		if c.Name != "" {
			return usage("impctl gateway restart", "a gateway restarts itself and no other")
		}
		return restartCmd{}.Run(ctx, e)
	}
	if c.Name == "" {
		return usage("impctl gateway restart gw1", "which gateway?")
	}
	return e.askGateway(ctx, c.Name, GatewayRestart)
}

type gatewayDrainCmd struct {
	Name string `arg:"" complete:"gateways" help:"the gateway"`
}

func (gatewayDrainCmd) Help() string {
	return `The gateway closes its listeners, so that load balancers leave it; requests that are
under way end. It serves again when it is restarted.`
}

func (c *gatewayDrainCmd) Run(ctx context.Context, e *Env) error {
	return e.askGateway(ctx, c.Name, GatewayDrain)
}

type gatewayRenewCmd struct {
	Name string `arg:"" complete:"gateways" help:"the gateway"`
}

func (gatewayRenewCmd) Help() string {
	return `The gateway makes new keys and registers by them; those that it had are worth nothing
from then on. Nothing else changes, and traffic goes on.`
}

func (c *gatewayRenewCmd) Run(ctx context.Context, e *Env) error {
	return e.askGateway(ctx, c.Name, GatewayRenew)
}

type gatewayTechInfoCmd struct {
	Name string `arg:"" complete:"gateways" help:"the gateway"`
}

func (gatewayTechInfoCmd) Help() string {
	return `The gateway makes the bundle that impctl support get-tech-info makes there, and sends
it here, at most 1 GiB, into techinfo/gateways. One that is not connected is waited for
for a minute. A gateway whose role is stopped, or does not start, makes its bundle at
its own prompt: gti-remote.`
}

func (c *gatewayTechInfoCmd) Run(ctx context.Context, e *Env) error {
	return e.askGateway(ctx, c.Name, GatewayTechInfo)
}

func (e *Env) askGateway(ctx context.Context, name, kind string) error {
	r, err := e.Host.AskGateway(ctx, e.Caller, AskGateway{Gateway: name, Kind: kind}, e.UI)
	if err != nil {
		return err
	}
	text := fmt.Sprintf("gateway %s: it %s\n", quote(r.Gateway), map[string]string{GatewayRestart: "restarts", GatewayDrain: "takes no more connections until it is restarted", GatewayRenew: "has new keys"}[kind])
	if kind == GatewayTechInfo {
		text = fmt.Sprintf("%s: %s, in techinfo/gateways\n", r.Name, size(r.Bytes))
	}
	return e.Out(r, text)
}
