package dump

import (
	"bytes"
	"database/sql"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"sealgate/appliance"
	"sealgate/appliance/model"
	"sealgate/appliance/store"
)

var update = flag.Bool("update", false, "write the golden dumps of the present format")

// goldenPassphrase opens the encrypted golden dumps.
const goldenPassphrase = "Golden-pw-17"

// golden is the name of the dump that a format keeps for ever.
func golden(format int, passphrase string) string {
	kind := "plain"
	if passphrase != "" {
		kind = "encrypted"
	}
	return fmt.Sprintf("testdata/format-%d-%s.tgz", format, kind)
}

// Dumps of every format are imported, whatever the schema was, and hold the same
// then as before.
func TestGoldenDumps(t *testing.T) {
	t.Parallel()
	if *update {
		src := tiny(t)
		for _, passphrase := range []string{"", goldenPassphrase} {
			_, data := export(t, src, Options{FailedArchives: true, Passphrase: passphrase})
			writeFile(t, golden(Format, passphrase), data)
		}
	}
	known, err := store.KnownSchema()
	if err != nil {
		t.Fatal(err)
	}
	for format := 1; format <= Format; format++ {
		for _, passphrase := range []string{"", goldenPassphrase} {
			data, err := os.ReadFile(golden(format, passphrase))
			if err != nil {
				t.Fatal(err)
			}
			to := target(t)
			r := imported(t, to, data, ImportOptions{Passphrase: passphrase})
			if r.Header.Format != format || r.Header.Secrets != (passphrase != "") {
				t.Errorf("imported %+v", r.Header)
			}
			o := Options{FailedArchives: true, Passphrase: passphrase}
			before, after := parts(t, data, passphrase), content(t, to.Home, o)
			// References are what the present declarations say.
			const objects = "config/objects/0001.jsonl"
			before[objects] = withIDs(t, before[objects], string(after["config/refs/0001.jsonl"]))
			delete(before, "config/refs/0001.jsonl")
			delete(after, "config/refs/0001.jsonl")
			if diff := cmp.Diff(before, after); diff != "" {
				t.Errorf("format %d changed on the way:\n%s", format, diff)
			}
			searched(t, to.Home)
			migrated(t, to.Home, known)
			completed(t, to.Home)
			merged := target(t)
			imported(t, merged, data, ImportOptions{Merge: true, Passphrase: passphrase})
			searched(t, merged.Home)
			if format == 1 && (r.Header.Schema.Events >= known.Events) {
				t.Errorf("format 1 has schema %d already", r.Header.Schema.Events)
			}
		}
	}
}

// migrated looks whether every database has this release's schema.
func migrated(t *testing.T, home appliance.Home, known store.Schema) {
	t.Helper()
	current := filepath.Join(string(home), "data", "current")
	days, err := filepath.Glob(filepath.Join(current, "events", "*.db"))
	if err != nil || len(days) != 2 {
		t.Fatalf("days %q, %v", days, err)
	}
	for _, path := range append(days, filepath.Join(current, "config.db")) {
		db, err := sql.Open("sqlite", path)
		if err != nil {
			t.Fatal(err)
		}
		want := known.Events
		if filepath.Base(path) == "config.db" {
			want = known.Config
		}
		var version int64
		if err := db.QueryRow("SELECT MAX(version_id) FROM goose_db_version").Scan(&version); err != nil || version != want {
			t.Errorf("%s has schema %d, want %d, %v", path, version, want, err)
		}
		db.Close()
	}
}

// completed adds the predefined objects that the format did not know yet.
func completed(t *testing.T, home appliance.Home) {
	t.Helper()
	db, err := store.Open(t.Context(), string(home), store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if err := db.AddDefaults(t.Context()); err != nil {
		t.Fatal(err)
	}
	list, err := model.Defaults()
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range list {
		if _, err := db.Get(t.Context(), d.ID); err != nil {
			t.Errorf("%s %q: %v", d.Kind, d.Name, err)
		}
	}
}

// withIDs is objects whose policies name dictionaries by id, as refs says, and no more
// by name, as both formats did.
func withIDs(t *testing.T, objects []byte, refs string) (converted []byte) {
	t.Helper()
	for line := range bytes.Lines(objects) {
		if bytes.Contains(line, []byte(`SignaturesPolicy","name"`)) {
			for _, name := range []string{"Path Traversal", "Known Scanners", "SQL Injection", "Cross-Site Scripting", "Command Injection"} {
				id := model.DefaultID(model.Dictionary, name)
				line = bytes.ReplaceAll(line, []byte(`"name":"`+name+`","severity"`), []byte(`"name":"`+id+`","severity"`))
				if want := `"field":"rules[].name","to_id":"` + id; !strings.Contains(refs, want) {
					t.Errorf("there is no reference %s", want)
				}
			}
		}
		converted = append(converted, line...)
	}
	return converted
}

// searched finds a violation of the golden dumps by what only newer schemas index.
func searched(t *testing.T, home appliance.Home) {
	t.Helper()
	db, err := store.Open(t.Context(), string(home), store.Options{ReadOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	found, err := db.Violations(t.Context(), store.ViolationFilter{Severity: "high", SourceIP: "192.0.2.1"}, 10)
	if err != nil || len(found) != 2 {
		t.Errorf("%d violations are found, %v", len(found), err)
	}
}
