package openapi_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"sealgate/daemon/mx/openapi"
)

// The document holds against the OpenAPI Initiative's own schema of 3.1, every
// schema in it against JSON Schema 2020-12, and answers against those schemas.
func TestDocumentIsValid(t *testing.T) {
	s := furnished(t)
	s.user = "" // nobody needs a session to read it
	document, err := jsonschema.UnmarshalJSON(strings.NewReader(s.ok("GET", "/v1/openapi.json", "")))
	if err != nil {
		t.Fatal(err)
	}
	compiler := jsonschema.NewCompiler()
	compiler.DefaultDraft(jsonschema.Draft2020)
	official, err := compiler.Compile("testdata/oas31-schema.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := official.Validate(document); err != nil {
		t.Errorf("%#v", err)
	}
	if err := compiler.AddResource("https://mx/openapi.json", document); err != nil {
		t.Fatal(err)
	}
	s.user = "admin"
	ids := make(map[string]bool)
	answered := 0
	for _, op := range s.api.Operations() {
		at := "https://mx/openapi.json#/paths/" + strings.NewReplacer("~", "~0", "/", "~1", "{", "%7B", "}", "%7D").Replace(op.Path) + "/" + strings.ToLower(op.Method)
		if id := op.Method + op.Path; ids[id] {
			t.Errorf("%s is there twice", id)
		} else {
			ids[id] = true
		}
		if op.In != nil {
			if _, err := compiler.Compile(at + "/requestBody/content/application~1json/schema"); err != nil {
				t.Errorf("%s %s: %v", op.Method, op.Path, err)
			}
		}
		if op.Out == nil {
			continue
		}
		schema, err := compiler.Compile(at + "/responses/200/content/application~1json/schema")
		if err != nil {
			t.Errorf("%s %s: %v", op.Method, op.Path, err)
			continue
		}
		if s.answers(op, schema) {
			answered++
		}
	}
	if answered < 60 {
		t.Errorf("only %d answers were held against their schemas", answered)
	}
}

// answers holds an answer to the schema of its operation, where there is one.
func (s *server) answers(op openapi.Operation, schema *jsonschema.Schema) bool {
	s.t.Helper()
	segments := strings.Split(strings.TrimPrefix(op.Path, "/"), "/")
	for i, segment := range segments {
		if name := strings.Trim(segment, "{}"); name != segment {
			if segments[i] = vars[name]; segments[i] == "" {
				segments[i] = target
			}
		}
	}
	p := path(segments...)
	a := s.do(op.Method, p, "")
	if a.status != 200 {
		return false
	}
	if !json.Valid([]byte(a.body)) {
		s.t.Errorf("GET %s: %s", p, a.body)
		return false
	}
	v, err := jsonschema.UnmarshalJSON(strings.NewReader(a.body))
	if err == nil {
		err = schema.Validate(v)
	}
	if err != nil {
		s.t.Errorf("GET %s answers %s: %v", p, a.body, err)
	}
	return true
}

// The codes of an operation's faults follow from its fields, too.
func TestDocumentHasTheCodesOfFields(t *testing.T) {
	s := newServer(t)
	var document struct {
		Paths map[string]map[string]any
	}
	if err := json.Unmarshal([]byte(s.ok("GET", "/v1/openapi.json", "")), &document); err != nil {
		t.Fatal(err)
	}
	for operation, codes := range map[string]string{
		"get /v1/conf/globalObjects/URLRewriteGroups/{groupName}":                                 "10601",
		"put /v1/conf/globalObjects/URLRewriteGroups/{groupName}":                                 "10119 10149 10350 10680",
		"post /v1/conf/globalObjects/parameterTypeConfiguration/{parameterTypeConfigurationName}": "10005 12913 12914",
		"put /v1/conf/ipGroups/{ipGroupName}/data":                                                "10016 10056 10601 10602",
		"put /v1/conf/serverGroups/{siteName}/{serverGroupName}":                                  "10006 10008 10605",
		"post /v1/conf/policies/security/firewallPolicies/{policyName}":                           "10015 10601 10701 10911",
	} {
		method, path, _ := strings.Cut(operation, " ")
		words := fmt.Sprint(document.Paths[path][method])
		for code := range strings.FieldsSeq(codes) {
			if !strings.Contains(words, "IMP-"+code) {
				t.Errorf("%s does not have IMP-%s: %s", operation, code, words)
			}
		}
	}
}
