package job

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"
	"time"

	"sealgate/appliance"
	"sealgate/appliance/disk"
	"sealgate/appliance/folder"
	"sealgate/appliance/ownership"
	"sealgate/appliance/store"
	"sealgate/commands"
	"sealgate/control"
	"sealgate/daemon/link/hub"
)

// How long a gateway has to take a command, and to end it, and how often is looked.
const (
	commandTime = time.Minute
	bundleTime  = 20 * time.Minute
	lookEvery   = 200 * time.Millisecond
)

// askGateway has a gateway do something, and waits for it.
func askGateway(ctx context.Context, home appliance.Home, x commands.AskGateway, ui control.UI) (r commands.GatewayAnswer, err error) {
	db, err := store.Open(ctx, string(home), store.Options{})
	if err != nil {
		return r, err
	}
	defer closing(db)
	gateway, err := registered(ctx, db, x.Gateway)
	if err != nil {
		return r, err
	}
	id, err := db.AskGateway(ctx, store.GatewayCommand{GatewayID: gateway.ID, Kind: x.Kind, Author: x.Author})
	if err != nil {
		return r, err
	}
	most := commandTime
	if x.Kind == commands.GatewayTechInfo {
		most = bundleTime
	}
	if err := ended(ctx, db, x, id, most, ui); err != nil {
		return r, err
	}
	r = commands.GatewayAnswer{Gateway: gateway.Name, Kind: x.Kind}
	if x.Kind == commands.GatewayTechInfo {
		r.Name, r.Bytes, err = takeBundle(home, hub.Result(home, id), gateway.Name)
	}
	return r, err
}

// registered finds a gateway that has a key here.
func registered(ctx context.Context, db *store.Store, name string) (store.Object, error) {
	list, err := db.Gateways(ctx)
	if err != nil {
		return store.Object{}, err
	}
	at := slices.IndexFunc(list, func(o store.Object) bool { return o.Name == name })
	if at < 0 {
		var names []string
		for _, o := range list[:min(len(list), 20)] {
			names = append(names, o.Name)
		}
		hint := "no gateway is registered; impctl gateway register joins one, at the gateway"
		if len(names) > 0 {
			hint = "registered are " + strings.Join(names, ", ")
		}
		return store.Object{}, appliance.Faultf(hint, "no gateway is registered as %.80q", name)
	}
	return list[at], nil
}

// searchGateways finds the gateways that have a key here, whether the role runs or not.
func searchGateways(ctx context.Context, home appliance.Home, x commands.SearchGateways) (r commands.FoundGateways, err error) {
	db, err := store.Open(ctx, string(home), store.Options{ReadOnly: true})
	if err != nil {
		return r, err
	}
	defer closing(db)
	list, err := db.Gateways(ctx)
	if err != nil {
		return r, err
	}
	list = slices.DeleteFunc(list, func(o store.Object) bool { return !strings.HasPrefix(o.Name, x.Prefix) })
	if len(list) == 0 {
		return r, nil
	}
	r.Last = list[len(list)-1].Name
	r.More = max(len(list)-x.Most, 0)
	groups := make(map[string]string)
	for _, o := range list[:len(list)-r.More] {
		if _, known := groups[o.ParentID]; !known {
			group, err := db.Get(ctx, o.ParentID)
			if err != nil {
				return r, err
			}
			groups[o.ParentID] = group.Name
		}
		r.Gateways = append(r.Gateways, commands.FoundGateway{Name: o.Name, Group: groups[o.ParentID]})
	}
	return r, nil
}

// ended waits until a command has ended.
func ended(ctx context.Context, db *store.Store, x commands.AskGateway, id string, most time.Duration, ui control.UI) error {
	given := false
	ui.Progress(control.Progress{Label: "waiting for the gateway"})
	for begin := time.Now(); ; {
		c, err := db.GatewayCommand(ctx, id)
		if errors.Is(err, store.ErrNotFound) {
			return appliance.Faultf("impctl gateway register, there, joins it again", "gateway %q unregistered, and did not say how the command ended", x.Gateway)
		}
		if err != nil {
			return err
		}
		patience := commandTime
		switch c.State {
		case store.CommandDone:
			return nil
		case store.CommandFailed:
			return appliance.Faultf("the gateway's log says more: show log, there", "gateway %q: %s", x.Gateway, c.Result)
		case store.CommandGiven:
			patience = most
			if !given {
				given, begin = true, time.Now()
				ui.Progress(control.Progress{Label: "the gateway has it"})
			}
		case store.CommandWaits:
		}
		if time.Since(begin) > patience {
			return notEnded(ctx, db, x, c)
		}
		select {
		case <-time.After(lookEvery):
		case <-ctx.Done():
			return errors.Join(context.Cause(ctx), db.DropCommand(context.WithoutCancel(ctx), id))
		}
	}
}

func notEnded(ctx context.Context, db *store.Store, x commands.AskGateway, c store.GatewayCommand) error {
	if c.State == store.CommandWaits {
		hint := "impctl gateway show, there, says whether it is connected"
		if x.Kind == commands.GatewayTechInfo {
			hint += "; gti-remote, there, makes the bundle also while its role is stopped"
		}
		return errors.Join(appliance.Faultf(hint, "gateway %q does not answer", x.Gateway), db.DropCommand(ctx, c.ID))
	}
	return appliance.Faultf("look at the gateway: it may have done it", "gateway %q took the command and did not say how it ended", x.Gateway)
}

// takeBundle moves a bundle that the role took from a gateway to the gateways'
// bundles. The role may have put anything there: it is a regular gzip file or nothing.
func takeBundle(home appliance.Home, path, gateway string) (name string, size int64, err error) {
	from, err := ownership.OpenShared(path)
	if err != nil {
		return "", 0, fmt.Errorf("the bundle of gateway %q did not come: %w", gateway, err)
	}
	defer closing(from)
	defer os.Remove(path)
	info, err := from.Stat()
	magic := make([]byte, 2)
	if _, short := io.ReadFull(from, magic); err != nil || short != nil || string(magic) != "\x1f\x8b" {
		return "", 0, appliance.Faultf("run it again", "what came from gateway %q is no bundle", gateway)
	}
	if _, err := from.Seek(0, io.SeekStart); err != nil {
		return "", 0, err
	}
	dir := home.GatewayInfo()
	if err := os.Mkdir(dir, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return "", 0, err
	}
	name, to, err := folder.Unused(dir, fileName(gateway)+time.Now().UTC().Format("_20060102_150405"), ".tgz")
	if err != nil {
		return "", 0, err
	}
	size, err = io.Copy(disk.Writer(to, dir), io.LimitReader(from, info.Size()))
	if err == nil {
		err = folder.Finish(name, to)
	}
	if err != nil {
		folder.Discard(to)
		return "", 0, full(err)
	}
	return name, size, to.Close()
}

// fileName is a gateway's name in that of a file.
func fileName(name string) string {
	return strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '-' || r == '.' {
			return r
		}
		return '-'
	}, strings.TrimLeft(name[:min(len(name), 100)], ".-"))
}
