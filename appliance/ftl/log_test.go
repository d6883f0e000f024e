package ftl

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sealgate/appliance"
)

func steps(t *testing.T, r *Reader) (list []Step) {
	t.Helper()
	for {
		s, err := r.Next()
		if err == io.EOF {
			return list
		}
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, s)
	}
}

func newLog(t *testing.T) (appliance.Home, *Log, *bytes.Buffer) {
	t.Helper()
	home := appliance.Home(t.TempDir())
	if err := os.Mkdir(home.Logs(), 0o700); err != nil {
		t.Fatal(err)
	}
	var console bytes.Buffer
	return home, NewLog(home, &console), &console
}

func TestSteps(t *testing.T) {
	home, log, console := newLog(t)
	r, err := Read(home)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if list := steps(t, r); len(list) != 0 {
		t.Errorf("before the first: %v", list)
	}
	hostile := "\x1b[2J name\nlies  here\u202e" + strings.Repeat("ü", maxReason)
	log.Step(Network, Done, "management address [::]:8083")
	log.Step(Registration, Waiting, "no answer")
	log.Step(Registration, Waiting, "no answer") // once is enough
	log.Step(Hotfix, Failed, hostile)
	log.Step(Start, Done, "")
	list := steps(t, r)
	if len(list) != 4 || list[1].Task != Registration || list[1].Status != Waiting || list[1].Reason != "no answer" || list[3].Reason != "" {
		t.Fatalf("%+v", list)
	}
	if got := list[2].Reason; !strings.HasPrefix(got, "[2J name lies here üü") || len(got) > maxReason+len("…") {
		t.Errorf("what a stranger said: %q", got)
	}
	file, err := os.ReadFile(home.FirstLogin())
	if err != nil || !bytes.Equal(file, console.Bytes()) || bytes.Count(file, []byte("\n")) != 4 {
		t.Errorf("%v: the file\n%sthe console\n%s", err, file, console)
	}
	var none *Log
	none.Step(Start, Done, "") // nothing, and no crash
}

// A log that is full goes on in a new file, and its reader with it.
func TestLogIsBounded(t *testing.T) {
	home, log, _ := newLog(t)
	r, err := Read(home)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	n, seen := 0, 0
	for ; n < 3*maxLog/maxReason; n++ {
		log.Step(Registration, Waiting, strings.Repeat(string(rune('a'+n%2)), maxReason))
		if n%1000 == 0 {
			seen += len(steps(t, r))
		}
	}
	if seen += len(steps(t, r)); seen != n {
		t.Errorf("%d of %d steps were read", seen, n)
	}
	for _, path := range []string{home.FirstLogin(), home.FirstLogin() + oldSuffix} {
		if info, err := os.Stat(path); err != nil || info.Size() > maxLog {
			t.Errorf("%v, %v", info, err)
		}
	}
	whole, err := Read(home)
	if err != nil {
		t.Fatal(err)
	}
	defer whole.Close()
	if list := steps(t, whole); len(list) < maxLog/maxReason/2 {
		t.Errorf("%d steps are kept", len(list))
	}
}

// What is not the log is neither written nor read.
func TestLogIsAFile(t *testing.T) {
	home, log, _ := newLog(t)
	other := filepath.Join(string(home), "other")
	if err := os.WriteFile(other, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(other, home.FirstLogin()); err != nil {
		t.Fatal(err)
	}
	log.Step(Start, Done, "")
	if data, err := os.ReadFile(other); err != nil || len(data) > 0 {
		t.Errorf("a link was followed: %q, %v", data, err)
	}
	if _, err := Read(home); err == nil {
		t.Error("a link was read")
	}
}

// An init that fails says at which step, and touches no appliance that is there.
func TestCreationIsLogged(t *testing.T) {
	home := appliance.Home(filepath.Join(t.TempDir(), "h"))
	var console bytes.Buffer
	request := Request{Role: appliance.ManagementServer, Name: "mx1", Listen: "127.0.0.1:0", Log: NewLog(home, &console)}
	weak := Secrets{"System-pw-17", "Secure-pw-17", "weak"}
	if _, err := Create(t.Context(), home, request, weak, time.Now()); err == nil {
		t.Fatal("a weak password was taken")
	}
	if _, err := os.Stat(string(home)); err == nil || !strings.Contains(console.String(), "  settings      failed   the admin password") {
		t.Errorf("%v\n%s", err, console.String())
	}
	good := Secrets{"System-pw-17", "Secure-pw-17", "Admin-pw-17"}
	if _, err := Create(t.Context(), home, request, good, time.Now()); err != nil {
		t.Fatal(err)
	}
	before, err := os.ReadFile(home.FirstLogin())
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range []string{"settings      done     management server mx1", "passwords     done", "users         done     admin", "network       done     management address 127.0.0.1:0", "creation      done"} {
		if !bytes.Contains(before, []byte(line)) {
			t.Errorf("%q is not in\n%s", line, before)
		}
	}
	if _, err := Create(t.Context(), home, request, good, time.Now()); err == nil {
		t.Fatal("an appliance was made where one is")
	}
	if after, _ := os.ReadFile(home.FirstLogin()); !bytes.Equal(before, after) {
		t.Errorf("its log grew:\n%s", after)
	}
	for _, secret := range []string{"System-pw-17", "Secure-pw-17", "Admin-pw-17"} {
		if strings.Contains(console.String(), secret) {
			t.Errorf("the console shows %s", secret)
		}
	}
}

func FuzzParseStep(f *testing.F) {
	f.Add("2026-01-02 03:04:05 UTC  registration  waiting  no answer")
	f.Add("2026-01-02 03:04:05 UTC  a  b")
	f.Add("x")
	f.Fuzz(func(t *testing.T, line string) {
		s, ok := ParseStep(line)
		if !ok {
			return
		}
		if again, ok := ParseStep(strings.TrimSuffix(s.Line(), "\n")); !ok || again != s {
			t.Errorf("%q is %+v, and that is %+v, %v", line, s, again, ok)
		}
	})
}
