package login

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"sealgate/internal/machine"
)

// rounds is how often each pair is measured; the median counts.
const rounds = 60

// BenchmarkLogin compares a login of an administrator with that of an account
// whose login shell is /bin/bash, at the same sshd: from the first byte to the
// prompt, and one command from a script.
func BenchmarkLogin(b *testing.B) {
	peer, err := machine.NewShellUser(server, b.TempDir(), "/bin/bash")
	if err == nil {
		err = errors.Join(peer.Plant(".ssh/authorized_keys", peer.AuthorizedKey()), peer.Plant(".bash_profile", "PS1='bash> '\n"))
	}
	if err != nil {
		b.Fatal(err)
	}
	var ours, theirs, oursOnce, theirsOnce []time.Duration
	for range rounds {
		ours = append(ours, toPrompt(b, admin, "mx1"))
		theirs = append(theirs, toPrompt(b, peer, "bash> "))
		oursOnce = append(oursOnce, command(b, admin, "version"))
		theirsOnce = append(theirsOnce, command(b, peer, "bash --version"))
	}
	b.ReportMetric(ms(ours), "ms/prompt")
	b.ReportMetric(ms(theirs), "ms/prompt-of-bash")
	b.ReportMetric(ms(ours)/ms(theirs), "prompt-to-bash")
	b.ReportMetric(ms(oursOnce), "ms/ssh-host-version")
	b.ReportMetric(ms(theirsOnce), "ms/ssh-host-bash--version")
	b.ReportMetric(ms(oursOnce)/ms(theirsOnce), "version-to-bash")
	b.ReportMetric(0, "ns/op")
}

// toPrompt is the time from the connection to the prompt.
func toPrompt(b *testing.B, u *machine.User, prompt string) time.Duration {
	b.Helper()
	begin := time.Now()
	s := sit(b, u)
	defer s.client.Close()
	s.until(b, prompt)
	return time.Since(begin)
}

// command is the time of `ssh host WORDS`, as a whole process.
func command(b *testing.B, u *machine.User, words ...string) time.Duration {
	b.Helper()
	begin := time.Now()
	if out, err := u.SSH(nil, words...).CombinedOutput(); err != nil {
		b.Fatalf("%v: %s", err, out)
	}
	return time.Since(begin)
}

// seat is a session at a pseudo-terminal that is read without a goroutine: its
// times are exact.
type seat struct {
	client *ssh.Client
	in     io.Writer
	out    io.Reader
	seen   []byte
}

func sit(b testing.TB, u *machine.User) *seat {
	b.Helper()
	client, err := u.Dial(ssh.PublicKeys(u.Key))
	if err != nil {
		b.Fatal(err)
	}
	session, err := client.NewSession()
	if err != nil {
		b.Fatal(err)
	}
	s := &seat{client: client}
	var errIn, errOut error
	s.in, errIn = session.StdinPipe()
	s.out, errOut = session.StdoutPipe()
	if err := errors.Join(errIn, errOut, session.RequestPty("xterm", 40, 120, nil), session.Shell()); err != nil {
		b.Fatal(err)
	}
	return s
}

// until reads until text has come, and forgets what came.
func (s *seat) until(b testing.TB, text string) string {
	b.Helper()
	piece := make([]byte, 64<<10)
	for !strings.Contains(string(s.seen), text) {
		n, err := s.out.Read(piece)
		s.seen = append(s.seen, piece[:n]...)
		if err != nil {
			b.Fatalf("no %q: %v\n%s", text, err, s.seen)
		}
	}
	seen := string(s.seen)
	s.seen = s.seen[:0]
	return seen
}

// BenchmarkTab is how long Tab takes to complete a file's name among 10,000
// dumps, at a terminal over SSH: from the key to what it shows.
func BenchmarkTab(b *testing.B) {
	const files, presses = 10_000, 1000
	exports := filepath.Join(app.Home, "exports")
	name := func(i int) string {
		return "mx1_" + time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC).Add(time.Duration(i)*9*time.Hour).Format("20060102_150405") + ".tgz"
	}
	for i := range files {
		if err := os.WriteFile(filepath.Join(exports, name(i)), nil, 0o600); err != nil {
			b.Fatal(err)
		}
	}
	b.Cleanup(func() {
		for i := range files {
			os.Remove(filepath.Join(exports, name(i)))
		}
	})
	s := sit(b, admin)
	defer s.client.Close()
	s.until(b, "mx1")
	var took []time.Duration
	for i := range presses {
		whole := name(i * 7919 % files)
		typed := "files delete " + whole[:len(whole)-6]
		fmt.Fprint(s.in, typed)
		s.until(b, typed[len(typed)-4:])
		begin := time.Now()
		fmt.Fprint(s.in, "\t")
		s.until(b, whole[len(whole)-6:])
		took = append(took, time.Since(begin))
		fmt.Fprint(s.in, "\x15")
		s.until(b, "mx1")
	}
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)/2].Microseconds())/1000, "ms/median")
	b.ReportMetric(float64(took[len(took)*99/100].Microseconds())/1000, "ms/99th-percentile")
	b.ReportMetric(0, "ns/op")
}

// BenchmarkSessions logs many sessions in at the same time and has each run a
// command: what each takes, and what one costs when they are few and many.
func BenchmarkSessions(b *testing.B) {
	few, _ := sessions(b, 50)
	many, memory := sessions(b, 200)
	b.ReportMetric(float64(few.Microseconds())/1000/50, "ms/session-of-50")
	b.ReportMetric(float64(many.Microseconds())/1000/200, "ms/session-of-200")
	b.ReportMetric(many.Seconds()/few.Seconds()/4, "to-linear")
	b.ReportMetric(float64(memory)/(1<<20), "MiB/largest-shell")
	b.ReportMetric(0, "ns/op")
}

// sessions opens n at once, ten logins at a time, as sshd's MaxStartups wants
// it, and runs a command in each while all are open.
func sessions(b *testing.B, n int) (took time.Duration, largest int64) {
	b.Helper()
	seats := make([]*seat, n)
	places := make(chan struct{}, 8)
	var all sync.WaitGroup
	begin := time.Now()
	for i := range seats {
		all.Go(func() {
			places <- struct{}{}
			defer func() { <-places }()
			seats[i] = sit(b, admin)
			seats[i].until(b, "mx1")
		})
	}
	all.Wait()
	for _, s := range seats {
		all.Go(func() {
			fmt.Fprint(s.in, "status\r")
			s.until(b, "reserve")
		})
	}
	all.Wait()
	took = time.Since(begin)
	shells, _ := filepath.Glob("/proc/[0-9]*/comm")
	count := 0
	for _, path := range shells {
		if comm, _ := os.ReadFile(path); strings.TrimSpace(string(comm)) != "sealsh" {
			continue
		}
		count++
		statm, _ := os.ReadFile(filepath.Join(filepath.Dir(path), "statm"))
		if fields := strings.Fields(string(statm)); len(fields) > 1 {
			pages, _ := strconv.ParseInt(fields[1], 10, 64)
			largest = max(largest, pages*int64(os.Getpagesize()))
		}
	}
	if count < n {
		b.Fatalf("%d shells of %d sessions", count, n)
	}
	for _, s := range seats {
		s.client.Close()
	}
	return took, largest
}

func ms(d []time.Duration) float64 {
	slices.Sort(d)
	return float64(d[len(d)/2].Microseconds()) / 1000
}
