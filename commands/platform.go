package commands

import (
	"context"
	"fmt"
	"net"
	"os"
	"runtime"
	"strings"

	"golang.org/x/sys/unix"

	"sealgate/appliance"
	"sealgate/appliance/licence"
)

type platformCmd struct {
	Show platformShowCmd `cmd:"" example:"impctl platform show" rights:"operator" help:"model, role, licences, addresses, releases"`

	Rollback platformRollbackCmd `cmd:"" example:"impctl platform rollback --yes" help:"go back to the release before the last patch"`
}

// platform is what impctl platform show tells.
type platform struct {
	Model     string         `json:"model"`
	Name      string         `json:"name"`
	Role      appliance.Role `json:"role"`
	AssetTag  string         `json:"asset_tag,omitempty"`
	ID        string         `json:"id"`
	Challenge string         `json:"challenge"`
	Sealed    bool           `json:"sealed"`
	Addresses []string       `json:"addresses"`
	Listening string         `json:"listening,omitempty"`
	Releases  []Release      `json:"releases"`

	Deployment string    `json:"deployment,omitempty"`
	Gateways   *int      `json:"gateways,omitempty"` // that licences let register; a management server's
	Features   []string  `json:"features,omitempty"`
	Licences   []Licence `json:"licences,omitempty"`

	Unknown string `json:"licences_unknown,omitempty"` // why licences cannot be told
}

// Licences are those that a management server has loaded, and what they are good for.
type Licences struct {
	Gateways int       `json:"gateways"` // that may register
	Features []string  `json:"features,omitempty"`
	Loaded   []Licence `json:"loaded,omitempty"`
}

// Licence is one of them.
type Licence struct {
	ID      string `json:"id"`
	Until   string `json:"until,omitempty"`
	Grants  string `json:"grants,omitempty"`
	Refused string `json:"refused,omitempty"` // why it does not hold
}

type platformShowCmd struct{}

func (platformShowCmd) Run(ctx context.Context, e *Env) error {
	s := e.Host.Status()
	p := platform{Model: machineModel(), Name: s.Name, Role: s.Role, AssetTag: e.Host.Config().AssetTag, ID: s.ID, Challenge: s.Seal.Challenge, Deployment: s.Seal.Deployment,
		Sealed: s.Sealed, Addresses: addresses(), Listening: s.Service.Address, Releases: s.Releases}
	if s.Role == appliance.ManagementServer {
		l, err := e.Host.Licences(ctx, e.Caller, e.UI)
		switch {
		case ctx.Err() != nil:
			return err
		case err != nil: // of the database; the rest is what helps then
			p.Unknown = ResultOf(err).Error
		default:
			p.Gateways, p.Features, p.Licences = &l.Gateways, l.Features, l.Loaded
		}
	}
	return e.Out(p, p.lines())
}

// LicencesOf tells of what is held.
func LicencesOf(held []licence.Held) Licences {
	all := Licences{Gateways: licence.Gateways(held), Features: licence.Features(held)}
	for _, h := range held {
		l := Licence{ID: h.ID}
		if h.Licence != nil {
			l.Until, l.Grants = h.Licence.Until(), strings.Join(h.Licence.Features, ", ")
		} else {
			l.Refused = oneLine(h.Refusal.Error())
		}
		all.Loaded = append(all.Loaded, l)
	}
	return all
}

func (p *platform) lines() string {
	text := row("model", "%s", p.Model) +
		row("appliance", "%s, %s, %s", p.Name, p.Role.Title(), sealWord(p.Sealed)) +
		row("id", "%s", p.ID)
	if p.AssetTag != "" {
		text += row("asset tag", "%s", p.AssetTag)
	}
	text += row("challenge", "%s", p.Challenge)
	if p.Deployment != "" {
		text += row("deployment", "%s", p.Deployment)
	}
	if p.Unknown != "" {
		text += row("licences", "cannot be told: %s", p.Unknown)
	}
	if p.Gateways != nil {
		text += row("gateways", "licences let %d register (On-Demand ones need none)", *p.Gateways)
	}
	if len(p.Features) > 0 {
		text += row("features", "%s", strings.Join(p.Features, ", "))
	}
	for _, l := range p.Licences {
		if l.Refused != "" {
			text += row("licence", "%s does not hold: %s", l.ID, l.Refused)
		} else {
			text += row("licence", "%s %s: %s", l.ID, l.Until, l.Grants)
		}
	}
	for _, a := range p.Addresses {
		text += row("address", "%s", a)
	}
	if p.Listening != "" {
		text += row("management", "%s", p.Listening)
	}
	for _, r := range p.Releases {
		text += releaseLine(r)
	}
	return text
}

// machineModel is what the machine is: what it calls itself, processors and memory.
func machineModel() string {
	name := "machine"
	if data, err := os.ReadFile("/sys/class/dmi/id/product_name"); err == nil && len(data) < 256 {
		name = oneLine(string(data))
	}
	text := fmt.Sprintf("%s, %d %s", name, runtime.NumCPU(), plural(runtime.NumCPU(), "processor"))
	var info unix.Sysinfo_t
	if unix.Sysinfo(&info) == nil {
		text += fmt.Sprintf(", %s memory", size(int64(info.Totalram)*int64(info.Unit)))
	}
	return text
}

// addresses are the machine's, loopback aside.
func addresses() []string {
	all, _ := net.InterfaceAddrs()
	list := []string{}
	for _, a := range all {
		if n, ok := a.(*net.IPNet); ok && n.IP.IsGlobalUnicast() {
			list = append(list, n.String())
		}
	}
	return list
}
