package commands

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"sealgate/appliance"
	"sealgate/appliance/dump"
	"sealgate/control"
)

func TestEveryFlagReachesTheImport(t *testing.T) {
	e, h, u := newEnv(t, appliance.ManagementServer, Administrator)
	for _, name := range []string{"a.tgz", "b.tgz"} {
		if err := os.WriteFile(filepath.Join(h.home.Exports(), name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(h.home.TechInfo(), "bundle.tgz"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	line := func(line string) control.Result {
		h.imported = nil
		res, _ := Run(t.Context(), e, words(line))
		return res
	}
	if res := line("import-local --pwd right --securepwd secure --dmpfile a.tgz"); res.Exit != 0 {
		t.Fatalf("%+v", res)
	}
	if d := cmp.Diff(&Import{Name: "a.tgz"}, h.imported); d != "" {
		t.Error(d)
	}
	if !strings.Contains(u.out.String(), "note: one") {
		t.Errorf("output %q", u.out.String())
	}
	res := line("import-remote --user u:p4 --insecure --proxy p:1 --proxy-user v:w --pwd right --securepwd secure --imptype 2 --copyfiles=2 --encryptpwd e5 sftp://h/x.tgz")
	if res.Exit != 0 {
		t.Fatalf("%+v", res)
	}
	want := &Import{Options: dump.ImportOptions{Merge: true, KeepFiles: true, Passphrase: "e5"}, Download: &Download{URL: "sftp://h/x.tgz", Access: Access{User: "u", Password: "p4", Insecure: true}}}
	want.Download.Proxy.Host, want.Download.Proxy.Port, want.Download.Proxy.User, want.Download.Proxy.Password = "p", 1, "v", "w"
	if d := cmp.Diff(want, h.imported); d != "" {
		t.Error(d)
	}
	for _, secret := range []string{"right", "secure", "e5", "u:p4"} {
		if slices.Contains(res.History, secret) {
			t.Errorf("history %q holds %q", res.History, secret)
		}
	}
	for line, exit := range map[string]int{
		"import-local --pwd right --dmpfile a.tgz":                                       control.ExitUsage, // no --securepwd
		"import-local --pwd right --securepwd secure":                                    control.ExitUsage,
		"import-local --pwd wrong --securepwd secure --dmpfile a.tgz":                    control.ExitDenied,
		"import-local --pwd right --securepwd wrong --dmpfile a.tgz":                     control.ExitDenied,
		"import-local --pwd right --securepwd secure --dmpfile ../a.tgz":                 control.ExitFailed,
		"import-local --pwd right --securepwd secure --dmpfile bundle.tgz":               control.ExitFailed,
		"import-local --pwd right --securepwd secure --dmpfile a.tgz --imptype 3":        control.ExitUsage,
		"import-remote --pwd right --securepwd secure http://h/x.tgz":                    control.ExitUsage, // no --encryptpwd
		"import-remote --pwd right --securepwd secure --encryptpwd e h/x.tgz":            control.ExitUsage, // no scheme
		"import-remote --pwd right --securepwd secure --encryptpwd e gopher://h/x.tgz":   control.ExitUsage,
		"import-remote --pwd right --securepwd secure --encryptpwd e http://h/folder/":   control.ExitUsage,
		"import-remote --pwd right --securepwd secure --encryptpwd e scp://h/x.tgz":      control.ExitUsage, // no user
		"import-remote --pwd right --securepwd secure --encryptpwd e http://u:p@h/x.tgz": control.ExitUsage,
	} {
		e.UI = &ui{}
		h.imported = nil
		if res, _ := Run(t.Context(), e, words(line)); res.Exit != exit || h.imported != nil {
			t.Errorf("%s: %+v", line, res)
		}
	}
	// A script with an unset variable neither sends nor takes a plain dump.
	for _, line := range []string{
		"import-local --pwd right --securepwd secure --dmpfile a.tgz --encryptpwd EMPTY",
		"import-remote --pwd right --securepwd secure --encryptpwd EMPTY http://h/x.tgz",
		"import-remote --pwd right --securepwd secure --encryptpwd e --proxy EMPTY http://h/x.tgz",
		"export-local --pwd right --encryptpwd EMPTY",
		"export-remote --pwd right --encryptpwd EMPTY --protocol http h/x.tgz",
		"export-remote --pwd right --encryptpwd= --protocol http h/x.tgz",
	} {
		e.UI = &ui{}
		given := words(line)
		for i := range given {
			given[i] = strings.ReplaceAll(given[i], "EMPTY", "")
		}
		if res, _ := Run(t.Context(), e, given); res.Exit != control.ExitUsage || !strings.Contains(res.Error, "has no value") {
			t.Errorf("%s: %+v", line, res)
		}
	}
	for _, c := range [][]string{{"import-local", ""}, {"import-local", "--"}, {"import-local", "--d"}, {"import-local", "--pwd", "x", "--dmpfile", ""}, {"import-local", "--dmpfile="}} {
		var got []string
		for _, candidate := range Complete(t.Context(), e, c).Candidates {
			if strings.HasSuffix(candidate.Value, ".tgz") {
				got = append(got, strings.TrimPrefix(candidate.Value, "--dmpfile="))
			}
		}
		if d := cmp.Diff([]string{"a.tgz", "b.tgz"}, got); d != "" {
			t.Errorf("Tab behind %q: %s", c, d)
		}
	}
}

func TestRollbackImportAsks(t *testing.T) {
	e, h, _ := newEnv(t, appliance.ManagementServer, Administrator)
	if res, _ := Run(t.Context(), e, words("impctl server rollback-import")); res.Exit != control.ExitUsage || len(h.acts) > 0 {
		t.Errorf("%+v, %q", res, h.acts)
	}
	if res, _ := Run(t.Context(), e, words("impctl server rollback-import --yes")); res.Exit != 0 || !slices.Contains(h.acts, "rollback") {
		t.Errorf("%+v, %q", res, h.acts)
	}
}
