package openapi_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"sealgate/appliance/model"
	"sealgate/appliance/store"
	"sealgate/daemon/mx/openapi"
)

// crowd adds services with an inbound and an outbound rule each, a hundred to a
// server group.
func (s *server) crowd(services int) {
	s.t.Helper()
	ctx := context.Background()
	const perGroup = 100
	for g := 0; g < services; g += perGroup {
		_, err := s.store.Write(ctx, store.Change{Author: "bench", Summary: "a group"}, func(tx *store.Tx) error {
			group, err := tx.Create(ctx, store.Object{ParentID: model.DefaultID(model.Site, model.DefaultSite), Kind: model.ServerGroup, Name: fmt.Sprintf("g%05d", g/perGroup)})
			for n := range perGroup {
				if err != nil {
					return err
				}
				err = crowded(ctx, tx, group, n)
			}
			return err
		})
		if err != nil {
			s.t.Fatal(err)
		}
	}
}

func crowded(ctx context.Context, tx *store.Tx, group string, n int) error {
	id, err := tx.Create(ctx, store.Object{ParentID: group, Kind: model.WebService, Name: fmt.Sprintf("s%03d", n), Document: fmt.Appendf(nil, `{"ports":[%d]}`, n+1)})
	if err != nil {
		return err
	}
	app, err := tx.Create(ctx, store.Object{ParentID: id, Kind: model.WebApplication, Name: model.DefaultApp})
	if err != nil {
		return err
	}
	if err := tx.Update(ctx, id, fmt.Appendf(nil, `{"ports":[%d],"default-application":%q}`, n+1, app)); err != nil {
		return err
	}
	rule, err := tx.Create(ctx, store.Object{ParentID: id, Kind: model.InboundRule, Name: fmt.Sprintf("%d@%s", n+1, model.RootID), Document: fmt.Appendf(nil, `{"gatewayPorts":[%d]}`, n+1)})
	if err != nil {
		return err
	}
	_, err = tx.Create(ctx, store.Object{ParentID: rule, Kind: model.OutboundRule, Name: "1", Document: []byte(`{"internalIpHost":"10.0.0.1","serverPort":80}`)})
	return err
}

// rate is how many requests a second the API does for as many clients as there are
// processors.
func (s *server) rate(seconds float64, request func(n int64) *http.Request) float64 {
	var n atomic.Int64
	var group sync.WaitGroup
	begin := time.Now()
	end := begin.Add(time.Duration(seconds * float64(time.Second)))
	for range runtime.NumCPU() {
		group.Go(func() {
			for time.Now().Before(end) {
				w := httptest.NewRecorder()
				s.api.ServeHTTP(w, request(n.Add(1)))
				if w.Code != http.StatusOK {
					s.t.Errorf("%d %s", w.Code, w.Body)
					return
				}
			}
		})
	}
	group.Wait()
	return float64(n.Load()) / time.Since(begin).Seconds()
}

// tell forgets what was written as soon as the management server would have told it,
// until the test ends.
func (s *server) tell() {
	for s.t.Context().Err() == nil {
		list, err := s.store.UntoldWrites(context.Background(), 512)
		if err == nil {
			err = s.store.Told(context.Background(), list)
		}
		if err != nil {
			s.t.Error(err)
		}
		time.Sleep(200 * time.Millisecond)
	}
}

func request(method, p, body string) *http.Request {
	r := httptest.NewRequest(method, openapi.Base+p, strings.NewReader(body))
	r.SetBasicAuth("admin", "x")
	return r
}

// The figures that are wanted: 5,000 object reads and 500 committed writes a second, and
// with 10,000 web services at most twice the time of 100.
func BenchmarkAPI(b *testing.B) {
	medians := make(map[int][2]float64)
	for _, services := range []int{100, 10_000} {
		s := newServer(b)
		s.crowd(services)
		var telling sync.WaitGroup
		telling.Go(s.tell)
		b.Cleanup(telling.Wait)
		var took [2][]float64
		for n := range 200 {
			for i, p := range []string{"/v1/conf/webServices/Default%20Site/g00000", fmt.Sprintf("/v1/conf/webServices/Default%%20Site/g00000/s%03d", n%100)} {
				begin := time.Now()
				s.ok("GET", p, "")
				took[i] = append(took[i], float64(time.Since(begin).Microseconds()))
			}
		}
		slices.Sort(took[0])
		slices.Sort(took[1])
		medians[services] = [2]float64{took[0][100], took[1][100]}
		if services < 10_000 {
			continue
		}
		b.ReportMetric(s.rate(3, func(n int64) *http.Request {
			return request("GET", fmt.Sprintf("/v1/conf/webServices/Default%%20Site/g%05d/s%03d", n%100, n%97), "")
		}), "reads/s")
		b.ReportMetric(s.rate(3, func(n int64) *http.Request {
			return request("PUT", fmt.Sprintf("/v1/conf/webServices/Default%%20Site/g%05d/s%03d", n%100, n%97), fmt.Sprintf(`{"trpMode":%t,"http2":%t}`, n%2 == 0, n%3 == 0))
		}), "writes/s")
		b.ReportMetric(medians[10_000][0]/medians[100][0], "list-10000/100")
		b.ReportMetric(medians[10_000][1]/medians[100][1], "read-10000/100")
	}
	b.ReportMetric(0, "ns/op")
}
