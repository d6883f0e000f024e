// Package bench measures what docs/BENCHMARKS.md shows, each figure in one run
// with the peer that a user would pick instead. Nothing here fails for being
// slow.
//
// SEALGATE_BENCH_SCALE is the size of the store in GiB (1); a store that was
// filled once is kept under SEALGATE_BENCH_DIR (a folder in the system's
// temporary folder). SEALGATE_BENCH_PAIRS is how often each pair is measured (5).
package bench

import (
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/creack/pty"
	"golang.org/x/crypto/ssh"
	"golang.org/x/sys/unix"

	"sealgate/control"
	"sealgate/internal/peers"
	"sealgate/internal/trial"
)

const passphrase = "Dump-pw-17"

func scale() string {
	if s := os.Getenv("SEALGATE_BENCH_SCALE"); s != "" {
		return s
	}
	return "1"
}

// pairs is how often an export is measured beside its peer: the median counts.
func pairs() int {
	if n, err := strconv.Atoi(os.Getenv("SEALGATE_BENCH_PAIRS")); err == nil {
		return n
	}
	return 5
}

// folder outlives a run: filling the store takes longer than measuring it.
func folder(b *testing.B) string {
	dir := os.Getenv("SEALGATE_BENCH_DIR")
	if dir == "" {
		dir = filepath.Join(os.TempDir(), "sealgate-bench")
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		b.Fatal(err)
	}
	return dir
}

func programs(b *testing.B) string {
	bin := filepath.Join(folder(b), "bin")
	if err := trial.Build(bin); err != nil {
		b.Fatal(err)
	}
	return bin
}

// start starts an appliance with a filled store.
func start(b *testing.B) *trial.Appliance {
	b.Helper()
	bin := programs(b)
	home := filepath.Join(folder(b), "scale-"+scale())
	app := &trial.Appliance{Bin: bin, Home: home}
	if _, err := os.Stat(filepath.Join(home, "filled")); err != nil {
		os.RemoveAll(home)
		if app, err = trial.New(bin, home, "mx", "bench"); err != nil {
			b.Fatal(err)
		}
		run(b, exec.Command(filepath.Join(bin, "sealmint"), "seed", "--home", home, "--scale", scale()))
		if err := os.WriteFile(filepath.Join(home, "filled"), nil, 0o600); err != nil {
			b.Fatal(err)
		}
	}
	for _, left := range glob(b, app.Home, "exports/*") {
		os.Remove(left)
	}
	if err := app.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { app.Stop() })
	// A store that was filled by an older release has no such rule.
	if out, err := app.Run("impctl transfer-policy allow 127.0.0.0/8"); err != nil {
		b.Fatal(out)
	}
	return app
}

func run(b *testing.B, cmd *exec.Cmd) {
	b.Helper()
	if out, err := cmd.CombinedOutput(); err != nil {
		b.Fatalf("%s: %v\n%s", cmd.Path, err, out)
	}
}

func glob(b *testing.B, dir, pattern string) []string {
	b.Helper()
	found, err := filepath.Glob(filepath.Join(dir, pattern))
	if err != nil {
		b.Fatal(err)
	}
	return found
}

// timed runs a command. What was written before is on the disk when it begins:
// nobody pays for another's pages.
func timed(b *testing.B, cmd *exec.Cmd) time.Duration {
	b.Helper()
	unix.Sync()
	begin := time.Now()
	run(b, cmd)
	return time.Since(begin)
}

func median(d []time.Duration) time.Duration {
	slices.Sort(d)
	return d[len(d)/2]
}

func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

type discard struct{}

func (discard) Text(control.Stream, string)                           {}
func (discard) Progress(control.Progress)                             {}
func (discard) Ask(context.Context, control.Question) (string, error) { return "", io.EOF }

