package openapi_test

import (
	"encoding/json"
	"strings"
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

// A rule of a policy can be taken out, so that what it names is free again.
func TestRulesOfPoliciesGo(t *testing.T) {
	s := newServer(t)
	const policy, dictionary = "/v1/conf/policies/security/webApplicationSignaturesPolicies/Default%20Web%20Application%20Signatures%20Policy", "/v1/conf/dictionaries/Ours"
	s.ok("POST", dictionary, "")
	before := s.ok("GET", policy, "")
	s.ok("PUT", policy, `{"rules":[{"name":"Ours","severity":"high"}],"exceptions":[{"ruleName":"Ours"}]}`)
	s.refused("DELETE", dictionary, "", "IMP-10178")
	s.refused("PUT", policy, `{"rules":[{"name":"Ours","operation":"remove"}]}`, "IMP-10811") // of the exception
	s.ok("PUT", policy, `{"exceptions":[]}`)
	s.refused("PUT", policy, `{"rules":[{"name":"Ours","operation":"drop"}]}`, "IMP-10016")
	s.ok("PUT", "/v1/administration/strict", `{"mode":"true"}`)
	s.ok("PUT", policy, `{"rules":[{"name":"Ours","operation":"remove"},{"name":"SQL Injection","operation":"update"}]}`)
	s.refused("PUT", policy, `{"rules":[{"name":"Ours","operation":"remove"}]}`, "IMP-10811")
	if after := s.ok("GET", policy, ""); after != before {
		t.Errorf("the policy was %s and is %s", before, after)
	}
	s.ok("DELETE", dictionary, "")
	const protocol = "/v1/conf/policies/security/httpProtocolPolicies/Mine"
	s.ok("POST", protocol, "")
	s.ok("PUT", protocol, `{"rules":[{"name":"URL Too Long","operation":"remove"}]}`)
	if got := s.ok("GET", protocol, ""); strings.Contains(got, "URL Too Long") || !strings.Contains(got, "Cookie Syntax") {
		t.Errorf("the rules: %s", got)
	}
	s.ok("PUT", protocol, `{"rules":[{"name":"URL Too Long","severity":"low","operation":"add"}]}`)
}

// What a document calls by its name must be there when it is written, and stays.
func TestWhatIsCalledByItsName(t *testing.T) {
	s := newServer(t)
	s.ok("POST", group, "")
	s.ok("POST", service, "")
	const (
		profile    = "/v1/conf/webProfile/Default%20Site/Web/Shop/Default%20Web%20Application"
		parameter  = "/v1/conf/globalObjects/parameterTypeConfiguration/Order"
		policy     = "/v1/conf/policies/security/webServiceCustomPolicies/Mine"
		dictionary = "/v1/conf/dictionaries/"
		signature  = "/v1/conf/signatures/"
		pattern    = `{"pattern":"evil","searchIn":["urls"]}`
	)
	typed := func(name string) string {
		return `{"webProfileUrls":[{"urlFullPath":"/buy","parameters":[{"name":"n","type":"` + name + `"}]}]}`
	}
	s.refused("PUT", profile, typed("Order"), "IMP-10138")
	s.refused("PUT", profile+"/url/%2Fbuy", `{"urlFullPath":"/buy","parameters":[{"name":"n","type":"Order"}]}`, "IMP-10138")
	s.ok("POST", parameter, `{"regularExpression":"^[0-9]{8}$"}`)
	s.ok("PUT", profile, typed("Order"))
	s.refused("DELETE", parameter, "", "IMP-10178")
	s.ok("PUT", profile, typed(""))
	s.ok("DELETE", parameter, "")

	named := `{"matchCriteria":[{"type":"signatures","signatures":[{"name":"ours"}]}]}`
	s.refused("POST", policy, named, "IMP-13013")
	s.ok("POST", dictionary+"One", `{}`)
	s.ok("POST", signature+"One/ours", pattern)
	s.ok("POST", policy, named)
	s.refused("DELETE", signature+"One/ours", "", "IMP-10178")
	s.refused("DELETE", dictionary+"One", "", "IMP-10178")
	s.ok("POST", dictionary+"Two", `{}`)
	s.ok("POST", signature+"Two/ours", pattern)
	s.ok("DELETE", dictionary+"One", "")
	s.ok("DELETE", policy, "")
	s.ok("DELETE", dictionary+"Two", "")
}
