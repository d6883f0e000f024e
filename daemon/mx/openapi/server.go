package openapi

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/netip"
	"syscall"
	"time"

	"sealgate/appliance/model"
	"sealgate/appliance/store"
	"sealgate/transfer"
)

// What is written by hand here is stored nowhere: whether a server answers, and the
// database services that this product has none of.
func (a *API) serverOperations() []Operation {
	server, group := a.at(model.Server, groupPath+"/servers/{ip}"), a.at(model.ServerGroup, groupPath)
	text := model.Field{}
	return []Operation{
		{Method: http.MethodGet, Path: server.path + "/connectivityStatus", Resource: model.Server, Summary: "ask whether a server can be reached",
			Out: []model.Field{{Type: model.Bool}}, Codes: server.missingCodes(), Do: server.connectivity},
		{Method: http.MethodGet, Path: "/v1/conf/dbServices/{siteName}/{serverGroupName}", Summary: "list the database services: none",
			Out: []model.Field{{Name: "db-services", Type: model.List, Of: &text}}, Codes: group.missingCodes(), Do: group.noServices},
	}
}

// patience is how long a server may take to answer.
const patience = 3 * time.Second

// connectivity tries the port by which files are shared or commands are run there.
// Only servers that are configured are tried.
func (r resource) connectivity(ctx context.Context, c *Call) (any, error) {
	var host, port string
	err := r.store.Read(ctx, func(q *store.Reader) error {
		chain, err := c.locate(ctx, q, r.steps)
		if err != nil {
			return err
		}
		o := chain[len(chain)-1]
		document, err := documentOf(o)
		if host = textIn(document, "host-name"); host == "" {
			host = o.Name
		}
		port = "22"
		if textIn(document, "share-name") != "" {
			port = "445"
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	dialer := net.Dialer{Timeout: patience, Control: reachable}
	conn, err := dialer.DialContext(ctx, "tcp", net.JoinHostPort(host, port))
	if err != nil {
		return false, nil
	}
	return true, conn.Close()
}

// reachable keeps the question off the addresses that transfers are kept off: an
// answer about this machine's own services would be one about its inside.
func reachable(_, address string, _ syscall.RawConn) error {
	to, err := netip.ParseAddrPort(address)
	if err == nil && !(transfer.Policy{}).Decide(to.Addr()).Allow {
		err = errors.New("it may not be connected to")
	}
	return err
}

func (r resource) noServices(ctx context.Context, c *Call) (any, error) {
	err := r.store.Read(ctx, func(q *store.Reader) error {
		_, err := c.locate(ctx, q, r.steps)
		return err
	})
	return map[string][]string{"db-services": {}}, err
}
