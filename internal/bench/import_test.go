package bench

import (
	"context"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"sealgate/control"
	"sealgate/internal/trial"
)

// BenchmarkImport compares import-local with the export of the same data, and with
// `sqlite3 .dump | sqlite3` of the same rows, which neither decrypts, hashes,
// checks, nor waits for the disk.
func BenchmarkImport(b *testing.B) {
	app := start(b)
	export := "export-local --includefailedarc --pwd " + trial.System + " --encryptpwd " + passphrase
	run(b, app.Command(export)) // warms caches
	dump := filepath.Base(glob(b, app.Home, "exports/*.tgz")[0])
	if out, err := app.Run("impctl server stop"); err != nil {
		b.Fatal(out)
	}
	load := "import-local --pwd " + trial.System + " --securepwd " + trial.Secure + " --encryptpwd " + passphrase + " --dmpfile " + dump
	peak := peakMemory(b, app, load)

	work := b.TempDir()
	var mine, exports, theirs []time.Duration
	var toExport, toPeer, cpu []float64
	for range pairs() {
		e := timed(b, app.Command(export))
		before := processorTime(b, app.PID())
		m := timed(b, app.Command(load))
		cpu = append(cpu, (processorTime(b, app.PID()) - before).Seconds())
		p := timed(b, shell(copyDatabases(b, app.Home, work)))
		mine, exports, theirs = append(mine, m), append(exports, e), append(theirs, p)
		toExport, toPeer = append(toExport, m.Seconds()/e.Seconds()), append(toPeer, m.Seconds()/p.Seconds())
		b.Logf("import %.1f s, export %.1f s, sqlite3 .dump | sqlite3 %.1f s", m.Seconds(), e.Seconds(), p.Seconds())
		for _, left := range glob(b, app.Home, "exports/*.tgz") {
			if filepath.Base(left) != dump {
				os.Remove(left)
			}
		}
	}
	slices.Sort(toExport)
	slices.Sort(toPeer)
	slices.Sort(cpu)
	b.ReportMetric(median(mine).Seconds(), "s/import")
	b.ReportMetric(median(exports).Seconds(), "s/export")
	b.ReportMetric(median(theirs).Seconds(), "s/sqlite3")
	b.ReportMetric(toExport[len(toExport)/2], "to-the-export")
	b.ReportMetric(toPeer[len(toPeer)/2], "to-sqlite3")
	b.ReportMetric(cpu[len(cpu)/2], "s-cpu/import")
	b.ReportMetric(float64(peak)/(1<<20), "MiB-peak")
	b.ReportMetric(estimate(b, app, load), "estimate-off-at-half")
	b.ReportMetric(0, "ns/op")
}

// copyDatabases is a script that copies every database of a home by way of SQL.
func copyDatabases(b *testing.B, home, to string) string {
	script := []string{"set -e -o pipefail"}
	for _, from := range slices.Concat(glob(b, home, "data/current/config.db"), glob(b, home, "data/current/events/*.db")) {
		copied := filepath.Join(to, filepath.Base(from))
		script = append(script, "rm -f "+copied, "sqlite3 "+from+" .dump | sqlite3 "+copied)
	}
	return strings.Join(script, "\n")
}

// estimate imports once more, and says by how much the time that the progress
// promised at half was wrong.
func estimate(b *testing.B, app *trial.Appliance, line string) float64 {
	b.Helper()
	conn, err := net.Dial("unix", filepath.Join(app.Home, "run/control.sock"))
	if err != nil {
		b.Fatal(err)
	}
	defer conn.Close()
	w := &watcher{begin: time.Now()}
	res, err := control.Do(b.Context(), conn.(*net.UnixConn), control.Request{Op: control.OpRun, Words: strings.Fields(line)}, w)
	if err != nil || res.Exit != 0 {
		b.Fatal(err, res)
	}
	took := time.Since(w.begin)
	return w.promised.Seconds()/took.Seconds() - 1
}

// watcher notes how long the whole would take, at half of it.
type watcher struct {
	begin    time.Time
	promised time.Duration
}

func (*watcher) Text(control.Stream, string)                           {}
func (*watcher) Ask(context.Context, control.Question) (string, error) { return "", io.EOF }
func (w *watcher) Progress(p control.Progress) {
	if w.promised == 0 && p.Total > 0 && p.Done*2 >= p.Total {
		w.promised = time.Duration(float64(time.Since(w.begin)) * float64(p.Total) / float64(p.Done))
	}
}
