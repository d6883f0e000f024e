package openapi

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"sort"
	"strconv"
	"strings"

	"sealgate/appliance/model"
	"sealgate/appliance/store"
)

// Inbound rules are written by hand: three segments of the path find one, a path
// with one port finds a rule of several, alias and port are taken over all
// services, and outbound rules come in the same body.

const (
	servicePath = "/v1/conf/webServices/{siteName}/{serverGroupName}/{webServiceName}"
	inboundPath = servicePath + "/krpInboundRules/{gatewayGroupName}/{aliasName}/{gatewayPort}"
)

type inbound struct {
	resource
	outbound resource
	service  []step
}

func (a *API) inboundOperations() []Operation {
	outbound, err := model.Lookup(model.OutboundRule)
	if err != nil {
		panic(err)
	}
	in := inbound{
		resource: a.at(model.InboundRule, inboundPath),
		outbound: resource{API: a, kind: outbound, path: outbound.Path, steps: stepsTo(model.OutboundRule, outbound.Path)},
		service:  stepsTo(model.WebService, servicePath),
	}
	taken := append(slices.Clone(in.kind.Fields), model.Field{Name: "outboundRules", Type: model.Map, Of: &model.Field{Type: model.Record, Fields: outbound.Fields}})
	operation := func(method, path, summary string, in, out []model.Field, do func(context.Context, *Call) (any, error), codes ...int) Operation {
		return Operation{Method: method, Path: path, Resource: model.InboundRule, Summary: summary, In: in, Out: out, Do: do, Codes: append([]int{10006, 10008, 10017}, codes...)}
	}
	all := model.Field{Type: model.Record, Fields: in.kind.Fields}
	return []Operation{
		operation(http.MethodGet, servicePath+"/krpInboundRules", "list the inbound rules", nil, []model.Field{{Name: "inboundKrpRules", Type: model.List, Of: &all}}, in.list),
		operation(http.MethodGet, inboundPath, "read an inbound rule", nil, in.kind.Fields, in.get(in.kind.Fields), 10013, 10051, 10053),
		operation(http.MethodPost, inboundPath, "create an inbound rule with its outbound rules", taken, nil, in.create, 10013, 10051, 10026, 10059),
		operation(http.MethodPut, inboundPath, "change an inbound rule, or create it when outboundRules are sent", taken, nil, in.put, 10013, 10051, 10053, 10059),
		operation(http.MethodDelete, inboundPath, "delete an inbound rule with its outbound rules", nil, nil, in.remove, 10013, 10051, 10053),
	}
}

// at is a declared kind at a path that its declaration does not name.
func (a *API) at(kind, path string) resource {
	k, err := model.Lookup(kind)
	if err != nil {
		panic(err)
	}
	return resource{API: a, kind: k, path: path, steps: stepsTo(kind, path)}
}

// listener is where an inbound rule listens.
type listener struct {
	group   store.Object
	aliases []store.Object // of one name, on the gateways of the group
	ports   []int
}

// name is the name of the rule's object: it tells alias and ports without another
// query.
func (l listener) name() string {
	return portList(l.ports) + model.IDMark + l.aliases[0].ID
}

// readable is an object's name without the id that some end in.
func readable(name string) string {
	head, _, _ := model.CutID(name)
	return head
}

func portList(ports []int) string {
	words := make([]string, len(ports))
	for i, p := range ports {
		words[i] = strconv.Itoa(p)
	}
	return strings.Join(words, ",")
}

// portsIn are the ports in the name of a rule's object.
func portsIn(name string) []int {
	var ports []int
	for word := range strings.SplitSeq(readable(name), ",") {
		if n, err := strconv.Atoi(word); err == nil {
			ports = append(ports, n)
		}
	}
	return ports
}

func parsePorts(text string) ([]int, error) {
	var ports []int
	for word := range strings.SplitSeq(text, ",") {
		n, err := strconv.Atoi(strings.TrimSpace(word))
		if err != nil {
			return nil, Faultf(10153, "gatewayPorts is %q, must be ports with commas between them, like 80,443", short(text))
		}
		if n < 1 || n > 65535 {
			return nil, Faultf(10020, "gatewayPorts has %s, a port is 1 to 65535", short(strings.TrimSpace(word)))
		}
		if !slices.Contains(ports, n) {
			ports = append(ports, n)
		}
	}
	sort.Ints(ports)
	return ports, nil
}

