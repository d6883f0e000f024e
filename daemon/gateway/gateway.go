// Package gateway is the inspecting reverse proxy. In this release it holds
// its management address and forwards nothing.
package gateway

import (
	"context"
	"log/slog"
	"net"
)

// Run holds ln until ctx ends. ready is called once.
func Run(ctx context.Context, ln net.Listener, ready func() error, log *slog.Logger) error {
	if err := ready(); err != nil {
		return err
	}
	log.Info("the gateway is ready, and forwards nothing in this release", "address", ln.Addr().String())
	stop := context.AfterFunc(ctx, func() { ln.Close() })
	defer stop()
	for {
		conn, err := ln.Accept()
		if err != nil {
			if ctx.Err() != nil {
				return nil
			}
			return err
		}
		conn.Close()
	}
}
