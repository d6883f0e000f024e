package gateway_test

import (
	"bytes"
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

// readFields are the fields of structs that code reads, as package.Type.Field, among the
// declared ones. One that is only written, by JSON or by code, is not among them.
func readFields(t *testing.T) (declared, read map[string]bool) {
	t.Helper()
	packages := make(map[string]listed)
	out, err := exec.Command("go", append([]string{"list", "-export", "-deps", "-json=ImportPath,Dir,Export,GoFiles"}, reading...)...).Output()
	if err != nil {
		t.Fatal(err)
	}
	for d := json.NewDecoder(bytes.NewReader(out)); ; {
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
	names, places := make(map[string]string), make(map[string]bool)
	for _, path := range reading {
		p := packages[path]
		var files []*ast.File
		for _, name := range p.GoFiles {
			file, err := parser.ParseFile(fset, filepath.Join(p.Dir, name), nil, parser.SkipObjectResolution)
			if err != nil {
				t.Fatal(err)
			}
			files = append(files, file)
		}
		info := &types.Info{Selections: make(map[*ast.SelectorExpr]*types.Selection)}
		checked, err := (&types.Config{Importer: exports}).Check(path, fset, files, info)
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range checked.Scope().Names() {
			if s, ok := checked.Scope().Lookup(name).Type().Underlying().(*types.Struct); ok {
				for f := range s.Fields() {
					names[placeOf(fset, f)] = path + "." + name + "." + f.Name()
				}
			}
		}
		for _, file := range files {
			selected(file, info, func(f types.Object) { places[placeOf(fset, f)] = true })
		}
	}
	declared, read = make(map[string]bool), make(map[string]bool)
	for place, name := range names {
		declared[name], read[name] = true, places[place]
	}
	return declared, read
}

// placeOf tells fields apart. Export data has lines, and no columns.
func placeOf(fset *token.FileSet, f types.Object) string {
	at := fset.Position(f.Pos())
	return fmt.Sprintf("%s:%d %s", filepath.Join(filepath.Base(filepath.Dir(at.Filename)), filepath.Base(at.Filename)), at.Line, f.Name())
}

// selected tells of each field that a file reads.
func selected(file *ast.File, info *types.Info, read func(types.Object)) {
	written := make(map[ast.Expr]bool)
	ast.Inspect(file, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.AssignStmt:
			for _, left := range n.Lhs {
				written[left] = true
			}
		case *ast.SelectorExpr:
			if s := info.Selections[n]; s != nil && s.Kind() == types.FieldVal && !written[n] {
				read(s.Obj())
			}
		}
		return true
	})
}

// What a match says is told or done.
func TestWhatAMatchSaysIsUsed(t *testing.T) {
	declared, read := readFields(t)
	for name := range declared {
		if strings.HasPrefix(name, "sealgate/daemon/gateway/waf.Match.") && !strings.HasSuffix(name, ".ID") && !read[name] {
			t.Errorf("nobody reads %s", name)
		}
	}
}
