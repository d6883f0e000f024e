package gateway

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	"sealgate/appliance/spool"
	"sealgate/control"
	"sealgate/daemon/gateway/event"
	"sealgate/daemon/link"
)

// joined is a gateway's end of the link. It outlives connections and registrations:
// what it has to tell waits.
type joined struct {
	*gateway
	spool  *spool.Spool
	daemon Daemon
	start  string // drawn: a copy of the machine has another

	fetching    sync.Mutex // one configuration at a time
	stopServing func()     // with the keys that it has

	mu      sync.Mutex
	status  link.Status
	doing   int           // commands
	results []link.Result // that the server does not know yet
	going   going
	bundle  context.CancelCauseFunc // breaks off the one that is being made; nil: none is
}

func newJoined(g *gateway, s *spool.Spool, daemon Daemon) *joined {
	return &joined{gateway: g, spool: s, daemon: daemon, start: rand.Text()}
}

// run keeps the link until ctx ends, for as long as the gateway is registered, and
// waits for a registration where it is not.
func (j *joined) run(ctx context.Context) {
	j.forgetBundles()
	for ctx.Err() == nil {
		id, err := link.ReadIdentity(j.home)
		switch {
		case err == nil && id.Registered():
			j.serve(ctx, id)
		case err != nil && !errors.Is(err, link.ErrNoIdentity):
			j.say(err)
		}
		link.Rest(ctx, lookEvery)
	}
}

// serve speaks with the management server until the identity is another one.
func (j *joined) serve(ctx context.Context, id *link.Identity) {
	client, err := link.NewClient(id.Server, id.Registration.Pin, id)
	if err != nil {
		j.say(err)
		return
	}
	defer client.Close()
	defer j.leave()
	ctx, cancel := context.WithCancel(ctx)
	j.stopServing = cancel
	var both sync.WaitGroup
	defer both.Wait()
	both.Go(func() { j.keepPolling(ctx, client, id) })
	both.Go(func() { j.keepTelling(ctx, client, id) })
	both.Go(func() { client.Deliver(ctx, j.spool, j.log) })
	defer cancel()
	for link.Rest(ctx, lookEvery) {
		now, err := link.ReadIdentity(j.home)
		if err != nil || !now.Registered() || now.Pin() != id.Pin() || now.Registration != id.Registration {
			return
		}
	}
}

// leave notes that nobody speaks with the management server any more.
func (j *joined) leave() {
	j.mu.Lock()
	defer j.mu.Unlock()
	before := j.status
	j.status.Connected, j.status.Since = false, time.Now().UTC().Truncate(time.Second)
	j.note(before)
}

// pollPause is between polls, however fast they are answered.
const pollPause = 50 * time.Millisecond

// keepPolling tells how the gateway is, and does what it hears.
func (j *joined) keepPolling(ctx context.Context, client *link.Client, id *link.Identity) {
	fresh := true // nobody knows yet whether it is connected
	for failures := 0; ctx.Err() == nil; {
		err := j.poll(ctx, client, id, fresh)
		if ctx.Err() != nil {
			return
		}
		j.say(err)
		if fresh = err != nil; err == nil {
			failures = 0
			link.Rest(ctx, pollPause)
			continue
		}
		if j.takeNext(err) {
			return
		}
		link.Pause(ctx, failures, err)
		failures++
	}
}

// takeNext takes the keys of a renewal whose answer was lost, if err says that the
// server does not know those that the gateway has.
func (j *joined) takeNext(err error) bool {
	p, ok := errors.AsType[*link.Problem](err)
	if !ok || p.Code != link.DeletedKey && p.Code != link.UnknownKey {
		return false
	}
	taken, err := link.TakeNext(j.home)
	if err != nil {
		j.log.Error("the gateway's new keys cannot be taken", "error", err.Error())
	}
	return taken
}

// say notes whether the gateway is connected, in the log and in its status, when that
// changes.
func (j *joined) say(err error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	before, text := j.status, ""
	if err != nil {
		text = link.Why(err)
	}
	j.status.Running, j.status.NotListening = j.runs(), j.notListening()
	j.status.Connected, j.status.Error = err == nil, text
	if j.status.Connected != before.Connected || j.status.Since.IsZero() {
		j.status.Since = time.Now().UTC().Truncate(time.Second)
	}
	switch {
	case err != nil && text != before.Error:
		j.log.Warn("the management server is not connected, the gateway goes on with what it has", "error", text)
	case err == nil && !before.Connected:
		j.log.Info("the management server is connected")
		j.events.Tell(event.Informative, event.Connected, "the management server is connected")
	}
	if err != nil && before.Connected {
		j.events.Tell(event.Low, event.Disconnected, "the management server is not connected: %s", text)
	}
	j.note(before)
}

