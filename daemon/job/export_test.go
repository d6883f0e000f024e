package job

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"sealgate/appliance"
	"sealgate/commands"
	"sealgate/control"
	"sealgate/transfer"
)

// The kernel's "no space left" (a quota, say, which the reserve does not see)
// becomes words and a hint.
func TestFull(t *testing.T) {
	var fault *appliance.Fault
	if err := full(fmt.Errorf("write x: %w", unix.ENOSPC)); !errors.As(err, &fault) || !strings.Contains(fault.Hint, "files delete") {
		t.Errorf("%v", err)
	}
	other := errors.New("other")
	if err := full(other); err != other {
		t.Errorf("%v", err)
	}
}

// The hint can be pasted and reaches the same server in the same way, but a
// query, which may be a signature, is not repeated.
func TestKept(t *testing.T) {
	err := kept(&transfer.Error{Op: transfer.OpTLS, Err: errors.New("no"), Hint: "first."}, "the dump", "d.tgz",
		commands.Upload{Protocol: "https", URL: "h/x?sig=s3", Access: commands.Access{User: "u", Password: "p4", Insecure: true,
			Proxy: transfer.Proxy{Host: "p", Port: 1080, User: "v", Password: "p5"}}})
	r := commands.ResultOf(err)
	want := "first; the dump is kept: files send d.tgz h/x?… --protocol https --user u --password - --insecure --proxy p:1080 --proxy-user v:-"
	if r.Exit != control.ExitTransfer || r.Hint != want {
		t.Errorf("%+v", r)
	}
}
