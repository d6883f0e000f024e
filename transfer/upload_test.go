package transfer_test

import (
	"context"
	"crypto/sha256"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"sealgate/internal/peers"
	"sealgate/transfer"
)

func TestUploadArrives(t *testing.T) {
	for _, test := range []struct {
		name string
		size int64
	}{
		{"empty", 0},
		{"one byte", 1},
		{"64 MiB", 64 << 20},
	} {
		t.Run(test.name, func(t *testing.T) {
			noGoroutineLeft(t)
			path := filepath.Join(t.TempDir(), "dump.tgz")
			random := &random{size: test.size}
			content, _ := random.Open(t.Context())
			file, err := os.Create(path)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := io.Copy(file, content); err != nil {
				t.Fatal(err)
			}
			file.Close()
			sum := random.sum()
			eachPlace(t, func(t *testing.T, p *place) {
				var reports []int64
				p.options.Progress = func(sent int64) { reports = append(reports, sent) }
				started := time.Now()
				result, err := p.upload(t, t.Context(), "dump.tgz", transfer.File(path))
				if err != nil {
					t.Fatal(err)
				}
				took := time.Since(started)
				p.mustHold(t, "dump.tgz", sum)
				if names := p.names(t); len(names) != 1 {
					t.Errorf("the folder holds %q", names)
				}
				if result.Bytes != test.size {
					t.Errorf("the result says %d bytes", result.Bytes)
				}
				if len(reports) == 0 || reports[len(reports)-1] != test.size {
					t.Errorf("the last report is not the size: %v", reports)
				}
				if most := int(took/(100*time.Millisecond)) + 2; len(reports) > most {
					t.Errorf("%d reports in %v, want at most %d", len(reports), took, most)
				}
				var want []string
				switch p.name {
				case "ftp":
					want = []string{"the ftp server offers no TLS: the password and the file travel in the clear"}
				case "http":
					want = []string{"http has no TLS: the password and the file travel in the clear"}
				}
				if diff := cmp.Diff(want, result.Notices); diff != "" {
					t.Error(diff)
				}
			})
		})
	}
}

// A file that is still being written has no size, and waiting for it is not waiting for the network.
func TestUploadOfGrowingSource(t *testing.T) {
	eachPlace(t, func(t *testing.T, p *place) {
		t.Parallel()
		p.options.IdleTimeout = 5 * time.Second
		source := &random{size: 3 << 20, hidden: true, at: func(ctx context.Context, offset int64) error {
			if offset == 1<<20 {
				select {
				case <-time.After(11 * time.Second):
				case <-ctx.Done():
					return ctx.Err()
				}
			}
			return nil
		}}
		result, err := p.upload(t, t.Context(), "grown", source)
		if err != nil {
			t.Fatal(err)
		}
		if result.Bytes != source.size {
			t.Errorf("sent %d bytes of %d", result.Bytes, source.size)
		}
		p.mustHold(t, "grown", source.sum())
	})
}

// Memory does not grow with the file, however fast the source gives and whether or not its size is known.
func TestMemoryStaysSmall(t *testing.T) {
	eachPlace(t, func(t *testing.T, p *place) {
		runtime.GC()
		var before runtime.MemStats
		runtime.ReadMemStats(&before)
		var most uint64
		source := &random{size: 64 << 20, hidden: true, at: func(_ context.Context, offset int64) error {
			if offset%(4<<20) == 0 {
				var now runtime.MemStats
				runtime.ReadMemStats(&now)
				most = max(most, now.HeapInuse+now.StackInuse)
			}
			return nil
		}}
		if _, err := p.upload(t, t.Context(), "file", source); err != nil {
			t.Fatal(err)
		}
		if limit := before.HeapInuse + before.StackInuse + 16<<20; most > limit {
			t.Errorf("%d MiB in use, want at most %d", most>>20, limit>>20)
		}
	})
}

func TestUploadNames(t *testing.T) {
	for _, test := range []struct{ url, stored string }{
		{"", "own.name"},
		{"two%20words", "two words"},
		{"ü–名.tgz", "ü–名.tgz"},
		{"-rf", "-rf"},
		{"100%25", "100%"},
		{strings.Repeat("n", 250), strings.Repeat("n", 250)},
	} {
		eachPlace(t, func(t *testing.T, p *place) {
			if _, err := p.upload(t, t.Context(), test.url, text("content")); err != nil {
				t.Fatal(err)
			}
			p.mustHold(t, test.stored, sha256.Sum256([]byte("content")))
		})
	}
}

func TestUploadReplaces(t *testing.T) {
	eachPlace(t, func(t *testing.T, p *place) {
		for _, content := range []text{"the first, longer one", "the second"} {
			if _, err := p.upload(t, t.Context(), "same", content); err != nil {
				t.Fatal(err)
			}
			p.mustHold(t, "same", sha256.Sum256([]byte(content)))
		}
	})
}

func TestFTPAbsolutePath(t *testing.T) {
	p := at(t, endpoints()[0])
	target, err := transfer.ParseTarget("ftp", p.addr+"/"+p.folder+"/absolute", "")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := transfer.Upload(t.Context(), target, text("x"), p.options); err != nil {
		t.Fatal(err)
	}
	p.mustHold(t, "absolute", sha256.Sum256([]byte("x")))
}

