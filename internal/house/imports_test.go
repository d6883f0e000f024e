// Package house holds the rules of the house: which room may import which.
package house

import (
	"encoding/json"
	"os/exec"
	"strings"
	"testing"
)

// rooms are checked from the top: the first prefix that fits a package says
// what it may import of this module. A prefix ending in / stands for the room
// and all below it.
var rooms = []struct {
	prefix string
	may    []string
}{
	{"cmd/sealsh", []string{"shell/", "control/"}},
	{"cmd/impctl", []string{"shell/", "control/"}},
	{"cmd/sealgated", []string{"daemon/"}},
	{"cmd/sealmint", []string{"appliance/", "control/"}},
	{"control/", nil},
	{"shell/", []string{"control/"}},
	{"transfer/", []string{"transfer/"}},
	{"appliance/", []string{"appliance/"}},
	{"commands/", []string{"appliance/", "transfer/", "control/"}},
	{"daemon/", []string{"daemon/", "control/", "commands/", "appliance/", "transfer/"}},
	{"internal/", []string{"internal/", "control/", "appliance/", "transfer/"}}, // for tests only
}

type pkg struct {
	ImportPath string
	Imports    []string
	Deps       []string
}

func packages(t *testing.T, args ...string) []pkg {
	t.Helper()
	out, err := exec.Command("go", append([]string{"list", "-json=ImportPath,Imports,Deps"}, args...)...).Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	var list []pkg
	for d := json.NewDecoder(strings.NewReader(string(out))); d.More(); {
		var p pkg
		if err := d.Decode(&p); err != nil {
			t.Fatal(err)
		}
		list = append(list, p)
	}
	return list
}

func under(path, prefix string) bool {
	return path == strings.TrimSuffix(prefix, "/") || (strings.HasSuffix(prefix, "/") && strings.HasPrefix(path, prefix))
}

func TestImportsRunOneWay(t *testing.T) {
	for _, p := range packages(t, "sealgate/...") {
		room := strings.TrimPrefix(p.ImportPath, "sealgate/")
		at := -1
		for i, r := range rooms {
			if under(room, r.prefix) {
				at = i
				break
			}
		}
		if at < 0 {
			t.Errorf("%s is in no room of the design", p.ImportPath)
			continue
		}
		for _, imported := range p.Imports {
			name, ours := strings.CutPrefix(imported, "sealgate/")
			if !ours {
				continue
			}
			allowed := false
			for _, prefix := range rooms[at].may {
				allowed = allowed || under(name, prefix)
			}
			if strings.HasPrefix(name, "internal/") && !strings.HasPrefix(room, "internal/") {
				allowed = false // test helpers stay out of programs
			}
			if !allowed {
				t.Errorf("%s must not import %s", p.ImportPath, imported)
			}
		}
	}
}

// The process that a remote user talks to holds nothing worth escaping to.
func TestShellHoldsNothing(t *testing.T) {
	for _, p := range packages(t, "sealgate/cmd/sealsh", "sealgate/cmd/impctl") {
		for _, dep := range p.Deps {
			for _, bad := range []string{"sealgate/commands", "sealgate/appliance", "sealgate/transfer", "sealgate/daemon",
				"os/exec", "net/http", "database/sql", "plugin"} {
				if dep == bad || strings.HasPrefix(dep, bad+"/") {
					t.Errorf("%s holds %s", p.ImportPath, dep)
				}
			}
		}
	}
}

// A control socket's package is a leaf: the standard library and x/sys.
func TestControlIsALeaf(t *testing.T) {
	for _, p := range packages(t, "sealgate/control") {
		for _, imported := range p.Imports {
			if strings.Contains(strings.Split(imported, "/")[0], ".") && !strings.HasPrefix(imported, "golang.org/x/sys/") {
				t.Errorf("control imports %s", imported)
			}
		}
	}
}
