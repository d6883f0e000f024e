package openapi_test

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write docs/OPENAPI.md anew")

const documentation = "../../../docs/OPENAPI.md"

// effects say, for a resource, in which test it changes a verdict or a forwarding.
var effects = map[string]string{}

const noGateway = "*stored only*: nothing carries it to a gateway yet"

// docs/OPENAPI.md lists what there is, because it is made of it.
func TestDocumentationIsCurrent(t *testing.T) {
	text, err := os.ReadFile(documentation)
	if err != nil {
		t.Fatal(err)
	}
	const mark = "| path | methods | test in which it changes a verdict or a forwarding |\n"
	head, _, found := strings.Cut(string(text), mark)
	if !found {
		t.Fatalf("%s has no line %q", documentation, mark)
	}
	var b strings.Builder
	b.WriteString(head + mark + "|---|---|---|\n")
	var path, resource string
	var methods []string
	row := func() {
		if path == "" {
			return
		}
		effect := effects[resource]
		switch {
		case effect != "":
		case strings.HasPrefix(path, "/v1/conf/dbServices"):
			effect = "always empty"
		case path == "/v1/openapi.json":
			effect = "about the API itself"
		case path == "/v1/administration/strict":
			effect = "`TestScalarsAreLiberal`: of the API alone"
		default:
			effect = noGateway
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s |\n", path, strings.Join(methods, " "), effect)
	}
	for _, op := range newServer(t).api.Operations() {
		if op.Path != path {
			row()
			path, resource, methods = op.Path, op.Resource, nil
		}
		methods = append(methods, op.Method)
	}
	row()
	if *update {
		if err := os.WriteFile(documentation, []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if b.String() != string(text) {
		t.Errorf("%s is not what the declarations say; go test -run Documentation -update writes it", documentation)
	}
}
