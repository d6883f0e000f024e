package openapi_test

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"sealgate/appliance/store"
)

// Writers that change different fields of one object lose nothing of each other's,
// and of those that create one name, one does.
func TestTwoWriters(t *testing.T) {
	s := furnished(t)
	before, err := s.store.Revision(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	const writers = 8
	var group sync.WaitGroup
	var made atomic.Int32
	for n := range writers {
		group.Go(func() {
			body := fmt.Sprintf(`{"entries":[{"operation":"add","type":"single","ipAddressFrom":"10.2.0.%d"}]}`, n)
			if a := s.do("PUT", targetPath("ipGroup")+"/data", body); a.status != http.StatusOK {
				t.Errorf("writer %d: %s", n, a.body)
			}
			a := s.do("POST", "/v1/conf/sites/Contested", "")
			switch {
			case a.status == http.StatusOK:
				made.Add(1)
			case a.codes() != "IMP-10005":
				t.Errorf("writer %d: %s", n, a.body)
			}
		})
	}
	group.Wait()
	entries := s.ok("GET", targetPath("ipGroup"), "")
	for n := range writers {
		if !strings.Contains(entries, fmt.Sprintf(`"10.2.0.%d"`, n)) {
			t.Errorf("entry %d was lost: %s", n, entries)
		}
	}
	if made.Load() != 1 {
		t.Errorf("%d writers created the same site", made.Load())
	}
	revisions, err := s.store.Revisions(t.Context(), 0, 100)
	if err != nil {
		t.Fatal(err)
	}
	if n := revisions[0].Number - before; n != writers+1 {
		t.Errorf("%d revisions for %d writes", n, writers+1)
	}
	for _, r := range revisions[:writers+1] {
		if r.Author != "admin" || r.Summary == "" || len(r.Difference) != 1 {
			t.Errorf("revision %+v", r)
		}
	}
}

// Going back undoes what was done over the API, and can be undone.
func TestRevert(t *testing.T) {
	s := furnished(t)
	ctx := t.Context()
	policy := "/v1/conf/policies/security/webServiceCustomPolicies/Mine"
	s.ok("POST", policy, `{"applyTo":[{"siteName":"Default Site","serverGroupName":"Web","webServiceName":"Shop"}],"followedAction":"Long IP Block"}`)
	was, before := s.ok("GET", policy, ""), s.ok("GET", service, "")
	number, err := s.store.Revision(ctx)
	if err != nil {
		t.Fatal(err)
	}
	s.ok("PUT", service, `{"name":"Renamed","ports":[8080]}`)
	s.ok("POST", service, `{"ports":[80]}`) // takes the name
	s.ok("DELETE", policy, "")
	s.ok("DELETE", "/v1/conf/ipGroups"+path(target), "")
	s.ok("POST", "/v1/conf/sites/New", "")
	s.ok("POST", "/v1/conf/serverGroups/New/Deep", "")
	s.ok("POST", "/v1/conf/actionSets/Fresh", "")
	s.ok("POST", policy+"%202", `{"applyTo":[{"siteName":"Default Site","serverGroupName":"Web","webServiceName":"Shop"}],"followedAction":"Fresh"}`)
	newest, err := s.store.Revision(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if made, err := s.store.Revert(ctx, number, "admin"); err != nil || made != newest+1 {
		t.Fatalf("revision %d, %v", made, err)
	}
	if got := s.ok("GET", policy, ""); got != was {
		t.Errorf("the policy is %s, was %s", got, was)
	}
	if got := s.ok("GET", service, ""); got != before {
		t.Errorf("the service is %s, was %s", got, before)
	}
	s.ok("GET", "/v1/conf/ipGroups"+path(target), "")
	s.refused("GET", "/v1/conf/serverGroups/New", "", "IMP-10006")
	s.refused("GET", policy+"%202", "", "IMP-10033")
	s.refused("GET", "/v1/conf/actionSets/Fresh", "", "IMP-10701")
	if _, err := s.store.Revert(ctx, newest, "admin"); err != nil {
		t.Fatal(err)
	}
	s.refused("GET", policy, "", "IMP-10033")
	s.ok("GET", "/v1/conf/serverGroups/New/Deep", "")
	if got := s.ok("GET", policy+"%202", ""); !strings.Contains(got, `"Fresh"`) {
		t.Errorf("the new policy is %s", got)
	}
	if made, err := s.store.Revert(ctx, newest, "admin"); made != 0 || err != nil {
		t.Errorf("going back to what is: revision %d, %v", made, err)
	}

	// A rule that needs a certificate which is gone cannot come back.
	rule := service + "/krpInboundRules/Default%20Gateway%20Group/Alias%201/9443"
	key := "/v1/conf/webServices/Default%20Site/Web/Renamed/sslCertificates" + path(target)
	rule = strings.Replace(rule, "/Shop/", "/Renamed/", 1)
	s.ok("POST", rule, `{"serverCertificate":"`+target+`","outboundRules":{"1":{"internalIpHost":"x","serverPort":1}}}`)
	number, err = s.store.Revision(ctx)
	if err != nil {
		t.Fatal(err)
	}
	s.refused("DELETE", key, "", "IMP-10178")
	s.ok("DELETE", rule, "")
	s.ok("DELETE", key, "")
	var refused *store.RevertError
	if _, err := s.store.Revert(ctx, number, "admin"); err == nil || !errors.As(err, &refused) || !strings.Contains(err.Error(), "serverCertificate") {
		t.Errorf("going back to a rule whose certificate is gone: %v", err)
	}
	for _, n := range []int64{0, -1, 1 << 40} {
		if _, err := s.store.Revert(ctx, n, "admin"); !errors.As(err, &refused) {
			t.Errorf("going back to %d: %v", n, err)
		}
	}
}
