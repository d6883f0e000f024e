package transfer_test

import (
	"context"
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sealgate/internal/peers"
	"sealgate/transfer"
)

// withoutSFTP are ssh servers that offer no sftp.
var withoutSFTP = []endpoint{
	{"OpenSSH", "scp", func() (*peers.Server, error) {
		return peers.StartSSHD(peers.SSHDConfig{Account: account, NoSFTP: true})
	}, true},
	{"dropbear", "scp", func() (*peers.Server, error) { return peers.StartDropbearAlone(account) }, true},
}

// forced is an sshd that runs script for whatever is asked for.
func forced(t *testing.T, script string) *place {
	t.Helper()
	file := filepath.Join(t.TempDir(), "script")
	for folder := filepath.Dir(file); folder != "/tmp" && folder != "/"; folder = filepath.Dir(folder) {
		os.Chmod(folder, 0o755)
	}
	write(t, file, "#!/bin/sh\n", script)
	if err := os.Chmod(file, 0o755); err != nil {
		t.Fatal(err)
	}
	return alone(t, endpoint{"OpenSSH", "scp", func() (*peers.Server, error) {
		return peers.StartSSHD(peers.SSHDConfig{Account: account, NoSFTP: true, Extra: []string{"ForceCommand " + file}})
	}, true})
}

func TestOldSCP(t *testing.T) {
	for _, e := range withoutSFTP {
		t.Run(e.name, func(t *testing.T) {
			noGoroutineLeft(t)
			p := alone(t, e)
			names := []string{"plain.tgz", "-rf", "ü–名 'and' \"more\"", "$(touch hole) `touch hole`; touch hole", "back\\slash"}
			for i, name := range names {
				url := strings.NewReplacer("%", "%25", " ", "%20", "?", "%3F", "#", "%23").Replace(name)
				for _, size := range []int64{3<<20 + 1, 0, 5}[:1+2*min(1, 1-min(i, 1))] {
					source := &random{size: size}
					result, err := p.upload(t, t.Context(), url, source)
					if err != nil {
						t.Fatal(err)
					}
					p.mustHold(t, name, source.sum())
					if len(result.Notices) != 1 || !strings.Contains(result.Notices[0], "old scp protocol") {
						t.Errorf("notices: %q", result.Notices)
					}
					dst, fetched, err := p.download(t, t.Context(), url)
					mustBe(t, dst, fetched, err, source.sum())
				}
			}
			if steps, _, err := p.probe(t, t.Context(), "probe"); err != nil || strings.Join(steps, " ") != way["scp"] {
				t.Errorf("%v after %s", err, steps)
			}
			if left := p.names(t); len(left) != len(names) {
				t.Errorf("the folder holds %q", left)
			}
		})
	}
}

func TestOldSCPRefusals(t *testing.T) {
	for _, e := range withoutSFTP {
		t.Run(e.name, func(t *testing.T) {
			noGoroutineLeft(t)
			p := alone(t, e)
			for _, test := range []struct {
				rest string
				src  transfer.Source
				op   transfer.Op
				says string
			}{
				{"missing/file", &random{size: 1 << 20}, transfer.OpWrite, "No such file or directory"},
				{"file", &random{size: 1 << 20, hidden: true}, transfer.OpCreate, "must know the size"},
				{"folder", &random{size: 1 << 20}, transfer.OpCreate, "is a folder"},
				{"closed/file", &random{size: 1 << 20}, transfer.OpWrite, "Permission denied"},
			} {
				os.Mkdir(filepath.Join(p.folder, "folder"), 0o755)
				os.Mkdir(filepath.Join(p.folder, "closed"), 0o755)
				fault := mustFail(t, second(p.upload(t, t.Context(), test.rest, test.src)), test.op, transfer.Refused, p.options.Password)
				if !strings.Contains(fault.Error(), test.says) {
					t.Errorf("%v does not say %q", fault, test.says)
				}
			}
			for rest, says := range map[string]string{"missing": "No such file", "folder": "not a regular file"} {
				dst, _, err := p.download(t, t.Context(), rest)
				fault := mustFail(t, err, transfer.OpReceive, transfer.Refused, p.options.Password)
				if !strings.Contains(fault.Error(), says) {
					t.Errorf("%v does not say %q", fault, says)
				}
				mustBeGone(t, dst)
			}
		})
	}
}

