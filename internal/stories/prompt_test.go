package stories

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"sealgate/internal/trial"
)

// What makes the prompt pleasant, on a real appliance: its owner's message, name
// and role, abbreviations, filters, pages.
func TestPleasantPrompt(t *testing.T) {
	app := newAppliance(t)
	if err := os.WriteFile(filepath.Join(app.Home, "motd"), []byte("maintenance \x1b[2Jtonight\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := app.Start(); err != nil {
		t.Fatal(err)
	}
	defer app.Stop()
	term := startTerminal(t, exec.Command(filepath.Join(bin, "sealsh"), "--home", app.Home))
	term.expect(`maintenance \\u001b\[2Jtonight\r\n`)
	term.expect(`Sealgate \S+, management server mx1, sealed`)
	term.expect(`\[mx\] mx1> `)

	term.send("impc ser sta\r")
	term.expect(`error: "impctl server sta" is short for several commands: impctl server start, impctl server status`)
	term.expect(`mx1> `)
	term.send("impc ser statu | match ^manage | cou\t\r")
	term.expect(`\r\n1\r\n`)
	term.expect(`mx1> `)
	term.send("\x1b[A") // the history has the whole words
	term.expect(`impctl server status \| match \^manage \| count`)
	term.send("\x03")
	term.expect(`mx1> `)
	term.send("status | ?")
	term.expect(`except +only lines that do not match`)
	term.send("sh\r")
	term.expect(`filter 1, behind the \|, is none that there is`)
	term.expect(`mx1> `)

	for i := range 100 {
		if err := os.WriteFile(filepath.Join(app.Home, "exports", "d"+strings.Repeat("x", i)+".tgz"), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	term.send("files list\r")
	term.expect(`--more--`)
	term.send("q")
	term.expect(`mx1> `)
	term.send("files delete \t\t")
	term.expect(`--more--`)
	term.send("q\x03")
	term.expect(`mx1> `)
	term.send("exit\r")
	term.rest()
	if err := term.cmd.Wait(); err != nil {
		t.Errorf("exit ends with %v", err)
	}
}

// Every help ends with an example that works: it runs, or fails at a server
// or a file that is not there, and is never misunderstood.
func TestExamplesOfHelp(t *testing.T) {
	app := newAppliance(t)
	if err := app.Start(); err != nil {
		t.Fatal(err)
	}
	defer app.Stop()
	gateway, err := trial.New(bin, filepath.Join(t.TempDir(), "gw1"), "gateway", "gw1")
	if err != nil {
		t.Fatal(err)
	}
	if err := gateway.Start(); err != nil {
		t.Fatal(err)
	}
	defer gateway.Stop()
	elsewhere := map[string]int{ // examples that need what this machine lacks
		"export-remote":                 4,
		"files delete":                  1,
		"files send":                    1,
		"impctl known-hosts add":        2, // nobody compares the fingerprint
		"impctl known-hosts remove":     1,
		"impctl known-hosts scan":       4,
		"impctl test-connection":        4,
		"impctl reboot":                 1, // no root service; daemon/rootd has one
		"impctl user":                   1,
		"import-local":                  1,
		"import-remote":                 3, // the secure password is another one
		"impctl server rollback-import": 1, // it runs
		"impctl platform rollback":      1, // there was no patch
		"patch-remote":                  4,
		"aws-logs-remote":               1, // it is no EC2 instance
		"gti-gw-remote":                 1, // no gateway has sent one
		"impctl gateway":                1, // none is registered

		"impctl server certificate install": 1, // standard input is none
	}
	if out, err := app.Run("impctl ssh-key renew"); err != nil { // for impctl ssh-key show
		t.Fatal(out)
	}
	if out, err := app.Run("impctl support key set age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p"); err != nil {
		t.Fatal(out)
	}
	var helps []string
	for _, role := range []string{"mx", "gateway"} {
		found, err := filepath.Glob("../../commands/testdata/help/" + role + "/*.txt")
		if err != nil || len(found) == 0 {
			t.Fatal("no help is found", err)
		}
		helps = append(helps, found...)
	}
	tried := map[string]bool{}
	for _, path := range helps {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		_, example, found := strings.Cut(string(text), "\nexample:\n  ")
		if !found {
			t.Errorf("%s has no example", path)
			continue
		}
		example = strings.TrimSpace(example)
		if tried[example] {
			continue
		}
		tried[example] = true
		at, elsewhere := app, elsewhere
		if strings.Contains(path, "/gateway/") {
			at, elsewhere = gateway, map[string]int{"impctl gateway register": 1, "impctl gateway unregister": 1, // there is no mx.example.com
				"impctl gateway unblock": 1, // nobody is kept out
				"show blocks":            1} // impctl teardown came before
		}
		cmd := at.Command(example)
		// In whatever order the line asks for them: the same for all.
		cmd.Stdin = strings.NewReader(strings.Repeat(trial.System+"\n", 4))
		out, _ := cmd.CombinedOutput()
		want := 0
		for command, exit := range elsewhere {
			if strings.HasPrefix(example+" ", command+" ") {
				want = exit
			}
		}
		if got := cmd.ProcessState.ExitCode(); got != want {
			t.Errorf("%s: exit status %d, not %d\n%s", example, got, want, out)
		}
		if strings.HasPrefix(example, "impctl restart ") {
			comesUp(t, app, "Sealgate dev")
		}
	}
}
