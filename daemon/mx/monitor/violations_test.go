package monitor_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"sealgate/appliance/store"
	"sealgate/daemon/mx/monitor"
	"sealgate/daemon/mx/openapi"
)

func open(t testing.TB) *store.Store {
	t.Helper()
	home := t.TempDir()
	if err := store.Create(t.Context(), home, "admin", "verifier", store.Options{}); err != nil {
		t.Fatal(err)
	}
	s, err := store.Open(t.Context(), home, store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

var now = time.Date(2026, 3, 5, 12, 0, 0, 0, time.UTC)

// do runs an operation as the router does once it has found it.
func do(t testing.TB, c monitor.Config, caller openapi.Caller, method, target string) (string, error) {
	t.Helper()
	u, err := url.Parse(target)
	if err != nil {
		t.Fatal(err)
	}
	for _, op := range c.Operations() {
		values, ok := match(op.Path, u.Path)
		if op.Method != method || !ok {
			continue
		}
		call := &openapi.Call{Caller: caller, Path: values, Query: u.Query(), Request: httptest.NewRequest(method, target, nil)}
		answer, err := op.Do(t.Context(), call)
		var faults openapi.Faults
		if errors.As(err, &faults) {
			for _, fault := range faults {
				if !slices.Contains(op.Codes, fault.Code) {
					t.Errorf("%s %s answers IMP-%d, which it does not declare", method, target, fault.Code)
				}
			}
		}
		if err != nil {
			return "", err
		}
		body, err := json.Marshal(answer)
		if err != nil {
			t.Fatal(err)
		}
		return string(body), nil
	}
	t.Fatalf("no operation is %s %s", method, target)
	return "", nil
}

func match(pattern, path string) (map[string]string, bool) {
	want, have := strings.Split(pattern, "/"), strings.Split(path, "/")
	values := make(map[string]string)
	for i, segment := range want {
		if len(have) != len(want) || !strings.HasPrefix(segment, "{") && segment != have[i] {
			return nil, false
		}
		if name, ok := strings.CutPrefix(segment, "{"); ok {
			values[strings.TrimSuffix(name, "}")] = have[i]
		}
	}
	return values, true
}

// violations are one each day at noon, in two sites.
func violations(t testing.TB, s *store.Store) {
	t.Helper()
	var list []store.Violation
	for n := range 4 {
		list = append(list, store.Violation{
			ID: fmt.Sprintf("v-%d", n), EventNumber: int64(n + 1), AlertNumber: int64(n + 1), Time: now.AddDate(0, 0, n-3).UnixMilli(),
			Severity: []string{"high", "low"}[n%2], Type: "Signature", SourceIP: fmt.Sprintf("192.0.2.%d", n), SourcePort: 4711, DestIP: "198.51.100.1", DestPort: 443,
			Description: "an attack", Site: []string{"Shop", "Bank"}[n/2], ServerGroup: "Web", Service: "Front", Application: "Default Web Application",
			ViolatedItem: "parameter q", Action: "block", Gateway: "gw-1", Path: "/search", Signature: "or 1=1", SignatureName: "sql-1",
		})
	}
	if err := s.Append(t.Context(), store.Batch{Violations: list}); err != nil {
		t.Fatal(err)
	}
}

const path = "/v1/monitor/violations"

func TestViolationsHaveTheFieldsOfTheContract(t *testing.T) {
	s := open(t)
	violations(t, s)
	c := monitor.Config{Store: s, Now: func() time.Time { return now }}
	got, err := do(t, c, openapi.Caller{}, "GET", path+"?eventNumber=1")
	if err != nil {
		t.Fatal(err)
	}
	want := `{"violations":[{"time":"2026-03-02T12:00:00.000Z","severity":"high","violationType":"Signature","sourceIp":"192.0.2.0","sourcePort":4711,` +
		`"destIp":"198.51.100.1","destPort":443,"description":"an attack","serverGroupName":"Web","serviceName":"Front","violatedItem":"parameter q",` +
		`"applicationName":"Default Web Application","action":"block","alertNumber":1,"eventNumber":1,"gatewayName":"gw-1","requestUrlPath":"/search",` +
		`"violationId":"v-0","signature":"or 1=1","signatureName":"sql-1"}]}`
	if diff := gocmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// TestViolationsAreFiltered asks in every form that a filter has. The answer is the
// event numbers.
func TestViolationsAreFiltered(t *testing.T) {
	s := open(t)
	violations(t, s)
	c := monitor.Config{Store: s, Now: func() time.Time { return now }}
	for query, want := range map[string][]int64{
		"lastFewDays=1":                                                             {4, 3},
		"lastFewDays=10&limit=3":                                                    {4, 3, 2},
		"lastFewDays=3650&severity=HIGH":                                            {3, 1},
		"fromDate=2026-03-03&toDate=2026-03-04":                                     {3, 2},
		"fromDate=2026-03-03+12:00:00&toDate=2026-03-03+12:00:00":                   {2},
		"fromDate=2026-03-03+12:00&toDate=2026-03-03+12:00":                         {2},
		"fromDate=2026-03-03T12:00:00.000Z&toDate=2026-03-03T12:00:00Z":             {2},
		"fromDate=2026-03-03T13:00:00%2B01:00&toDate=2026-03-03T13:00:00.5%2B01:00": {2},
		"fromDate=2026-03-03T12:00:00.001&toDate=2026-03-04":                        {3},
		"fromDate=1772539200000&toDate=1772539200000":                               {2},
		"sourceIp=192.0.2.3":                                                        {4},
		"sourceIp=::ffff:192.0.2.3":                                                 {4},
		"alertNumber=2":                                                             {2},
		"requestUrlPath=/search&limit=1":                                            {4},
		"siteName=Bank&lastFewDays=2":                                               {4, 3},
		"siteName=Bank&severity=low":                                                {4},
		"serverGroupName=Web":                                                       {4, 3, 2, 1},
		"serviceName=Front&fromDate=&toDate=":                                       {4, 3, 2, 1},
		"applicationName=Default%20Web%20Application":                               {4, 3, 2, 1},
		"serviceName=absent":                                                        nil,
		"sourceIp=203.0.113.9":                                                      nil,
	} {
		got, err := do(t, c, openapi.Caller{}, "GET", path+"?"+query)
		if err != nil {
			t.Errorf("%s: %v", query, err)
			continue
		}
		if diff := gocmp.Diff(want, events(t, got)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", query, diff)
		}
	}
	got, err := do(t, c, openapi.Caller{Sites: []string{"Shop"}}, "GET", path+"?lastFewDays=10")
	if err != nil || !slices.Equal(events(t, got), []int64{2, 1}) {
		t.Errorf("a user of one site sees %s, %v", got, err)
	}
	got, err = do(t, c, openapi.Caller{Sites: []string{}}, "GET", path+"?eventNumber=1")
	if err != nil || got != `{"violations":[]}` {
		t.Errorf("a user of no site sees %s, %v", got, err)
	}
}

func events(t testing.TB, answer string) (numbers []int64) {
	t.Helper()
	var list struct {
		Violations []struct {
			EventNumber int64 `json:"eventNumber"`
		} `json:"violations"`
	}
	if err := json.Unmarshal([]byte(answer), &list); err != nil {
		t.Fatal(err)
	}
	for _, v := range list.Violations {
		numbers = append(numbers, v.EventNumber)
	}
	return numbers
}

func TestFaultyQueriesAreRefused(t *testing.T) {
	c := monitor.Config{Store: open(t), Now: func() time.Time { return now }}
	for query, want := range map[string][]string{
		"":                                      {"IMP-13504"},
		"limit=5":                               {"IMP-13504"},
		"siteName=Shop":                         {"IMP-13500"},
		"siteName=Shop&limit=5":                 {"IMP-13500"},
		"sourceip=192.0.2.1&lastFewDays=1":      {"IMP-10185", `"sourceip"`, "sourceIp"},
		"sourceIp=192.0.2.256":                  {"IMP-10152", "192.0.2.256"},
		"lastFewDays=0":                         {"IMP-11503"},
		"lastFewDays=3651":                      {"IMP-11500", "3650"},
		"lastFewDays=few":                       {"IMP-10032", "few"},
		"lastFewDays=1&limit=5001":              {"IMP-11500", "5000"},
		"lastFewDays=1&limit=-1":                {"IMP-11503"},
		"alertNumber=99999999999999999999":      {"IMP-10032"},
		"eventNumber=0":                         {"IMP-11503"},
		"severity=grave":                        {"IMP-10032", "informative"},
		"fromDate=2026-03-01":                   {"IMP-11502"},
		"toDate=2026-03-01":                     {"IMP-11502"},
		"fromDate=2026-03-02&toDate=2026-03-01": {"IMP-11504"},
		"fromDate=01/03/2026&toDate=2026-02-30": {"IMP-13503", "01/03/2026", "2026-02-30"},
		"fromDate=1&toDate=-1772539200000":      {"IMP-13503"},
		"lastFewDays=1&fromDate=2026-03-02&toDate=2026-03-03": {"IMP-13505"},
		"lastFewDays=1&lastFewDays=2":                         {"IMP-13501"},
		"severity=x&limit=x&sourceIp=x":                       {"IMP-10032", "IMP-10152", "limit", "severity"},
		"severity=" + strings.Repeat("x", 1<<16):              {"IMP-10032", "…"},
	} {
		_, err := do(t, c, openapi.Caller{}, "GET", path+"?"+query)
		var faults openapi.Faults
		if !errors.As(err, &faults) || len(err.Error()) > 1000 {
			t.Errorf("%.60s: %v", query, err)
			continue
		}
		for _, word := range want {
			if !strings.Contains(err.Error(), word) {
				t.Errorf("%.60s: %v, want %s", query, err, word)
			}
		}
	}
}

func TestTooManyViolationsAskForALimit(t *testing.T) {
	s := open(t)
	var list []store.Violation
	for n := range 5001 {
		list = append(list, store.Violation{ID: fmt.Sprint(n), EventNumber: int64(n + 1), Time: now.UnixMilli(), Severity: "high"})
	}
	if err := s.Append(t.Context(), store.Batch{Violations: list}); err != nil {
		t.Fatal(err)
	}
	c := monitor.Config{Store: s, Now: func() time.Time { return now }}
	if _, err := do(t, c, openapi.Caller{}, "GET", path+"?severity=high"); err == nil || !strings.Contains(err.Error(), "IMP-13502") {
		t.Errorf("5001 violations without a limit: %v", err)
	}
	got, err := do(t, c, openapi.Caller{}, "GET", path+"?severity=high&limit=5000")
	if err != nil || len(events(t, got)) != 5000 {
		t.Errorf("with a limit: %d, %v", len(events(t, got)), err)
	}
}
