package dump

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"sealgate/appliance/model"
	"sealgate/appliance/secret"
	"sealgate/appliance/store"
)

// engine is a kind of store that dumps are carried through.
type engine struct {
	name   string
	source func(*testing.T) Source // with its store open
	target func(*testing.T) Target // with its store closed
}

var engines = []engine{{"SQLite", fresh, target}}

// What goes through a dump comes out the same: rows, secrets, files, archives,
// for stores of every kind and every combination of options, from any engine to
// any other.
func TestRoundTrips(t *testing.T) {
	t.Parallel()
	fills := []func(*testing.T, *rand.Rand, Source){
		func(*testing.T, *rand.Rand, Source) {}, // empty
		func(t *testing.T, _ *rand.Rand, s Source) { fillTiny(t, s.Store, s.Secrets) },
		func(t *testing.T, r *rand.Rand, s Source) { fillRandom(t, r, s.Store, s.Secrets) },
	}
	random := rand.New(rand.NewPCG(2026, 5))
	for _, from := range engines {
		for _, to := range engines {
			for kind, fill := range fills {
				src := from.source(t)
				fill(t, random, src)
				home := to.target(t) // each import replaces all that it holds
				for _, o := range combinations(random, kind) {
					t.Run(fmt.Sprintf("%s to %s/%d/%+v", from.name, to.name, kind, o), func(t *testing.T) { roundTrip(t, src, home, o) })
				}
			}
		}
	}
}

// combinations are options: all of them for tiny stores, some for the others.
func combinations(random *rand.Rand, kind int) []Options {
	var list []Options
	for bits := range 64 {
		o := Options{NoAlerts: bits&1 != 0, NoArchives: bits&2 != 0, NoSSL: bits&4 != 0, NoAudit: bits&8 != 0, NoCredentials: bits&16 != 0, FailedArchives: bits&32 != 0}
		if o.NoArchives && o.FailedArchives {
			continue // commands refuse it
		}
		if random.IntN(8) == 0 { // each costs scrypt three times
			o.Passphrase = "p"
		}
		if kind == 1 || random.IntN(12) == 0 {
			list = append(list, o)
		}
	}
	return list
}

