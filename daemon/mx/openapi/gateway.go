package openapi

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"

	"sealgate/appliance/model"
	"sealgate/appliance/store"
	"sealgate/daemon/link"
)

// codeRuns is that of a gateway that runs, so that it cannot be deleted.
const codeRuns = 10210

// Gateways know how gateways are: *hub.Hub.
type Gateways interface {
	// Live is what a gateway said last, and whether it said it lately.
	Live(id string) (said link.Poll, running bool)
}

// live is a gateway's object with what the gateway says of itself.
func (a *API) live(o store.Object) (store.Object, error) {
	if o.Kind != model.Gateway || a.gateways == nil {
		return o, nil
	}
	document, err := documentOf(o)
	if err != nil {
		return o, err
	}
	said, running := a.gateways.Live(o.ID)
	document["running"] = running
	for field, value := range map[string]string{"gatewayModel": said.Model, "gatewayIP": said.DataAddress, "platformType": said.Platform, "softwareVersion": said.Software} {
		if value != "" {
			document[field] = value
		}
	}
	switch {
	case len(said.Interfaces) > 0:
		document["networkInterfaceList"] = said.Interfaces
	case len(said.Addresses) > 0: // of an older release, which tells interfaces with them
		document["networkInterfaceList"] = said.Addresses
	}
	o.Document, err = model.AppendJSON(nil, document)
	return o, err
}

// stopped refuses to delete a gateway that runs: it would go on with what it has.
func (a *API) stopped(o store.Object) error {
	if o.Kind != model.Gateway || a.gateways == nil {
		return nil
	}
	if _, running := a.gateways.Live(o.ID); running {
		return Faultf(codeRuns, "gateway %q runs: stop it, or unregister it there (impctl gateway unregister)", short(o.Name))
	}
	return nil
}

// codeNoInterface is that of an interface that a gateway does not have.
const codeNoInterface = 12601

// attached refuses another interface than before that a gateway does not have. Which it
// has is known once the gateway said so, to this process.
func (a *API) attached(o store.Object, before any, document map[string]any) Faults {
	name, _ := document["networkInterface"].(string)
	if o.Kind != model.Address || a.gateways == nil || name == before || name == "" {
		return nil
	}
	said, _ := a.gateways.Live(o.ParentID)
	if len(said.Interfaces) == 0 || slices.Contains(said.Interfaces, name) {
		return nil
	}
	return Faults{{Code: codeNoInterface, Description: fmt.Sprintf("networkInterface is %q, and the gateway has %s", short(name), strings.Join(said.Interfaces, ", "))}}
}

// What is written by hand here moves objects, or creates two at once.
func (a *API) gatewayOperations() []Operation {
	group, gateway := a.at(model.GatewayGroup, "/v1/conf/gatewayGroups/{gatewayGroupName}"), a.at(model.Gateway, "/v1/conf/gateways/{gatewayName}")
	entry := model.Field{Type: model.Record, Fields: []model.Field{{Name: "name"}, {Name: "ip"}}}
	alias := []model.Field{{Name: "gatewayName"}, {Name: "aliasName"}, {Name: "aliasComment"}, {Name: "externalIpAddress"}, {Name: "internalIpAddress"}, {Name: "interfaceName"}}
	return []Operation{
		{Method: http.MethodGet, Path: group.path + "/gateways", Resource: model.Gateway, Summary: "list the gateways of a gateway group",
			Out: []model.Field{{Name: "gateways", Type: model.List, Of: &entry}}, Codes: []int{10013}, Do: group.gateways},
		{Method: http.MethodPut, Path: gateway.path + "/move/{targetGatewayGroupName}", Resource: model.Gateway, Summary: "move a gateway to another gateway group",
			Codes: []int{10013, 10102, 12503}, Do: gateway.move},
		{Method: http.MethodPost, Path: "/experimental/gateway/gatewayAlias", Resource: model.Alias, Summary: "create an alias, and its address where it is new",
			In: alias, Codes: []int{10016, 10056, 10102, 10131, 10132, 10152, 10180}, Do: a.gatewayAlias},
	}
}

