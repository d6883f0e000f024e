package gateway_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// reading are the packages through which a configuration goes in a gateway.
var reading = []string{"sealgate/appliance/model", "sealgate/daemon/gateway", "sealgate/daemon/gateway/event", "sealgate/daemon/gateway/health", "sealgate/daemon/gateway/proxy", "sealgate/daemon/gateway/waf"}

// listed is what go list says of a package.
type listed struct {
	ImportPath, Dir, Export string
	GoFiles                 []string
}

// A field that is decoded and then read by nobody is no effect: each field of the
// snapshot, and of what gateways make of it, is read somewhere, not only written.
func TestNoFieldIsDecodedInVain(t *testing.T) {
	packages := make(map[string]listed)
	out, err := exec.Command("go", append([]string{"list", "-export", "-deps", "-json=ImportPath,Dir,Export,GoFiles"}, reading...)...).Output()
	if err != nil {
		t.Fatal(err)
	}
	for d := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p listed
		if err := d.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		packages[p.ImportPath] = p
	}
	fset := token.NewFileSet()
	exports := importer.ForCompiler(fset, "gc", func(path string) (io.ReadCloser, error) { return os.Open(packages[path].Export) })
	declared, read := make(map[string]string), make(map[string]bool)
	for _, path := range reading {
		p := packages[path]
		var files []*ast.File
		for _, name := range p.GoFiles {
			file, err := parser.ParseFile(fset, filepath.Join(p.Dir, name), nil, 0)
			if err != nil {
				t.Fatal(err)
			}
			files = append(files, file)
		}
		info := &types.Info{Defs: make(map[*ast.Ident]types.Object), Selections: make(map[*ast.SelectorExpr]*types.Selection), Uses: make(map[*ast.Ident]types.Object)}
		if _, err := (&types.Config{Importer: exports}).Check(path, fset, files, info); err != nil {
			t.Fatal(err)
		}
		// A field is known by its line: export data has no columns.
		key := func(f types.Object) string {
			at := fset.Position(f.Pos())
			return fmt.Sprintf("%s:%d.%s", filepath.Base(filepath.Dir(at.Filename))+"/"+filepath.Base(at.Filename), at.Line, f.Name())
		}
		for _, o := range info.Defs {
			if f, ok := o.(*types.Var); ok && f.IsField() && !f.Embedded() && (path != reading[0] || strings.HasPrefix(filepath.Base(fset.Position(f.Pos()).Filename), "snapshot")) {
				declared[key(f)] = f.Name()
			}
		}
		written := make(map[*ast.SelectorExpr]bool)
		for _, file := range files {
			ast.Inspect(file, func(n ast.Node) bool {
				switch n := n.(type) {
				case *ast.AssignStmt:
					for _, left := range n.Lhs {
						if s, ok := left.(*ast.SelectorExpr); ok {
							written[s] = true
						}
					}
				case *ast.SelectorExpr:
					if s := info.Selections[n]; s != nil && s.Kind() == types.FieldVal && !written[n] {
						read[key(s.Obj())] = true
					}
				}
				return true
			})
		}
	}
	for f := range declared {
		if !read[f] {
			t.Errorf("%s is read by nobody", f)
		}
	}
}
