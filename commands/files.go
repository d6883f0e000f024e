package commands

import (
	"context"
	"fmt"
	"strings"

	"sealgate/appliance"
	"sealgate/appliance/folder"
)

type filesCmd struct {
	List   filesListCmd   `cmd:"" example:"files list" rights:"operator" help:"list dumps and support bundles"`
	Delete filesDeleteCmd `cmd:"" example:"files delete mx1_20260102_030405.tgz" room:"" help:"delete some of them"`
	Send   filesSendCmd   `cmd:"" example:"files send mx1_20260102_030405.tgz backup.example.com/dumps/ --protocol scp --user backup --password -" exits:"4,130" help:"upload one of them"`
}

type filesListCmd struct{}

func (filesListCmd) Run(_ context.Context, e *Env) error {
	files, err := folder.List(e.Host.Home())
	if err != nil {
		return err
	}
	if files == nil {
		files = []folder.File{}
	}
	var b strings.Builder
	for _, f := range files {
		fmt.Fprintf(&b, "%-44s %s\n", f.Name, fileLine(f))
	}
	if len(files) == 0 && !e.json {
		maker := "export-local"
		if e.Host.Config().Role == appliance.Gateway {
			maker = "impctl support get-tech-info"
		}
		e.Say("no files; %s makes one", maker)
	}
	return e.Out(map[string][]folder.File{"files": files}, b.String())
}

func fileLine(f folder.File) string {
	return fmt.Sprintf("%-9s %10s  %s", f.Kind, size(f.Size), stamp(f.Modified))
}

type filesDeleteCmd struct {
	Names []string `arg:"" name:"name" complete:"files" help:"a file that files list shows"`
}

// Run looks at every name before it deletes the first.
func (c *filesDeleteCmd) Run(_ context.Context, e *Env) error {
	for _, name := range c.Names {
		file, err := folder.Open(e.Host.Home(), name)
		if err != nil {
			return err
		}
		file.Close()
	}
	for _, name := range c.Names {
		if err := folder.Delete(e.Host.Home(), name); err != nil {
			return err
		}
	}
	return e.Out(struct {
		Deleted []string `json:"deleted"`
	}{c.Names}, "deleted "+strings.Join(c.Names, ", ")+"\n")
}

type filesSendCmd struct {
	uploadFlags
	Name string `arg:"" complete:"files" help:"a file that files list shows"`
	URL  string `arg:"" name:"url" help:"where to: HOST[:PORT]/path; a path that ends in / is a folder"`
}

func (filesSendCmd) Help() string {
	return `The file stays in its folder. A dump that holds keys and is not encrypted is
not sent anywhere.`
}

func (c *filesSendCmd) Run(ctx context.Context, e *Env) error {
	up, err := c.upload(e, c.URL)
	if err != nil {
		return err
	}
	file, err := folder.Open(e.Host.Home(), c.Name)
	if err != nil {
		return err
	}
	file.Close()
	r, err := e.Host.Send(ctx, e.Caller, Send{Name: c.Name, Upload: up}, e.UI)
	if err != nil {
		return err
	}
	return e.Out(r, sentLine(r))
}

func sentLine(r SendResult) string {
	return fmt.Sprintf("%s: %s in %s, sent to %s\n", r.Name, size(r.Bytes), brief(r.Elapsed), r.Sent)
}