// Servers differ in what a client must do to get a data connection.
func TestFTPServers(t *testing.T) {
	source := &random{size: 2 << 20}
	for _, test := range []struct {
		name   string
		config peers.VSFTPDConfig
	}{
		{"TLS session reuse demanded", peers.VSFTPDConfig{TLS: true, RequireReuse: true}},
		{"TLS session reuse not demanded", peers.VSFTPDConfig{TLS: true}},
		{"TLS 1.2 at most", peers.VSFTPDConfig{TLS: true, RequireReuse: true, TLS12: true}},
		{"EPSV refused", peers.VSFTPDConfig{Extra: []string{"cmds_denied=EPSV"}}},
		{"PASV tells a foreign address", peers.VSFTPDConfig{Extra: []string{"cmds_denied=EPSV", "pasv_address=192.0.2.1"}}},
		{"SIZE refused", peers.VSFTPDConfig{Extra: []string{"cmds_denied=SIZE"}}},
		{"IPv6", peers.VSFTPDConfig{IPv6: true}},
		{"IPv6 with TLS", peers.VSFTPDConfig{IPv6: true, TLS: true, RequireReuse: true}},
	} {
		t.Run(test.name, func(t *testing.T) {
			test.config.Account = account
			e := endpoint{test.name, "ftp", func() (*peers.Server, error) { return peers.StartVSFTPD(test.config) }, true}
			p := alone(t, e)
			for _, source := range []*random{{size: 0}, source} {
				if _, err := p.upload(t, t.Context(), "file", source); err != nil {
					t.Fatal(err)
				}
				p.mustHold(t, "file", source.sum())
			}
		})
	}
}

// The data connection must not be closed with the server's session tickets unread: that would cut the file at random.
func TestFTPSIsNotCut(t *testing.T) {
	p := at(t, endpoints()[1])
	for i := range 25 {
		source := &random{size: int64(1+i) * 50_000}
		if _, err := p.upload(t, t.Context(), "file", source); err != nil {
			t.Fatal(err)
		}
		p.mustHold(t, "file", source.sum())
	}
}

func TestKeyboardInteractive(t *testing.T) {
	p := alone(t, endpoint{"scp", "scp", func() (*peers.Server, error) {
		return peers.StartSSHD(peers.SSHDConfig{Account: account, KeyboardInteractive: true})
	}, true})
	if _, err := p.upload(t, t.Context(), "file", text("x")); err != nil {
		t.Fatal(err)
	}
	p.mustHold(t, "file", sha256.Sum256([]byte("x")))
}

func TestHTTPRedirects(t *testing.T) {
	p := alone(t, endpoint{"http", "http", func() (*peers.Server, error) {
		return peers.StartNginx(peers.NginxConfig{Account: account, Server: []string{
			`location ~ ^/r307/(.*)$ { return 307 /$1; }`,
			`location ~ ^/r308/(.*)$ { return 308 /$1; }`,
			`location ~ ^/r302/(.*)$ { return 302 /$1; }`,
			`location ~ ^/r303/(.*)$ { return 303 /$1; }`,
			`location /loop/ { return 307 $uri; }`,
			`location /away/ { return 307 http://localhost:1/x; }`,
			`location /file/ { return 307 file:///etc/passwd; }`,
			`location /port/ { return 308 http://127.0.0.1:1/x; }`,
		}})
	}, false})
	folder := filepath.Base(p.folder)
	source := &random{size: 2 << 20}
	for _, test := range []struct {
		path string
		fail string // "": it arrives
	}{
		{"/r307/" + folder + "/a307", ""},
		{"/r308/" + folder + "/a308", ""},
		{"/r302/" + folder + "/a302", "only 307 and 308"},
		{"/r303/" + folder + "/a303", "only 307 and 308"},
		{"/loop/x", "redirected more than 5 times"},
		{"/away/x", "not sent to another host"},
		{"/file/x", "that is not http"},
		{"/port/x", "not sent to another port"},
	} {
		t.Run(test.path, func(t *testing.T) {
			target, err := transfer.ParseTarget("http", p.addr+test.path, "")
			if err != nil {
				t.Fatal(err)
			}
			result, err := transfer.Upload(t.Context(), target, source, p.options)
			if test.fail == "" {
				if err != nil {
					t.Fatal(err)
				}
				p.mustHold(t, filepath.Base(test.path), source.sum())
				if result.Bytes != source.size {
					t.Errorf("the result says %d bytes", result.Bytes)
				}
				return
			}
			fault := mustFail(t, err, transfer.OpWrite, transfer.Refused, p.options.Password)
			if !strings.Contains(fault.Error()+fault.Hint, test.fail) {
				t.Errorf("%v (%s) does not say %q", fault, fault.Hint, test.fail)
			}
		})
	}
	if len(p.names(t)) != 2 {
		t.Errorf("the folder holds %q", p.names(t))
	}
}

func TestFileRefusesWhatIsNoFile(t *testing.T) {
	p := at(t, endpoints()[0])
	for _, path := range []string{"/dev/zero", t.TempDir(), "/nonexistent"} {
		_, err := p.upload(t, t.Context(), "x", transfer.File(path))
		mustFail(t, err, transfer.OpSource, transfer.SourceFailed)
	}
	p.mustBeEmpty(t)
}
