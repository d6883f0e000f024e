package mx

import (
	"fmt"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	"sealgate/daemon/access"
	"sealgate/daemon/gateway/metrics"
)

// counters are what the management server counts at its address.
type counters struct {
	metrics.Registry
	requests *metrics.Counter
	took     *metrics.Histogram

	connections atomic.Int64
}

func newCounters() *counters {
	c := &counters{}
	c.Value("sealgate_api_connections", "Connections of clients.", "gauge", func() float64 { return float64(c.connections.Load()) })
	c.requests = c.Counter("sealgate_api_requests_total", "Requests answered, by class of the status.", "class")
	c.took = c.Histogram("sealgate_api_seconds", "Time that answers took.")
	return c
}

// saw counts a request.
func (c *counters) saw(e access.Entry) {
	c.requests.Add(fmt.Sprintf("%dxx", e.Status/100), 1)
	c.took.Observe(time.Since(e.Began))
}

// state follows a connection.
func (c *counters) state(_ net.Conn, s http.ConnState) {
	switch s {
	case http.StateNew:
		c.connections.Add(1)
	case http.StateClosed, http.StateHijacked:
		c.connections.Add(-1)
	}
}
