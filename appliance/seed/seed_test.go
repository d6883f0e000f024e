package seed_test

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"sealgate/appliance/secret"
	"sealgate/appliance/seed"
	"sealgate/appliance/store"
	"sealgate/appliance/store/storetest"
)

// fresh makes an empty store whose own rows are the same each time.
func fresh(t testing.TB) (*store.Store, *secret.Keys) {
	t.Helper()
	home := t.TempDir()
	if err := secret.Create(home, "system", "secure"); err != nil {
		t.Fatal(err)
	}
	now := func() time.Time { return seed.DefaultBase }
	if err := store.Create(t.Context(), home, "admin", "verifier", store.Options{Now: now}); err != nil {
		t.Fatal(err)
	}
	s, err := store.Open(t.Context(), home, store.Options{Now: now})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	keys, err := secret.Open(home)
	if err != nil {
		t.Fatal(err)
	}
	return s, keys
}

func fill(t testing.TB, s *store.Store, keys *secret.Keys, o seed.Options) seed.Report {
	t.Helper()
	report, err := seed.Fill(t.Context(), s, keys, o)
	if err != nil {
		t.Fatal(err)
	}
	return report
}

// part is what a snapshot gives of one kind.
type part struct {
	kind store.Kind
	name string
	data []byte
}

// lines reads a snapshot whole: lines of tables, then files with their names.
func lines(t testing.TB, s *store.Store, options store.SnapshotOptions, fn func(p part)) {
	t.Helper()
	snap, err := s.Snapshot(t.Context(), options)
	if err != nil {
		t.Fatal(err)
	}
	defer snap.Close()
	for _, table := range snap.Tables() {
		if err := snap.Rows(t.Context(), table, func(line []byte) error {
			fn(part{table.Kind, table.Name, line})
			return nil
		}); err != nil {
			t.Fatal(err)
		}
	}
	for _, file := range snap.Files() {
		data := contentOf(t, snap, file)
		fn(part{file.Kind, file.Name, append([]byte(file.Name+"\n"), data...)})
	}
}

