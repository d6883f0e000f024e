package job

import (
	"context"
	"errors"
	"time"

	"sealgate/appliance"
	"sealgate/appliance/licence"
	"sealgate/commands"
	"sealgate/control"
	"sealgate/daemon/link"
	"sealgate/transfer"
)

// DefaultAlias is what the alias is called that each gateway brings.
const DefaultAlias = "AWS Default"

// Register is a registration, and Leave gives one up.
type Register struct {
	commands.Register
	Name string `json:"name"` // of the gateway
}

// Leave gives a registration up; Forget does so also when the management server cannot
// be told.
type Leave struct {
	Forget bool `json:"forget,omitempty"`
}

// leaveTimeout is how long a management server is waited for that is left.
const leaveTimeout = 30 * time.Second

func register(ctx context.Context, home appliance.Home, r Register) (link.Registration, error) {
	id, err := identity(home)
	if err != nil {
		return link.Registration{}, err
	}
	if id.Registered() {
		return link.Registration{}, appliance.Faultf("impctl gateway unregister leaves it", "the gateway is registered already, at %s", id.Server)
	}
	j := link.Join{Server: r.ManagementServer, Password: r.Password, Token: r.Token, Name: r.Name, Group: r.GatewayGroup,
		Alias: r.Alias, DataAddress: r.DataAddress, Licensing: r.Licensing, Software: control.Version}
	if j.Alias == "" {
		j.Alias = DefaultAlias
	}
	if j.Licensing == "" {
		j.Licensing = string(licence.BYOL)
	}
	id.Registration, err = id.Register(ctx, j)
	if p, ok := errors.AsType[*link.Problem](err); ok && p.Code == link.WrongSecret {
		return link.Registration{}, &commands.Failure{Exit: control.ExitDenied, Text: err.Error(), Hint: transfer.SafeText(p.Hint)}
	}
	if err != nil {
		return link.Registration{}, err
	}
	got := id.Registration
	id.Registration.Note = ""
	return got, id.Write(home)
}

// identity is the gateway's. Fresh keys are on the disk before a server sees them.
func identity(home appliance.Home) (*link.Identity, error) {
	id, err := link.ReadIdentity(home)
	if !errors.Is(err, link.ErrNoIdentity) {
		return id, err
	}
	if id, err = link.NewIdentity(); err != nil {
		return nil, err
	}
	return id, id.Write(home)
}

func leave(ctx context.Context, home appliance.Home, l Leave) (link.Registration, error) {
	id, err := link.ReadIdentity(home)
	if errors.Is(err, link.ErrNoIdentity) || err == nil && !id.Registered() {
		return link.Registration{}, errors.New("the gateway is not registered")
	}
	if err != nil {
		return link.Registration{}, err
	}
	if err := tell(ctx, id); err != nil && !l.Forget {
		return link.Registration{}, appliance.Faultf("impctl gateway unregister --forget leaves it all the same; delete the gateway there then",
			"the management server %s cannot be told: %w", id.Server, err)
	}
	return id.Registration, link.Forget(home)
}

// tell says goodbye. A server that does not know the gateway has nothing to be told.
func tell(ctx context.Context, id *link.Identity) error {
	client, err := link.NewClient(id.Server, id.Registration.Pin, id)
	if err != nil {
		return err
	}
	defer client.Close()
	ctx, cancel := context.WithTimeout(ctx, leaveTimeout)
	defer cancel()
	err = client.Call(ctx, link.PathUnregister, struct{}{}, new(struct{}))
	if p, ok := errors.AsType[*link.Problem](err); ok && (p.Code == link.UnknownKey || p.Code == link.DeletedKey) {
		return nil
	}
	return err
}
