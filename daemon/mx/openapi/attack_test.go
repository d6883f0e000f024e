package openapi_test

import (
	"fmt"
	"strings"
	"testing"
)

// The hole: a body of a few MiB has a million faults, each of which is worded and
// answered. What must hold: some are.
func TestManyFaults(t *testing.T) {
	s := newServer(t)
	s.ok("POST", group, "")
	s.ok("POST", service, "")
	s.ok("POST", "/v1/conf/webApplications/Default%20Site/Web/Shop/App", "")
	s.ok("POST", "/v1/conf/dataSets/createDataset", `{"dataset-name":"d","columns":[{"name":"a","key":true}]}`)
	const many = 1000
	var record strings.Builder
	for i := range many {
		fmt.Fprintf(&record, `"x%d":1,`, i)
	}
	for _, c := range []struct{ method, path, body string }{
		{"PUT", "/v1/conf/webProfile/Default%20Site/Web/Shop/App/directories", "[" + strings.Repeat("{},", many) + "{}]"},
		{"POST", "/v1/conf/dataSets/d/data", `{"records":[{` + record.String() + `"a":1}]}`},
		{"POST", "/v1/conf/dataSets/d/data", `{"records":[` + strings.Repeat(`{"x":1},`, many) + `{"a":1}]}`},
	} {
		a := s.do(c.method, c.path, c.body)
		if n := strings.Count(a.codes(), "IMP-"); a.status != 406 || n == 0 || n > 100 {
			t.Errorf("%s %s: %d with %d faults, %.200s", c.method, c.path, a.status, n, a.codes())
		}
	}
}

// The hole: gateways are everybody's. The attack: who may see one site asks for a port
// that another site has. What must hold: the answer does not name that site's service.
func TestTakenPortsTellNoOtherSite(t *testing.T) {
	s := newServer(t)
	s.gateway("gw", "Alias 1")
	s.ok("POST", "/v1/conf/sites/Shop", "")
	s.ok("POST", group, "")
	s.ok("POST", "/v1/conf/webServices/Default%20Site/Web/Hidden", "")
	s.ok("POST", "/v1/conf/serverGroups/Shop/g", "")
	s.ok("POST", "/v1/conf/webServices/Shop/g/Seen", "")
	const rule, body = "/krpInboundRules/Default%20Gateway%20Group/Alias%201/8443", `{"outboundRules":{"1":{"internalIpHost":"10.0.0.1","serverPort":80,"externalHost":"Any"}}}`
	s.ok("POST", "/v1/conf/webServices/Default%20Site/Web/Hidden"+rule, body)
	if got := s.refused("POST", "/v1/conf/webServices/Shop/g/Seen"+rule, body, "IMP-10059"); !strings.Contains(got, "Hidden") {
		t.Errorf("an administrator of all sites is not told who has the port: %s", got)
	}
	s.user = "shopkeeper"
	if got := s.refused("POST", "/v1/conf/webServices/Shop/g/Seen"+rule, body, "IMP-10059"); strings.Contains(got, "Hidden") {
		t.Errorf("another site's service is told: %s", got)
	}
}
