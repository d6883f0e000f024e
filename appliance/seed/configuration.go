package seed

import (
	"context"
	"encoding/json"
	"fmt"

	"sealgate/appliance/model"
	"sealgate/appliance/secret"
	"sealgate/appliance/store"
)

// configurer writes configuration objects, one revision for each service.
type configurer struct {
	*filler
	*stream
	groups   []string // ids of IP groups
	aliases  []string // ids of gateway aliases
	services []string // ids
	number   int      // of the object, for its marker
}

// doc is a document that is being written.
type doc map[string]any

const (
	maxIPGroups    = 64
	maxPolicies    = 64
	maxUsers       = 200
	maxCredentials = 100
	maxSSLKeys     = 128
)

func (f *filler) configuration(ctx context.Context) error {
	c := &configurer{filler: f, stream: newStream(f.options.Seed, "configuration")}
	if _, err := f.store.Write(ctx, f.change("shared objects"), func(tx *store.Tx) error { return c.shared(ctx, tx) }); err != nil {
		return err
	}
	for n, svc := range f.world.services {
		summary := fmt.Sprintf("web service %s", svc.name)
		if _, err := f.store.Write(ctx, f.change(summary), func(tx *store.Tx) error { return c.service(ctx, tx, n, svc) }); err != nil {
			return err
		}
	}
	_, err := f.store.Write(ctx, f.change("security policies"), func(tx *store.Tx) error { return c.policies(ctx, tx) })
	return err
}

// create adds an object with a marker in its document.
func (c *configurer) create(ctx context.Context, tx *store.Tx, parent, kind, name string, d doc) (string, error) {
	c.number++
	d["comment"] = fmt.Sprintf("%s%06d", MarkConfig, c.number)
	document, err := json.Marshal(d)
	if err != nil {
		return "", err
	}
	id, err := tx.Create(ctx, store.Object{ID: c.uuid(c.options.Base), ParentID: parent, Kind: kind, Name: name, Document: document})
	if err == nil {
		c.made(store.Config, 1, 0)
	}
	return id, err
}

// ensure creates an object unless its parent has one of the name.
func (c *configurer) ensure(ctx context.Context, tx *store.Tx, parent, kind, name string, d doc) (string, error) {
	list, err := tx.List(ctx, parent, kind)
	if err != nil {
		return "", err
	}
	for _, o := range list {
		if o.Name == name {
			return o.ID, nil
		}
	}
	return c.create(ctx, tx, parent, kind, name, d)
}

// shared writes what services refer to: the first site, IP groups and gateways.
func (c *configurer) shared(ctx context.Context, tx *store.Tx) error {
	if _, err := c.create(ctx, tx, model.RootID, model.Site, siteName(0), doc{}); err != nil {
		return err
	}
	for n := range grown(c.options.Scale, maxIPGroups/2, 3, maxIPGroups) {
		var entries []doc
		for range c.in(3, 60) {
			entries = append(entries, doc{"type": "single", "ipAddressFrom": pick(c.stream, c.world.sources)})
		}
		id, err := c.create(ctx, tx, model.RootID, model.IPGroup, fmt.Sprintf("%s addresses %02d", pick(c.stream, businesses), n+1), doc{"entries": entries})
		if err != nil {
			return err
		}
		c.groups = append(c.groups, id)
	}
	group := model.DefaultID(model.GatewayGroup, model.DefaultGroupName)
	for n, name := range c.world.gateways {
		gateway, err := c.create(ctx, tx, group, model.Gateway, name, doc{"gatewayIP": fmt.Sprintf("10.0.0.%d", n+10), "platformType": "Virtual", "networkInterfaceList": []string{"eth0", "eth1"}})
		if err != nil {
			return err
		}
		address, err := c.create(ctx, tx, gateway, model.Address, fmt.Sprintf("10.0.1.%d", n+10), doc{"networkInterface": "eth1", "mask": 24})
		if err != nil {
			return err
		}
		alias, err := c.create(ctx, tx, gateway, model.Alias, fmt.Sprintf("Alias %02d", n+1), doc{"enabled": true, "externalAddress": fmt.Sprintf("203.0.113.%d", n+10), "internalAddress": address})
		if err != nil {
			return err
		}
		c.aliases = append(c.aliases, alias)
	}
	return nil
}

