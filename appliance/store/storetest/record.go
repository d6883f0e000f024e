package storetest

import (
	"bytes"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"sealgate/appliance/model"
	"sealgate/appliance/store"
)

// base is noon of the first day of the events of tests.
var base = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func at(day int) int64 { return base.AddDate(0, 0, day).UnixMilli() }

func accounts(t *testing.T, open func(*testing.T) *store.Store) {
	s := open(t)
	ctx := t.Context()
	users, err := s.Users(ctx)
	if err != nil || len(users) != 1 || users[0].Role != store.Administrator {
		t.Fatalf("a fresh store has users %+v, %v; want one administrator", users, err)
	}
	write(t, s, func(tx *store.Tx) error {
		_, err := tx.AddUser(ctx, store.User{Name: "Zoë", Role: store.ReadOnlyRole, Verifier: "v", Document: []byte(`{"email":"zoe@example.com"}`)})
		return err
	})
	_, err = s.Write(ctx, change, func(tx *store.Tx) error { _, err := tx.AddUser(ctx, store.User{Name: "Zoë"}); return err })
	if !errors.Is(err, store.ErrExists) {
		t.Errorf("a second Zoë: %v", err)
	}
	if u, err := s.User(ctx, "Zoë"); err != nil || u.Verifier != "v" {
		t.Errorf("got %+v, %v", u, err)
	}
	if _, err := s.User(ctx, "zoë"); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("another name: %v", err)
	}

	site := model.DefaultID(model.Site, model.DefaultSite)
	group := create(t, s, site, model.ServerGroup, "Web", ``)
	service := create(t, s, group, model.WebService, "HTTP", ``)
	var key string
	write(t, s, func(tx *store.Tx) (err error) {
		key, err = tx.AddSSLKey(ctx, store.SSLKey{ServiceID: service, Name: "www", Certificate: "PEM"}, sealer{}, []byte("private"))
		return err
	})
	rule := create(t, s, service, model.InboundRule, "rule", `{"gatewayGroupName":"`+model.DefaultID(model.GatewayGroup, model.DefaultGroupName)+`","serverCertificate":"`+key+`"}`)
	var inUse *store.InUseError
	_, err = s.Write(ctx, change, func(tx *store.Tx) error { return tx.DeleteSSLKey(ctx, key) })
	if !errors.As(err, &inUse) || inUse.By[0].ID != rule {
		t.Errorf("deleting a key that a rule uses: %v", err)
	}
	keys, err := s.SSLKeys(ctx, service)
	if err != nil || len(keys) != 1 {
		t.Fatalf("keys %+v, %v", keys, err)
	}
	box, err := s.Sealed(ctx, keys[0].SecretID)
	if err != nil {
		t.Fatal(err)
	}
	if plain, err := unseal(keys[0].SecretID, box); err != nil || string(plain) != "private" {
		t.Errorf("unsealed %q, %v", plain, err)
	}
	write(t, s, func(tx *store.Tx) error { return tx.Delete(ctx, group) })
	if _, err := s.Sealed(ctx, keys[0].SecretID); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("the secret of a deleted key: %v", err)
	}

	credential := store.Credential{Kind: store.ServerCredential, Name: "files", UserName: "svc", Document: []byte(`{"host":"10.0.0.1"}`)}
	var id string
	write(t, s, func(tx *store.Tx) (err error) {
		id, err = tx.AddCredential(ctx, credential, sealer{}, []byte("hunter2"))
		return err
	})
	_, err = s.Write(ctx, change, func(tx *store.Tx) error {
		_, err := tx.AddCredential(ctx, credential, sealer{}, []byte("x"))
		return err
	})
	if !errors.Is(err, store.ErrExists) {
		t.Errorf("a second credential of one name: %v", err)
	}
	write(t, s, func(tx *store.Tx) error { return tx.DeleteCredential(ctx, id) })

	// A credential goes with the last that names it.
	group = create(t, s, site, model.ServerGroup, "Files", ``)
	write(t, s, func(tx *store.Tx) (err error) {
		id, err = tx.AddCredential(ctx, credential, sealer{}, []byte("hunter2"))
		return err
	})
	first := create(t, s, group, model.Server, "10.0.0.1", `{"password":"`+id+`"}`)
	second := create(t, s, group, model.Server, "10.0.0.2", `{"password":"`+id+`"}`)
	write(t, s, func(tx *store.Tx) error { return tx.Update(ctx, first, []byte(`{}`)) })
	if list, err := s.Credentials(ctx); err != nil || len(list) != 1 {
		t.Errorf("credentials %+v, %v while one is named", list, err)
	}
	write(t, s, func(tx *store.Tx) error { return tx.Delete(ctx, second) })
	if list, err := s.Credentials(ctx); err != nil || len(list) != 0 {
		t.Errorf("credentials %+v, %v", list, err)
	}
	check(t, s)
}

