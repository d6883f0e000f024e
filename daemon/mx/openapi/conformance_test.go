package openapi_test

import (
	"os"
	"regexp"
	"strings"
	"testing"
)

// elsewhere are the paths whose operations other packages write.
var elsewhere = []string{"/experimental/archive-settings", "/experimental/system-export", "/v1/administration/", "/v1/auth/", "/v1/conf/users", "/v1/management/", "/v1/monitor/", "/v1/status/"}

var braced = regexp.MustCompile(`\{[^}]*\}`)

// Each path of the contract is there with its methods, and no other.
func TestPathsOfTheContract(t *testing.T) {
	text, err := os.ReadFile("testdata/paths.txt")
	if err != nil {
		t.Fatal(err)
	}
	missing := make(map[string]bool)
	for line := range strings.SplitSeq(strings.TrimSpace(string(text)), "\n") {
		missing[braced.ReplaceAllString(line, "{}")] = true
	}
	for _, op := range newServer(t).api.Operations() {
		line := braced.ReplaceAllString(op.Path, "{}") + " " + op.Method
		if !missing[line] {
			t.Errorf("%s %s is not in the contract", op.Method, op.Path)
		}
		delete(missing, line)
		if op.Summary == "" {
			t.Errorf("%s %s does not say what it does", op.Method, op.Path)
		}
	}
	for line := range missing {
		written := false
		for _, prefix := range elsewhere {
			written = written || strings.HasPrefix(line, prefix) && !strings.HasPrefix(line, "/v1/administration/strict")
		}
		if !written {
			t.Errorf("%s is in the contract and nobody answers", line)
		}
	}
}
