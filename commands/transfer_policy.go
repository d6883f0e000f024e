package commands

import (
	"context"
	"fmt"
	"strings"

	"sealgate/transfer"
)

type transferPolicyCmd struct {
	Show  transferPolicyShowCmd  `cmd:"" example:"impctl transfer-policy show" rights:"operator" help:"which addresses transfers may connect to"`
	Allow transferPolicyAllowCmd `cmd:"" example:"impctl transfer-policy allow 169.254.10.7" help:"let transfers connect to a network"`
	Deny  transferPolicyDenyCmd  `cmd:"" example:"impctl transfer-policy deny 10.0.0.0/8" help:"keep transfers off a network"`
}

type transferPolicyShowCmd struct{}

func (transferPolicyShowCmd) Help() string {
	return `Of several rules the one with the longest prefix decides, for uploads, downloads
and the proxy, about the address that is really connected to. Loopback,
link-local and metadata addresses are refused unless they are allowed here.`
}

func (transferPolicyShowCmd) Run(_ context.Context, e *Env) error {
	policy, err := transfer.LoadPolicy(e.Host.Home().TransferPolicy())
	if err != nil {
		return err
	}
	var b strings.Builder
	for _, rule := range policy.Rules() {
		word := "deny"
		if rule.Allow {
			word = "allow"
		}
		fmt.Fprintf(&b, "%-5s %s\n", word, rule.Network)
	}
	return e.Out(map[string]any{"rules": policy.Rules()}, b.String())
}

type transferPolicyAllowCmd struct {
	Network string `arg:"" help:"ADDRESS or ADDRESS/BITS"`
}

func (c *transferPolicyAllowCmd) Run(_ context.Context, e *Env) error {
	return e.changePolicy(c.Network, true)
}

type transferPolicyDenyCmd struct {
	Network string `arg:"" help:"ADDRESS or ADDRESS/BITS"`
}

func (c *transferPolicyDenyCmd) Run(_ context.Context, e *Env) error {
	return e.changePolicy(c.Network, false)
}

func (e *Env) changePolicy(raw string, allow bool) error {
	network, err := transfer.ParseNetwork(raw)
	if err != nil {
		r := ResultOf(err)
		return usage(r.Hint, "%s is not a network", quote(raw))
	}
	if err := transfer.ChangePolicy(e.Host.Home().TransferPolicy(), transfer.Rule{Network: network, Allow: allow}); err != nil {
		return err
	}
	return transferPolicyShowCmd{}.Run(context.Background(), e)
}
