package awstest

import (
	"cmp"
	"encoding/base64"
	"encoding/xml"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// versions are those of the APIs, by service, and what they are called by in
// permissions is the service.
var versions = map[string][]string{
	"ec2":                  {"2016-11-15"},
	"autoscaling":          {"2011-01-01"},
	"cloudformation":       {"2010-05-15"},
	"elasticloadbalancing": {"2012-06-01", "2015-12-01"},
}

// maxRequest bounds what is read of a request, in bytes.
const maxRequest = 64 << 10

// failure is an error of AWS.
type failure struct {
	status        int
	code, message string
}

func (a *AWS) serveAPI(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(io.LimitReader(r.Body, maxRequest))
	if err != nil {
		return
	}
	service, err := signed(r, body)
	if err != nil {
		a.refuse(w, service, failure{http.StatusForbidden, wrongSignature(service), err.Error()})
		return
	}
	form, err := url.ParseQuery(string(body))
	action := service + ":" + form.Get("Action")
	if err != nil || r.Method != http.MethodPost || !slices.Contains(versions[service], form.Get("Version")) {
		a.fault("%s %s of version %q", r.Method, action, form.Get("Version"))
		a.refuse(w, service, failure{http.StatusBadRequest, "InvalidAction", "no such action"})
		return
	}
	if f := a.unwilling(service, action); f != nil {
		a.refuse(w, service, *f)
		return
	}
	answer := a.answer(service, form)
	if answer == "" {
		a.fault("%s is asked for with %v", action, form)
		a.refuse(w, service, failure{http.StatusBadRequest, "ValidationError", "the parameters are not right"})
		return
	}
	if token := cmp.Or(form.Get("NextToken"), form.Get("Marker")); token != "" {
		action += "@" + token
	}
	a.mu.Lock()
	a.requests = append(a.requests, action)
	a.mu.Unlock()
	w.Header().Set("Content-Type", "text/xml")
	if service != "ec2" {
		answer = fmt.Sprintf("<%[1]sResult>%[2]s</%[1]sResult>", form.Get("Action"), answer)
	}
	fmt.Fprintf(w, `<?xml version="1.0" encoding="UTF-8"?><%[1]sResponse xmlns="http://%[2]s.amazonaws.com/doc/"><requestId>r-1</requestId>%[3]s</%[1]sResponse>`, form.Get("Action"), service, answer)
}

func wrongSignature(service string) string {
	if service == "ec2" {
		return "AuthFailure"
	}
	return "SignatureDoesNotMatch"
}

// unwilling is the error that the options want for an action.
func (a *AWS) unwilling(service, action string) *failure {
	a.mu.Lock()
	defer a.mu.Unlock()
	message := cmp.Or(a.o.Message, "User: arn:aws:sts::"+Account+":assumed-role/"+Role+"/"+Instance+" is not authorized to perform: "+action)
	switch {
	case a.throttled[action] < a.o.Throttle[action]:
		a.throttled[action]++
		code := "Throttling"
		if service == "ec2" {
			code = "RequestLimitExceeded"
		}
		return &failure{http.StatusServiceUnavailable, code, "Rate exceeded"}
	case a.o.Code[action] != "":
		return &failure{http.StatusForbidden, a.o.Code[action], message}
	case slices.Contains(a.o.Denied, action) && service == "ec2":
		return &failure{http.StatusForbidden, "UnauthorizedOperation", cmp.Or(a.o.Message, "You are not authorized to perform this operation.")}
	case slices.Contains(a.o.Denied, action):
		return &failure{http.StatusForbidden, "AccessDenied", message}
	}
	return nil
}

// refuse answers as the service's API does.
func (a *AWS) refuse(w http.ResponseWriter, service string, f failure) {
	if strings.HasPrefix(f.code, "Signature") || f.code == "AuthFailure" && a.o.Code == nil {
		a.fault("%s: %s", service, f.message)
	}
	var message strings.Builder
	_ = xml.EscapeText(&message, []byte(f.message)) // to a Builder
	inner := fmt.Sprintf("<Error><Type>Sender</Type><Code>%s</Code><Message>%s</Message></Error>", f.code, message.String())
	w.Header().Set("Content-Type", "text/xml")
	w.WriteHeader(f.status)
	if service == "ec2" {
		fmt.Fprintf(w, "<Response><Errors>%s</Errors><RequestID>r-1</RequestID></Response>", inner)
		return
	}
	fmt.Fprintf(w, "<ErrorResponse>%s<RequestId>r-1</RequestId></ErrorResponse>", inner)
}

// answer is the content of a result; empty where the parameters are wrong.
func (a *AWS) answer(service string, form url.Values) string {
	switch form.Get("Action") {
	case "DescribeInstances":
		if form.Get("InstanceId.1") == Instance {
			return a.instance()
		}
	case "GetConsoleOutput":
		if form.Get("InstanceId") == Instance {
			output := "Sealgate boots\r\nlogin: \x1b[31mnot on a terminal\n"
			return fmt.Sprintf("<instanceId>%s</instanceId><timestamp>2026-01-02T03:04:05.000Z</timestamp><output>%s</output>", Instance, base64.StdEncoding.EncodeToString([]byte(output)))
		}
	case "DescribeStackEvents":
		if form.Get("StackName") == Stack {
			return a.paged(form.Get("NextToken"), "NextToken", "StackEvents", func(page int) string {
				return fmt.Sprintf(`<member><StackId>arn:stack</StackId><EventId>event-%d</EventId><StackName>%s</StackName><ResourceStatusReason>%s</ResourceStatusReason><LogicalResourceId>Gateway</LogicalResourceId><ResourceStatus>CREATE_COMPLETE</ResourceStatus><Timestamp>2026-01-02T03:04:05Z</Timestamp><ResourceProperties>{"UserData":%q}</ResourceProperties></member>`, page, Stack, strings.Repeat("x", a.o.Padding), StackSecret)
			})
		}
	case "DescribeScalingActivities":
		if form.Get("AutoScalingGroupName") == Group {
			return a.paged(form.Get("NextToken"), "NextToken", "Activities", func(page int) string {
				return fmt.Sprintf(`<member><ActivityId>activity-%d</ActivityId><AutoScalingGroupName>%s</AutoScalingGroupName><Cause>a user asked</Cause><StatusCode>Successful</StatusCode><StartTime>2026-01-02T03:04:05Z</StartTime></member>`, page, Group)
			})
		}
	case "DescribeLoadBalancers":
		if form.Get("Version") == "2012-06-01" {
			return a.paged(form.Get("Marker"), "NextMarker", "LoadBalancerDescriptions", func(page int) string {
				return fmt.Sprintf("<member><LoadBalancerName>classic-%d</LoadBalancerName><VPCId>%s</VPCId></member><member><LoadBalancerName>foreign-classic</LoadBalancerName><VPCId>vpc-other</VPCId></member>", page, VPC)
			})
		}
		return a.paged(form.Get("Marker"), "NextMarker", "LoadBalancers", func(page int) string {
			return fmt.Sprintf("<member><LoadBalancerName>network-%d</LoadBalancerName><VpcId>%s</VpcId><Type>network</Type></member><member><LoadBalancerName>foreign-network</LoadBalancerName><VpcId>vpc-other</VpcId></member>", page, VPC)
		})
	}
	return ""
}

func (a *AWS) instance() string {
	tags := fmt.Sprintf("<item><key>aws:cloudformation:stack-name</key><value>%s</value></item><item><key>aws:autoscaling:groupName</key><value>%s</value></item>", Stack, Group)
	if a.o.Lonely {
		tags = "<item><key>Name</key><value>alone</value></item>"
	}
	return fmt.Sprintf("<reservationSet><item><reservationId>r-1</reservationId><instancesSet><item><instanceId>%s</instanceId><instanceType>m6i.large</instanceType><vpcId>%s</vpcId><tagSet>%s</tagSet></item></instancesSet></item></reservationSet>", Instance, VPC, tags)
}

// paged is the page that token asks for of a list, with the token of the next one.
func (a *AWS) paged(token, next, list string, member func(page int) string) string {
	page := 1
	if token != "" {
		var err error
		if page, err = strconv.Atoi(strings.TrimPrefix(token, "page-")); err != nil {
			return ""
		}
	}
	answer := fmt.Sprintf("<%[1]s>%[2]s</%[1]s>", list, member(page))
	if page < cmp.Or(a.o.Pages, 3) {
		answer += fmt.Sprintf("<%[1]s>page-%[2]d</%[1]s>", next, page+1)
	}
	return answer
}
