package model

import (
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"strings"
	"time"
)

// Advanced is what this release reads of a gateway group's advanced configuration,
// which is XML. It knows elements by their names, wherever they are; those of others
// mean nothing to it.
type Advanced struct {
	Watch   Watch
	Limits  GatewayLimits
	Metrics string   // loopback ADDR:PORT; empty: none
	Unknown []string // elements inside of those that it knows, which mean nothing to it
}

// unknown are elements that no field takes.
type unknown struct {
	Elements []struct{ XMLName xml.Name } `xml:",any"`
}

func (u unknown) of(parent string) (names []string) {
	for _, e := range u.Elements {
		names = append(names, parent+"."+e.XMLName.Local)
	}
	return names
}

// Watch is what health checks watch; the zero value is nothing.
type Watch struct {
	URLs     []string // paths
	Interval time.Duration
}

// The elements.
const (
	watchElement   = "http-health-check-monitoring"
	limitsElement  = "gateway-limits"
	metricsElement = "metrics-address"
)

const (
	defaultInterval = 30
	minInterval     = 5
	maxInterval     = 3600
	maxWatched      = 100
)

// ReadAdvanced reads an advanced configuration.
func ReadAdvanced(text string) (a Advanced, err error) {
	for d := xml.NewDecoder(strings.NewReader(text)); ; {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			return a, nil
		}
		if err != nil {
			return a, errors.New("the advanced configuration is no XML")
		}
		if start, ok := token.(xml.StartElement); ok {
			if err := a.element(d, &start); err != nil {
				return a, fmt.Errorf("%s: %w", start.Name.Local, err)
			}
		}
	}
}

func (a *Advanced) element(d *xml.Decoder, start *xml.StartElement) error {
	switch start.Name.Local {
	case watchElement:
		var found struct {
			Interval *int     `xml:"interval"`
			URLs     []string `xml:"url"`
			unknown
		}
		if d.DecodeElement(&found, start) != nil {
			return errShape
		}
		a.Unknown = append(a.Unknown, found.of(watchElement)...)
		return a.Watch.read(found.Interval, found.URLs)
	case limitsElement:
		found := struct {
			*GatewayLimits
			unknown
		}{GatewayLimits: &a.Limits}
		if d.DecodeElement(&found, start) != nil {
			return errors.New("its elements are whole numbers")
		}
		a.Unknown = append(a.Unknown, found.of(limitsElement)...)
		return a.Limits.check()
	case metricsElement:
		if d.DecodeElement(&a.Metrics, start) != nil {
			return errShape
		}
		a.Metrics = strings.TrimSpace(a.Metrics)
		return checkMetrics(a.Metrics)
	}
	return nil
}

func (w *Watch) read(interval *int, urls []string) error {
	n := defaultInterval
	if interval != nil {
		n = *interval
	}
	if n < minInterval || n > maxInterval {
		return fmt.Errorf("the interval is %d to %d seconds, not %d", minInterval, maxInterval, n)
	}
	if len(urls) > maxWatched {
		return fmt.Errorf("at most %d URLs are watched", maxWatched)
	}
	*w = Watch{Interval: time.Duration(n) * time.Second}
	for _, u := range urls {
		if u = strings.TrimSpace(u); !strings.HasPrefix(u, "/") || strings.ContainsAny(u, " \t\r\n") {
			return fmt.Errorf("a URL is a path that begins with /, not %q", u)
		}
		w.URLs = append(w.URLs, u)
	}
	return nil
}

func checkMetrics(address string) error {
	if at, err := netip.ParseAddrPort(address); address != "" && (err != nil || !at.Addr().IsLoopback()) {
		return fmt.Errorf("the metrics' address %q is not ADDR:PORT on loopback", address)
	}
	return nil
}

// maxHeaderBytes bounds the limit of that name.
const maxHeaderBytes = 1 << 20

func (l GatewayLimits) check() error {
	for _, n := range []int64{int64(l.HeaderBytes), int64(l.Headers), int64(l.URLBytes), l.BodyBytes, l.InspectedBytes, int64(l.SlowSeconds), l.BodyRate,
		int64(l.ServerSeconds), int64(l.Connections), int64(l.ConnectionsPerAddress), int64(l.Streams), l.HeldBytes} {
		if n < 0 {
			return fmt.Errorf("a limit of the gateway group is negative: %d", n)
		}
	}
	if l.HeaderBytes > maxHeaderBytes {
		return fmt.Errorf("the limit headerBytes is %d, at most %d is allowed", l.HeaderBytes, maxHeaderBytes)
	}
	return nil
}

// checkAdvanced refuses an advanced configuration that gateways could not read, or of
// which they would pass over a part.
func checkAdvanced(_ string, document map[string]any) []Fault {
	a, err := ReadAdvanced(textOf(document, "advancedConfiguration"))
	if err != nil {
		return []Fault{{CodeIllegal, "advancedConfiguration: " + err.Error()}}
	}
	var faults []Fault
	for _, name := range a.Unknown {
		faults = append(faults, Fault{CodeIllegal, "advancedConfiguration: there is no element " + shown(name)})
	}
	return faults
}
