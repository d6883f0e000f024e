// Sealmint is the vendor's tool: it makes signing keys, licences, patches and test
// data.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"

	"github.com/alecthomas/kong"
	"golang.org/x/sys/unix"

	"sealgate/appliance/seal"
	"sealgate/control"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, unix.SIGTERM)
	defer stop()
	var cli struct {
		Keygen  keygenCmd        `cmd:"" help:"make a key that signs, and its anchor"`
		License licenseCmd       `cmd:"" help:"sign a licence, and print its key"`
		Patch   patchCmd         `cmd:"" help:"build, sign and verify patches"`
		Seed    seedCmd          `cmd:"" help:"fill a management server's database with test data"`
		Demo    demoCmd          `cmd:"" hidden:"" help:"put a demonstration site behind a gateway of this machine"`
		Version kong.VersionFlag `help:"print the version"`
	}
	parser := kong.Must(&cli, kong.Name("sealmint"), kong.Description("Sealgate's vendor tool."),
		kong.Vars{"version": "Sealgate " + control.Version, "product": seal.Product})
	kctx, err := parser.Parse(os.Args[1:])
	if err != nil {
		fmt.Fprintf(os.Stderr, "sealgate: error: %v\nsealgate: hint: sealmint --help\n", err)
		os.Exit(control.ExitUsage)
	}
	kctx.BindTo(ctx, (*context.Context)(nil))
	if err := kctx.Run(); err != nil {
		fmt.Fprintf(os.Stderr, "sealgate: error: %v\n", err)
		os.Exit(control.ExitFailed)
	}
}