// listenerOf finds the gateway group and alias of a rule.
func listenerOf(ctx context.Context, q reader, group, alias, ports string) (listener, error) {
	var l listener
	var err error
	if l.ports, err = parsePorts(ports); err != nil {
		return l, err
	}
	l.group, err = q.Find(ctx, model.RootID, model.GatewayGroup, group)
	if errors.Is(err, store.ErrNotFound) {
		return l, Faultf(10013, "there is no gateway group %q", short(group))
	}
	if err != nil {
		return l, err
	}
	gateways, err := q.List(ctx, l.group.ID, model.Gateway)
	if err != nil {
		return l, err
	}
	for _, gateway := range gateways {
		o, err := q.Find(ctx, gateway.ID, model.Alias, alias)
		if err == nil {
			l.aliases = append(l.aliases, o)
		} else if !errors.Is(err, store.ErrNotFound) {
			return l, err
		}
	}
	if len(l.aliases) == 0 {
		return l, Faultf(10051, "no gateway of gateway group %q has an alias %q", short(group), short(alias))
	}
	return l, nil
}

func (l listener) has(alias string) bool {
	return slices.ContainsFunc(l.aliases, func(o store.Object) bool { return o.ID == alias })
}

// findInbound finds the rule of a service that listens on an alias and a port.
func findInbound(ctx context.Context, q reader, service string, values []string, _ url.Values) (store.Object, error) {
	l, err := listenerOf(ctx, q, values[0], values[1], values[2])
	if err != nil {
		return store.Object{}, err
	}
	names, err := q.Names(ctx, service, model.InboundRule)
	if err != nil {
		return store.Object{}, err
	}
	for _, name := range names {
		_, alias, _ := model.CutID(name)
		if l.has(alias) && containsAll(portsIn(name), l.ports) {
			return q.Find(ctx, service, model.InboundRule, name)
		}
	}
	return store.Object{}, store.ErrNotFound
}

func containsAll(list, some []int) bool {
	return !slices.ContainsFunc(some, func(n int) bool { return !slices.Contains(list, n) })
}

// free says which rule has one of the ports already.
func (l listener) free(ctx context.Context, c *Call, q reader, except string) error {
	for _, alias := range l.aliases {
		uses, err := q.InUseBy(ctx, alias.ID)
		if err != nil {
			return err
		}
		for _, use := range uses {
			if use.Kind != model.InboundRule || use.ID == except {
				continue
			}
			for _, port := range portsIn(use.Name) {
				if slices.Contains(l.ports, port) {
					return l.taken(ctx, c, q, alias, port, use.ID)
				}
			}
		}
	}
	return nil
}

// room says whether the gateways of the group may serve one more web service.
func (l listener) room(ctx context.Context, q reader, service string) error {
	uses, err := q.InUseBy(ctx, l.group.ID)
	if err != nil || len(uses) < model.MaxSnapshotServices {
		return err
	}
	rules, err := q.All(ctx, model.InboundRule)
	if err != nil {
		return err
	}
	inGroup := make(map[string]bool, len(uses))
	for _, use := range uses {
		inGroup[use.ID] = true
	}
	services := make(map[string]bool)
	for _, rule := range rules {
		if inGroup[rule.ID] {
			services[rule.ParentID] = true
		}
	}
	if services[service] || len(services) < model.MaxSnapshotServices {
		return nil
	}
	return Faultf(model.CodeLong, "gateway group %q serves %d web services already, at most %d are allowed", short(l.group.Name), len(services), model.MaxSnapshotServices)
}

// taken names the service that has a port, unless it is of a site that the caller may
// not know of.
func (l listener) taken(ctx context.Context, c *Call, q reader, alias store.Object, port int, rule string) error {
	o, err := q.Get(ctx, rule)
	if err != nil {
		return err
	}
	place, err := (&names{ctx: ctx, q: q, caller: c.Caller}).Place(o.ParentID)
	if err != nil {
		return err
	}
	if len(place) == 0 {
		return Faultf(10059, "port %d of alias %q is used already", port, short(alias.Name))
	}
	return Faultf(10059, "port %d of alias %q is used by web service %q already", port, short(alias.Name), short(place[len(place)-1]))
}

