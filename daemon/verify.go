package daemon

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"sealgate/appliance"
	"sealgate/appliance/audit"
	"sealgate/commands"
)

type verifyAuditCmd struct {
	Home  string `default:"/var/lib/sealgate" placeholder:"DIR" help:"the appliance's folder; it may run meanwhile"`
	Heads string `placeholder:"FILE" help:"lines that syslog kept, to compare with"`
}

func (c *verifyAuditCmd) Run(ctx context.Context, stdout io.Writer) error {
	home := appliance.Home(c.Home)
	config, err := home.Load()
	if err != nil {
		return err
	}
	heads, err := readHeads(c.Heads, config.ID)
	if err != nil {
		return err
	}
	report, err := audit.Verify(ctx, home.Audit(), heads)
	if errors.Is(err, fs.ErrNotExist) {
		return appliance.Faultf("the daemon writes it as soon as it runs", "no audit log here: %w", err)
	}
	if err != nil {
		return err
	}
	fmt.Fprint(stdout, commands.AuditLines(report))
	if c.Heads != "" {
		fmt.Fprintf(stdout, "compared with %d heads of %s\n", len(heads), c.Heads)
	}
	return commands.AuditFailure(report)
}

func readHeads(path, id string) ([]audit.Head, error) {
	if path == "" {
		return nil, nil
	}
	file, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("--heads: %w", err)
	}
	defer file.Close()
	heads, err := audit.ReadHeads(file, id)
	switch {
	case err != nil:
		return nil, fmt.Errorf("--heads %s: %w", path, err)
	case len(heads) == 0:
		return nil, appliance.Faultf("they look like: "+audit.Head{}.Line(id), "--heads %s holds no head of this appliance", path)
	}
	return heads, nil
}
