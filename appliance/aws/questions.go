package aws

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strings"
)

// question is one that is asked beside others; folder is where its answer lies.
type question struct {
	folder string
	ask    func(context.Context, *collection) error
}

// questions are the closed list, as far as the instance has a stack, a group and a network.
func (c *collection) questions() []question {
	list := []question{{"instance", console}}
	ask := func(folder, concerns, missing string, ask func(context.Context, *collection) error) {
		if concerns == "" {
			c.note(folder, "%s", missing)
			return
		}
		list = append(list, question{folder, ask})
	}
	unknown := "the instance's description does not tell of "
	ask("cloudformation", c.stack, unknown+"a CloudFormation stack", events(c.stack))
	ask("autoscaling", c.group, unknown+"an Auto Scaling group", activities(c.group))
	ask("elb", c.vpc, unknown+"its network", classic)
	ask("elb", c.vpc, unknown+"its network", balancers)
	return list
}

// describe is the instance itself. Its tags name its stack and its group.
func (c *collection) describe(ctx context.Context) error {
	answer, err := c.client.ask(ctx, "ec2", "DescribeInstances", url.Values{"InstanceId.1": {c.instance}})
	if refused, ok := errors.AsType[*refusal](err); ok && refused.denied() {
		return c.noted("instance", err)
	}
	if err != nil {
		return err
	}
	for _, reservation := range answer.list("reservationSet") {
		for _, instance := range reservation.list("instancesSet") {
			c.vpc = instance.text("vpcId")
			for _, tag := range instance.list("tagSet") {
				switch tag.text("key") {
				case "aws:cloudformation:stack-name":
					c.stack = tag.text("value")
				case "aws:autoscaling:groupName":
					c.group = tag.text("value")
				}
			}
		}
	}
	return c.json("instance/instance.json", answer["reservationSet"])
}

// console is what the machine has written there. Only some types of instances have the
// latest, the others what was written at boot.
func console(ctx context.Context, c *collection) error {
	form := url.Values{"InstanceId": {c.instance}, "Latest": {"true"}}
	answer, err := c.client.ask(ctx, "ec2", "GetConsoleOutput", form)
	if refused, ok := errors.AsType[*refusal](err); ok && refused.code == "UnsupportedOperation" {
		form.Del("Latest")
		answer, err = c.client.ask(ctx, "ec2", "GetConsoleOutput", form)
	}
	if err != nil {
		return err
	}
	output, err := base64.StdEncoding.DecodeString(strings.TrimSpace(answer.text("output")))
	if err != nil {
		return fmt.Errorf("the console's output is not base64: %w", err)
	}
	c.add("instance/console.log", output)
	return nil
}

func events(stack string) func(context.Context, *collection) error {
	return func(ctx context.Context, c *collection) error {
		return c.pages(ctx, listing{
			name: "cloudformation/events.json", service: "cloudformation", action: "DescribeStackEvents", form: url.Values{"StackName": {stack}},
			list: "StackEvents", token: "NextToken", next: "NextToken",
			// The properties of an instance are its user data, with what first-time login was told.
			keep: func(event object) bool { delete(event, "ResourceProperties"); return true },
		})
	}
}

func activities(group string) func(context.Context, *collection) error {
	return func(ctx context.Context, c *collection) error {
		return c.pages(ctx, listing{
			name: "autoscaling/activities.json", service: "autoscaling", action: "DescribeScalingActivities", form: url.Values{"AutoScalingGroupName": {group}},
			list: "Activities", token: "NextToken", next: "NextToken",
			keep: func(object) bool { return true },
		})
	}
}

// The load balancers of other networks of the account are nobody's business.
func classic(ctx context.Context, c *collection) error {
	return c.pages(ctx, listing{
		name: "elb/classic.json", service: classicELB, action: "DescribeLoadBalancers",
		list: "LoadBalancerDescriptions", token: "Marker", next: "NextMarker",
		keep: func(balancer object) bool { return balancer.text("VPCId") == c.vpc },
	})
}

func balancers(ctx context.Context, c *collection) error {
	return c.pages(ctx, listing{
		name: "elb/balancers.json", service: newELB, action: "DescribeLoadBalancers",
		list: "LoadBalancers", token: "Marker", next: "NextMarker",
		keep: func(balancer object) bool { return balancer.text("VpcId") == c.vpc },
	})
}

// listing is a question that is answered in pages.
type listing struct {
	name            string // of the file
	service, action string
	form            url.Values
	list            string // of the answer
	token, next     string // of the request and the answer: where the next page begins
	keep            func(object) bool
}

// What is kept of a list, the newest first.
const (
	maxPages = 50       // of mostly a hundred entries each
	maxList  = 16 << 20 // bytes of JSON
)

// pages collects a list. What came before an error is kept.
func (c *collection) pages(ctx context.Context, l listing) error {
	kept, size := []json.RawMessage{}, 0
	form := url.Values{}
	for key, values := range l.form {
		form[key] = values
	}
	var failed error
	for page := 1; ; page++ {
		answer, err := c.client.ask(ctx, l.service, l.action, form)
		if err != nil {
			failed = err
			break
		}
		result := answer.object(l.action + "Result")
		for _, entry := range result.list(l.list) {
			if !l.keep(entry) {
				continue
			}
			data, err := json.Marshal(entry)
			if err != nil {
				return err
			}
			kept = append(kept, data)
			size += len(data)
		}
		token := result.text(l.next)
		if token == "" {
			break
		}
		if page == maxPages || size > maxList {
			failed = fmt.Errorf("%s holds %d entries, and there are more", l.name, len(kept))
			break
		}
		form.Set(l.token, token)
	}
	if failed != nil && len(kept) == 0 {
		return failed
	}
	return errors.Join(failed, c.json(l.name, kept))
}