func (l listener) fields() map[string]any {
	ports := make([]any, len(l.ports))
	for i, p := range l.ports {
		ports[i] = json.Number(strconv.Itoa(p))
	}
	return map[string]any{"gatewayGroupName": l.group.ID, "aliasName": l.aliases[0].ID, "gatewayPorts": ports}
}

func (in inbound) list(ctx context.Context, c *Call) (any, error) {
	var answer json.RawMessage
	err := in.store.Read(ctx, func(q *store.Reader) error {
		chain, err := c.locate(ctx, q, in.service)
		if err != nil {
			return err
		}
		r := in.resource
		r.kind.List = "inboundKrpRules"
		answer, err = r.objects(ctx, c, q, chain, chain[len(chain)-1].ID)
		return err
	})
	return answer, err
}

func (in inbound) create(ctx context.Context, c *Call) (any, error) {
	body, err := c.Object()
	if err != nil {
		return nil, err
	}
	return nil, in.write(ctx, c, in.summary("create", c), func(tx *store.Tx) error {
		chain, err := c.locate(ctx, tx, in.service)
		if err != nil {
			return err
		}
		return in.addRule(ctx, c, tx, chain, body)
	})
}

// put changes a rule, or creates it where it is missing and outbound rules come
// with it.
func (in inbound) put(ctx context.Context, c *Call) (any, error) {
	body, err := c.Object()
	if err != nil {
		return nil, err
	}
	return nil, in.write(ctx, c, in.summary("change", c), func(tx *store.Tx) error {
		chain, err := c.locate(ctx, tx, in.steps)
		if err != nil {
			if len(chain) < len(in.service) || body["outboundRules"] == nil || !isFault(err, in.kind.Missing) {
				return err
			}
			return in.addRule(ctx, c, tx, chain, body)
		}
		return in.changeRule(ctx, c, tx, chain, body)
	})
}

func isFault(err error, code int) bool {
	var faults Faults
	return errors.As(err, &faults) && len(faults) == 1 && faults[0].Code == code
}

func (in inbound) addRule(ctx context.Context, c *Call, tx *store.Tx, chain []store.Object, body map[string]any) error {
	l, err := listenerOf(ctx, tx, c.Path["gatewayGroupName"], c.Path["aliasName"], c.Path["gatewayPort"])
	if err != nil {
		return err
	}
	rules, err := outboundRules(body)
	if err != nil {
		return err
	}
	if len(rules) == 0 {
		return Faultf(10026, "outboundRules is missing: an object with a rule for each priority, like {\"1\": {\"internalIpHost\": …, \"serverPort\": …}}")
	}
	if err := l.free(ctx, c, tx, ""); err != nil {
		return err
	}
	if err := l.room(ctx, tx, chain[len(chain)-1].ID); err != nil {
		return err
	}
	rule, err := in.add(ctx, c, tx, chain, l.name(), without(body, "outboundRules"), l.fields())
	if err != nil {
		return err
	}
	return in.putOutbound(ctx, c, tx, append(chain, rule), rules)
}

// without is an object less one property.
func without(body map[string]any, names ...string) map[string]any {
	rest := make(map[string]any, len(body))
	for key, value := range body {
		if !slices.Contains(names, key) {
			rest[key] = value
		}
	}
	return rest
}

// outboundRules are the rules in a body, by priority.
func outboundRules(body map[string]any) (map[int]map[string]any, error) {
	sent := body["outboundRules"]
	if sent == nil {
		return nil, nil
	}
	object, ok := sent.(map[string]any)
	if !ok {
		return nil, Faultf(10002, "outboundRules must be an object with a rule for each priority")
	}
	const most = 1000
	if len(object) > most {
		return nil, Faultf(10145, "outboundRules has %d rules, at most %d are allowed", len(object), most)
	}
	rules := make(map[int]map[string]any, len(object))
	for key, value := range object {
		name, err := numberOf("a priority in outboundRules", key)
		if err != nil {
			return nil, err
		}
		rule, ok := value.(map[string]any)
		if !ok {
			return nil, Faultf(10002, "outboundRules.%s must be an object", short(key))
		}
		n, err := strconv.Atoi(name)
		if err != nil {
			return nil, err
		}
		if rules[n] != nil {
			return nil, Faultf(10421, "outboundRules has priority %d twice", n)
		}
		rules[n] = rule
	}
	return rules, nil
}

