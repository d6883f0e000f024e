package seed

import (
	"fmt"
	"math"
	"time"
)

// world is who and what the events are about.
type world struct {
	services []service
	sources  []string // addresses of clients
	people   []string // who logs in to the protected sites
	gateways []string
}

// service is a protected web service.
type service struct {
	site, group, name, application string
	host                           string
	address                        string
	port                           int
	tls                            bool
}

const (
	maxServices = 256
	maxSources  = 50_000
	maxPeople   = 5_000
	maxGateways = 8
	perGroup    = 4 // services of a server group
	perSite     = 4 // server groups of a site
)

// grown is a number that is n at Scale 1 and follows the square root of the scale.
func grown(scale float64, n, least, most int) int {
	return min(max(int(math.Sqrt(scale)*float64(n)), least), most)
}

// siteName is the name of a seeded site. Events name it, too, so it has no marker.
func siteName(n int) string { return fmt.Sprintf("Site %02d", n+1) }

func newWorld(o Options) world {
	s := newStream(o.Seed, "world")
	var w world
	for n := range grown(o.Scale, maxGateways/2, 2, maxGateways) {
		w.gateways = append(w.gateways, fmt.Sprintf("gw-%02d", n+1))
	}
	for n := range grown(o.Scale, maxServices/4, 4, maxServices) {
		business := businesses[n%len(businesses)]
		svc := service{
			site:        siteName(n / perGroup / perSite),
			group:       fmt.Sprintf("%s servers %02d", business, n/perGroup%perSite+1),
			name:        fmt.Sprintf("%s %03d", business, n+1),
			application: "Default Web Application",
			host:        fmt.Sprintf("%s%d.example.%s", hosts[n%len(hosts)], n/len(hosts)+1, pick(s, []string{"com", "net", "org"})),
			address:     fmt.Sprintf("10.%d.%d.%d", s.IntN(256), s.IntN(256), s.in(1, 254)),
			port:        80, tls: s.chance(80),
		}
		if svc.tls {
			svc.port = 443
		}
		w.services = append(w.services, svc)
	}
	for range grown(o.Scale, maxSources/4, 200, maxSources) {
		w.sources = append(w.sources, fmt.Sprintf("%d.%d.%d.%d", s.in(1, 223), s.IntN(256), s.IntN(256), s.in(1, 254)))
	}
	for range grown(o.Scale, maxPeople/4, 50, maxPeople) {
		w.people = append(w.people, fmt.Sprintf("%s.%s%d", pick(s, givenNames), pick(s, familyNames), s.IntN(100)))
	}
	return w
}

// moments spreads n instants over the days: busy by day, quiet by night, and
// ascending, so that rows lie in the order of their times.
type moments struct {
	base time.Time
	days int
	n    int
}

func (m moments) at(i int) time.Time {
	x := float64(i) / float64(m.n) * float64(m.days)
	day, hour := math.Modf(x)
	// The derivative, 1 - 0.7 cos, is how long an hour lasts in the data.
	hour += 0.7 / (2 * math.Pi) * math.Sin(2*math.Pi*hour)
	return m.base.Add(time.Duration((day + min(hour, 0.999999)) * 24 * float64(time.Hour)))
}
