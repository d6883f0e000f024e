package shell

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"os"
	"os/exec"
	"strings"
	"testing"
)

// crashing is what this test's own program does instead of testing when
// SEAL_CRASH is set: it takes the terminal as the shell does, and panics.
func crashing(where string) {
	restore, err := rawMode(os.Stdin)
	if err != nil {
		panic(err)
	}
	defer restore()
	defer take(func() { io.WriteString(os.Stdout, pasteOff) })()
	defer endInOrder()
	io.WriteString(os.Stdout, pasteOn)
	if where == "goroutine" {
		spawn(func() { panic("s3cret that was typed") })
		select {}
	}
	panic("s3cret that was typed")
}

// The hole: a panic in some goroutine leaves the terminal without echo, and a
// stack or what was typed on it.
func TestCrashGivesTheTerminalBack(t *testing.T) {
	for _, where := range []string{"goroutine", "session"} {
		t.Run(where, func(t *testing.T) {
			p := sitDownWith(t, exec.Command(os.Args[0]), "SEAL_CRASH="+where)
			if code := p.exit(); code != 1 {
				t.Errorf("exit status %d", code)
			}
			p.sees("sealgate: error: the shell crashed and ends\r\n")
			p.findsTerminalRestored()
			if out := p.output(); strings.Contains(out, "s3cret") || strings.Contains(out, "goroutine ") {
				t.Errorf("the terminal saw %q", out)
			}
		})
	}
}

// Every goroutine of the shell is started by spawn.
func TestEveryGoroutineIsGuarded(t *testing.T) {
	files, err := os.ReadDir(".")
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	for _, f := range files {
		if !strings.HasSuffix(f.Name(), ".go") || strings.HasSuffix(f.Name(), "_test.go") {
			continue
		}
		tree, err := parser.ParseFile(token.NewFileSet(), f.Name(), nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(tree, func(n ast.Node) bool {
			if _, ok := n.(*ast.GoStmt); ok {
				if found++; f.Name() != "crash.go" {
					t.Errorf("%s starts a goroutine without spawn", f.Name())
				}
			}
			return true
		})
	}
	if found != 1 {
		t.Errorf("%d go statements, want the one of spawn", found)
	}
}
