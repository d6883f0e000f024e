package openapi_test

import (
	"context"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"sealgate/appliance/model"
	"sealgate/appliance/secret"
	"sealgate/appliance/seed"
	"sealgate/appliance/store"
)

// What the seed writes is answered: every GET, of the objects that it made.
func TestASeededServerAnswers(t *testing.T) {
	s := newServer(t)
	if err := secret.Create(s.store.Home(), "system", "secure"); err != nil {
		t.Fatal(err)
	}
	keys, err := secret.Open(s.store.Home())
	if err == nil {
		_, err = seed.Fill(t.Context(), s.store, keys, seed.Options{Seed: 1, Scale: 0.0001})
	}
	if err != nil {
		t.Fatal(err)
	}
	variables := map[string]string{
		model.Site: "siteName", model.ServerGroup: "serverGroupName", model.WebService: "webServiceName", model.WebApplication: "webApplicationName",
		model.GatewayGroup: "gatewayGroupName", model.Gateway: "gatewayName", model.Dictionary: "dictionaryName", model.HostMapping: "priority", model.OutboundRule: "priority",
	}
	asked, skipped := 0, []string{}
	for _, op := range s.api.Operations() {
		if op.Method != http.MethodGet || strings.HasSuffix(op.Path, "/connectivityStatus") {
			continue
		}
		path := op.Path
		fill := func(variable, value string) { path = strings.ReplaceAll(path, "{"+variable+"}", url.PathEscape(value)) }
		if strings.Contains(path, "/dictionaries") || strings.Contains(path, "/signatures") {
			op.Resource = model.Signature
			fill("dictionaryGroup", "predefined")
		}
		fill("actionName", "block")
		o, there := s.first(op.Resource)
		if !there && strings.Contains(path, "{") {
			skipped = append(skipped, path)
			continue
		}
		own := o.Name
		for there {
			if o.Kind == model.InboundRule {
				ports, alias, _ := strings.Cut(o.Name, "@")
				fill("gatewayPort", ports)
				named, err := s.store.Get(t.Context(), alias)
				if err != nil {
					t.Fatal(err)
				}
				fill("aliasName", named.Name)
				fill("gatewayGroupName", model.DefaultGroupName)
			}
			if variable := variables[o.Kind]; variable != "" {
				fill(variable, o.Name)
			}
			there = o.ParentID != model.RootID
			if there {
				var err error
				if o, err = s.store.Get(t.Context(), o.ParentID); err != nil {
					t.Fatal(err)
				}
			}
		}
		if strings.Count(path, "{") == 1 {
			begin, end := strings.Index(path, "{"), strings.Index(path, "}")
			path = path[:begin] + url.PathEscape(own) + path[end+1:]
		}
		if strings.Contains(op.Path, "/url/") || strings.Contains(op.Path, "/headers/") {
			continue // entries, which have no names of objects
		}
		asked++
		s.ok(http.MethodGet, path, "")
	}
	if asked < 85 || len(skipped) > 6 {
		t.Errorf("%d paths were asked, of these there is nothing: %v", asked, skipped)
	}
}

// first is an object, or an SSL key, of a kind.
func (s *server) first(kind string) (found store.Object, there bool) {
	s.t.Helper()
	if kind == model.SSLKey {
		if keys := s.keys(); len(keys) > 0 {
			return store.Object{ID: keys[0].ID, ParentID: keys[0].ServiceID, Kind: kind, Name: keys[0].Name}, true
		}
	}
	err := s.store.Read(context.Background(), func(q *store.Reader) error {
		objects, err := q.Objects(context.Background())
		for _, o := range objects {
			if o.Kind == kind {
				found, there = o, true
				break
			}
		}
		return err
	})
	if err != nil {
		s.t.Fatal(err)
	}
	return found, there
}

// keys are all certificates.
func (s *server) keys() (keys []store.SSLKey) {
	s.t.Helper()
	err := s.store.Read(context.Background(), func(q *store.Reader) (err error) {
		keys, err = q.AllSSLKeys(context.Background())
		return err
	})
	if err != nil {
		s.t.Fatal(err)
	}
	return keys
}
