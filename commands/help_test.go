package commands

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/alecthomas/kong"
	"github.com/google/go-cmp/cmp"

	"sealgate/appliance"
	"sealgate/shell"
)

var update = flag.Bool("update", false, "write testdata/help anew")

// everyNode is every command of a role, and every group of them.
func everyNode(t *testing.T, role appliance.Role) []*kong.Node {
	t.Helper()
	p, err := newParser(role, Administrator)
	if err != nil {
		t.Fatal(err)
	}
	nodes := []*kong.Node{p.kong.Model.Node}
	kong.Visit(p.kong.Model, func(n kong.Visitable, next kong.Next) error {
		if node, ok := n.(*kong.Node); ok {
			nodes = append(nodes, node)
		}
		return next(nil)
	})
	return nodes
}

// What users read is looked at when it changes: go test ./commands -update.
func TestHelpIsGolden(t *testing.T) {
	for _, role := range []appliance.Role{appliance.ManagementServer, appliance.Gateway} {
		dir := filepath.Join("testdata", "help", string(role))
		if *update {
			if err := os.RemoveAll(dir); err != nil {
				t.Fatal(err)
			}
			if err := os.MkdirAll(dir, 0o755); err != nil {
				t.Fatal(err)
			}
		}
		files := map[string]bool{}
		for _, n := range everyNode(t, role) {
			topic := strings.TrimSpace("help " + commandPath(n))
			e, _, u := newEnv(t, role, Administrator)
			if res, _ := Run(t.Context(), e, words(topic)); res.Exit != 0 {
				t.Errorf("%s: %+v", topic, res)
			}
			got, name := u.out.String(), strings.ReplaceAll(topic, " ", "_")+".txt"
			files[name] = true
			if *update {
				if err := os.WriteFile(filepath.Join(dir, name), []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
				continue
			}
			want, err := os.ReadFile(filepath.Join(dir, name))
			if err != nil {
				t.Errorf("%s: %v", topic, err)
			}
			if d := cmp.Diff(string(want), got); d != "" {
				t.Errorf("%s (go test ./commands -update writes it anew):\n%s", topic, d)
			}
		}
		there, err := os.ReadDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range there {
			if !files[f.Name()] {
				t.Errorf("%s is the help of no command", f.Name())
			}
		}
	}
}

// Every help ends with the exit statuses and one example, which parses and is
// about that command.
func TestExamplesParse(t *testing.T) {
	for _, role := range []appliance.Role{appliance.ManagementServer, appliance.Gateway} {
		p, err := newParser(role, Administrator)
		if err != nil {
			t.Fatal(err)
		}
		for _, n := range everyNode(t, role) {
			path := commandPath(n)
			text := p.commandHelp(n)
			if len(n.Children) > 0 {
				text = p.listHelp(n)
			}
			_, end, found := strings.Cut(text, "\nexit status:\n  0    done\n")
			_, example, again := strings.Cut(end, "\nexample:\n  ")
			if !found || !again || strings.Count(example, "\n") != 1 {
				t.Errorf("%q ends with %q", path, end)
				continue
			}
			example = strings.TrimSuffix(example, "\n")
			if !strings.HasPrefix(example+" ", strings.TrimSpace(path+" ")) {
				t.Errorf("the example of %q is %q", path, example)
			}
			line, filters, _ := strings.Cut(example, " | ")
			if filters != "" {
				if _, err := newStages([][]string{words(filters)}); err != nil {
					t.Errorf("%s: %v", example, err)
				}
			}
			if strings.HasPrefix(line, "help ") {
				continue // never parsed
			}
			split, err := shell.Split(line)
			if err == nil {
				_, err = p.parse(split.Words)
			}
			if err != nil {
				t.Errorf("%s: %v", example, err)
			}
		}
	}
}
