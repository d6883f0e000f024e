package commands

import (
	"context"
	"fmt"
	"strings"
	"time"

	"sealgate/appliance/techinfo"
)

// bundleFlags choose what a bundle holds.
type bundleFlags struct {
	CaseNumber         string `name:"case-number" placeholder:"CASE" help:"the support case, part of the bundle's name"`
	LastServerArchives int    `name:"last-server-archives" placeholder:"N" help:"of the logs that were put aside, only the newest N"`
	LastArchivesByDate string `name:"last-archives-by-date" placeholder:"MMDDYYYY" help:"of the logs that were put aside, only those since this day (UTC)"`
	NoBigLogs          bool   `name:"no-big-logs" help:"of each log the last MiB"`

	Upgrade   bool `help:"with releases, and the schemas of the databases"`
	AccessLog bool `name:"get-access-log" help:"with the log of requests to the role"`
	Coredumps bool `help:"with crash reports, and core files sealed to the support key"`
	Traffic   bool `name:"agents-traffic-analysis" help:"with counters of the role's traffic over 5 seconds, and its connections"`
	Debug     bool `name:"server-debug" help:"with profiles of the running role: memory, goroutines, 3 seconds of processor time"`
}

func (f bundleFlags) options(e *Env) (techinfo.Options, error) {
	o := techinfo.Options{Case: f.CaseNumber, Archives: f.LastServerArchives, NoBigLogs: f.NoBigLogs,
		Upgrade: f.Upgrade, AccessLog: f.AccessLog, Cores: f.Coredumps, Traffic: f.Traffic, Debug: f.Debug}
	if f.Coredumps {
		if _, _, err := techinfo.SupportKey(e.Host.Home()); err != nil {
			return o, err
		}
	}
	if f.CaseNumber != "" && !techinfo.ValidCase(f.CaseNumber) {
		return o, usage("for example --case-number 00123456", "--case-number %s: 1 to 32 letters, digits and '-'", quote(f.CaseNumber))
	}
	if f.LastServerArchives < 0 {
		return o, usage("for example --last-server-archives 3", "--last-server-archives must not be negative")
	}
	if f.LastArchivesByDate != "" {
		since, err := time.Parse("01022006", f.LastArchivesByDate)
		if err != nil {
			return o, usage("for example --last-archives-by-date 12312026", "--last-archives-by-date %s is no day", quote(f.LastArchivesByDate))
		}
		o.Since = since
	}
	return o, nil
}

type gtiRemoteCmd struct {
	bundleFlags
	Protocol string `enum:"ftp,http,https,scp," default:"" placeholder:"{ftp,http,https,scp}" values:"ftp=with TLS where the server offers it|http=PUT, in the clear|https=PUT|scp=over SSH, as SFTP" help:"how to send it"`
	accountFlags
	Dump bool   `help:"show what would be in it instead, of each file the last 16 KiB"`
	URL  string `arg:"" optional:"" name:"url" help:"where to: HOST[:PORT]/path; a path that ends in / is a folder"`
}

func (gtiRemoteCmd) Help() string {
	return `The bundle is a .tgz with a manifest: versions, configuration, logs, the audit log,
facts of the machine, health of the database. No secret is in it: what holds
secrets is left out, and all else is searched for them. What cannot be collected
is noted in the manifest. Logs are those of the appliance and, with
--get-access-log, of requests; a log that was put aside is an archive. When the upload fails, the bundle is kept: 'files send'
sends it again.`
}

func (c *gtiRemoteCmd) Run(ctx context.Context, e *Env) error {
	o, err := c.options(e)
	if err != nil {
		return err
	}
	if c.Dump {
		if c.URL != "" || c.Protocol != "" || c.accountFlags != (accountFlags{}) {
			return usage("gti-remote --dump", "--dump sends nothing: leave out --protocol, the URL and what is about a server")
		}
		if e.json {
			return usage("gti-remote --dump", "--dump is for reading, and not in JSON")
		}
		_, err := e.Host.TechInfo(ctx, e.Caller, TechInfo{Options: o, Dump: true, Status: e.Host.Status()}, e.UI)
		return err
	}
	if c.Protocol == "" || c.URL == "" {
		return usage("gti-remote --protocol scp --user USERNAME HOST/path/, or gti-remote --dump", "gti-remote needs --protocol and a URL, or --dump")
	}
	up, err := c.upload(e, c.Protocol, c.URL)
	if err != nil {
		return err
	}
	return e.techInfo(ctx, TechInfo{Options: o, Upload: &up})
}

type supportCmd struct {
	GetTechInfo getTechInfoCmd `cmd:"" name:"get-tech-info" example:"impctl support get-tech-info --case-number 00123456" exits:"130" help:"collect a support bundle and keep it here"`
	Key         supportKeyCmd  `cmd:"" example:"impctl support key show" help:"to whom core files are sealed"`
}

type getTechInfoCmd struct{ bundleFlags }

func (getTechInfoCmd) Help() string {
	return `The bundle that gti-remote sends, in the tech-info folder: 'files list' shows it.`
}

func (c *getTechInfoCmd) Run(ctx context.Context, e *Env) error {
	o, err := c.options(e)
	if err != nil {
		return err
	}
	return e.techInfo(ctx, TechInfo{Options: o})
}

func (e *Env) techInfo(ctx context.Context, x TechInfo) error {
	x.Status = e.Host.Status()
	r, err := e.Host.TechInfo(ctx, e.Caller, x, e.UI)
	if err != nil {
		return err
	}
	return e.bundled(r)
}

// bundled says what was made.
func (e *Env) bundled(r TechInfoResult) error {
	var b strings.Builder
	b.WriteString(r.words(fmt.Sprintf("%d files", r.Files), "tech-info"))
	for _, n := range r.Notes {
		fmt.Fprintf(&b, "missing: %s: %s\n", n.Collector, n.Text)
	}
	if r.Masked > 0 {
		fmt.Fprintf(&b, "%d secrets were found in it and overwritten\n", r.Masked)
	}
	return e.Out(r, b.String())
}