// service writes one web service with its application, certificate and rules.
func (c *configurer) service(ctx context.Context, tx *store.Tx, n int, svc service) error {
	site, err := c.ensure(ctx, tx, model.RootID, model.Site, svc.site, doc{})
	if err != nil {
		return err
	}
	group, err := c.ensure(ctx, tx, site, model.ServerGroup, svc.group, doc{
		"operationMode": pick(c.stream, []string{model.ModeActive, model.ModeSimulation, model.ModeSimulation, model.ModeDisabled}),
		"ignoreIpGroup": pick(c.stream, c.groups),
	})
	if err != nil {
		return err
	}
	id, err := c.create(ctx, tx, group, model.WebService, svc.name, doc{
		"ports": []int{80 + 1000*(n%perGroup)}, "sslPorts": []int{443 + 1000*(n%perGroup)}, "http2": c.chance(70),
		"dataMaskingGroup":     model.DefaultID(model.DataMaskingGroup, model.DefaultMasking),
		"forwardedConnections": []doc{{"headerName": "X-Forwarded-For", "proxyIpGroup": pick(c.stream, c.groups)}},
		"webErrorPagePolicies": []string{model.DefaultID(model.ErrorPagePolicy, "Default Web Error Page Policy")},
	})
	if err != nil {
		return err
	}
	c.services = append(c.services, id)
	application, err := c.create(ctx, tx, id, model.WebApplication, model.DefaultApp, doc{"learnSettings": "protect"})
	if err != nil {
		return err
	}
	if err := c.profile(ctx, tx, application); err != nil {
		return err
	}
	service, err := tx.Get(ctx, id)
	if err != nil {
		return err
	}
	var document doc
	if err := json.Unmarshal(service.Document, &document); err != nil {
		return err
	}
	document["default-application"] = application
	text, err := json.Marshal(document)
	if err != nil {
		return err
	}
	if err := tx.Update(ctx, id, text); err != nil {
		return err
	}
	if _, err := c.create(ctx, tx, id, model.HostMapping, "1", doc{"host": svc.host, "hostMatchType": "Exact", "application": application}); err != nil {
		return err
	}
	return c.rules(ctx, tx, n, id, group, svc)
}

// profile writes what was learned of an application.
func (c *configurer) profile(ctx context.Context, tx *store.Tx, application string) error {
	var urls []doc
	for range c.in(5, 40) {
		var parameters []doc
		for range c.IntN(6) {
			parameters = append(parameters, doc{"name": pick(c.stream, parameterNames), "minLength": 0, "maxLength": c.in(8, 256), "type": pick(c.stream, []string{"Numeric", "Latin Characters", "Email"}), "required": c.chance(30)})
		}
		urls = append(urls, doc{"urlFullPath": path(c.stream), "status": "learned", "allowedMethods": []doc{{"method": pick(c.stream, methods), "status": "learned"}}, "parameters": parameters, "locked": false})
	}
	_, err := c.create(ctx, tx, application, model.WebProfile, model.WebProfile, doc{"webProfileUrls": urls})
	return err
}

// rules writes a service's certificate, credential and rules.
func (c *configurer) rules(ctx context.Context, tx *store.Tx, n int, id, group string, svc service) error {
	// An alias has a port once, so each service listens on ports of its own.
	alias, port := c.aliases[n%len(c.aliases)], svc.port+n/len(c.aliases)*10
	inbound := doc{
		"gatewayGroupName": model.DefaultID(model.GatewayGroup, model.DefaultGroupName), "aliasName": alias, "gatewayPorts": []int{port},
	}
	if n < grown(c.options.Scale, maxSSLKeys/4, 2, maxSSLKeys) {
		key, err := c.certificate(ctx, tx, n, id, svc.host)
		if err != nil {
			return err
		}
		inbound["serverCertificate"] = key
		inbound["clientSideSslSettings"] = model.DefaultID(model.SSLSettings, "Default SSL Settings")
	}
	rule, err := c.create(ctx, tx, id, model.InboundRule, fmt.Sprintf("%d@%s", port, alias), inbound)
	if err != nil {
		return err
	}
	for priority := range c.in(1, 3) {
		d := doc{"internalIpHost": svc.address, "serverPort": 8080 + priority, "externalHost": svc.host, "urlPrefix": fmt.Sprintf("/%s/%d", pick(c.stream, sections), priority+1), "encrypt": false}
		if _, err := c.create(ctx, tx, rule, model.OutboundRule, fmt.Sprint(priority+1), d); err != nil {
			return err
		}
	}
	server := doc{"connection-mode": "ssh", "host-name": svc.host}
	if n < grown(c.options.Scale, maxCredentials/4, 2, maxCredentials) {
		if server["password"], err = c.credential(ctx, tx, n, svc); err != nil {
			return err
		}
	}
	_, err = c.create(ctx, tx, group, model.Server, svc.host, server)
	return err
}

