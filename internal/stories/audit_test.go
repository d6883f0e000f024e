package stories

import (
	"crypto/sha256"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"sealgate/internal/trial"
)

func verifyAudit(app *trial.Appliance, args ...string) (string, error) {
	out, err := exec.Command(filepath.Join(bin, "sealgated"), append([]string{"verify-audit", "--home", app.Home}, args...)...).CombinedOutput()
	return string(out), err
}

// The chain's head is kept by syslog, at start and stop at least. Who makes
// the whole chain anew, and the head beside it, is found out with that.
func TestHeadsGoToSyslog(t *testing.T) {
	app := newAppliance(t)
	path := filepath.Join(t.TempDir(), "log")
	socket, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer socket.Close()
	app.Args = []string{"--syslog", path}
	kept := filepath.Join(t.TempDir(), "auth.log")
	hears := func(want string) {
		t.Helper()
		socket.SetReadDeadline(time.Now().Add(trial.Patience))
		said := make([]byte, 1000)
		n, err := socket.Read(said)
		line := string(said[:n])
		if err != nil || !regexp.MustCompile(`^<85>... .. ..:..:.. sealgated\[\d+\]: audit head appliance=\S+ record=`+want+` sha256=[0-9a-f]{64}$`).MatchString(line) {
			t.Fatalf("syslog hears %q, %v", line, err)
		}
		file, err := os.OpenFile(kept, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
		if err != nil {
			t.Fatal(err)
		}
		defer file.Close()
		fmt.Fprintln(file, line)
	}
	if err := app.Start(); err != nil {
		t.Fatal(err)
	}
	hears("1")
	app.Run("version")
	if err := app.Stop(); err != nil {
		t.Error(err)
	}
	hears(`\d+`)
	if out, err := verifyAudit(app, "--heads", kept); err != nil || !strings.Contains(out, "compared with 2 heads") {
		t.Fatalf("%s, %v", out, err)
	}
	makeAnew(t, filepath.Join(app.Home, "log", "audit"))
	if out, err := verifyAudit(app); err != nil {
		t.Fatalf("the forger made a mistake: %s", out)
	}
	if out, err := verifyAudit(app, "--heads", kept); err == nil || !strings.Contains(out, "is not the one whose hash was kept elsewhere") {
		t.Errorf("%s, %v", out, err)
	}
	if out, err := verifyAudit(app, "--heads", "/dev/null"); err == nil || !strings.Contains(out, "holds no head of this appliance") {
		t.Errorf("%s, %v", out, err)
	}
}

// makeAnew hides a command as docs/FORMATS.md teaches: changed, and every hash
// behind it, and the head.
func makeAnew(t *testing.T, dir string) {
	files, _ := filepath.Glob(filepath.Join(dir, "*.jsonl"))
	data, err := os.ReadFile(files[0])
	if err != nil {
		t.Fatal(err)
	}
	prev := strings.Repeat("0", 64)
	var out strings.Builder
	n := 0
	for line := range strings.Lines(string(data)) {
		body, _, _ := strings.Cut(line, `,"hash":"`)
		body = strings.Replace(body[:strings.Index(body, `,"prev":"`)], `["version"]`, `["status"]`, 1) + `,"prev":"` + prev + `"`
		prev = fmt.Sprintf("%x", sha256.Sum256([]byte(body)))
		out.WriteString(body + `,"hash":"` + prev + "\"}\n")
		n++
	}
	if !strings.Contains(string(data), `["version"]`) {
		t.Fatalf("nothing to hide in %s", data)
	}
	head := fmt.Sprintf("record=%d sha256=%s\n", n, prev)
	for path, text := range map[string]string{files[0]: out.String(), filepath.Join(dir, "head"): head} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// Somebody without rights is refused, told of, and cannot fill the log.
func TestStrangersAreAudited(t *testing.T) {
	home, err := os.MkdirTemp("", "strangers-*")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(home)
	for _, dir := range []string{home, bin} { // a stranger reaches both
		if err := os.Chmod(dir, 0o711); err != nil {
			t.Fatal(err)
		}
	}
	app, err := trial.New(bin, filepath.Join(home, "home"), "mx", "mx1")
	if err != nil {
		t.Fatal(err)
	}
	if err := app.Start(); err != nil {
		t.Fatal(err)
	}
	defer app.Stop()
	const nobody = 65534
	for range 30 {
		cmd := app.Command("files list Secret-pw-17")
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
		cmd.Dir = "/"
		if out, _ := cmd.CombinedOutput(); cmd.ProcessState.ExitCode() != 3 {
			t.Fatalf("a stranger reads %s", out)
		}
	}
	out, err := app.Run("show audit --user nobody")
	if n := strings.Count(out, " refused "); err != nil || n < 10 || n > 20 { // a minute may have turned
		t.Errorf("%d refusals: %s, %v", n, out, err)
	}
	if strings.Contains(out, "Secret") {
		t.Errorf("a stranger's words are kept: %s", out)
	}
}
