package configuration

import (
	"cmp"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"sealgate/appliance/model"
	"sealgate/appliance/store"
)

// Built is what the gateways of a group are told, less the private keys.
type Built struct {
	Snapshot *model.Snapshot
	Secrets  []string          // ids of the private keys that it lacks
	Sum      [sha256.Size]byte // of all but the revision and the aliases, with the ids: equal where nothing changed for the group
}

// SumFor is the sum of what one gateway of the group is told.
func (b *Built) SumFor(gateway string) [sha256.Size]byte {
	aliases, err := json.Marshal(b.Snapshot.Aliases[gateway])
	if err != nil {
		panic(err) // addresses have a form
	}
	return sha256.Sum256(append(b.Sum[:], aliases...))
}

func (b *Built) sum() error {
	s := *b.Snapshot
	s.Revision, s.Aliases = 0, nil
	text, err := json.Marshal(&s)
	if err != nil {
		return err
	}
	if len(text) > model.MaxSnapshot {
		return fmt.Errorf("what its gateways need is %d MiB, they take at most %d MiB", len(text)>>20, model.MaxSnapshot>>20)
	}
	b.Sum = sha256.Sum256(text)
	return nil
}

// maxFaults bounds what is said of a group with many faults.
const maxFaults = 20

// builder builds the snapshot of one group.
type builder struct {
	*Reading
	Built
	group  *store.Object
	wanted map[string]bool // ids of objects that were named
	places map[string]bool // ids of what a policy of the group may apply to
	faults []error
}

// Build makes the snapshot of a gateway group.
func (r *Reading) Build(group string) (*Built, error) {
	b := &builder{Reading: r, group: r.objects[group], wanted: make(map[string]bool), places: make(map[string]bool)}
	if b.group == nil || b.group.Kind != model.GatewayGroup {
		return nil, fmt.Errorf("gateway group: %w", store.ErrNotFound)
	}
	b.Snapshot = &model.Snapshot{Format: model.SnapshotFormat, Revision: r.Revision}
	b.addGroup()
	b.addServices()
	b.addPolicies()
	b.addObjects()
	err := errors.Join(b.faults...)
	if err == nil {
		err = errors.Join(b.Snapshot.Validate(), b.sum())
	}
	if err != nil {
		return nil, faultf(b.group, "%w", err)
	}
	return &b.Built, nil
}

func (b *builder) fault(err error) {
	if err != nil && len(b.faults) < maxFaults {
		b.faults = append(b.faults, err)
	}
}

// Name is what documents call an object instead of its id. Whatever is named is
// needed.
func (b *builder) Name(id string) (string, error) {
	if o := b.objects[id]; o != nil {
		b.wanted[id] = true
		return o.Name, nil
	}
	if k, ok := b.keys[id]; ok {
		return k.Name, nil
	}
	return "", errors.New("it names what is not there")
}

// Place is where something of the site tree lies.
func (b *builder) Place(id string) ([]string, error) {
	if o := b.objects[id]; o != nil {
		return b.path(o), nil
	}
	return nil, errors.New("it names a place that is not there")
}

// read reads an object as clients of the OpenAPI do.
func (b *builder) read(o *store.Object, into any) {
	document, err := model.Wire(nil, fields[o.Kind], o.Document, b)
	if err == nil {
		err = json.Unmarshal(document, into)
	}
	if err != nil {
		b.fault(faultf(o, "%w; change it, or delete it", err))
	}
}

// fields are those of a kind that gateways are told.
var fields = func() map[string][]model.Field {
	all := make(map[string][]model.Field)
	for _, k := range model.Kinds {
		all[k.Name] = slices.DeleteFunc(k.All(), func(f model.Field) bool { return f.Name == model.AppliesTo })
	}
	return all
}()

func (b *builder) addGroup() {
	var d struct{ FailMode, AdvancedConfiguration string }
	b.read(b.group, &d)
	advanced, err := model.ReadAdvanced(d.AdvancedConfiguration)
	if err != nil {
		b.fault(fmt.Errorf("%w; change its advanced configuration", err))
	}
	b.Snapshot.Group = model.SnapshotGroup{Name: b.group.Name, FailMode: failMode(d.FailMode), AdvancedConfiguration: d.AdvancedConfiguration,
		Limits: advanced.Limits, Metrics: advanced.Metrics}
	b.Snapshot.Aliases = make(map[string]map[string]netip.Addr)
	for _, gateway := range b.under(b.group.ID, model.Gateway) {
		b.Snapshot.Aliases[gateway.Name] = b.aliases(gateway)
	}
}