// credential adds a credential, of a server or of a database in turn.
func (c *configurer) credential(ctx context.Context, tx *store.Tx, n int, svc service) (string, error) {
	kind := store.ServerCredential
	if n%2 == 1 {
		kind = store.DatabaseCredential
	}
	id, err := tx.AddCredential(ctx, store.Credential{
		ID: c.uuid(c.options.Base), SecretID: c.uuid(c.options.Base), Kind: kind, Name: fmt.Sprintf("%s%04d", MarkCredential, n+1),
		UserName: pick(c.stream, c.world.people), Document: fmt.Appendf(nil, `{"host":%q,"mode":"ssh"}`, svc.address),
	}, c.sealer, []byte(MarkCredential+c.token(20)))
	if err == nil {
		c.made(store.Credentials, 1, 0)
	}
	return id, err
}

// policies writes custom and signature policies that apply to the services.
func (c *configurer) policies(ctx context.Context, tx *store.Tx) error {
	for n := range grown(c.options.Scale, maxPolicies/2, 4, maxPolicies) {
		a := attacks[n%len(attacks)]
		var applied []string
		for range c.in(1, 6) {
			applied = append(applied, pick(c.stream, c.services))
		}
		kind, d := model.ServiceCustomPolicy, doc{
			"enabled": true, "oneAlertPerSession": c.chance(20), "severity": a.severity, "action": pick(c.stream, []string{"none", "block"}),
			"followedAction": model.DefaultID(model.ActionSet, "Short IP Block"), "applyTo": applied,
			"matchCriteria": []doc{
				{"type": "sourceIpAddresses", "operation": "excludeAll", "ipGroups": []string{pick(c.stream, c.groups)}},
				{"type": "httpRequestUrl", "match": "prefix", "operation": "atLeastOne", "values": []string{path(c.stream), path(c.stream)}},
			},
		}
		if n%3 == 2 {
			kind, d = model.AppSignaturesPolicy, doc{
				"rules":      []doc{{"name": dictionaryOf(a), "enabled": true, "severity": a.severity, "action": "block"}},
				"exceptions": []doc{}, "displayResponsePage": false, "applyTo": applied,
			}
		}
		if _, err := c.create(ctx, tx, model.RootID, kind, fmt.Sprintf("%s %03d", a.class, n+1), d); err != nil {
			return err
		}
	}
	return nil
}

// dictionaryOf is the predefined dictionary of an attack, or the first.
func dictionaryOf(a attack) string {
	id := model.DefaultID(model.Dictionary, a.class)
	if !model.IsDefault(id) {
		return model.DefaultID(model.Dictionary, attacks[0].class)
	}
	return id
}

// users adds accounts that no password opens: their verifiers are no password's.
func (f *filler) users(ctx context.Context) error {
	s := newStream(f.options.Seed, "users")
	_, err := f.store.Write(ctx, f.change("users"), func(tx *store.Tx) error {
		for n := range grown(f.options.Scale, maxUsers/4, 3, maxUsers) {
			salt, hash := make([]byte, 16), make([]byte, 32)
			s.Read(salt)
			s.Read(hash)
			given, family := pick(s, givenNames), pick(s, familyNames)
			u := store.User{
				ID: s.uuid(f.options.Base), Name: fmt.Sprintf("%s%03d", MarkUser, n+1), Role: pick(s, []string{store.Administrator, store.ReadOnlyRole, store.ReadOnlyRole}),
				Verifier: secret.FormatVerifier(salt, hash),
				Document: fmt.Appendf(nil, `{"fullName":"%s %s","email":"%s.%s@example.com","phone":"+49 30 %07d"}`, given, family, given, family, s.IntN(1e7)),
			}
			if _, err := tx.AddUser(ctx, u); err != nil {
				return err
			}
			f.made(store.Users, 1, 0)
		}
		return nil
	})
	return err
}