// putOutbound creates the rules that are missing and changes the others.
func (in inbound) putOutbound(ctx context.Context, c *Call, tx *store.Tx, chain []store.Object, rules map[int]map[string]any) error {
	var faults Faults
	parent := chain[len(chain)-1]
	priorities := make([]int, 0, len(rules))
	for n := range rules {
		priorities = append(priorities, n)
	}
	sort.Ints(priorities)
	for _, n := range priorities {
		name := strconv.Itoa(n)
		o, err := tx.Find(ctx, parent.ID, model.OutboundRule, name)
		switch {
		case err == nil:
			err = in.outbound.update(ctx, c, tx, append(slices.Clip(chain), o), in.outbound.kind.Fields, rules[n], false)
		case errors.Is(err, store.ErrNotFound):
			err = in.outbound.addOutbound(ctx, c, tx, chain, name, rules[n])
		}
		var more Faults
		if errors.As(err, &more) {
			for _, f := range more {
				faults = append(faults, Fault{Code: f.Code, Description: fmt.Sprintf("outboundRules.%d: %s", n, f.Description)})
			}
		} else if err != nil {
			return err
		}
	}
	if len(faults) > 0 {
		return faults
	}
	return nil
}

func (r resource) addOutbound(ctx context.Context, c *Call, tx *store.Tx, chain []store.Object, name string, rule map[string]any) error {
	_, err := r.add(ctx, c, tx, chain, name, rule, nil)
	return err
}

func (in inbound) changeRule(ctx context.Context, c *Call, tx *store.Tx, chain []store.Object, body map[string]any) error {
	rules, err := outboundRules(body)
	if err != nil {
		return err
	}
	body = without(body, "outboundRules")
	rule := chain[len(chain)-1]
	if rule, err = in.listenElsewhere(ctx, c, tx, rule, body); err != nil {
		return err
	}
	chain[len(chain)-1] = rule
	// Rules and what names them may change at once: they are compared when both have.
	alone := in.resource
	alone.loose = true
	if err := alone.update(ctx, c, tx, chain, in.kind.Fields, body, false); err != nil {
		return err
	}
	if err := in.putOutbound(ctx, c, tx, chain, rules); err != nil {
		return err
	}
	if rule, err = tx.Get(ctx, rule.ID); err != nil {
		return err
	}
	document, err := documentOf(rule)
	if err != nil {
		return err
	}
	faults, err := holds(ctx, tx, in.kind, rule, document)
	if err == nil && len(faults) > 0 {
		err = faults
	}
	return err
}

// listenElsewhere moves a rule to the group, alias and ports that were sent.
func (in inbound) listenElsewhere(ctx context.Context, c *Call, tx *store.Tx, rule store.Object, body map[string]any) (store.Object, error) {
	group, alias, ports := c.Path["gatewayGroupName"], c.Path["aliasName"], readable(rule.Name)
	if s, ok := body["gatewayGroupName"].(string); ok {
		group = s
	}
	if s, ok := body["aliasName"].(string); ok {
		alias = s
	}
	if list, ok := body["gatewayPorts"].([]any); ok && len(list) > 0 {
		words := make([]string, len(list))
		for i, v := range list {
			words[i] = fmt.Sprint(v)
		}
		ports = strings.Join(words, ",")
	}
	l, err := listenerOf(ctx, tx, group, alias, ports)
	if err != nil {
		return rule, err
	}
	_, now, _ := model.CutID(rule.Name)
	if l.has(now) && portList(l.ports) == readable(rule.Name) {
		return rule, nil
	}
	if err := l.free(ctx, c, tx, rule.ID); err != nil {
		return rule, err
	}
	if err := l.room(ctx, tx, rule.ParentID); err != nil {
		return rule, err
	}
	document, err := documentOf(rule)
	if err != nil {
		return rule, err
	}
	for key, value := range l.fields() {
		document[key] = value
	}
	if rule.Document, err = model.AppendJSON(nil, document); err != nil {
		return rule, err
	}
	if err := tx.Update(ctx, rule.ID, rule.Document); err != nil {
		return rule, err
	}
	rule.Name = l.name()
	return rule, tx.Rename(ctx, rule.ID, rule.Name)
}
