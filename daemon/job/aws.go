package job

import (
	"context"
	"io"
	"time"

	"sealgate/appliance"
	"sealgate/appliance/aws"
	"sealgate/appliance/techinfo"
	"sealgate/commands"
	"sealgate/control"
	"sealgate/transfer"
)

// awsLogs collects what AWS knows of this instance, and sends it. AWS is reached by the
// rules and the proxy of the upload.
func awsLogs(ctx context.Context, home appliance.Home, x commands.AWSLogs, ui control.UI) (commands.TechInfoResult, error) {
	begin := time.Now()
	src, done, err := techInfoSource(ctx, home, commands.Status{})
	if err != nil {
		return commands.TechInfoResult{}, err
	}
	defer done()
	endpoints, err := aws.LoadEndpoints(home)
	if err != nil {
		return commands.TechInfoResult{}, err
	}
	o, err := options(home, x.Upload.Access, ui)
	if err != nil {
		return commands.TechInfoResult{}, err
	}
	found, err := aws.Collect(ctx, home, aws.Options{
		AccessKey: x.AccessKey, SecretKey: x.SecretKey, Endpoints: endpoints,
		Dial: transfer.Dialer(ctx, transfer.Options{Policy: o.Policy, Proxy: o.Proxy}),
		Progress: func(done, total int) {
			ui.Progress(control.Progress{Label: "asking AWS", Done: int64(done), Total: int64(total)})
		},
	})
	if err != nil {
		return commands.TechInfoResult{}, err
	}
	src.Secrets = append(src.Secrets, found.Secrets...)
	write := func(w io.Writer, progress func(done, total int64)) (techinfo.Manifest, error) {
		return techinfo.Pack(ctx, src, found.Contents, found.Notes, w, progress)
	}
	name := "aws-logs_" + src.Config.Name + begin.UTC().Format("_20060102_150405")
	r, m, err := keepAndSend(ctx, home, name, write, &x.Upload, ui)
	r.Files, r.Notes, r.Masked, r.Elapsed = len(m.Files), m.Notes, m.Masked, time.Since(begin)
	return r, err
}
