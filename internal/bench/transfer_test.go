package bench

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"sealgate/internal/faultproxy"
	"sealgate/internal/peers"
	"sealgate/internal/trial"
	"sealgate/transfer"
)

const (
	// farSize is sent where each round trip takes 2 × farDelay; SEALGATE_BENCH_SCALE makes it smaller as well.
	farSize  = 128 << 20
	farDelay = 25 * time.Millisecond

	fileName = "bench_20260102_030405.tgz"
	// downloadVariable makes this program the child that downloads.
	downloadVariable = "SEALGATE_BENCH_DOWNLOAD"
)

func TestMain(m *testing.M) {
	if spec := os.Getenv(downloadVariable); spec != "" {
		if err := fetch(spec); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	for variable, serve := range map[string]func() error{proxyListen: serveProxy, gatewayHome: serveGateway} {
		if os.Getenv(variable) == "" {
			continue
		}
		if err := serve(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// order is what the child downloads.
type order struct {
	Protocol, URL, To, User, Password, KnownHosts string
}

// fetch downloads, and writes down beside the file the peak of its memory, and how much of that is the program itself.
func fetch(spec string) error {
	var o order
	if err := json.Unmarshal([]byte(spec), &o); err != nil {
		return err
	}
	target, err := transfer.ParseTarget(o.Protocol, o.URL, "")
	if err != nil {
		return err
	}
	loopback, err := transfer.ParseNetwork("127.0.0.0/8")
	if err != nil {
		return err
	}
	_, err = transfer.Download(context.Background(), target, o.To, transfer.Options{
		User: o.User, Password: o.Password, KnownHosts: o.KnownHosts, Insecure: true, Policy: transfer.Policy{{Network: loopback, Allow: true}}})
	if err != nil {
		return err
	}
	return os.WriteFile(o.To+".peak", fmt.Append(nil, statusOf(os.Getpid(), "VmHWM"), " ", statusOf(os.Getpid(), "RssFile")), 0o600)
}

// lane is a server, how it is reached, and what is carried to it and from it.
type lane struct {
	protocol string
	server   *peers.Server
	addr     string // HOST:PORT, of the server or of what stands before it
	key      string // a file with a private key that the sshd takes
	size     int64
	app      *trial.Appliance
	work     string
	peak     int64
	program  int64 // of peak: pages of the program's file, which all its processes share
}

func newLane(b *testing.B, protocol string, size int64) *lane {
	b.Helper()
	l := &lane{protocol: protocol, size: size, work: b.TempDir()}
	var err error
	switch protocol {
	case "ftp", "ftps":
		l.server, err = peers.StartVSFTPD(peers.VSFTPDConfig{TLS: protocol == "ftps"})
	case "http", "https":
		l.server, err = peers.StartNginx(peers.NginxConfig{TLS: protocol == "https"})
	default:
		l.key = filepath.Join(l.work, "key")
		run(b, exec.Command("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", l.key))
		l.server, err = peers.StartSSHD(peers.SSHDConfig{AuthorizedKeys: []ssh.PublicKey{publicKey(b, l.key+".pub")}})
	}
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(l.server.Stop)
	l.addr = l.server.Addr
	if l.app, err = trial.New(programs(b), filepath.Join(b.TempDir(), "home"), "mx", "bench"); err != nil {
		b.Fatal(err)
	}
	if err := l.app.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { l.app.Stop() })
	fill(b, l.file(), size)
	fill(b, filepath.Join(l.server.Root, fileName), size)
	return l
}

func publicKey(b *testing.B, path string) ssh.PublicKey {
	b.Helper()
	line, err := os.ReadFile(path)
	if err != nil {
		b.Fatal(err)
	}
	key, _, _, _, err := ssh.ParseAuthorizedKey(line)
	if err != nil {
		b.Fatal(err)
	}
	return key
}

// fill makes a file of noise, which nothing on the way can make smaller.
func fill(b *testing.B, path string, size int64) {
	b.Helper()
	file, err := os.Create(path)
	if err != nil {
		b.Fatal(err)
	}
	defer file.Close()
	if _, err := io.CopyN(file, rand.NewChaCha8([32]byte{}), size); err != nil {
		b.Fatal(err)
	}
	// On the disk, so that it does not slow down what is measured.
	if err := errors.Join(file.Chmod(0o644), file.Sync()); err != nil {
		b.Fatal(err)
	}
}

// file is what is uploaded.
func (l *lane) file() string { return filepath.Join(l.app.Home, "exports", fileName) }

// path is name on the server as a URL has it.
func (l *lane) path(name string) string {
	if l.key != "" {
		return l.server.Root + "/" + name
	}
	return "/" + name
}

func (l *lane) plainProtocol() string { return strings.Replace(l.protocol, "ftps", "ftp", 1) }

// timing is what one transfer took.
type timing struct{ wall, cpu time.Duration }

func measure(b *testing.B, cmd *exec.Cmd) timing {
	b.Helper()
	wall := timed(b, cmd)
	return timing{wall, cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()}
}

// upload is the shipped command, with the daemon's part of the work.
func (l *lane) upload(b *testing.B) timing {
	b.Helper()
	before := processorTime(b, l.app.PID())
	took := measure(b, l.app.Command(l.send("ours")))
	took.cpu += processorTime(b, l.app.PID()) - before
	return took
}

func (l *lane) send(name string) string {
	return fmt.Sprintf("files send %s %s%s --protocol %s --insecure --user %s --password %s", fileName, l.addr, l.path(name), l.plainProtocol(), l.server.User, l.server.Password)
}

// uploadPeak is the peak of the job's memory, in a run that is not timed.
func (l *lane) uploadPeak(b *testing.B) {
	b.Helper()
	cmd := l.app.Command(l.send("ours"))
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- cmd.Wait() }()
	for {
		select {
		case err := <-done:
			if err != nil {
				b.Fatal(err)
			}
			return
		case <-time.After(5 * time.Millisecond):
		}
		out, _ := exec.Command("pgrep", "-P", strconv.Itoa(l.app.PID()), "-f", "^sealgated job").Output()
		if pid, err := strconv.Atoi(strings.TrimSpace(string(out))); err == nil {
			l.peak, l.program = max(l.peak, statusOf(pid, "VmHWM")), max(l.program, statusOf(pid, "RssFile"))
		}
	}
}

// download is a child that calls the library: the commands that download check and unpack what they get.
func (l *lane) download(b *testing.B) timing {
	b.Helper()
	to := filepath.Join(l.work, "ours")
	defer os.Remove(to)
	spec, err := json.Marshal(order{l.plainProtocol(), l.addr + l.path(fileName), to, l.server.User, l.server.Password, filepath.Join(l.app.Home, "known_hosts")})
	if err != nil {
		b.Fatal(err)
	}
	self, err := os.Executable()
	if err != nil {
		b.Fatal(err)
	}
	cmd := exec.Command(self)
	cmd.Env = append(os.Environ(), downloadVariable+"="+string(spec))
	took := measure(b, cmd)
	peak, err := os.ReadFile(to + ".peak")
	if err != nil {
		b.Fatal(err)
	}
	var memory, program int64
	if _, err := fmt.Sscan(string(peak), &memory, &program); err != nil {
		b.Fatal(err)
	}
	l.peak, l.program = max(l.peak, memory), max(l.program, program)
	return took
}

// rival is another program that does the same.
type rival struct {
	name   string
	scheme string // of curl's URL; empty: OpenSSH's scp
	up     bool
}

func (l *lane) rivals(up bool) []rival {
	switch l.protocol {
	case "scp":
		return []rival{{"curl-sftp", "sftp", up}, {"openssh", "", up}}
	case "ftps":
		return []rival{{"curl", "ftp", up}}
	}
	return []rival{{"curl", l.protocol, up}}
}

// command does what ours does; a download lies on the disk at its end, as ours does.
func (r rival) command(l *lane) *exec.Cmd {
	to := filepath.Join(l.work, "theirs")
	var words []string
	if r.scheme == "" {
		host, port, _ := strings.Cut(l.addr, ":")
		words = []string{"scp", "-q", "-i", l.key, "-P", port, "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "-o", "LogLevel=ERROR"}
		if r.up {
			words = append(words, l.file(), l.server.User+"@"+host+":"+l.path("theirs"))
		} else {
			words = append(words, l.server.User+"@"+host+":"+l.path(fileName), to)
		}
	} else {
		words = []string{"curl", "-sS", "-f", "-k", "--user", l.server.User + ":" + l.server.Password}
		if l.protocol == "ftps" {
			words = append(words, "--ssl-reqd")
		}
		url := r.scheme + "://" + l.addr
		if r.up {
			words = append(words, "-T", l.file(), url+l.path("theirs"))
		} else {
			words = append(words, "-o", to, url+l.path(fileName))
		}
	}
	script := `exec "$@"`
	if !r.up {
		script = `"$@" && sync "` + to + `"`
	}
	return exec.Command("bash", append([]string{"-c", script, "bash"}, words...)...)
}

// compare measures ours and the rivals in turns that change, and reports medians of pairs. A pair before them warms up
// and does not count: what touches memory or a file first pays for the others. After each turn its file is
// removed, and what was written before a turn is on the disk when it begins.
func (l *lane) compare(b *testing.B, up bool, rivals []rival) {
	ours := l.download
	if up {
		ours = l.upload
		l.uploadPeak(b)
		l.clear()
	}
	var mine []time.Duration
	theirs, faster, lighter := map[string][]time.Duration{}, map[string][]float64{}, map[string][]float64{}
	for i := range pairs() + 1 {
		var own timing
		took := map[string]timing{}
		turns := []func(){func() { own = ours(b) }}
		for _, r := range rivals {
			turns = append(turns, func() { took[r.name] = measure(b, r.command(l)) })
		}
		if i%2 == 1 {
			slices.Reverse(turns)
		}
		for _, turn := range turns {
			turn()
			l.clear()
		}
		if i == 0 {
			continue
		}
		mine = append(mine, own.wall)
		for name, t := range took {
			theirs[name] = append(theirs[name], t.wall)
			faster[name] = append(faster[name], t.wall.Seconds()/own.wall.Seconds())
			lighter[name] = append(lighter[name], own.cpu.Seconds()/max(t.cpu.Seconds(), 0.01))
			b.Logf("%.2f s (processor %.2f s); %s: %.2f s (%.2f s), %.2f times ours", own.wall.Seconds(), own.cpu.Seconds(), name, t.wall.Seconds(), t.cpu.Seconds(), t.wall.Seconds()/own.wall.Seconds())
		}
	}
	b.ReportMetric(float64(l.size)/1e6/median(mine).Seconds(), "MB/s")
	for _, r := range rivals {
		b.ReportMetric(float64(l.size)/1e6/median(theirs[r.name]).Seconds(), "MB/s-"+r.name)
		b.ReportMetric(middle(faster[r.name]), "times-"+r.name)
		b.ReportMetric(middle(lighter[r.name]), "cpu-to-"+r.name)
	}
	b.ReportMetric(float64(l.peak)/(1<<20), "MiB-peak")
	b.ReportMetric(float64(l.program)/(1<<20), "MiB-program")
	b.ReportMetric(0, "ns/op")
}

func middle(f []float64) float64 {
	slices.Sort(f)
	return f[len(f)/2]
}

// clear removes what was carried, so that nobody writes over another's file.
func (l *lane) clear() {
	for _, folder := range []string{l.server.Root, l.work} {
		os.Remove(filepath.Join(folder, "ours"))
		os.Remove(filepath.Join(folder, "theirs"))
	}
}

func scaled(b *testing.B, size int64) int64 {
	factor, err := strconv.ParseFloat(scale(), 64)
	if err != nil {
		b.Fatal(err)
	}
	return int64(factor * float64(size))
}

// BenchmarkTransfer compares `files send` and the library's downloads with curl, and for scp with OpenSSH's scp too.
// SEALGATE_BENCH_SCALE is the size of the file in GiB. TMPDIR on a tmpfs leaves the disk out.
func BenchmarkTransfer(b *testing.B) {
	for _, protocol := range []string{"ftp", "ftps", "http", "https", "scp"} {
		for _, up := range []bool{true, false} {
			b.Run(protocol+"/"+way(up), func(b *testing.B) {
				l := newLane(b, protocol, scaled(b, 1<<30))
				if protocol == "scp" {
					knowHost(b, l.app, l.server)
				}
				l.compare(b, up, l.rivals(up))
			})
		}
	}
}

// BenchmarkTransferFarAway is scp over a round trip of 50 ms, beside curl's scp.
func BenchmarkTransferFarAway(b *testing.B) {
	for _, up := range []bool{true, false} {
		b.Run(way(up), func(b *testing.B) {
			l := newLane(b, "scp", scaled(b, farSize))
			late := faultproxy.Path{Delay: farDelay}
			far := faultproxy.New(faultproxy.Plan{Paths: [2]faultproxy.Path{late, late}})
			b.Cleanup(far.Close)
			var err error
			if l.addr, err = far.Lead("127.0.0.2:0", l.server.Addr); err != nil {
				b.Fatal(err)
			}
			if out, err := l.app.Run("impctl known-hosts add " + l.addr + " --fingerprint " + ssh.FingerprintSHA256(l.server.HostKeys[0])); err != nil {
				b.Fatalf("%v\n%s", err, out)
			}
			l.compare(b, up, []rival{{"curl-scp", "scp", up}})
		})
	}
}

func way(up bool) string {
	if up {
		return "up"
	}
	return "down"
}