// WriteGateways writes what a GET says of each gateway, for support.
func (a *API) WriteGateways(ctx context.Context, w io.Writer) error {
	r := a.at(model.Gateway, "/v1/conf/gateways/{gatewayName}")
	r.kind.NameField = "name"
	list := []json.RawMessage{}
	err := r.store.Read(ctx, func(q *store.Reader) error {
		groups, err := q.List(ctx, model.RootID, model.GatewayGroup)
		if err != nil {
			return err
		}
		n := r.reading(ctx, &Call{}, q, nil)
		for _, group := range groups {
			objects, err := q.List(ctx, group.ID, model.Gateway)
			if err != nil {
				return err
			}
			for _, o := range objects {
				if o, err = r.live(o); err != nil {
					return err
				}
				entry, err := r.wire(nil, o, r.kind.Fields, true, n)
				if err != nil {
					return err
				}
				list = append(list, entry)
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	return json.NewEncoder(w).Encode(list)
}

func (r resource) gateways(ctx context.Context, c *Call) (any, error) {
	type gateway struct {
		Name string `json:"name"`
		IP   string `json:"ip,omitempty"`
	}
	list := []gateway{}
	err := r.store.Read(ctx, func(q *store.Reader) error {
		chain, err := c.locate(ctx, q, r.steps)
		if err != nil {
			return err
		}
		objects, err := q.List(ctx, chain[0].ID, model.Gateway)
		if err != nil {
			return err
		}
		for _, o := range objects {
			o, err := r.live(o)
			if err != nil {
				return err
			}
			document, err := documentOf(o)
			if err != nil {
				return err
			}
			ip, _ := document["gatewayIP"].(string)
			list = append(list, gateway{o.Name, ip})
		}
		return nil
	})
	return map[string]any{"gateways": list}, err
}

// move puts a gateway into another group. One that has the last alias that rules use
// stays: their group would not have the alias any more.
func (r resource) move(ctx context.Context, c *Call) (any, error) {
	return nil, r.write(ctx, c, r.summary("move", c), func(tx *store.Tx) error {
		chain, err := c.locate(ctx, tx, r.steps)
		if err != nil {
			return err
		}
		gateway := chain[0]
		target, err := tx.Find(ctx, model.RootID, model.GatewayGroup, c.Path["targetGatewayGroupName"])
		if errors.Is(err, store.ErrNotFound) {
			return Faultf(10013, "there is no gateway group %q", short(c.Path["targetGatewayGroupName"]))
		}
		if err != nil || target.ID == gateway.ParentID {
			return err
		}
		if err := sameMode(ctx, tx, gateway.ParentID, target); err != nil {
			return err
		}
		if err := handOver(ctx, tx, gateway); err != nil {
			return err
		}
		aliases, err := tx.List(ctx, gateway.ID, model.Alias)
		if err != nil {
			return err
		}
		for _, alias := range aliases {
			uses, err := tx.InUseBy(ctx, alias.ID)
			if err != nil {
				return err
			}
			if len(uses) > 0 {
				return Faultf(10178, "alias %q of the gateway is used by %s, so the gateway cannot leave its group", short(alias.Name), users(uses))
			}
		}
		return tx.Move(ctx, gateway.ID, target.ID)
	})
}

func sameMode(ctx context.Context, q reader, from string, target store.Object) error {
	source, err := q.Get(ctx, from)
	if err != nil {
		return err
	}
	modes := make([]any, 2)
	for i, o := range []store.Object{source, target} {
		document, err := documentOf(o)
		if err != nil {
			return err
		}
		if modes[i] = document["gatewayMode"]; modes[i] == nil {
			modes[i] = "Reverse Proxy"
		}
	}
	if modes[0] != modes[1] {
		return Faultf(12503, "gateway group %q has gatewayMode %q, the gateway's own has %q", short(target.Name), fmt.Sprint(modes[1]), fmt.Sprint(modes[0]))
	}
	return nil
}

func (a *API) gatewayAlias(ctx context.Context, c *Call) (any, error) {
	body, err := c.Object()
	if err != nil {
		return nil, err
	}
	gateway, aliasName, ip := textIn(body, "gatewayName"), textIn(body, "aliasName"), textIn(body, "internalIpAddress")
	var faults Faults
	for _, field := range []string{"gatewayName", "aliasName", "internalIpAddress"} {
		if textIn(body, field) == "" {
			faults = append(faults, Fault{Code: 10056, Description: field + " is missing"})
		}
	}
	if len(faults) > 0 {
		return nil, faults
	}
	c.Path = map[string]string{"gatewayName": gateway, "aliasName": aliasName, "ip": ip}
	alias := a.at(model.Alias, "/v1/conf/gateways/{gatewayName}/reverseProxy/aliases/{aliasName}")
	address := a.at(model.Address, "/v1/conf/gateways/{gatewayName}/reverseProxy/addresses/{ip}")
	return nil, a.write(ctx, c, alias.summary("create", c), func(tx *store.Tx) error {
		chain, err := c.locate(ctx, tx, alias.steps[:1])
		if err != nil {
			return err
		}
		if _, err := tx.Find(ctx, chain[0].ID, model.Address, ip); errors.Is(err, store.ErrNotFound) {
			if _, err := address.add(ctx, c, tx, chain, ip, map[string]any{"networkInterface": body["interfaceName"]}, nil); err != nil {
				return err
			}
		} else if err != nil {
			return err
		}
		_, err = alias.add(ctx, c, tx, chain, aliasName, map[string]any{
			"comment": body["aliasComment"], "externalAddress": body["externalIpAddress"], "internalAddress": ip}, nil)
		return err
	})
}

// textIn is a string of a body, "" where it has none of the name.
func textIn(body map[string]any, name string) string {
	s, _ := body[name].(string)
	return s
}
