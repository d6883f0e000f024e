package bench

import (
	"crypto/rand"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"sealgate/appliance"
	"sealgate/appliance/patch"
	"sealgate/internal/trial"
)

// patchSize is the size of the patch, in bytes.
const patchSize = 200 << 20

// BenchmarkPatch verifies a patch of 200 MiB, half of it real programs that
// compress and half what does not, and makes its release; its peer is sha256sum of
// the file, and then age and tar of its payload, in turns. Ours is on the disk at
// its end; with sync, so is the peer's.
func BenchmarkPatch(b *testing.B) {
	home := appliance.Home(b.TempDir())
	path, payload := bigPatch(b, home)
	identity := filepath.Join(home.PatchAnchors(), "vendor.identity")
	var ours, peers, synced []time.Duration
	for b.Loop() {
		for n := range pairs() {
			releases := patch.Releases{Home: home, Base: "1.0"}
			unix.Sync()
			begin := time.Now()
			if err := place(b, releases, path); err != nil {
				b.Fatal(err)
			}
			ours = append(ours, time.Since(begin))
			out := filepath.Join(b.TempDir(), fmt.Sprint(n))
			if err := os.Mkdir(out, 0o700); err != nil {
				b.Fatal(err)
			}
			const script = `set -eo pipefail; sha256sum %[1]s >/dev/null; age -d -i %[2]s %[3]s | tar x --zstd -C %[4]s`
			peer := fmt.Sprintf(script, path, identity, payload, out)
			peers = append(peers, timed(b, shell(peer)))
			if err := os.RemoveAll(out); err != nil {
				b.Fatal(err)
			}
			if err := os.Mkdir(out, 0o700); err != nil {
				b.Fatal(err)
			}
			synced = append(synced, timed(b, shell(peer+"; sync -f "+out)))
			if err := os.RemoveAll(out); err != nil {
				b.Fatal(err)
			}
		}
	}
	b.ReportMetric(milliseconds(median(ours)), "ours-ms")
	b.ReportMetric(milliseconds(median(peers)), "sha256sum+age+tar-ms")
	b.ReportMetric(milliseconds(median(synced)), "sha256sum+age+tar+sync-ms")
	b.ReportMetric(float64(median(ours))/float64(median(peers)), "times")
}

// place is what the appliance does with a patch that was downloaded.
func place(b *testing.B, r patch.Releases, path string) error {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	p, err := patch.Open(patch.TrustOf(r.Home), file)
	if err != nil {
		return err
	}
	silent := func(int64, int64) {}
	if err := p.Check(b.Context(), silent); err != nil {
		return err
	}
	return p.Place(b.Context(), r, silent)
}

// bigPatch also gives the payload as a file of its own, for tools that know no
// patches.
func bigPatch(b *testing.B, home appliance.Home) (path, payload string) {
	b.Helper()
	dir := b.TempDir()
	release := filepath.Join(dir, "release")
	gather(b, release, patchSize/2*3) // programs compress to about a third
	keep(b, filepath.Join(release, patch.Program), []byte("#!/bin/sh\n"))
	rest := make([]byte, patchSize/2)
	if _, err := rand.Read(rest); err != nil {
		b.Fatal(err)
	}
	keep(b, filepath.Join(release, "rest"), rest)
	path, payload = filepath.Join(dir, "patch"), filepath.Join(dir, "payload")
	if err := trial.SignedPatch(home, release, path, patch.Manifest{From: []string{"1.0"}, To: "1.1", Sequence: 1}); err != nil {
		b.Fatal(err)
	}
	b.Logf("a patch of %d MiB", size(b, path)>>20)
	run(b, shell(fmt.Sprintf("tail -c +$((97 + $(od -An -j12 -N4 -tu4 --endian=big %s))) %[1]s >%s", path, payload)))
	if err := os.RemoveAll(release); err != nil {
		b.Fatal(err)
	}
	return path, payload
}

func keep(b *testing.B, path string, data []byte) {
	b.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		b.Fatal(err)
	}
	if err := os.WriteFile(path, data, 0o755); err != nil {
		b.Fatal(err)
	}
}

// gather copies programs and libraries of this machine.
func gather(b *testing.B, into string, size int64) {
	b.Helper()
	var have int64
	err := filepath.WalkDir("/usr", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.Type().IsRegular() {
			return nil
		}
		name := fmt.Sprintf("lib/%d", have)
		info, err := entry.Info()
		if err != nil || info.Mode()&0o111 == 0 && !strings.Contains(path, ".so") || info.Size() < 64<<10 || have+info.Size() > size {
			return nil
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return nil
		}
		have += int64(len(data))
		keep(b, filepath.Join(into, name), data)
		return nil
	})
	if err != nil {
		b.Fatal(err)
	}
}
