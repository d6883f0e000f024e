package commands

import (
	"context"
	"strings"
)

type awsLogsCmd struct {
	AccessKey string `name:"access-key" placeholder:"KEY" secret:"AWS access key" help:"whose permissions to ask AWS with instead of the instance's role; - asks for it"`
	SecretKey string `name:"secret-key" placeholder:"KEY" secret:"AWS secret key" help:"the secret of that key; - asks for it"`
	uploadFlags
	URL string `arg:"" name:"url" help:"where to: HOST[:PORT]/path; a path that ends in / is a folder"`
}

func (awsLogsCmd) Help() string {
	return `On EC2: the instance's description and console output, the events of its
CloudFormation stack, the activities of its Auto Scaling group, the load balancers
of its network, and the log of the first-time login, as one .tgz. Where the
credentials lack a permission, the result names it. --proxy leads to AWS, too, and
the transfer policy holds there. When the upload fails, the archive is kept:
'files send' sends it again.`
}

// AWSLogs is the work of aws-logs-remote.
type AWSLogs struct {
	AccessKey string `json:"access_key,omitempty"` // empty: the instance's role
	SecretKey string `json:"secret_key,omitempty"`
	Upload    Upload `json:"upload"`
}

// maxAWSKey bounds either key; AWS's are a quarter as long.
const maxAWSKey = 128

func (c *awsLogsCmd) Run(ctx context.Context, e *Env) error {
	if (c.AccessKey == "") != (c.SecretKey == "") {
		return usage("--access-key - --secret-key - asks for both", "--access-key and --secret-key go together")
	}
	for flag, key := range map[string]string{"--access-key": c.AccessKey, "--secret-key": c.SecretKey} {
		if len(key) > maxAWSKey || strings.ContainsFunc(key, func(r rune) bool { return r <= ' ' || r > '~' }) {
			return usage("a key is letters, digits and + / =", "%s is no key of AWS", flag)
		}
	}
	up, err := c.upload(e, c.URL)
	if err != nil {
		return err
	}
	r, err := e.Host.AWSLogs(ctx, e.Caller, AWSLogs{c.AccessKey, c.SecretKey, up}, e.UI)
	if err != nil {
		return err
	}
	return e.bundled(r)
}