// BenchmarkVersion compares `sealsh -c version`, as a whole process, with
// `bash -c true` plus the round trip to the daemon.
func BenchmarkVersion(b *testing.B) {
	bin := programs(b)
	app, err := trial.New(bin, filepath.Join(b.TempDir(), "home"), "mx", "bench")
	if err != nil {
		b.Fatal(err)
	}
	if err := app.Start(); err != nil {
		b.Fatal(err)
	}
	defer app.Stop()
	var shell, bash, trip []time.Duration
	for range 200 {
		shell = append(shell, timed(b, app.Command("version")))
		bash = append(bash, timed(b, exec.Command("bash", "-c", "true")))
		begin := time.Now()
		conn, err := net.Dial("unix", filepath.Join(app.Home, "run/control.sock"))
		if err != nil {
			b.Fatal(err)
		}
		if _, err := control.Do(b.Context(), conn.(*net.UnixConn), control.Request{Op: control.OpRun, Words: []string{"version"}}, discard{}); err != nil {
			b.Fatal(err)
		}
		conn.Close()
		trip = append(trip, time.Since(begin))
	}
	s, t, r := median(shell), median(bash), median(trip)
	b.ReportMetric(milliseconds(s), "ms/sealsh")
	b.ReportMetric(milliseconds(t), "ms/bash")
	b.ReportMetric(milliseconds(r), "ms/round-trip")
	b.ReportMetric(float64(s)/float64(3*t+r), "of-limit")
	b.ReportMetric(0, "ns/op")
}

// BenchmarkPrompt is the time from exec to the prompt at a terminal, and the
// memory of a shell that waits there.
func BenchmarkPrompt(b *testing.B) {
	bin := programs(b)
	app, err := trial.New(bin, filepath.Join(b.TempDir(), "home"), "mx", "bench")
	if err != nil {
		b.Fatal(err)
	}
	if err := app.Start(); err != nil {
		b.Fatal(err)
	}
	defer app.Stop()
	var prompts []time.Duration
	var memory int64
	for range 50 {
		cmd := exec.Command(filepath.Join(bin, "sealsh"), "--home", app.Home)
		begin := time.Now()
		tty, err := pty.StartWithSize(cmd, &pty.Winsize{Rows: 24, Cols: 80})
		if err != nil {
			b.Fatal(err)
		}
		seen, piece := "", make([]byte, 4096)
		for !strings.Contains(seen, "bench> ") {
			n, err := tty.Read(piece)
			if err != nil {
				b.Fatalf("no prompt: %v\n%s", err, seen)
			}
			seen += string(piece[:n])
		}
		prompts = append(prompts, time.Since(begin))
		memory = max(memory, statusOf(cmd.Process.Pid, "VmHWM"))
		tty.Write([]byte{4})
		cmd.Wait()
		tty.Close()
	}
	b.ReportMetric(milliseconds(median(prompts)), "ms/prompt")
	b.ReportMetric(float64(memory)/(1<<20), "MiB/shell")
	b.ReportMetric(0, "ns/op")
}

// statusOf is a value of /proc/PID/status, in bytes.
func statusOf(pid int, key string) int64 {
	data, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	for line := range strings.Lines(string(data)) {
		if fields := strings.Fields(line); len(fields) > 1 && fields[0] == key+":" {
			n, _ := strconv.ParseInt(fields[1], 10, 64)
			return n << 10
		}
	}
	return 0
}

// watch samples the resident memory of the daemon and all its children, the
// shell included, until stop is called, which gives the highest sum. Pages
// that processes share count once for each.
func watch(app *trial.Appliance, shell *atomic.Int64) (stop func() int64) {
	done, peak := make(chan struct{}), make(chan int64)
	go func() {
		var highest int64
		for {
			select {
			case <-done:
				peak <- highest
				return
			case <-time.After(10 * time.Millisecond):
			}
			sum := statusOf(app.PID(), "VmRSS")
			if pid := shell.Load(); pid != 0 {
				sum += statusOf(int(pid), "VmRSS")
			}
			children, _ := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", app.PID(), app.PID()))
			all, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", app.PID()))
			for _, path := range all {
				data, _ := os.ReadFile(path)
				children = append(append(children, ' '), data...)
			}
			seen := map[string]bool{}
			for _, child := range strings.Fields(string(children)) {
				if pid, err := strconv.Atoi(child); err == nil && !seen[child] {
					seen[child] = true
					sum += statusOf(pid, "VmRSS")
				}
			}
			highest = max(highest, sum)
		}
	}()
	return func() int64 {
		close(done)
		return <-peak
	}
}

