package dump

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
	"time"

	"sealgate/appliance/model"
	"sealgate/appliance/secret"
	"sealgate/appliance/store"
)

// noon is when everything in tiny stores happens.
var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// fillTiny puts one of every kind of row and file into a store, with the bytes
// that are hard to keep: blanks at the ends of names, several scripts, NUL.
func fillTiny(t *testing.T, s *store.Store, keys *secret.Keys) {
	t.Helper()
	ctx := t.Context()
	_, err := s.Write(ctx, store.Change{Author: "anna", Summary: "Grüße ", At: noon}, func(tx *store.Tx) error {
		create := func(parent, kind, name string, document any) (string, error) {
			data, err := json.Marshal(document)
			if err != nil {
				return "", err
			}
			return tx.Create(ctx, store.Object{ParentID: parent, Kind: kind, Name: name, Document: data})
		}
		type doc = map[string]any
		addresses, err := create(model.RootID, model.IPGroup, " Büro\t日本 ", doc{"entries": []doc{{"type": "single", "ipAddressFrom": "192.0.2.1"}}})
		if err != nil {
			return err
		}
		group, err := create(model.DefaultID(model.Site, model.DefaultSite), model.ServerGroup, "Web ", doc{"operationMode": "active", "ignoreIpGroup": addresses, "note": "a\x00b😀\u2028"})
		if err != nil {
			return err
		}
		service, err := create(group, model.WebService, "HTTP", doc{"ports": []int{80}})
		if err != nil {
			return err
		}
		key, err := tx.AddSSLKey(ctx, store.SSLKey{ServiceID: service, Name: "www ", Certificate: "-----BEGIN CERTIFICATE-----\n", ValidFrom: noon, ValidTo: noon}, keys, []byte("private\x00\xff"))
		if err != nil {
			return err
		}
		credential, err := tx.AddCredential(ctx, store.Credential{Kind: store.ServerCredential, Name: "files", UserName: "svc", Document: []byte(`{"host":"10.0.0.1"}`)}, keys, []byte("hunter2"))
		if err != nil {
			return err
		}
		if _, err := create(service, model.InboundRule, "443", doc{"serverCertificate": key, "gatewayGroupName": model.DefaultID(model.GatewayGroup, model.DefaultGroupName)}); err != nil {
			return err
		}
		if _, err := create(group, model.Server, "10.0.0.1", doc{}); err != nil {
			return err
		}
		if _, err := create(model.RootID, model.HTTPProxy, "proxy", doc{"useProxy": true, "host": "192.0.2.9", "port": 3128, "user": "svc", "password": credential}); err != nil {
			return err
		}
		_, err = tx.AddUser(ctx, store.User{Name: "Zoë ", Role: store.ReadOnlyRole, Verifier: secret.FormatVerifier(make([]byte, 16), make([]byte, 32)), Document: []byte(`{"email":"zoe@example.com"}`)})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	addArchive(t, s, "good.gz", store.ArchiveGood, []byte("an archive\x00\xff"))
	addArchive(t, s, "failed.gz", store.ArchiveFailed, nil)
	job, err := s.StartJob(ctx, store.Job{Name: "export", Author: "anna", Started: noon})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.FinishJob(ctx, job.ID, store.JobDone, "2 files", noon); err != nil {
		t.Fatal(err)
	}
	if err := s.AddSystemEvents(ctx, []store.SystemEvent{{ID: "event-1", Source: "gw1", Time: noon.UnixMilli(), Severity: "high", Code: "server-down", Text: "ü\u2028"}}); err != nil {
		t.Fatal(err)
	}
	writeFile(t, filepath.Join(s.Files(), "proxy.conf"), []byte("a configuration file\x00"))
	writeFile(t, filepath.Join(s.Files(), "pages", "error ü.html"), nil)
	var batch store.Batch
	for n, day := range []time.Time{noon, noon.AddDate(0, 0, 1)} {
		at := day.UnixMilli()
		batch.Alerts = append(batch.Alerts, store.Alert{ID: "alert-" + day.Format("2"), Number: int64(n), Time: at, LastTime: at, Severity: "high", Type: "SQL Injection", Count: 1})
		batch.Violations = append(batch.Violations, store.Violation{ID: "violation-" + day.Format("2"), EventNumber: int64(n), Time: at, Severity: "high", SourceIP: "192.0.2.1", Path: "/<search>&", Query: "q=' or 1=1 --\n\x00\u2028"})
		batch.Audit = append(batch.Audit, store.AuditRecord{ID: "audit-" + day.Format("2"), Time: at, Method: "GET", Path: "/ü", Status: 200, Headers: [][2]string{{"Host", "example.com"}}, ResponseHeaders: [][2]string{}})
	}
	if err := s.Append(ctx, batch); err != nil {
		t.Fatal(err)
	}
}

func addArchive(t testing.TB, s *store.Store, name string, status store.ArchiveStatus, data []byte) {
	t.Helper()
	writeFile(t, filepath.Join(s.Archives(), name), data)
	sum := sha256.Sum256(data)
	a := store.Archive{Name: name, Status: status, Size: int64(len(data)), SHA256: hex.EncodeToString(sum[:]), Created: noon}
	if _, err := s.AddArchive(t.Context(), a); err != nil {
		t.Fatal(err)
	}
}

func writeFile(t testing.TB, path string, data []byte) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
}
