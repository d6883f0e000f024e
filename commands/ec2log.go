package commands

import (
	"context"
	"io"
	"strings"
	"time"

	"sealgate/appliance/ftl"
	"sealgate/transfer"
)

type ec2logCmd struct {
	Follow bool `help:"go on with what is written next, until Ctrl-C"`
}

func (ec2logCmd) Help() string {
	return `A line for each step that made the appliance what it is: the time, the task
(settings, passwords, license, users, network, registration, hotfix, …), how it
went (done, failed, or waiting: it is tried again) and why. Bundles hold it too.
With --follow --json each step is an object of its own.`
}

// followEvery is how often a log that does not grow is looked at.
const followEvery = 250 * time.Millisecond

func (c *ec2logCmd) Run(ctx context.Context, e *Env) error {
	log, err := ftl.Read(e.Host.Home())
	if err != nil {
		return err
	}
	defer log.Close()
	if c.Follow {
		return follow(ctx, e, log)
	}
	list := []ftl.Step{}
	var b strings.Builder
	for {
		s, err := log.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			return err
		}
		list = append(list, s)
		b.WriteString(transfer.SafeText(strings.TrimSuffix(s.Line(), "\n")) + "\n")
	}
	if len(list) == 0 && !e.json {
		e.Say("no step was logged")
	}
	return e.Out(struct {
		Steps []ftl.Step `json:"steps"`
	}{list}, b.String())
}

func follow(ctx context.Context, e *Env, log *ftl.Reader) error {
	for {
		s, err := log.Next()
		if err == nil {
			err = e.Out(s, transfer.SafeText(strings.TrimSuffix(s.Line(), "\n"))+"\n")
		}
		if err != nil && err != io.EOF {
			return err
		}
		if err == nil {
			continue
		}
		select {
		case <-ctx.Done():
			return errInterrupted
		case <-time.After(followEvery):
		}
	}
}
