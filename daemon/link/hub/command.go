package hub

import (
	"context"
	"errors"

	"sealgate/appliance/store"
	"sealgate/daemon/link"
)

// lookForCommands wakes the gateways for which commands wait: jobs of the daemon, in
// other processes, write them into the database.
func (h *Hub) lookForCommands(ctx context.Context) {
	ids, err := h.Store.GatewaysAsked(ctx)
	if err != nil && ctx.Err() == nil {
		h.Log.Error("commands for gateways cannot be read", "error", err.Error())
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, g := range h.gateways {
		g.asked = false
	}
	for _, id := range ids {
		if g := h.gateways[id]; g != nil {
			g.asked = true
			g.wake()
		}
	}
}

// giveCommands returns what waits for a gateway.
func (h *Hub) giveCommands(ctx context.Context, g *gateway) ([]link.Command, error) {
	h.mu.Lock()
	asked, name := g.asked, g.name
	g.asked = false
	h.mu.Unlock()
	if !asked {
		return nil, nil
	}
	list, err := h.Store.GiveCommands(ctx, g.id)
	if err != nil {
		return nil, err
	}
	var commands []link.Command
	for _, c := range list {
		h.Log.Info("a gateway is asked", "gateway", name, "for", c.Kind, "by", c.Author)
		commands = append(commands, link.Command{ID: c.ID, Kind: c.Kind, Argument: c.Argument})
	}
	return commands, nil
}

const maxResults = 64 // of one poll

// endCommands records what a gateway has done.
func (h *Hub) endCommands(ctx context.Context, g *gateway, results []link.Result) error {
	h.mu.Lock()
	name := g.name
	h.mu.Unlock()
	for _, r := range results[:min(len(results), maxResults)] {
		state := store.CommandDone
		if r.Error != "" {
			state = store.CommandFailed
		}
		r.Error = plain(r.Error, 500)
		err := h.Store.EndCommand(ctx, g.id, plain(r.Command, 100), state, r.Error)
		if errors.Is(err, store.ErrNotFound) {
			continue // it was told already
		}
		if err != nil {
			return err
		}
		h.Log.Info("a gateway has done what it was asked", "gateway", name, "command", r.Command, "error", r.Error)
	}
	return nil
}
