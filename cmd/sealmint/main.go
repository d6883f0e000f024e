// Sealmint is the vendor's tool: it makes test data (and, in time, keys,
// licences and patches).
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"

	"github.com/alecthomas/kong"

	"sealgate/control"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	var cli struct {
		Seed    seedCmd          `cmd:"" help:"fill a management server's database with test data"`
		Version kong.VersionFlag `help:"print the version"`
	}
	parser := kong.Must(&cli, kong.Name("sealmint"), kong.Description("Sealgate's vendor tool."),
		kong.Vars{"version": "Sealgate " + control.Version})
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
