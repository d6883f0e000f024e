package commands

import (
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/alecthomas/kong"
	"github.com/google/go-cmp/cmp"

	"sealgate/appliance"
	"sealgate/control"
)

var bothRoles = []appliance.Role{appliance.ManagementServer, appliance.Gateway}

// leaves are the commands that a role and a caller have.
func leaves(t *testing.T, role appliance.Role, rights Rights) []*kong.Node {
	t.Helper()
	p, err := newParser(role, rights)
	if err != nil {
		t.Fatal(err)
	}
	return p.kong.Model.Leaves(false)
}

// Who has which command is written down once more, in testdata/rights.txt, so
// that nobody gets a command by a slip. A new command needs a line there.
func TestWhoHasWhichCommand(t *testing.T) {
	table := map[string]string{}
	for _, role := range bothRoles {
		operators := map[string]bool{}
		for _, n := range leaves(t, role, Operator) {
			operators[commandPath(n)] = true
		}
		for _, n := range leaves(t, role, Administrator) {
			path := commandPath(n)
			rights := "administrator"
			if operators[path] {
				rights = "operator"
			}
			table[path] += " " + string(role) + ":" + rights
		}
	}
	var got strings.Builder
	paths := []string{}
	for path := range table {
		paths = append(paths, path)
	}
	slices.Sort(paths)
	for _, path := range paths {
		got.WriteString(path + "\t" + strings.TrimSpace(table[path]) + "\n")
	}
	want, err := os.ReadFile("testdata/rights.txt")
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(string(want), got.String()); d != "" {
		t.Errorf("%s\nall of it:\n%s", d, got.String())
	}
}

// What says nothing about rights is for administrators: an operator's command
// says so itself, and is not let in by what stands above it.
func TestDenyIsTheDefault(t *testing.T) {
	for _, role := range bothRoles {
		for _, n := range leaves(t, role, Operator) {
			if n.Tag.Get("rights") != "operator" {
				t.Errorf("%s is let in without saying so", commandPath(n))
			}
		}
		var bare struct {
			Act struct{} `cmd:"" help:"x"`
		}
		k, err := kong.New(&bare, kong.Exit(func(int) {}))
		if err != nil {
			t.Fatal(err)
		}
		if prune(k.Model.Node, role, Operator, "mx gateway", "administrator"); len(k.Model.Leaves(false)) != 0 {
			t.Error("a command without a tag is an operator's")
		}
		for _, n := range leaves(t, role, Administrator) {
			path := commandPath(n)
			for _, rights := range []Rights{Nobody, Operator} {
				if rights == Operator && n.Tag.Get("rights") == "operator" {
					continue
				}
				e, h, u := newEnv(t, role, rights)
				res, _ := Run(t.Context(), e, words(path))
				if res.Exit != control.ExitDenied || h.acts != nil || h.export != nil || u.out.Len() > 0 {
					t.Errorf("%s with rights %d: %+v, %v, %s", path, rights, res, h.acts, u.out.String())
				}
			}
		}
	}
}