// peakMemory runs a line and returns the peak of memory. Watching takes a tenth
// of a processor, so such a run is not timed.
func peakMemory(b *testing.B, app *trial.Appliance, line string) int64 {
	b.Helper()
	var shell atomic.Int64
	stop := watch(app, &shell)
	cmd := app.Command(line)
	var out strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	shell.Store(int64(cmd.Process.Pid))
	err := cmd.Wait()
	peak := stop()
	if err != nil {
		b.Fatalf("%s: %v\n%s", line, err, out.String())
	}
	return peak
}

// processorTime is what a process and its ended children have used. Unlike the
// time on the wall it hardly changes with what else the machine does.
func processorTime(b *testing.B, pid int) time.Duration {
	b.Helper()
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		b.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(data), ") ")
	var ticks int64
	for _, field := range strings.Fields(rest)[11:15] { // utime, stime, cutime, cstime
		n, err := strconv.ParseInt(field, 10, 64)
		if err != nil {
			b.Fatal(err)
		}
		ticks += n
	}
	return time.Duration(ticks) * (time.Second / 100)
}

// BenchmarkExportLocal compares export-local with `tar | pigz | age` on the
// same bytes: those that lie in our dump, unpacked.
func BenchmarkExportLocal(b *testing.B) {
	app := start(b)
	export := "export-local --includefailedarc --pwd " + trial.System + " --encryptpwd " + passphrase
	peak := peakMemory(b, app, export) // and warms caches, for both
	ours := glob(b, app.Home, "exports/*.tgz")[0]

	work := b.TempDir()
	plain := filepath.Join(work, "plain.tgz")
	if err := trial.AgeDecrypt(ours, plain, passphrase); err != nil {
		b.Fatal(err)
	}
	unpacked := filepath.Join(work, "unpacked")
	os.Mkdir(unpacked, 0o700)
	run(b, exec.Command("tar", "xzf", plain, "-C", unpacked))
	tar, pigz := filepath.Join(work, "all.tar"), filepath.Join(work, "pigz.tgz")
	run(b, shell("tar cf "+tar+" -C "+unpacked+" . && pigz -6 <"+tar+" >"+pigz))
	run(b, shell("age-keygen -o "+work+"/key 2>/dev/null && age-keygen -y "+work+"/key >"+work+"/pub"))

	var mine, theirs []time.Duration
	var ratios []float64
	var cpu, peerCPU time.Duration
	for range pairs() {
		before := processorTime(b, app.PID())
		took := timed(b, app.Command(export))
		cpu += processorTime(b, app.PID()) - before
		mine = append(mine, took)
		// A recipient instead of a passphrase: the peer is spared scrypt's second.
		pipe := shell("set -o pipefail; tar c -C " + unpacked + " . | pigz | age -R " + work + "/pub >" + work + "/peer.age")
		peer := timed(b, pipe)
		peerCPU += pipe.ProcessState.UserTime() + pipe.ProcessState.SystemTime()
		theirs = append(theirs, peer)
		ratios = append(ratios, peer.Seconds()/took.Seconds())
		b.Logf("%.1f s; tar | pigz | age: %.1f s, %.2f times ours", took.Seconds(), peer.Seconds(), ratios[len(ratios)-1])
	}
	slices.Sort(ratios)
	bytes := size(b, tar)
	m, t := median(mine), median(theirs)
	b.ReportMetric(float64(bytes)/1e6/m.Seconds(), "MB/s")
	b.ReportMetric(float64(bytes)/1e6/t.Seconds(), "MB/s-tar-pigz-age")
	b.ReportMetric(ratios[len(ratios)/2], "times-faster")
	b.ReportMetric(peerCPU.Seconds()/cpu.Seconds(), "times-less-cpu")
	b.ReportMetric(float64(size(b, ours))/float64(size(b, pigz)), "size-to-pigz-6")
	b.ReportMetric(float64(peak)/(1<<20), "MiB-peak")
	b.ReportMetric(float64(bytes)/(1<<20), "MiB-data")
	b.ReportMetric(0, "ns/op")
}