// failMode is open where the words that clients send do not speak of closing.
func failMode(words string) string {
	if strings.Contains(strings.ToLower(words), "clos") {
		return model.FailClosed
	}
	return "open"
}

// aliases are the addresses of a gateway's aliases. One that is off, or has no
// address, is nowhere.
func (b *builder) aliases(gateway *store.Object) map[string]netip.Addr {
	all := make(map[string]netip.Addr)
	for _, alias := range b.under(gateway.ID, model.Alias) {
		var d struct {
			Enabled         bool
			InternalAddress string
		}
		b.read(alias, &d)
		if !d.Enabled || d.InternalAddress == "" {
			continue
		}
		address, err := netip.ParseAddr(d.InternalAddress)
		if err != nil {
			b.fault(faultf(alias, "its address %q is no IP address", d.InternalAddress))
		}
		all[alias.Name] = address
	}
	return all
}

// addServices adds the web services that have inbound rules of the group.
func (b *builder) addServices() {
	b.Snapshot.Services = []model.SnapshotService{}
	for _, site := range b.under(model.RootID, model.Site) {
		for _, group := range b.under(site.ID, model.ServerGroup) {
			for _, service := range b.under(group.ID, model.WebService) {
				if rules := b.inbound(service); len(rules) > 0 {
					b.places[site.ID], b.places[group.ID], b.places[service.ID] = true, true, true
					b.addService(site, group, service, rules)
				}
			}
		}
	}
}

// inbound are a service's inbound rules in this group.
func (b *builder) inbound(service *store.Object) []model.SnapshotInbound {
	var rules []model.SnapshotInbound
	for _, o := range b.under(service.ID, model.InboundRule) {
		var d struct {
			Group string `json:"gatewayGroupName"`
		}
		if json.Unmarshal(o.Document, &d) != nil || d.Group != b.group.ID {
			continue
		}
		in := model.SnapshotInbound{}
		b.read(o, &in)
		for _, o := range b.under(o.ID, model.OutboundRule) {
			out := model.SnapshotOutbound{Priority: number(o)}
			b.read(o, &out)
			in.Outbound = append(in.Outbound, out)
		}
		slices.SortFunc(in.Outbound, func(a, b model.SnapshotOutbound) int { return cmp.Compare(a.Priority, b.Priority) })
		rules = append(rules, in)
	}
	slices.SortFunc(rules, func(a, b model.SnapshotInbound) int {
		return cmp.Or(cmp.Compare(a.Alias, b.Alias), slices.Compare(a.Ports, b.Ports))
	})
	return rules
}

// number is the name of a numbered object.
func number(o *store.Object) int {
	n, _ := strconv.Atoi(o.Name)
	return n
}

func (b *builder) addService(site, group, service *store.Object, rules []model.SnapshotInbound) {
	s := model.SnapshotService{}
	b.read(group, &s)
	b.read(service, &s)
	if s.CaseSensitiveURLs != nil && *s.CaseSensitiveURLs {
		s.CaseSensitiveURLs = nil
	}
	s.Site, s.ServerGroup, s.Name, s.Inbound = site.Name, group.Name, service.Name, rules
	for _, k := range b.certs[service.ID] {
		s.Keys = append(s.Keys, model.SnapshotKey{Name: k.Name, Certificate: k.Certificate, Secret: k.SecretID})
		b.Secrets = append(b.Secrets, k.SecretID)
	}
	for _, o := range b.under(service.ID, model.HostMapping) {
		m := model.SnapshotMapping{Priority: number(o)}
		b.read(o, &m)
		s.HostMappings = append(s.HostMappings, m)
	}
	slices.SortFunc(s.HostMappings, func(a, b model.SnapshotMapping) int { return cmp.Compare(a.Priority, b.Priority) })
	for _, app := range b.under(service.ID, model.WebApplication) {
		b.places[app.ID] = true
		var urls model.SnapshotApplication
		if b.read(app, &urls); urls != (model.SnapshotApplication{}) {
			if s.Applications == nil {
				s.Applications = make(map[string]model.SnapshotApplication)
			}
			s.Applications[app.Name] = urls
		}
		for _, profile := range b.under(app.ID, model.WebProfile) {
			var document json.RawMessage
			if b.read(profile, &document); s.Profiles == nil {
				s.Profiles = make(map[string]json.RawMessage)
			}
			s.Profiles[app.Name] = document
			b.wantTypes(app, document)
		}
	}
	b.Snapshot.Services = append(b.Snapshot.Services, s)
}
