package shell

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/creack/pty"
)

// The figures of the shell: BenchmarkCommand against BenchmarkBash and
// BenchmarkRoundTrip, the time to the prompt, and the memory of a session.

func BenchmarkBash(b *testing.B) {
	for b.Loop() {
		if err := exec.Command("bash", "-c", "true").Run(); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkCommand(b *testing.B) {
	a := startAppliance(b)
	for b.Loop() {
		if err := exec.Command(filepath.Join(bin, "sealsh"), "--home", a.home, "-c", "version").Run(); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkRoundTrip(b *testing.B) {
	a := startAppliance(b)
	d := dialer{socket: socketIn(a.home)}
	var out bytes.Buffer
	for b.Loop() {
		r := start(b.Context(), newConsole(Streams{Out: &out, Err: &out}), nil)
		if _, err := r.run(d, []string{"version"}, false, 0); err != nil {
			b.Fatal(err)
		}
		out.Reset()
	}
}

func BenchmarkPrompt(b *testing.B) {
	a := startAppliance(b)
	peak := 0
	for b.Loop() {
		master, tty, err := pty.Open()
		if err != nil {
			b.Fatal(err)
		}
		cmd := exec.Command(filepath.Join(bin, "sealsh"), "--home", a.home)
		cmd.Stdin, cmd.Stdout, cmd.Stderr = tty, tty, tty
		cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
		if err := cmd.Start(); err != nil {
			b.Fatal(err)
		}
		waitFor(b, master, "mx> ")
		b.StopTimer()
		fmt.Fprint(master, "echo 'a b'\r")
		waitFor(b, master, "RAN")
		peak = max(peak, peakMemory(b, cmd.Process.Pid))
		cmd.Process.Kill()
		cmd.Wait()
		master.Close()
		tty.Close()
		b.StartTimer()
	}
	b.ReportMetric(float64(peak), "peak-kB")
}

func waitFor(b *testing.B, f *os.File, text string) {
	b.Helper()
	var seen strings.Builder
	buf := make([]byte, 4096)
	for end := time.Now().Add(5 * time.Second); time.Now().Before(end); {
		n, err := f.Read(buf)
		if err != nil {
			b.Fatal(err)
		}
		seen.Write(buf[:n])
		if strings.Contains(seen.String(), text) {
			return
		}
	}
	b.Fatalf("never saw %q", text)
}

func peakMemory(b *testing.B, pid int) (kB int) {
	b.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		b.Fatal(err)
	}
	for line := range strings.Lines(string(status)) {
		if n, _ := fmt.Sscanf(line, "VmHWM: %d kB", &kB); n == 1 {
			return kB
		}
	}
	b.Fatal("no VmHWM")
	return 0
}
