package dump

import (
	"bytes"
	"database/sql"
	"io"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

// The hole: the job that exports may read keys/ and the audit log, and follows
// folders and rows that the role's account can write. The attack: links, names
// and pipes in their place. What must hold: the export fails or leaves them out,
// at once, and no byte from elsewhere is in it.
func TestRoleCannotAimTheExport(t *testing.T) {
	t.Parallel()
	key := func(src Source) []byte {
		data, err := os.ReadFile(filepath.Join(string(src.Home), "keys", "master.key"))
		if err != nil {
			t.Fatal(err)
		}
		return data
	}
	row := func(t *testing.T, src Source, name string) {
		db, err := sql.Open("sqlite", filepath.Join(string(src.Home), "data", "current", "config.db"))
		if err != nil {
			t.Fatal(err)
		}
		defer db.Close()
		if _, err := db.Exec(`INSERT INTO archives (id, name, status, size, sha256, error, created) VALUES ('x', $1, 'good', 32, '', '', 0)`, name); err != nil {
			t.Fatal(err)
		}
	}
	link := func(t *testing.T, target, path string) {
		os.RemoveAll(path)
		if err := os.Symlink(target, path); err != nil {
			t.Fatal(err)
		}
	}
	for name, attack := range map[string]func(*testing.T, Source){
		"files is a link to keys": func(t *testing.T, src Source) {
			link(t, "../../keys", src.Store.Files())
		},
		"files is an absolute link": func(t *testing.T, src Source) {
			link(t, filepath.Join(string(src.Home), "keys"), src.Store.Files())
		},
		"current leaves the data folder": func(t *testing.T, src Source) {
			if err := os.Mkdir(filepath.Join(string(src.Home), "keys", "files"), 0o700); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(string(src.Home), "keys", "files", "k"), key(src), 0o600); err != nil {
				t.Fatal(err)
			}
			link(t, "../keys", filepath.Join(string(src.Home), "data", "current"))
		},
		"a file is a link to a key": func(t *testing.T, src Source) {
			link(t, "../../../keys/master.key", filepath.Join(src.Store.Files(), "proxy.conf"))
		},
		"an archive is named a key": func(t *testing.T, src Source) { row(t, src, "../keys/master.key") },
		"an archive is a link": func(t *testing.T, src Source) {
			row(t, src, "a1")
			link(t, "../keys/master.key", filepath.Join(src.Store.Archives(), "a1"))
		},
		"an archive is a pipe": func(t *testing.T, src Source) {
			row(t, src, "a1")
			if err := unix.Mkfifo(filepath.Join(src.Store.Archives(), "a1"), 0o600); err != nil {
				t.Fatal(err)
			}
		},
		"an archive is a folder": func(t *testing.T, src Source) {
			row(t, src, "a1")
			if err := os.Mkdir(filepath.Join(src.Store.Archives(), "a1"), 0o700); err != nil {
				t.Fatal(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			src := tiny(t)
			secret := key(src)
			attack(t, src)
			var out bytes.Buffer
			_, err := Export(t.Context(), src, Options{}, &out, func(int64, int64) {})
			if err != nil {
				t.Logf("refused: %v", err)
				return
			}
			_, content := entries(t, io.Reader(&out))
			for part, data := range content {
				if bytes.Contains(data, secret) {
					t.Errorf("%s holds the key", part)
				}
			}
		})
	}
}
