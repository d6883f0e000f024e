package openapi

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/netip"
	"net/url"

	"sealgate/appliance/model"
	"sealgate/appliance/store"
)

// Protected IPs are written by hand: an address and a gateway group, which comes
// in the query, find one together.

const groupPath = "/v1/conf/serverGroups/{siteName}/{serverGroupName}"

type protectedIP struct {
	resource
	group []step
}

func (a *API) protectedIPOperations() []Operation {
	path := groupPath + "/protectedIPs/{IPAddress}"
	p := protectedIP{resource: a.at(model.ProtectedIP, path), group: stepsTo(model.ServerGroup, groupPath)}
	operation := func(method, path, summary string, in, out []model.Field, do func(context.Context, *Call) (any, error)) Operation {
		return Operation{Method: method, Path: path, Resource: model.ProtectedIP, Summary: summary, In: in, Out: out, Do: do,
			Query: []string{"gatewayGroup"}, Codes: []int{10006, 10008, 10010, 10011, 10012, 10013, 10072}}
	}
	entry := model.Field{Type: model.Record, Fields: p.kind.Fields}
	list := operation(http.MethodGet, groupPath+"/protectedIPs", "list the protected IPs", nil, []model.Field{{Name: "protected-ips", Type: model.List, Of: &entry}}, p.list)
	list.Query = nil
	return []Operation{
		list,
		operation(http.MethodPost, path, "create a protected IP", p.kind.Fields[1:2], nil, p.create),
		operation(http.MethodPut, path, "change a protected IP", p.kind.Fields, nil, p.put),
		operation(http.MethodDelete, path, "delete a protected IP", nil, nil, p.remove),
	}
}

func (p protectedIP) list(ctx context.Context, c *Call) (any, error) {
	var answer json.RawMessage
	err := p.store.Read(ctx, func(q *store.Reader) error {
		chain, err := c.locate(ctx, q, p.group)
		if err != nil {
			return err
		}
		r := p.resource
		r.kind.List = "protected-ips"
		answer, err = r.objects(ctx, c, q, chain, chain[len(chain)-1].ID)
		return err
	})
	return answer, err
}

// protectedName is the name of a protected IP's object.
func protectedName(ctx context.Context, q reader, address, group string) (ip string, groupID string, err error) {
	addr, err := netip.ParseAddr(address)
	if err != nil {
		return "", "", Faultf(10010, "IPAddress is %q, must be an IPv4 or IPv6 address", short(address))
	}
	if group == "" {
		return "", "", Faultf(10072, "query parameter gatewayGroup is missing, must be the name of a gateway group")
	}
	o, err := q.Find(ctx, model.RootID, model.GatewayGroup, group)
	if errors.Is(err, store.ErrNotFound) {
		return "", "", Faultf(10013, "there is no gateway group %q", short(group))
	}
	return addr.String(), o.ID, err
}

func findProtectedIP(ctx context.Context, q reader, parent string, values []string, query url.Values) (store.Object, error) {
	ip, group, err := protectedName(ctx, q, values[0], query.Get("gatewayGroup"))
	if err != nil {
		return store.Object{}, err
	}
	return q.Find(ctx, parent, model.ProtectedIP, ip+model.IDMark+group)
}

func (p protectedIP) create(ctx context.Context, c *Call) (any, error) {
	body, err := c.Object()
	if err != nil {
		return nil, err
	}
	return nil, p.write(ctx, c, p.summary("create", c), func(tx *store.Tx) error {
		chain, err := c.locate(ctx, tx, p.group)
		if err != nil {
			return err
		}
		ip, group, err := protectedName(ctx, tx, c.Path["IPAddress"], c.Query.Get("gatewayGroup"))
		if err != nil {
			return err
		}
		_, err = p.add(ctx, c, tx, chain, ip+model.IDMark+group, without(body, "ip", "gateway-group"), map[string]any{"ip": ip, "gateway-group": group})
		return err
	})
}

func (p protectedIP) put(ctx context.Context, c *Call) (any, error) {
	body, err := c.Object()
	if err != nil {
		return nil, err
	}
	return nil, p.write(ctx, c, p.summary("change", c), func(tx *store.Tx) error {
		chain, err := c.locate(ctx, tx, p.steps)
		if err != nil {
			return err
		}
		o := chain[len(chain)-1]
		address, group := c.Path["IPAddress"], c.Query.Get("gatewayGroup")
		if s, ok := body["ip"].(string); ok {
			address = s
		}
		if s, ok := body["gateway-group"].(string); ok {
			group = s
		}
		ip, groupID, err := protectedName(ctx, tx, address, group)
		if err != nil {
			return err
		}
		name := ip + model.IDMark + groupID
		if name != o.Name {
			if _, err := tx.Find(ctx, o.ParentID, o.Kind, name); err == nil {
				return Faultf(10012, "protected IP %s of gateway group %q exists already", ip, short(group))
			}
			if err := tx.Rename(ctx, o.ID, name); err != nil {
				return err
			}
		}
		return p.update(ctx, c, tx, chain, p.kind.Fields, body, false)
	})
}
