package bench

import (
	"bufio"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"sealgate/internal/trial"
)

// fillLogs puts aside files of the server log, scale GiB of them in all.
func fillLogs(b *testing.B, dir string) (size int64) {
	b.Helper()
	gib := 1.0
	if _, err := fmt.Sscan(scale(), &gib); err != nil {
		b.Fatal(err)
	}
	r := rand.New(rand.NewPCG(1, 2))
	begin := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	messages := []string{"a request was refused", "the configuration is in use", "a job ended", "a session began", "events were delivered"}
	for line := 0; size < int64(gib*(1<<30)); {
		name := "server-" + begin.Add(time.Duration(line)*time.Second).Format("20060102T150405.000000") + ".log"
		file, err := os.Create(filepath.Join(dir, name))
		if err != nil {
			b.Fatal(err)
		}
		out := bufio.NewWriter(file)
		for left := 8 << 20; left > 0; line++ {
			text, err := json.Marshal(map[string]any{"time": begin.Add(time.Duration(line) * time.Second), "level": "INFO", "msg": messages[r.IntN(len(messages))],
				"client": fmt.Sprintf("192.0.2.%d:%d", r.IntN(256), 1024+r.IntN(60000)), "id": fmt.Sprintf("%016x", r.Uint64()), "took": fmt.Sprintf("%dµs", r.IntN(100000))})
			if err != nil {
				b.Fatal(err)
			}
			n, _ := out.Write(append(text, '\n'))
			left -= n
			size += int64(n)
		}
		if err := out.Flush(); err != nil {
			b.Fatal(err)
		}
		if err := file.Close(); err != nil {
			b.Fatal(err)
		}
	}
	return size
}

// BenchmarkTechInfo compares a bundle of a large log folder with `tar | pigz` of the
// same folder.
func BenchmarkTechInfo(b *testing.B) {
	app, err := trial.New(programs(b), filepath.Join(b.TempDir(), "home"), "mx", "bench")
	if err != nil {
		b.Fatal(err)
	}
	if err := app.Start(); err != nil {
		b.Fatal(err)
	}
	defer app.Stop()
	logs := filepath.Join(app.Home, "log")
	size := fillLogs(b, logs)
	const line = "impctl support get-tech-info"
	peak := peakMemory(b, app, line) // and warms caches, for both
	theirs := filepath.Join(b.TempDir(), "pigz.tgz")
	var mine, peers []time.Duration
	var ours string
	for range pairs() {
		for _, left := range glob(b, app.Home, "techinfo/*.tgz") {
			os.Remove(left)
		}
		mine = append(mine, timed(b, app.Command(line)))
		ours = glob(b, app.Home, "techinfo/*.tgz")[0]
		peers = append(peers, timed(b, exec.Command("sh", "-c", `tar cf - -C "$0" . | pigz >"$1"`, logs, theirs)))
	}
	m, p := median(mine), median(peers)
	b.ReportMetric(float64(size)/1e6/m.Seconds(), "MB/s")
	b.ReportMetric(float64(size)/1e6/p.Seconds(), "MB/s-tar-pigz")
	b.ReportMetric(m.Seconds()/p.Seconds(), "of-tar-pigz")
	b.ReportMetric(float64(sizeOf(b, ours))/float64(sizeOf(b, theirs)), "of-its-size")
	b.ReportMetric(float64(peak)/(1<<20), "MiB")
	b.ReportMetric(0, "ns/op")
}

func sizeOf(b *testing.B, path string) int64 {
	b.Helper()
	info, err := os.Stat(path)
	if err != nil {
		b.Fatal(err)
	}
	return info.Size()
}
