package hub

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"sealgate/appliance"
	"sealgate/appliance/disk"
	"sealgate/appliance/ownership"
	"sealgate/appliance/store"
	"sealgate/daemon/link"
)

// Bounds of bundles that gateways send.
const (
	maxBundle  = 1 << 30
	bundleTime = 30 * time.Minute
	bundles    = 4 // at a time
)

// Result is where the bundle of a command lies until its job takes it.
func Result(home appliance.Home, command string) string {
	return filepath.Join(home.Results(), filepath.Base(command)+".tgz")
}

// result takes the bundle of a command that the gateway was given.
func (h *Hub) result(w http.ResponseWriter, r *http.Request, from link.Gateway) error {
	c, err := h.Store.GatewayCommand(r.Context(), r.PathValue("command"))
	if errors.Is(err, store.ErrNotFound) || err == nil && (c.GatewayID != from.GatewayID || c.Kind != link.TechInfo || c.State != store.CommandGiven) {
		return &link.Problem{Code: link.BadRequest, Text: "the gateway was not asked for this"}
	}
	if err != nil {
		return err
	}
	h.mu.Lock()
	g := h.gateways[from.GatewayID]
	free := g != nil && !g.sending
	if free {
		g.sending = true
	}
	h.mu.Unlock()
	if !free {
		return &link.Problem{Code: link.Busy, Text: "the gateway has not polled yet, or another bundle of it is on its way", After: 10}
	}
	defer func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		g.sending = false
	}()
	select {
	case h.bundles <- struct{}{}:
		defer func() { <-h.bundles }()
	default:
		return &link.Problem{Code: link.Busy, Text: "other gateways send bundles", After: 10}
	}
	control := http.NewResponseController(w)
	until := time.Now().Add(bundleTime)
	if err := errors.Join(control.SetReadDeadline(until), control.SetWriteDeadline(until)); err != nil {
		return err
	}
	if err := h.keepBundle(r.Body, Result(h.Home, c.ID)); err != nil {
		return err
	}
	return link.Answer(w, struct{}{})
}

// keepBundle writes a bundle whole, or not at all.
func (h *Hub) keepBundle(body io.Reader, path string) error {
	dir := filepath.Dir(path)
	space, err := disk.Of(dir)
	if err != nil {
		return err
	}
	if space.Free < space.Reserve {
		return disk.Full(dir, space)
	}
	mode, err := ownership.FileMode(dir)
	if err != nil {
		return err
	}
	file, err := os.OpenFile(path+".part", os.O_WRONLY|os.O_CREATE|os.O_TRUNC, mode)
	if err != nil {
		return err
	}
	n, err := io.Copy(disk.Writer(file, dir), io.LimitReader(body, maxBundle+1))
	if err == nil && n > maxBundle {
		err = fmt.Errorf("a bundle of a gateway is larger than %d MiB", maxBundle>>20)
	}
	if err = errors.Join(err, file.Chmod(mode), file.Sync(), file.Close()); err == nil {
		err = os.Rename(path+".part", path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(path+".part"))
	}
	return nil
}

// keepResultsYoung removes what no job has taken.
func (h *Hub) keepResultsYoung(ctx context.Context) {
	entries, err := os.ReadDir(h.Home.Results())
	if err != nil && ctx.Err() == nil && !errors.Is(err, os.ErrNotExist) {
		h.Log.Error("the folder of results cannot be read", "error", err.Error())
	}
	for _, e := range entries {
		if info, err := e.Info(); err == nil && time.Since(info.ModTime()) > time.Hour {
			os.Remove(filepath.Join(h.Home.Results(), e.Name()))
		}
	}
}
