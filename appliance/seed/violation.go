package seed

import (
	"fmt"
	"strings"

	"sealgate/appliance/store"
)

// makeViolations makes each day's alerts and the violations that they sum up.
func (f *filler) makeViolations(send func(batch) bool) bool {
	m := newViolationMaker(f.world, f.options)
	alerts, violations := f.rows(alertShare, alertSize), f.rows(violationShare, violationSize)
	for day := range f.options.Days {
		today := m.alerts(day, alerts/f.options.Days)
		if !m.sendViolations(day, violations/f.options.Days, today, send) || !sendAlerts(today, send) {
			return false
		}
	}
	return true
}

type violationMaker struct {
	*stream
	world                     world
	options                   Options
	clients, targets, classes crowd
	alertNumber, eventNumber  int64
}

func newViolationMaker(w world, o Options) *violationMaker {
	m := &violationMaker{world: w, options: o, stream: newStream(o.Seed, "violations")}
	m.clients = newCrowd(m.stream, len(w.sources))
	m.targets = newCrowd(m.stream, len(w.services))
	m.classes = newCrowd(m.stream, len(attacks))
	return m
}

// episode is one attacker at work: what becomes an alert.
type episode struct {
	store.Alert
	attack attack
	target service
}

func (m *violationMaker) alerts(day, n int) []episode {
	times := moments{base: m.options.Base.AddDate(0, 0, day), days: 1, n: n}
	list := make([]episode, n)
	for i := range list {
		at := times.at(i)
		target, attack := m.world.services[m.targets.next()], attacks[m.classes.next()]
		m.alertNumber++
		list[i] = episode{attack: attack, target: target, Alert: store.Alert{
			ID: m.uuid(at), Number: m.alertNumber, Time: at.UnixMilli(), LastTime: at.UnixMilli(), Severity: attack.severity, Type: attack.class,
			Description: fmt.Sprintf("%s from %s against %s", attack.class, "one source", target.name),
			SourceIP:    m.world.sources[m.clients.next()], Gateway: pick(m.stream, m.world.gateways),
			Site: target.site, ServerGroup: target.group, Service: target.name, Application: target.application,
			Policy: attack.policy, Action: pick(m.stream, []string{"block", "none"}), Comment: fmt.Sprintf("%s%09d", MarkAlert, m.alertNumber),
		}}
	}
	return list
}

// dayOfViolations makes a day's n violations, one after the other.
type dayOfViolations struct {
	*violationMaker
	times moments
	today []episode
	busy  crowd
	done  int
}

func (m *violationMaker) day(day, n int, today []episode) *dayOfViolations {
	return &dayOfViolations{violationMaker: m, times: moments{base: m.options.Base.AddDate(0, 0, day), days: 1, n: n}, today: today, busy: newCrowd(m.stream, len(today))}
}

func (d *dayOfViolations) next() (v store.Violation, ok bool) {
	if d.done == d.times.n {
		return v, false
	}
	// An alert is as old as the violations around it: crowds gather at the day's
	// recent ones. None is without a violation, or longer than alerts may be.
	latest := &d.today[d.done*len(d.today)/d.times.n]
	at, e := d.times.at(d.done).UnixMilli(), latest
	if latest.Count > 0 {
		e = &d.today[max(d.done*len(d.today)/d.times.n-d.busy.next(), 0)]
	}
	if at > e.Time+longestAlert {
		e = latest
	}
	d.done++
	return d.violation(at, e), true
}

// longestAlert is from the first to the last violation of an alert, in milliseconds.
const longestAlert = 12 * 60 * 60 * 1000

func (m *violationMaker) sendViolations(day, n int, today []episode, send func(batch) bool) bool {
	for d := m.day(day, n, today); d.done < n; {
		b := batch{kind: store.Violations}
		for len(b.Violations) < batchRows {
			v, ok := d.next()
			if !ok {
				break
			}
			b.Violations = append(b.Violations, v)
		}
		b.rows = int64(len(b.Violations))
		if !send(b) {
			return false
		}
	}
	return true
}

func (m *violationMaker) violation(at int64, e *episode) store.Violation {
	m.eventNumber++
	e.Count++
	if e.Count == 1 {
		e.Time = at
	}
	e.LastTime = at
	payload := fmt.Sprintf(pick(m.stream, e.attack.payloads), m.token(m.in(6, 24)))
	v := store.Violation{
		ID: m.uuid(unixMilli(at)), EventNumber: m.eventNumber, AlertNumber: e.Number, Time: at, Severity: e.Severity, Type: e.Type,
		Description: e.attack.class + " in " + e.attack.item + " of a request to " + e.target.host, ViolatedItem: e.attack.item, Policy: e.Policy, Action: e.Action,
		SourceIP: e.SourceIP, SourcePort: m.in(1024, 65535), DestIP: e.target.address, DestPort: e.target.port,
		Gateway: e.Gateway, Site: e.Site, ServerGroup: e.ServerGroup, Service: e.Service, Application: e.Application,
		Method: pick(m.stream, methods), Host: e.target.host, Path: path(m.stream), UserAgent: pick(m.stream, agents), Session: m.token(32),
		Comment: fmt.Sprintf("%s%09d", MarkViolation, m.eventNumber),
	}
	if m.chance(30) {
		v.UserAgent = pick(m.stream, scanners)
	}
	if m.chance(25) {
		v.User = m.world.people[m.IntN(len(m.world.people))]
	}
	v.Query = pick(m.stream, parameterNames) + "=" + escapeQuery(payload)
	if len(e.attack.signatures) > 0 {
		v.Signature, v.SignatureName = payload, pick(m.stream, e.attack.signatures)
	}
	return v
}

func sendAlerts(today []episode, send func(batch) bool) bool {
	for len(today) > 0 {
		part := today[:min(len(today), batchRows)]
		today = today[len(part):]
		b := batch{kind: store.Alerts, rows: int64(len(part))}
		for _, e := range part {
			b.Alerts = append(b.Alerts, e.Alert)
		}
		if !send(b) {
			return false
		}
	}
	return true
}

// escapeQuery is what browsers make of a value: the worst characters escaped, the
// rest left.
func escapeQuery(s string) string { return queryEscapes.Replace(s) }

var queryEscapes = strings.NewReplacer(" ", "%20", "\"", "%22", "#", "%23", "<", "%3C", ">", "%3E", "`", "%60", "&", "%26", "+", "%2B")