func shell(script string) *exec.Cmd { return exec.Command("bash", "-c", script) }

func size(b *testing.B, path string) int64 {
	b.Helper()
	info, err := os.Stat(path)
	if err != nil {
		b.Fatal(err)
	}
	return info.Size()
}

// BenchmarkExportRemote compares export-remote with the longer of an export
// and an upload on their own.
func BenchmarkExportRemote(b *testing.B) {
	for _, c := range []struct {
		protocol string
		start    func() (*peers.Server, error)
	}{
		{"scp", func() (*peers.Server, error) { return peers.StartSSHD(peers.SSHDConfig{}) }},
		{"ftp", func() (*peers.Server, error) { return peers.StartVSFTPD(peers.VSFTPDConfig{}) }},
		{"http", func() (*peers.Server, error) { return peers.StartNginx(peers.NginxConfig{}) }},
		{"https", func() (*peers.Server, error) { return peers.StartNginx(peers.NginxConfig{TLS: true}) }},
	} {
		b.Run(c.protocol, func(b *testing.B) {
			app := start(b)
			s, err := c.start()
			if err != nil {
				b.Fatal(err)
			}
			defer s.Stop()
			url, folder := s.Addr+"/", s.Root
			if c.protocol == "scp" {
				url = s.Addr + s.Root + "/"
				knowHost(b, app, s)
			}
			login := fmt.Sprintf(" --protocol %s --user %s --password %s --insecure ", c.protocol, s.User, s.Password)
			pwds := " --pwd " + trial.System + " --encryptpwd " + passphrase
			send := func() time.Duration {
				dump := glob(b, app.Home, "exports/*.tgz")[0]
				defer os.Remove(dump)
				return timed(b, app.Command("files send "+filepath.Base(dump)+" "+url+login))
			}
			remote := "export-remote" + login + pwds + " " + url
			peak := peakMemory(b, app, remote)
			var both, alone, upload []time.Duration
			var ratios []float64
			for range pairs() {
				a, u, x := timed(b, app.Command("export-local"+pwds)), send(), timed(b, app.Command(remote))
				alone, upload, both = append(alone, a), append(upload, u), append(both, x)
				ratios = append(ratios, x.Seconds()/max(a, u).Seconds())
				b.Logf("export %.1f s, upload %.1f s, both %.1f s, %.2f of the longer", a.Seconds(), u.Seconds(), x.Seconds(), ratios[len(ratios)-1])
				for _, sent := range glob(b, folder, "*.tgz") {
					os.Remove(sent)
				}
			}
			slices.Sort(ratios)
			b.ReportMetric(median(both).Seconds(), "s/export-remote")
			b.ReportMetric(median(alone).Seconds(), "s/export-alone")
			b.ReportMetric(median(upload).Seconds(), "s/upload-alone")
			b.ReportMetric(ratios[len(ratios)/2], "to-the-longer")
			b.ReportMetric(float64(peak)/(1<<20), "MiB-peak")
			b.ReportMetric(0, "ns/op")
		})
	}
}

// knowHost accepts the key of an sshd.
func knowHost(b *testing.B, app *trial.Appliance, s *peers.Server) {
	b.Helper()
	if out, err := app.Run("impctl known-hosts add " + s.Addr + " --fingerprint " + ssh.FingerprintSHA256(s.HostKeys[0])); err != nil {
		b.Fatalf("%v\n%s", err, out)
	}
}