// note writes the status where it changed, with j.mu held.
func (j *joined) note(before link.Status) {
	if j.status == before {
		return
	}
	if err := j.status.Write(j.home); err != nil {
		j.log.Warn("the link's status is not written", "error", err.Error())
	}
}

// tell is what a poll says.
func (j *joined) tell(id *link.Identity) link.Poll {
	j.mu.Lock()
	defer j.mu.Unlock()
	stats := j.spool.Stats()
	results := j.results[:min(len(j.results), maxResults)]
	return link.Poll{
		Version: link.Version, Software: control.Version, Model: machine(), Platform: runtime.GOOS + " " + runtime.GOARCH,
		Addresses: addresses(), Interfaces: interfaces(), DataAddress: id.DataAddress,
		Running: j.runs(), Refused: j.status.Refused, NotListening: j.notListening(), Clock: time.Now().UnixMilli(),
		Spool:   link.Spool{Epoch: j.spool.Epoch(), Records: stats.Records, Bytes: stats.Bytes, Max: stats.Max, Dropped: int64(stats.Dropped)},
		Results: slices.Clone(results),
		Start:   j.start,
	}
}

// headPatience is how long a poll waits for the head of the audit log, which the next
// poll tells otherwise.
const headPatience = time.Second

func (j *joined) auditHead(ctx context.Context) string {
	if j.daemon == nil {
		return ""
	}
	ctx, cancel := context.WithTimeout(ctx, headPatience)
	defer cancel()
	head, err := j.daemon.AuditHead(ctx)
	if err != nil {
		return ""
	}
	return head
}

// maxResults travel in one poll.
const maxResults = 32

// keepTelling tells what should not wait for the poll that is under way, which the
// server ends when it hears another one.
func (j *joined) keepTelling(ctx context.Context, client *link.Client, id *link.Identity) {
	for {
		select {
		case <-j.news:
			_ = j.poll(ctx, client, id, true) // the next poll says it again
		case <-ctx.Done():
			return
		}
	}
}

// poll asks once, and does what the answer says. now is for an answer at once.
func (j *joined) poll(ctx context.Context, client *link.Client, id *link.Identity, now bool) error {
	if j.goes() == leaves {
		return nil // what is asked now is for the next role
	}
	said := j.tell(id)
	said.Now = now
	said.AuditHead = j.auditHead(ctx)
	answer, err := client.Poll(ctx, said)
	if err != nil {
		return err
	}
	j.heard(said.Results)
	j.obey(ctx, client, id, answer.Commands)
	j.restartWhenTold()
	if answer.Configuration != nil {
		return j.fetch(ctx, client, id, *answer.Configuration)
	}
	return nil
}

// heard forgets results that the server knows.
func (j *joined) heard(told []link.Result) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.results = slices.DeleteFunc(j.results, func(r link.Result) bool { return slices.Contains(told, r) })
}

// machine is what the machine calls itself.
func machine() string {
	name, err := os.ReadFile("/sys/class/dmi/id/product_name")
	if err != nil {
		return "machine"
	}
	return strings.TrimSpace(string(name[:min(len(name), 100)]))
}

// addresses are those of the machine, but for its own.
func addresses() []string {
	var list []string
	interfaces, err := net.Interfaces()
	if err != nil {
		return nil
	}
	for _, i := range interfaces {
		addrs, err := i.Addrs()
		if err != nil || i.Flags&net.FlagLoopback != 0 {
			continue
		}
		for _, a := range addrs {
			if ip, ok := a.(*net.IPNet); ok && !ip.IP.IsLinkLocalUnicast() && len(list) < 32 {
				list = append(list, fmt.Sprintf("%s %s", i.Name, ip.IP))
			}
		}
	}
	return list
}

// interfaces are the names of all network interfaces of the machine.
func interfaces() []string {
	var names []string
	all, err := net.Interfaces()
	if err != nil || len(all) > link.MaxInterfaces { // some would seem to be missing
		return nil
	}
	for _, i := range all {
		names = append(names, i.Name)
	}
	return names
}