func contentOf(t testing.TB, snap *store.Snapshot, f store.File) []byte {
	t.Helper()
	file, err := snap.Open(f)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	data, err := io.ReadAll(file)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func sum(t testing.TB, s *store.Store, keys *secret.Keys) string {
	t.Helper()
	h := sha256.New()
	lines(t, s, store.SnapshotOptions{Unseal: keys.Unseal}, func(p part) {
		// The first administrator's id is the store's, not the generator's.
		if !bytes.Contains(p.data, []byte(`"admin"`)) {
			h.Write(append(p.data, '\n'))
		}
	})
	return hex.EncodeToString(h.Sum(nil))
}

func TestSameSeedSameData(t *testing.T) {
	var sums []string
	for _, n := range []uint64{1, 1, 2} {
		s, keys := fresh(t)
		fill(t, s, keys, seed.Options{Seed: n, Scale: 0.003, Days: 3})
		sums = append(sums, sum(t, s, keys))
	}
	if sums[0] != sums[1] {
		t.Error("the same seed made different data")
	}
	if sums[0] == sums[2] {
		t.Error("another seed made the same data")
	}
}

func TestShares(t *testing.T) {
	s, keys := fresh(t)
	const scale = 0.04
	var last int64
	report := fill(t, s, keys, seed.Options{Seed: 7, Scale: scale, Progress: func(done, total int64) {
		if done < last || done > total {
			t.Errorf("progress went from %d to %d of %d", last, done, total)
		}
		last = done
	}})
	got := make(map[store.Kind]int64)
	var all int64
	lines(t, s, store.SnapshotOptions{Unseal: keys.Unseal}, func(p part) {
		got[p.kind] += int64(len(p.data)) + 1
		all += int64(len(p.data)) + 1
	})
	near := func(what string, got int64, percent float64) {
		t.Helper()
		want := scale * seed.Unit * percent / 100
		if math.Abs(float64(got)/want-1) > 0.05 {
			t.Errorf("%s: %d bytes, want %.0f within 5 %%", what, got, want)
		}
	}
	near("audit data", got[store.Audit], 60)
	near("archives", got[store.Archives]+got[store.FailedArchives], 20)
	near("violations", got[store.Violations], 15)
	near("alerts", got[store.Alerts], 4)
	near("everything", all, 100)
	t.Logf("%d bytes in all, %v", all, report)
	if err := s.Check(t.Context()); err != nil {
		t.Error(err)
	}
}

var marks = map[store.Kind][]string{
	store.Config: {seed.MarkConfig}, store.Users: {seed.MarkUser}, store.SSLKeys: {seed.MarkSSLKey, seed.MarkSSLSecret},
	store.Credentials: {seed.MarkCredential, seed.MarkCredentialPass}, store.Archives: {seed.MarkArchive}, store.FailedArchives: {seed.MarkFailedArchive},
	store.Jobs: {seed.MarkJob}, store.SystemEvents: {seed.MarkSystemEvent}, store.Alerts: {seed.MarkAlert}, store.Violations: {seed.MarkViolation}, store.Audit: {seed.MarkAudit},
}

func TestMarkersTellKindsApart(t *testing.T) {
	s, keys := fresh(t)
	report := fill(t, s, keys, seed.Options{Seed: 3, Scale: 0.004, Days: 2})
	for _, kind := range store.Kinds {
		if report.Rows[kind] == 0 {
			t.Errorf("no %s was made", kind)
		}
		with, without := 0, 0
		for _, left := range []bool{false, true} {
			options := store.SnapshotOptions{Unseal: keys.Unseal}
			if left {
				options.Without = []store.Kind{kind}
			}
			lines(t, s, options, func(p part) {
				for _, mark := range marks[kind] {
					if !bytes.Contains(p.data, []byte(mark)) {
						continue
					}
					if !left {
						with++
					} else if kind != store.Users && kind != store.Config {
						without++
					}
				}
			})
		}
		if int64(with) < report.Rows[kind] {
			t.Errorf("%d rows and files hold the marker of %s, which has %d", with, kind, report.Rows[kind])
		}
		if without > 0 {
			t.Errorf("%d rows and files hold the marker of %s in a snapshot without them", without, kind)
		}
	}
}

func TestEveryEventHasItsMarker(t *testing.T) {
	s, keys := fresh(t)
	fill(t, s, keys, seed.Options{Seed: 3, Scale: 0.003, Days: 2})
	tables := map[string]string{"alerts": seed.MarkAlert, "violations": seed.MarkViolation, "audit_data": seed.MarkAudit}
	lines(t, s, store.SnapshotOptions{}, func(p part) {
		if mark, ok := tables[p.name]; ok && bytes.Count(p.data, []byte(mark)) != 1 {
			t.Fatalf("a row of %s has no marker: %s", p.name, p.data)
		}
	})
}

func TestArchivesAreGzip(t *testing.T) {
	s, keys := fresh(t)
	fill(t, s, keys, seed.Options{Seed: 5, Scale: 0.003, Days: 1})
	list, err := s.ListArchives(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	snap, err := s.Snapshot(t.Context(), store.SnapshotOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer snap.Close()
	files := make(map[string]store.File)
	for _, f := range snap.Files() {
		files[f.Name] = f
	}
	for _, a := range list {
		data := contentOf(t, snap, files[a.Name])
		if hash := sha256.Sum256(data); hex.EncodeToString(hash[:]) != a.SHA256 || int64(len(data)) != a.Size {
			t.Errorf("%s is not what its row says", a.Name)
		}
		z, err := gzip.NewReader(bytes.NewReader(data))
		if err != nil {
			t.Fatal(err)
		}
		_, err = io.Copy(io.Discard, z)
		if failed := errors.Is(err, io.ErrUnexpectedEOF); failed != (a.Status == store.ArchiveFailed) || err != nil && !failed {
			t.Errorf("%s, which is %s, reads with %v", a.Name, a.Status, err)
		}
	}
}

func TestEventsNameWhatExists(t *testing.T) {
	s, keys := fresh(t)
	fill(t, s, keys, seed.Options{Seed: 3, Scale: 0.003, Days: 2})
	known := make(map[string]bool)
	lines(t, s, store.SnapshotOptions{}, func(p part) {
		switch p.name {
		case "objects":
			var o struct{ Kind, Name string }
			if err := json.Unmarshal(p.data, &o); err != nil {
				t.Fatal(err)
			}
			known[o.Kind+" "+o.Name] = true
		case "violations":
			var v store.Violation
			if err := json.Unmarshal(p.data, &v); err != nil {
				t.Fatal(err)
			}
			for _, name := range []string{"site " + v.Site, "serverGroup " + v.ServerGroup, "webService " + v.Service, "webApplication " + v.Application, "gateway " + v.Gateway} {
				if !known[name] {
					t.Fatalf("violation %s names %q, which does not exist", v.ID, name)
				}
			}
		}
	})
	storetest.CheckAlerts(t, s)
}

func TestManyViolations(t *testing.T) {
	s, keys := fresh(t)
	home := s.Home()
	options := seed.Options{Seed: 3, Scale: 0.01, Days: 3}
	if err := seed.Violations(t.Context(), home, keys, 3000, options); !errors.Is(err, store.ErrInUse) {
		t.Errorf("beside an open store: %v", err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := seed.Violations(t.Context(), home, keys, 3000, options); err != nil {
		t.Fatal(err)
	}
	if err := seed.Violations(t.Context(), home, keys, 3000, options); !errors.Is(err, seed.ErrSeeded) {
		t.Errorf("a second time: %v", err)
	}
	s, err := store.Open(t.Context(), home, store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	storetest.CheckAlerts(t, s)
	found, err := s.Violations(t.Context(), store.ViolationFilter{}, 5000)
	if err != nil || len(found) != 3000 {
		t.Errorf("%d violations, %v", len(found), err)
	}
	if _, err := s.User(t.Context(), "admin"); err != nil {
		t.Error(err)
	}
}

func TestSecondSeedingIsRefused(t *testing.T) {
	s, keys := fresh(t)
	o := seed.Options{Seed: 1, Scale: 0.001, Days: 1}
	fill(t, s, keys, o)
	before := sum(t, s, keys)
	if _, err := seed.Fill(t.Context(), s, keys, o); !errors.Is(err, seed.ErrSeeded) {
		t.Errorf("got %v, want %v", err, seed.ErrSeeded)
	}
	if diff := cmp.Diff(before, sum(t, s, keys)); diff != "" {
		t.Error("a refused seeding changed the store")
	}
}

func TestOptionsAreChecked(t *testing.T) {
	s, keys := fresh(t)
	for _, o := range []seed.Options{{}, {Scale: -1}, {Scale: math.NaN()}, {Scale: math.Inf(1)}, {Scale: 1, Days: -1}} {
		if _, err := seed.Fill(t.Context(), s, keys, o); err == nil || strings.Contains(err.Error(), "\n") {
			t.Errorf("options %+v: %v", o, err)
		}
	}
}