func roundTrip(t *testing.T, src Source, to Target, o Options) {
	m, data := export(t, src, o)
	r := imported(t, to, data, ImportOptions{Passphrase: o.Passphrase})
	if r.Rows != m.Rows() {
		t.Errorf("%d rows of %d were taken", r.Rows, m.Rows())
	}
	want, got := parts(t, data, o.Passphrase), content(t, to.Home, o)
	// What was left out is named no more.
	if o.NoSSL || o.NoCredentials {
		const objects = "config/objects/0001.jsonl"
		if lost, notes := want[objects], strings.Join(r.Notes, "\n"); string(lost) != string(got[objects]) && !strings.Contains(notes, "the dump left it out") {
			t.Errorf("objects changed, and the notes do not tell: %s", notes)
		}
		delete(want, objects)
		delete(got, objects)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("it changed on the way:\n%s", diff)
	}
	// Beside what is there, and without what the options left out.
	again := imported(t, to, data, ImportOptions{Merge: true, Passphrase: o.Passphrase})
	for _, taken := range again.Changes {
		if taken.Added+taken.Changed > 0 && !(taken.Kind == store.Config && (o.NoSSL || o.NoCredentials)) {
			t.Errorf("the second time: %+v", taken)
		}
	}
	db, err := store.Open(t.Context(), string(to.Home), store.Options{ReadOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if err := db.Check(t.Context()); err != nil {
		t.Error(err)
	}
}

// fillRandom fills a store with texts that are hard to keep.
func fillRandom(t *testing.T, random *rand.Rand, s *store.Store, keys *secret.Keys) {
	t.Helper()
	ctx := t.Context()
	pieces := []string{" ", "a", "Ä", "日本", "\t", "\n", "\x01", "\x7f", "'", `"`, `\`, "<&>", "\u2028", "😀", "e\u0301", "%", "$1", "--", "/"}
	n := 0
	text := func() string {
		n++
		var b strings.Builder
		for range 1 + random.IntN(12) {
			b.WriteString(pieces[random.IntN(len(pieces))])
		}
		return fmt.Sprintf("%s%d%s", b.String(), n, pieces[random.IntN(len(pieces))])
	}
	binary := func() []byte {
		data := make([]byte, random.IntN(300))
		for i := range data {
			data[i] = byte(random.Uint32())
		}
		return data
	}
	_, err := s.Write(ctx, store.Change{Author: text(), Summary: text(), At: noon}, func(tx *store.Tx) error {
		for range 20 {
			document, err := json.Marshal(map[string]any{text(): text(), "n": random.Int64(), "f": 1.5e300, "list": []any{nil, true, text()}})
			if err != nil {
				return err
			}
			site, err := tx.Create(ctx, store.Object{ParentID: model.RootID, Kind: model.Site, Name: text(), Document: document})
			if err != nil {
				return err
			}
			group, err := tx.Create(ctx, store.Object{ParentID: site, Kind: model.ServerGroup, Name: text()})
			if err != nil {
				return err
			}
			service, err := tx.Create(ctx, store.Object{ParentID: group, Kind: model.WebService, Name: text()})
			if err != nil {
				return err
			}
			key, err := tx.AddSSLKey(ctx, store.SSLKey{ServiceID: service, Name: text(), Certificate: text()}, keys, binary())
			if err != nil {
				return err
			}
			rule := fmt.Appendf(nil, `{"serverCertificate":%q}`, key)
			if _, err := tx.Create(ctx, store.Object{ParentID: service, Kind: model.InboundRule, Name: text(), Document: rule}); err != nil {
				return err
			}
			if _, err := tx.AddCredential(ctx, store.Credential{Kind: store.DatabaseCredential, Name: text(), UserName: text()}, keys, binary()); err != nil {
				return err
			}
			if _, err := tx.AddUser(ctx, store.User{Name: text(), Role: store.ReadOnlyRole, Verifier: secret.FormatVerifier(make([]byte, 16), make([]byte, 32))}); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for i := range 6 {
		status := []store.ArchiveStatus{store.ArchiveGood, store.ArchiveFailed}[i%2]
		addArchive(t, s, strings.ReplaceAll(fmt.Sprintf("a%d %s", i, text()), "/", "-"), status, binary())
		writeFile(t, filepath.Join(s.Files(), fmt.Sprintf("d%d", random.IntN(3)), "ü "+strings.ReplaceAll(text(), "/", "-")), binary())
	}
	var batch store.Batch
	for range 60 {
		at := noon.AddDate(0, 0, random.IntN(4)).UnixMilli()
		batch.Alerts = append(batch.Alerts, store.Alert{ID: store.NewID(), Number: random.Int64(), Time: at, Description: text()})
		batch.Violations = append(batch.Violations, store.Violation{ID: store.NewID(), Time: at, Path: text(), Site: text(), Query: text()})
		batch.Audit = append(batch.Audit, store.AuditRecord{ID: store.NewID(), Time: at, Path: text(), Headers: [][2]string{{text(), text()}}, Body: strings.Repeat(text(), 50)})
	}
	if err := s.Append(ctx, batch); err != nil {
		t.Fatal(err)
	}
}

// References to what was left out are gone from rows and documents alike.
func TestLeftOutIsAbsent(t *testing.T) {
	src := tiny(t)
	o := Options{NoSSL: true, NoCredentials: true, NoArchives: true, NoAlerts: true, NoAudit: true, Passphrase: "p"}
	_, data := export(t, src, o)
	to := target(t)
	r := imported(t, to, data, ImportOptions{Passphrase: "p"})
	if notes := strings.Join(r.Notes, "\n"); !strings.Contains(notes, `inbound rule "443" no longer names its SSL key: the dump left it out`) || !strings.Contains(notes, `HTTP proxy "proxy" no longer names its credential: the dump left it out`) {
		t.Errorf("notes: %s", notes)
	}
	db, err := store.Open(t.Context(), string(to.Home), store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	counts, err := db.Counts(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	absent := map[store.Kind]bool{}
	for _, c := range counts {
		absent[c.Kind] = c.Rows == 0
	}
	maps.DeleteFunc(absent, func(_ store.Kind, none bool) bool { return !none })
	want := map[store.Kind]bool{store.SSLKeys: true, store.Credentials: true, store.Archives: true, store.FailedArchives: true, store.Alerts: true, store.Violations: true, store.Audit: true}
	if diff := cmp.Diff(want, absent); diff != "" {
		t.Errorf("absent: %s", diff)
	}
	if objects := content(t, to.Home, Options{})["config/objects/0001.jsonl"]; strings.Contains(string(objects), `"serverCertificate":"`) {
		t.Error("an object names an SSL key still")
	}
	// An object that named one can be changed again.
	proxy, err := db.Find(t.Context(), model.RootID, model.HTTPProxy, "proxy")
	if err != nil || strings.Contains(string(proxy.Document), `"password":"`) {
		t.Fatalf("%s, %v", proxy.Document, err)
	}
	_, err = db.Write(t.Context(), store.Change{Author: "anna"}, func(tx *store.Tx) error { return tx.Rename(t.Context(), proxy.ID, "other") })
	if err != nil {
		t.Error(err)
	}
}

// Every kind that holds a credential names it after an import that brought it, names
// none after one that did not, and can be changed again either way.
func TestCredentialsOfEachKind(t *testing.T) {
	t.Parallel()
	src := fresh(t)
	holders := fillCredentials(t, src)
	for name, o := range map[string]Options{"with": {Passphrase: "p"}, "without": {Passphrase: "p", NoCredentials: true}, "in clear": {}} {
		_, data := export(t, src, o)
		for _, merge := range []bool{false, true} {
			to := target(t)
			r := imported(t, to, data, ImportOptions{Passphrase: o.Passphrase, Merge: merge})
			notes := strings.Join(r.Notes, "\n")
			if said := strings.Contains(notes, fmt.Sprintf("%d credentials have no password", len(holders))); said != (name == "in clear") {
				t.Errorf("%s, merged %v: %s", name, merge, notes)
			}
			db, err := store.Open(t.Context(), string(to.Home), store.Options{})
			if err != nil {
				t.Fatal(err)
			}
			for id, field := range holders {
				var before store.Object
				_, err := db.Write(t.Context(), store.Change{Author: "t"}, func(tx *store.Tx) (err error) {
					if before, err = tx.Get(t.Context(), id); err != nil {
						return err
					}
					return errors.Join(tx.Update(t.Context(), id, before.Document), tx.Rename(t.Context(), id, "other"))
				})
				holds := strings.Contains(string(before.Document), fmt.Sprintf(`%q:"`, field))
				said := slices.Contains(r.Notes, fmt.Sprintf("%s %q no longer names its credential: the dump left it out", model.Title(before.Kind), before.Name))
				if err != nil || holds == o.NoCredentials || said != o.NoCredentials {
					t.Errorf("%s, merged %v: %s names one: %v, notes: %s, %v", name, merge, before.Kind, holds, notes, err)
				}
			}
			db.Close()
		}
	}
}

// fillCredentials makes an object of each kind that holds a credential, and returns the
// fields by the objects' ids.
func fillCredentials(t *testing.T, src Source) map[string]string {
	t.Helper()
	ctx, holders := t.Context(), map[string]string{}
	var create func(tx *store.Tx, kind model.Kind, document string) (string, error)
	create = func(tx *store.Tx, kind model.Kind, document string) (string, error) {
		parent := model.RootID
		if kind.Parent != "" {
			above, err := model.Lookup(kind.Parent)
			if err != nil {
				return "", err
			}
			if parent, err = create(tx, above, "{}"); err != nil {
				return "", err
			}
		}
		return tx.Create(ctx, store.Object{ParentID: parent, Kind: kind.Name, Name: "holder", Document: []byte(document)})
	}
	_, err := src.Store.Write(ctx, store.Change{Author: "t"}, func(tx *store.Tx) error {
		for _, kind := range model.Kinds {
			for _, ref := range kind.References {
				if !slices.Contains(ref.To, model.Credential) {
					continue
				}
				credential, err := tx.AddCredential(ctx, store.Credential{Kind: store.ServerCredential, Name: kind.Name}, src.Secrets, []byte("hunter2"))
				if err != nil {
					return err
				}
				id, err := create(tx, kind, fmt.Sprintf(`{%q:%q}`, ref.Field, credential))
				if err != nil {
					return err
				}
				holders[id] = ref.Field
			}
		}
		return nil
	})
	if err != nil || len(holders) < 2 {
		t.Fatal(holders, err)
	}
	return holders
}

// Users keep the passwords that they have here where the dump has none.
func TestPasswordsStay(t *testing.T) {
	src := tiny(t)
	_, data := export(t, src, Options{})
	to := target(t)
	imported(t, to, data, ImportOptions{})
	db, err := store.Open(t.Context(), string(to.Home), store.Options{ReadOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if u, err := db.User(t.Context(), "admin"); err != nil || u.Verifier == "" {
		t.Errorf("admin: %+v, %v", u, err)
	}
	if u, err := db.User(t.Context(), "Zoë "); err != nil || u.Verifier != "" {
		t.Errorf("Zoë: %+v, %v", u, err)
	}
}

// --copyfiles 2 leaves the files that are here.
func TestCopyFiles(t *testing.T) {
	t.Parallel()
	src := tiny(t)
	_, data := export(t, src, Options{})
	for _, merge := range []bool{false, true} {
		to := target(t)
		imported(t, to, data, ImportOptions{KeepFiles: true, Merge: merge})
		after := content(t, to.Home, Options{})
		if _, ok := after["files/own.conf"]; !ok {
			t.Error("a file that was here is gone")
		}
		if _, ok := after["files/proxy.conf"]; ok {
			t.Error("a file of the dump came along")
		}
	}
}
