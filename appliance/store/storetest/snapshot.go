package storetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"sealgate/appliance/model"
	"sealgate/appliance/store"
)

func isolation(t *testing.T, open func(*testing.T) *store.Store) {
	s := open(t)
	ctx := t.Context()
	fillEvents(t, s, 2, 50)
	create(t, s, model.RootID, model.Site, "before", ``)
	want := dump(t, s, store.SnapshotOptions{})
	snap, err := s.Snapshot(ctx, store.SnapshotOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer snap.Close()

	stop := make(chan struct{})
	var writing sync.WaitGroup
	writing.Go(func() {
		for i := 0; ; i++ {
			select {
			case <-stop:
				if i > 0 {
					return
				}
			default:
			}
			_, err := s.Write(ctx, change, func(tx *store.Tx) error {
				_, err := tx.Create(ctx, store.Object{ParentID: model.RootID, Kind: model.Site, Name: fmt.Sprintf("during %d", i)})
				return err
			})
			if err == nil {
				err = s.Append(ctx, store.Batch{Violations: []store.Violation{violation(1, 1000+i)}, Audit: []store.AuditRecord{audit(1, 1000+i), audit(7, i)}})
			}
			if err != nil {
				t.Error(err)
				return
			}
		}
	})
	got := read(t, snap)
	close(stop)
	writing.Wait()
	if !bytes.Equal(want, got) {
		t.Error("a snapshot saw what was written after it")
	}
	if later := dump(t, s, store.SnapshotOptions{}); !bytes.Contains(later, []byte("during 0")) {
		t.Error("a later snapshot does not see what was written")
	}
}

func droppedDay(t *testing.T, open func(*testing.T) *store.Store) {
	s := open(t)
	fillEvents(t, s, 2, 50)
	want := dump(t, s, store.SnapshotOptions{})
	snap, err := s.Snapshot(t.Context(), store.SnapshotOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer snap.Close()
	for _, day := range []string{"2026-03-01", "2026-03-02"} {
		if err := s.DropDay(t.Context(), day); err != nil {
			t.Fatal(err)
		}
	}
	if got := read(t, snap); !bytes.Equal(want, got) {
		t.Error("a snapshot lost a day that was dropped after it")
	}
}

// fillAll puts something of every kind into a store, each with a marker of its own.
func fillAll(t *testing.T, s *store.Store) {
	t.Helper()
	ctx := t.Context()
	group := create(t, s, model.DefaultID(model.Site, model.DefaultSite), model.ServerGroup, "Grüße ", `{"operationMode":"active","note":"a\u0000b\ud83d\ude00"}`)
	service := create(t, s, group, model.WebService, "HTTP", ``)
	write(t, s, func(tx *store.Tx) error {
		key, err := tx.AddSSLKey(ctx, store.SSLKey{ServiceID: service, Name: "marker-ssl", Certificate: "-----BEGIN marker-ssl\n-----"}, sealer{}, []byte("marker-ssl\x00\xff"))
		if err != nil {
			return err
		}
		credential, err := tx.AddCredential(ctx, store.Credential{Kind: store.DatabaseCredential, Name: "marker-credential"}, sealer{}, []byte("marker-credential"))
		if err != nil {
			return err
		}
		if _, err := tx.AddUser(ctx, store.User{Name: "marker-user", Role: store.ReadOnlyRole}); err != nil {
			return err
		}
		if _, err := tx.Create(ctx, store.Object{ParentID: service, Kind: model.InboundRule, Name: "443", Document: []byte(`{"serverCertificate":"` + key + `"}`)}); err != nil {
			return err
		}
		_, err = tx.Create(ctx, store.Object{ParentID: group, Kind: model.Server, Name: "10.0.0.1", Document: []byte(`{"password":"` + credential + `"}`)})
		return err
	})
	for _, status := range []store.ArchiveStatus{store.ArchiveGood, store.ArchiveFailed} {
		name := "marker-" + string(status) + "-archive"
		if err := os.WriteFile(filepath.Join(s.Archives(), name), []byte(name), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := s.AddArchive(ctx, store.Archive{Name: name, Status: status, Size: int64(len(name)), Created: base}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := s.StartJob(ctx, store.Job{Name: "marker-job"}); err != nil {
		t.Fatal(err)
	}
	if err := s.AddSystemEvents(ctx, []store.SystemEvent{{ID: "1", GatewayID: "a\x00", Source: "marker-system-event", Time: 7, Severity: "low", Code: "c", Text: "ü\u2028"}}); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(s.Files(), "marker-file"), []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	fillEvents(t, s, 3, 20)
}

// markers tell the kinds of fillAll apart, in lines and names of files.
var markers = map[store.Kind]string{
	store.SSLKeys: "marker-ssl", store.Credentials: "marker-credential", store.Users: "marker-user", store.Archives: "marker-good-archive",
	store.FailedArchives: "marker-failed-archive", store.Jobs: "marker-job", store.SystemEvents: "marker-system-event", store.Alerts: `"alert-`, store.Violations: `"violation-`, store.Audit: `"id":"audit-`,
}

func leavingOut(t *testing.T, open func(*testing.T) *store.Store) {
	s := open(t)
	fillAll(t, s)
	everything := taken(t, s, store.SnapshotOptions{Unseal: unseal})
	for kind, marker := range markers {
		if !strings.Contains(everything, marker) {
			t.Errorf("a whole snapshot has no %s", kind)
		}
		// Revisions name users, as any object that an administrator made.
		without := []store.Kind{kind}
		if kind == store.Users {
			without = append(without, store.Config)
		}
		rest := taken(t, s, store.SnapshotOptions{Unseal: unseal, Without: without})
		if strings.Contains(rest, marker) {
			t.Errorf("a snapshot without %s has %q", kind, marker)
		}
		for other, marker := range markers {
			if other != kind && len(without) == 1 && !strings.Contains(rest, marker) {
				t.Errorf("a snapshot without %s has no %s either", kind, other)
			}
		}
	}
	noSecrets, err := s.Snapshot(t.Context(), store.SnapshotOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer noSecrets.Close()
	if diff := cmp.Diff([]store.Omission{{Table: "secrets", Kind: store.Config, Rows: 2}, {Table: store.OmittedVerifiers, Kind: store.Users, Rows: 1}}, noSecrets.Omitted()); diff != "" {
		t.Errorf("omitted without Unseal (-want +got):\n%s", diff)
	}
	noSSL, err := s.Snapshot(t.Context(), store.SnapshotOptions{Unseal: unseal, Without: []store.Kind{store.SSLKeys, store.Violations}})
	if err != nil {
		t.Fatal(err)
	}
	defer noSSL.Close()
	want := []store.Omission{{Table: "refs", Kind: store.Config, Rows: 1}, {Table: "ssl_keys", Kind: store.SSLKeys, Rows: 1},
		{Table: "secrets", Kind: store.Config, Rows: 1}, {Table: "violations", Kind: store.Violations, Rows: 60}}
	if diff := cmp.Diff(want, noSSL.Omitted()); diff != "" {
		t.Errorf("omitted without SSL keys and violations (-want +got):\n%s", diff)
	}
}

// taken is all that a snapshot gives out: lines and names of files.
func taken(t *testing.T, s *store.Store, options store.SnapshotOptions) string {
	t.Helper()
	snap, err := s.Snapshot(t.Context(), options)
	if err != nil {
		t.Fatal(err)
	}
	defer snap.Close()
	var all strings.Builder
	for _, file := range snap.Files() {
		fmt.Fprintf(&all, "%s %s\n", file.Kind, file.Name)
		opened, err := snap.Open(file)
		if err != nil {
			t.Error(err)
			continue
		}
		opened.Close()
	}
	all.Write(read(t, snap))
	return all.String()
}

func roundTrip(t *testing.T, open func(*testing.T) *store.Store) {
	from, to := open(t), open(t)
	home := to.Home()
	if _, err := store.Stage(t.Context(), home, schema(t), store.Options{}); !errors.Is(err, store.ErrInUse) {
		t.Errorf("staging beside a writer: %v", err)
	}
	write(t, to, func(tx *store.Tx) error { return tx.AddLicence(t.Context(), store.Licence{ID: "L1", Key: "k"}, nil) })
	// Of gateways this machine keeps the keys of those that the dump has, too.
	stays, goes := newGateway(t, to, "gw-both", "pin-1"), newGateway(t, to, "gw-here", "pin-2")
	if err := to.Close(); err != nil {
		t.Fatal(err)
	}
	fillAll(t, from)
	write(t, from, func(tx *store.Tx) error {
		_, err := tx.Create(t.Context(), store.Object{ID: stays.GatewayID, ParentID: model.DefaultID(model.GatewayGroup, model.DefaultGroupName), Kind: model.Gateway, Name: "gw-both"})
		return err
	})
	options := store.SnapshotOptions{Unseal: unseal}
	staging, err := store.Stage(t.Context(), home, schema(t), store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := store.Open(t.Context(), home, store.Options{}); !errors.Is(err, store.ErrInUse) {
		t.Errorf("writing beside a staging: %v", err)
	}
	load(t, staging, from, options)
	if err := staging.Finish(t.Context()); err != nil {
		t.Fatal(err)
	}
	base, err := staging.Base(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(staging.Store.KeepOwn(t.Context(), base), base.Close()); err != nil {
		t.Fatal(err)
	}
	check(t, staging.Store)
	if err := staging.Commit(); err != nil {
		t.Fatal(err)
	}
	to = reopen(t, home)
	want, got := dump(t, from, options), dump(t, to, options)
	if !bytes.Equal(want, got) {
		t.Errorf("rows changed on the way (-from +to):\n%s", cmp.Diff(string(want), string(got)))
	}
	check(t, to)
	if list, err := to.Licences(t.Context()); err != nil || len(list) != 1 {
		t.Errorf("the machine's licences are %v, %v", list, err)
	}
	if list, err := to.GatewayKeys(t.Context()); err != nil || len(list) != 1 || list[0].Pin != stays.Pin {
		t.Errorf("of the keys %s and %s stay %+v, %v", stays.Pin, goes.Pin, list, err)
	}
	if err := to.Close(); err != nil {
		t.Fatal(err)
	}

	if err := store.Rollback(home); err != nil {
		t.Fatal(err)
	}
	to = reopen(t, home)
	if days, err := to.EventDays(t.Context()); err != nil || len(days) != 0 {
		t.Errorf("after going back there are days %q, %v", days, err)
	}
	if err := to.Close(); err != nil {
		t.Fatal(err)
	}
	if err := store.Rollback(home); !errors.Is(err, store.ErrNoPrevious) {
		t.Errorf("going back twice: %v", err)
	}
}

func schema(t *testing.T) store.Schema {
	t.Helper()
	known, err := store.KnownSchema()
	if err != nil {
		t.Fatal(err)
	}
	return known
}

func reopen(t *testing.T, home string) *store.Store {
	t.Helper()
	s, err := store.Open(t.Context(), home, store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// load loads all rows of a store.
func load(t *testing.T, to *store.Staging, from *store.Store, options store.SnapshotOptions) {
	t.Helper()
	snap, err := from.Snapshot(t.Context(), options)
	if err != nil {
		t.Fatal(err)
	}
	defer snap.Close()
	for _, table := range snap.Tables() {
		var lines [][]byte
		if err := snap.Rows(t.Context(), table, func(line []byte) error { lines = append(lines, bytes.Clone(line)); return nil }); err != nil {
			t.Fatal(err)
		}
		next := func() (line []byte, err error) {
			if len(lines) > 0 {
				line, lines = lines[0], lines[1:]
			}
			return line, nil
		}
		want := int64(len(lines))
		if n, err := to.Load(t.Context(), table, sealer{}.Seal, next); err != nil || n != want {
			t.Fatalf("%d rows of %d, %v", n, want, err)
		}
	}
}

// twoOpeners is a role that writes while a job reads.
func twoOpeners(t *testing.T, open func(*testing.T) *store.Store) {
	role := open(t)
	fillEvents(t, role, 1, 10)
	job, err := store.Open(t.Context(), role.Home(), store.Options{ReadOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	defer job.Close()
	if _, err := job.Write(t.Context(), change, func(*store.Tx) error { return nil }); err == nil {
		t.Error("a read-only store took a write")
	}
	if err := job.Append(t.Context(), store.Batch{}); err == nil {
		t.Error("a read-only store took events")
	}
	ctx, cancel := context.WithCancel(t.Context())
	var writing sync.WaitGroup
	writing.Go(func() {
		for i := 0; ctx.Err() == nil; i++ {
			create(t, role, model.RootID, model.Site, fmt.Sprintf("site %d", i), ``)
			if err := role.Append(t.Context(), store.Batch{Violations: []store.Violation{violation(0, 100+i)}}); err != nil {
				t.Error(err)
				return
			}
		}
	})
	last := 0
	for range 20 {
		size := len(dump(t, job, store.SnapshotOptions{}))
		if size < last {
			t.Errorf("a later snapshot is smaller: %d, then %d bytes", last, size)
		}
		last = size
	}
	cancel()
	writing.Wait()
	second, err := store.Open(t.Context(), role.Home(), store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer second.Close()
	create(t, second, model.RootID, model.Site, "from the second writer", ``)
	create(t, role, model.RootID, model.Site, "from the first writer", ``)
}