func jobs(t *testing.T, open func(*testing.T) *store.Store) {
	s := open(t)
	ctx := t.Context()
	for i := range 3 {
		j, err := s.StartJob(ctx, store.Job{Name: "export", Author: "admin", Abortable: true})
		if err != nil || j.Number != int64(i+1) {
			t.Fatalf("job %+v, %v", j, err)
		}
		if i == 0 {
			if err := s.FinishJob(ctx, j.ID, store.JobDone, "12 files", time.Time{}); err != nil {
				t.Fatal(err)
			}
			if err := s.FinishJob(ctx, j.ID, store.JobFailed, "", time.Time{}); !errors.Is(err, store.ErrNotFound) {
				t.Errorf("finishing twice: %v", err)
			}
		}
	}
	if err := s.InterruptJobs(ctx); err != nil {
		t.Fatal(err)
	}
	list, err := s.Jobs(ctx, 10)
	if err != nil {
		t.Fatal(err)
	}
	var states []store.JobState
	for _, j := range list {
		states = append(states, j.State)
	}
	if diff := cmp.Diff([]store.JobState{store.JobInterrupted, store.JobInterrupted, store.JobDone}, states); diff != "" {
		t.Error(diff)
	}
	if _, err := s.AddArchive(ctx, store.Archive{Name: "../x", Status: store.ArchiveGood}); !errors.Is(err, store.ErrInvalid) {
		t.Errorf("an archive outside of its folder: %v", err)
	}
}

func violation(day, n int) store.Violation {
	return store.Violation{ID: fmt.Sprintf("violation-%d-%d", day, n), EventNumber: int64(n), Time: at(day) + int64(n), Severity: "high",
		Type: "SQL Injection", SourceIP: "192.0.2.1", Path: "/<search>&", Query: "q=' or 1=1 --\n\x00\u2028", Comment: "ünï"}
}

func audit(day, n int) store.AuditRecord {
	return store.AuditRecord{ID: fmt.Sprintf("audit-%d-%d", day, n), Time: at(day) + int64(n), Method: "GET", Path: "/", Status: 200,
		Headers: [][2]string{{"Host", "example.com"}}, ResponseHeaders: [][2]string{}}
}

func fillEvents(t *testing.T, s *store.Store, days, rows int) {
	t.Helper()
	var batch store.Batch
	for day := range days {
		batch.Alerts = append(batch.Alerts, store.Alert{ID: fmt.Sprintf("alert-%d", day), Number: int64(day), Time: at(day), Count: int64(rows)})
		for n := range rows {
			batch.Violations = append(batch.Violations, violation(day, n))
			batch.Audit = append(batch.Audit, audit(day, n))
		}
	}
	if err := s.Append(t.Context(), batch); err != nil {
		t.Fatal(err)
	}
}

func count(t *testing.T, s *store.Store, kind store.Kind) store.Count {
	t.Helper()
	counts, err := s.Counts(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range counts {
		if c.Kind == kind {
			return c
		}
	}
	t.Fatalf("counts have no %s: %+v", kind, counts)
	return store.Count{}
}

func events(t *testing.T, open func(*testing.T) *store.Store) {
	s := open(t)
	ctx := t.Context()
	fillEvents(t, s, 5, 10)
	first := dump(t, s, store.SnapshotOptions{})
	fillEvents(t, s, 5, 10)
	if again := dump(t, s, store.SnapshotOptions{}); !bytes.Equal(first, again) {
		t.Error("appending the same events again changed the store")
	}
	if c := count(t, s, store.Violations); c.Rows != 50 || c.Bytes < 50*100 {
		t.Errorf("counted %+v, want 50 violations", c)
	}
	grown := store.Batch{Alerts: []store.Alert{{ID: "alert-0", Time: at(0), Count: 99}, {ID: "alert-0", Time: at(0), Count: 100}}}
	if err := s.Append(ctx, grown); err != nil {
		t.Fatal(err)
	}
	if c := count(t, s, store.Alerts); c.Rows != 5 {
		t.Errorf("counted %+v, want 5 alerts", c)
	}
	if lines := dump(t, s, store.SnapshotOptions{}); !bytes.Contains(lines, []byte(`"count":100,`)) && !bytes.Contains(lines, []byte(`"count":100}`)) {
		t.Error("an alert did not take its new form")
	}
	days, err := s.EventDays(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"2026-03-01", "2026-03-02", "2026-03-03", "2026-03-04", "2026-03-05"}, days); diff != "" {
		t.Error(diff)
	}
	for _, day := range []string{days[0], days[4]} {
		if err := s.DropDay(ctx, day); err != nil {
			t.Fatal(err)
		}
	}
	if c := count(t, s, store.Audit); c.Rows != 30 {
		t.Errorf("counted %+v after two days were dropped, want 30", c)
	}
	if err := s.DropDay(ctx, days[0]); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("dropping a day twice: %v", err)
	}
	if err := s.DropDay(ctx, "../../x"); !errors.Is(err, store.ErrInvalid) {
		t.Errorf("dropping a path: %v", err)
	}
	check(t, s)
}
