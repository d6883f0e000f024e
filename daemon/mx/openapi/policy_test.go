package openapi_test

import (
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// A place is told of the policies that name it, and of those that name what it lies in.
func TestSecurityPolicies(t *testing.T) {
	s := furnished(t)
	const policies = "/v1/conf/policies/security/"
	place := `"siteName":"Default Site","serverGroupName":"Web"`
	s.ok("PUT", policies+"firewallPolicies/Default%20Firewall%20Policy", `{"applyTo":[{"operation":"add",`+place+`}]}`)
	s.ok("POST", policies+"webServiceCustomPolicies/Ours", `{"applyTo":[{`+place+`,"webServiceName":"Shop"}]}`)
	s.ok("POST", policies+"webApplicationCustomPolicies/Deep", `{"applyTo":[{`+place+`,"webServiceName":"Shop","webApplicationName":"Default Web Application"}]}`)
	firewall, ours, deep := "Firewall Default Firewall Policy", "Web Service Custom Ours", "Web Application Custom Deep"
	for path, want := range map[string][]string{
		group + "/securityPolicies":   {firewall},
		service + "/securityPolicies": {firewall, ours},
		"/v1/conf/webApplications/Default%20Site/Web/Shop/Default%20Web%20Application/securityPolicies": {firewall, ours, deep},
	} {
		var list []struct {
			Type string `json:"policy-type"`
			Name string `json:"policy-name"`
		}
		if err := json.Unmarshal([]byte(s.ok("GET", path, "")), &list); err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, p := range list {
			got = append(got, p.Type+" "+p.Name)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got)\n%s", path, diff)
		}
	}
}