// What breaks starts again, and what is given up leaves nothing there.
func TestOldSCPBreaks(t *testing.T) {
	for _, e := range withoutSFTP {
		t.Run(e.name, func(t *testing.T) {
			noGoroutineLeft(t)
			p := alone(t, e)
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			mustFail(t, second(p.upload(t, ctx, "file", halfway(func(context.Context) error { cancel(); return nil }))), "", transfer.Cancelled)
			p.mustBeEmpty(t)

			p.again()
			w := p.through(t, nil)
			cut := false
			source := halfway(func(context.Context) error {
				if !cut {
					cut = true
					w.cut()
				}
				return nil
			})
			if _, err := p.upload(t, t.Context(), "file", source); err != nil {
				t.Fatal(err)
			}
			p.mustHold(t, "file", source.sum())
			if names := p.names(t); len(names) != 1 {
				t.Errorf("the folder holds %q", names)
			}
			w.cutAfter(source.size / 2)
			p.options.Notice = func(line string) {
				if strings.Contains(line, "trying again") {
					w.cutAfter(1 << 40)
				}
			}
			dst, fetched, err := p.download(t, t.Context(), "file")
			mustBe(t, dst, fetched, err, source.sum())
		})
	}
}

// An account that may run scp and nothing else: there is no rename, and that is said.
func TestOldSCPAlone(t *testing.T) {
	p := forced(t, `case $SSH_ORIGINAL_COMMAND in scp*) eval "exec $SSH_ORIGINAL_COMMAND" ;; *) echo scp only; exit 1 ;; esac`)
	source := &random{size: 1 << 20}
	result, err := p.upload(t, t.Context(), "file", source)
	if err != nil {
		t.Fatal(err)
	}
	p.mustHold(t, "file", source.sum())
	if !strings.Contains(strings.Join(result.Notices, "\n"), "grows under its final name") {
		t.Errorf("notices: %q", result.Notices)
	}
	fault := mustFail(t, second(p.upload(t, t.Context(), "other", halfway(func(context.Context) error { return os.ErrInvalid }))), transfer.OpSource, transfer.SourceFailed)
	if !strings.Contains(fault.Hint, "unfinished other may have stayed") {
		t.Errorf("the hint is %q", fault.Hint)
	}
}

func TestNeitherSFTPNorSCP(t *testing.T) {
	p := alone(t, endpoint{"scp", "scp", func() (*peers.Server, error) {
		return peers.StartSSHD(peers.SSHDConfig{Account: account, NoSFTP: true, Extra: []string{"SetEnv PATH=/nowhere"}})
	}, true})
	fault := mustFail(t, second(p.upload(t, t.Context(), "file", text("x"))), transfer.OpLogin, transfer.Refused, p.options.Password)
	if !strings.Contains(fault.Error(), "no sftp, and no scp") {
		t.Errorf("it says %v", fault)
	}
	_, _, err := p.download(t, t.Context(), "file")
	mustFail(t, err, transfer.OpLogin, transfer.Refused, p.options.Password)
	p.mustBeEmpty(t)
}

// What stands in for scp on the server answers what it should not.
func TestHostileOldSCP(t *testing.T) {
	hex := fmt.Sprintf("%q", nasty)
	for name, script := range map[string]string{
		"nothing":               `exit 0`,
		"escapes":               `printf '\001'` + hex + `'\n'; cat >/dev/null`,
		"endless":               `printf '\001'; tr '\0' x </dev/zero`,
		"endless errors":        `exec yes >&2`,
		"another answer":        `echo hello; cat >/dev/null`,
		"no size":               `printf 'C0644 x y\n'; cat >/dev/null`,
		"a size below zero":     `printf 'C0644 -1 y\n'; cat >/dev/null`,
		"a size beyond all":     `printf 'C0644 99999999999999999999 y\n'; cat >/dev/null`,
		"a folder":              `printf 'D0755 0 y\n'; cat >/dev/null`,
		"a file that ends":      `printf 'C0644 10 y\n12345'`,
		"a file with an answer": `printf 'C0644 3 y\nabc\001changed\n'; cat >/dev/null`,
		"no end":                `printf 'C0644 3 y\nabcdef'; cat >/dev/null`,
	} {
		t.Run(name, func(t *testing.T) {
			noGoroutineLeft(t)
			p := forced(t, script)
			p.options.IdleTimeout = 2 * time.Second
			dst, _, err := p.download(t, t.Context(), "file")
			mustFail(t, err, "", kindOf(err), p.options.Password)
			mustBeGone(t, dst)
			err = second(p.upload(t, t.Context(), "file", &random{size: 1 << 20}))
			mustFail(t, err, "", kindOf(err), p.options.Password)
			p.mustBeEmpty(t)
		})
	}
	p := forced(t, `printf 'C0644 3 ../../y\nabc\000'; cat >/dev/null`) // names are not the server's to give
	dst, fetched, err := p.download(t, t.Context(), "file")
	mustBe(t, dst, fetched, err, sha256.Sum256([]byte("abc")))
}

func kindOf(err error) transfer.Kind {
	if fault, ok := err.(*transfer.Error); ok {
		return fault.Kind
	}
	return ""
}
