// Package aws collects what AWS knows of the instance that the appliance runs on: its
// description and console, the events of its CloudFormation stack, the activities of
// its Auto Scaling group, the load balancers of its network, and beside them the log of
// the first-time login.
//
// It promises that
//
//   - it only looks, and only at what concerns this instance: what it asks is a closed
//     list, docs/ADMIN.md has it as a policy;
//   - what the credentials do not allow is a note that names the permission; only what
//     makes every question useless is an error;
//   - the metadata service is asked with tokens (version 2), directly, at its own
//     address, whatever proxy and policy say; all else goes the way that the caller gives;
//   - no secret comes along: user data is not asked for, the properties of resources,
//     which hold it, are left out, and the caller is told the credentials' secrets, so
//     that they can be searched for;
//   - answers are bounded in size, number and time, and what is beyond is noted.
//
// AWS is asked by its Query protocol, which all these services speak. The SDK's clients
// for them would take 5 MiB of memory in every process of the appliance, for six
// questions; what is hard, signatures and the metadata service, is the SDK's.
package aws

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"sealgate/appliance"
	"sealgate/appliance/techinfo"
)

// Options say as whom AWS is asked, and by which way.
type Options struct {
	AccessKey, SecretKey string // empty: the instance's role
	// Dial connects to AWS. The metadata service is connected to without it.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
	// Endpoints are where AWS is; the zero value is where it always is.
	Endpoints Endpoints
	// Progress is told how many of the questions are answered.
	Progress func(done, total int)
}

// Collected is what there is to know.
type Collected struct {
	Contents []techinfo.Content
	Notes    []techinfo.Note // what is missing, and why
	Secrets  [][]byte        // that must be in none of it
}

// collectTime bounds the whole collection.
const collectTime = 3 * time.Minute

// Collect asks for everything. The error is fit for a person.
func Collect(whole context.Context, home appliance.Home, o Options) (Collected, error) {
	ctx, cancel := context.WithTimeoutCause(whole, collectTime, fmt.Errorf("AWS did not answer everything within %v", collectTime))
	defer cancel()
	about, credentials, err := identify(ctx, o)
	if err != nil {
		return Collected{}, err
	}
	c := &collection{client: newClient(o, about.Region, credentials), instance: about.InstanceID}
	defer c.client.close()
	c.found.Secrets = [][]byte{[]byte(credentials.SecretAccessKey), []byte(credentials.SessionToken)}
	if err := c.json("instance/identity.json", about); err != nil {
		return Collected{}, err
	}
	// Everything else is found by what this says.
	if err := c.describe(ctx); err != nil {
		return Collected{}, err
	}
	if err := c.everything(ctx, o.Progress); err != nil {
		return Collected{}, err
	}
	if whole.Err() != nil {
		return Collected{}, context.Cause(whole)
	}
	c.firstLogin(home)
	return c.found, nil
}

// collection is one on its way.
type collection struct {
	client   *client
	instance string

	stack, group, vpc string // of the instance; empty where there is none

	found Collected
}

// everything asks the questions side by side. What ends all of them is the error.
func (c *collection) everything(ctx context.Context, progress func(done, total int)) error {
	questions := c.questions()
	results := make([]*collection, len(questions))
	failures := make([]error, len(questions))
	var all sync.WaitGroup
	var mu sync.Mutex
	done := 1 // the instance itself
	for i, q := range questions {
		all.Go(func() {
			part := &collection{client: c.client, instance: c.instance, vpc: c.vpc}
			failures[i] = part.noted(q.folder, q.ask(ctx, part))
			results[i] = part
			mu.Lock()
			defer mu.Unlock()
			done++
			progress(done, len(questions)+1)
		})
	}
	all.Wait()
	for i, part := range results {
		if failures[i] != nil {
			return failures[i]
		}
		c.found.Contents = append(c.found.Contents, part.found.Contents...)
		c.found.Notes = append(c.found.Notes, part.found.Notes...)
	}
	return nil
}

// noted makes a note of an error, unless it ends everything.
func (c *collection) noted(folder string, err error) error {
	if err == nil || errors.Is(err, errCredentials) {
		return err
	}
	c.note(folder, "%v", err)
	return nil
}

func (c *collection) note(folder, format string, args ...any) {
	c.found.Notes = append(c.found.Notes, techinfo.Note{Collector: folder, Text: fmt.Sprintf(format, args...)})
}

func (c *collection) add(name string, data []byte) {
	c.found.Contents = append(c.found.Contents, techinfo.Content{Name: name, Data: data})
}

func (c *collection) json(name string, v any) error {
	data, err := json.MarshalIndent(v, "", "  ")
	if err == nil {
		c.add(name, append(data, '\n'))
	}
	return err
}

// maxFirstLogin is the most of the log of the first-time login, in bytes.
const maxFirstLogin = 1 << 20

func (c *collection) firstLogin(home appliance.Home) {
	const folder = "first-time-login"
	file, err := os.OpenFile(home.FirstLogin(), os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if errors.Is(err, fs.ErrNotExist) {
		c.note(folder, "this appliance has no log of its first-time login")
		return
	}
	if err != nil {
		c.note(folder, "%v", err)
		return
	}
	defer file.Close()
	data, err := io.ReadAll(io.LimitReader(file, maxFirstLogin))
	if err != nil {
		c.note(folder, "%v", err)
		return
	}
	c.add(folder+"/ec2_auto_ftl.log", data)
}
