package commands

import (
	"cmp"
	"context"
	"slices"
	"strings"

	"sealgate/appliance"
	"sealgate/appliance/folder"
)

type gtiGwRemoteCmd struct {
	uploadFlags
	SendAll bool   `name:"send-all" help:"send all of them; the URL is a folder"`
	Latest  bool   `help:"send the newest one"`
	URL     string `name:"url" required:"" address:"" placeholder:"URL" help:"where to: HOST[:PORT]/path; a path that ends in / is a folder"`
	Name    string `arg:"" optional:"" name:"gw_instance_id" complete:"bundles" help:"the name of one of them"`
}

func (gtiGwRemoteCmd) Help() string {
	return `Bundles that this management server pulled from its gateways, with 'impctl
gateway get-tech-info'. 'files list' shows them as kind gateway. They stay in
their folder; 'files delete' deletes them. The first that cannot be sent ends
--send-all.`
}

func (c *gtiGwRemoteCmd) Run(ctx context.Context, e *Env) error {
	up, err := c.upload(e, c.URL)
	if err != nil {
		return err
	}
	list, err := c.chosen(e)
	if err != nil {
		return err
	}
	if len(list) > 1 && !strings.HasSuffix(c.URL, "/") {
		return usage("end the URL with /, and each keeps its name", "%d bundles cannot all have the same name", len(list))
	}
	sent := []SendResult{}
	var b strings.Builder
	for i, f := range list {
		r, err := e.Host.Send(ctx, e.Caller, Send{Name: f.Name, Kinds: []string{folder.Gateway}, Upload: up}, e.UI)
		if err != nil {
			if len(list) > 1 {
				e.Say("%d of %d bundles were sent; %s was not", i, len(list), f.Name)
			}
			return err
		}
		sent = append(sent, r)
		b.WriteString(sentLine(r))
	}
	return e.Out(struct {
		Sent []SendResult `json:"sent"`
	}{sent}, b.String())
}

// chosen are the bundles to send.
func (c *gtiGwRemoteCmd) chosen(e *Env) ([]folder.File, error) {
	ways := 0
	for _, given := range []bool{c.SendAll, c.Latest, c.Name != ""} {
		if given {
			ways++
		}
	}
	if ways != 1 {
		return nil, usage("files list | match gateway", "gti-gw-remote takes one of --send-all, --latest and the name of a bundle")
	}
	list, err := folder.List(e.Host.Home())
	if err != nil {
		return nil, err
	}
	list = slices.DeleteFunc(list, func(f folder.File) bool { return f.Kind != folder.Gateway || c.Name != "" && f.Name != c.Name })
	if len(list) == 0 {
		named := ""
		if c.Name != "" {
			named = " named " + quote(c.Name)
		}
		return nil, appliance.Faultf("files list shows what is there", "no bundle of a gateway%s is here", named)
	}
	if c.Latest {
		list = []folder.File{slices.MaxFunc(list, func(a, b folder.File) int {
			return cmp.Or(a.Modified.Compare(b.Modified), cmp.Compare(a.Name, b.Name))
		})}
	}
	return list, nil
}
