package house

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// starters are the calls that can put another program in a process's place or
// beside it.
var starters = map[string][]string{
	"unix":    {"Exec", "Syscall", "Syscall6", "RawSyscall", "RawSyscall6", "SyscallNoError", "RawSyscallNoError"},
	"syscall": {"Exec", "ForkExec", "StartProcess", "Syscall", "Syscall6", "RawSyscall", "RawSyscall6"},
	"os":      {"StartProcess"},
	"exec":    {"Command", "CommandContext"},
}

// An unsealed appliance's login becomes a real shell in one place.
func TestOneFileOfTheShellExecs(t *testing.T) {
	found := map[string][]string{}
	for _, dir := range []string{"shell", "control", "cmd/sealsh", "cmd/impctl"} {
		files, err := filepath.Glob(filepath.Join("../..", dir, "*.go"))
		if err != nil || len(files) == 0 {
			t.Fatalf("%s: %v, %v", dir, files, err)
		}
		for _, file := range files {
			if strings.HasSuffix(file, "_test.go") {
				continue
			}
			tree, err := parser.ParseFile(token.NewFileSet(), file, nil, 0)
			if err != nil {
				t.Fatal(err)
			}
			for _, i := range tree.Imports {
				if i.Name != nil || i.Path.Value == `"unsafe"` {
					t.Errorf("%s imports %s under another name, or unsafely", file, i.Path.Value)
				}
			}
			ast.Inspect(tree, func(n ast.Node) bool {
				if s, ok := n.(*ast.SelectorExpr); ok {
					if x, ok := s.X.(*ast.Ident); ok && slices.Contains(starters[x.Name], s.Sel.Name) {
						name := strings.TrimPrefix(filepath.ToSlash(file), "../../")
						found[name] = append(found[name], x.Name+"."+s.Sel.Name)
					}
				}
				return true
			})
		}
	}
	if len(found) != 1 || !slices.Equal(found["shell/login.go"], []string{"unix.Exec"}) {
		t.Errorf("programs are started by %v, and only shell/login.go may, once", found)
	}
}
