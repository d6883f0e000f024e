package proxy

import "sealgate/daemon/gateway/metrics"

// counters are the proxy's metrics.
type counters struct {
	requests *metrics.Counter // by class of the answer's status
	verdicts *metrics.Counter
	refused  *metrics.Counter // connections, by why
	faults   *metrics.Counter
	inspect  *metrics.Histogram
	upstream *metrics.Histogram
}

func newCounters(p *Proxy) counters {
	r := p.o.Registry
	r.Value("sealgate_configuration_revision", "Revision of the configuration in use.", "gauge", func() float64 { return float64(p.Revision()) })
	r.Value("sealgate_connections", "Connections of clients.", "gauge", func() float64 { return float64(p.clients.count()) })
	r.Value("sealgate_held_bytes", "Bytes of bodies that wait for a verdict.", "gauge", func() float64 { return float64(p.held.bytes()) })
	r.Value("sealgate_blocks", "Addresses and sessions that followed actions keep out.", "gauge", func() float64 { return float64(p.blocks.count()) })
	return counters{
		requests: r.Counter("sealgate_requests_total", "Requests answered, by class of the status.", "class"),
		verdicts: r.Counter("sealgate_verdicts_total", "Requests inspected, by what came of it.", "verdict"),
		refused:  r.Counter("sealgate_refused_connections_total", "Connections that were not served, by why.", "reason"),
		faults:   r.Counter("sealgate_inspection_faults_total", "Inspections that failed by themselves.", ""),
		inspect:  r.Histogram("sealgate_inspection_seconds", "Time that inspection took of a request."),
		upstream: r.Histogram("sealgate_upstream_seconds", "Time until a server began to answer."),
	}
}

// statusClass is a label for a status.
func statusClass(status int) string {
	switch status / 100 {
	case 1:
		return "1xx"
	case 2:
		return "2xx"
	case 3:
		return "3xx"
	case 4:
		return "4xx"
	}
	return "5xx"
}
