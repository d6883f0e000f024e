package daemon

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"sealgate/appliance"
	"sealgate/appliance/ftl"
	"sealgate/appliance/secret"
	"sealgate/commands"
	"sealgate/control"
	"sealgate/daemon/job"
	"sealgate/daemon/link"
)

// A new appliance registers and patches itself, and tries until it has.
const (
	firstTry   = time.Second // between attempts; longer each time
	longestTry = 5 * time.Minute
)

// untilNext waits about as long before the next attempt.
func untilNext(ctx context.Context, wait time.Duration) {
	select {
	case <-time.After(wait/2 + rand.N(wait)):
	case <-ctx.Done():
	}
}

// pending is how something that waits went last; the zero value is nothing.
type pending struct {
	mu   sync.Mutex
	text string
}

func (p *pending) set(text string) (changed bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	changed = p.text != text
	p.text = text
	return changed
}

func (p *pending) get() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.text
}

// Register joins a management server. What waited to register is given up.
func (d *Daemon) Register(ctx context.Context, c commands.Caller, r commands.Register, ui control.UI) (commands.Registration, error) {
	got, err := d.register(ctx, c, r, ui)
	if err != nil {
		d.setUp.Step(ftl.Registration, ftl.Failed, fmt.Sprintf("wanted by %s: %s", c.Name, commands.ResultOf(err).Error))
	}
	return got, err
}

func (d *Daemon) register(ctx context.Context, c commands.Caller, r commands.Register, ui control.UI) (commands.Registration, error) {
	var got link.Registration
	spec := job.Spec{Home: d.home, Register: &job.Register{Register: r, Name: d.config.Name}}
	if err := d.jobs.run(ctx, job.KindRegistration, c, spec, ui, &got); err != nil {
		return commands.Registration{}, err
	}
	d.log.Info("the gateway is registered", "server", got.Server, "group", got.Group, "user", c.Name)
	d.pending.set("")
	d.joined(got)
	return d.registrationOf(got), secret.DropRegistration(string(d.home))
}

// joined writes down that the set-up has reached it.
func (d *Daemon) joined(r link.Registration) {
	text := fmt.Sprintf("at %s, in gateway group %q", r.Server, r.Group)
	if r.Note != "" {
		text += "; " + r.Note
	}
	d.setUp.Step(ftl.Registration, ftl.Done, text)
}

// Unregister leaves the management server, or gives up joining one.
func (d *Daemon) Unregister(ctx context.Context, c commands.Caller, forget bool, ui control.UI) (commands.Registration, error) {
	if d.pending.get() != "" {
		d.pending.set("")
		d.setUp.Step(ftl.Registration, ftl.Failed, "given up by "+c.Name)
		return d.registrationOf(link.Registration{Server: d.config.ManagementServer}), secret.DropRegistration(string(d.home))
	}
	var was link.Registration
	err := d.jobs.run(ctx, job.KindRegistration, c, job.Spec{Home: d.home, Leave: &job.Leave{Forget: forget}}, ui, &was)
	if err != nil {
		return commands.Registration{}, err
	}
	d.setUp.Step(ftl.Registration, ftl.Done, fmt.Sprintf("%s was left by %s", was.Server, c.Name))
	d.log.Info("the gateway is not registered any more", "server", was.Server, "user", c.Name)
	return d.registrationOf(was), nil
}

func (d *Daemon) registrationOf(r link.Registration) commands.Registration {
	shown := commands.Registration{Name: d.config.Name, Server: r.Server, ServerName: r.ServerName, Group: r.Group, DataAddress: r.DataAddress, Since: r.Since, Note: r.Note}
	if r.Registered() {
		shown.Pin = hex.EncodeToString(r.Pin[:])
	}
	return shown
}

// registration is where the gateway belongs now, nil where that cannot be said. The
// files are the role's, too.
func (d *Daemon) registration() *commands.Registration {
	if d.config.Role != appliance.Gateway {
		return nil
	}
	var r link.Registration
	id, err := link.ReadIdentity(d.home)
	switch {
	case err == nil:
		r = id.Registration
	case !errors.Is(err, link.ErrNoIdentity):
		d.log.Error("the gateway's identity cannot be read", "error", err.Error())
		return nil
	}
	shown := d.registrationOf(r)
	shown.Pending = d.pending.get()
	if !r.Registered() {
		return &shown
	}
	s, err := link.ReadStatus(d.home)
	if err != nil {
		d.log.Error("how the gateway is connected cannot be read", "error", err.Error())
		return &shown
	}
	shown.Connected, shown.Changed, shown.Error, shown.Revision = s.Connected && d.role.Status().State == running, s.Since, s.Error, s.Running.Number
	shown.NotListening = s.NotListening
	if s.Refused != nil {
		shown.Refused = s.Refused.Reason
	}
	return &shown
}

// keepJoining registers a new gateway with what it was created with, until it is
// registered or ctx ends.
func (d *Daemon) keepJoining(ctx context.Context) {
	for wait := firstTry; ctx.Err() == nil; wait = min(2*wait, longestTry) {
		waiting, err := d.join(ctx)
		if !waiting {
			d.pending.set("")
			return
		}
		if ctx.Err() != nil {
			return
		}
		text := commands.ResultOf(err).Error
		d.setUp.Step(ftl.Registration, ftl.Waiting, text)
		if d.pending.set(text) {
			d.log.Warn("the gateway is not registered yet, trying again", "error", text, "again_in", wait.String())
		}
		untilNext(ctx, wait)
	}
}

// join tries once. waiting says whether there is still something to be tried.
func (d *Daemon) join(ctx context.Context) (waiting bool, err error) {
	with, waiting, err := d.secrets.PendingRegistration(string(d.home))
	if err != nil || !waiting {
		return err != nil, err
	}
	if id, err := link.ReadIdentity(d.home); err == nil && id.Registered() {
		d.joined(id.Registration)
		return false, secret.DropRegistration(string(d.home)) // the last attempt was cut after it
	}
	r := commands.Register{Joining: d.config.Joining, Password: with.Password, Token: with.Token}
	if _, err = d.register(ctx, commands.Caller{Name: "first start"}, r, silent{}); err == nil {
		return false, nil
	}
	_, waiting, unread := d.secrets.PendingRegistration(string(d.home)) // it may have been given up meanwhile
	return waiting || unread != nil, err
}
