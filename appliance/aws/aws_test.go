package aws_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"sealgate/appliance"
	"sealgate/appliance/aws"
	"sealgate/internal/awstest"
)

func start(t *testing.T, o awstest.Options) *awstest.AWS {
	t.Helper()
	world := awstest.Start(o)
	t.Cleanup(world.Stop)
	return world
}

func home(t *testing.T) appliance.Home {
	t.Helper()
	h := appliance.Home(t.TempDir())
	if err := os.MkdirAll(h.Logs(), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(h.FirstLogin(), []byte("2026-01-02T03:04:05Z network done\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return h
}

// asRole asks as the instance's role.
func asRole(world *awstest.AWS) aws.Options {
	return aws.Options{
		Dial:      new(net.Dialer).DialContext,
		Endpoints: aws.Endpoints{API: world.Endpoint, Metadata: world.Metadata},
		Progress:  func(done, total int) {},
	}
}

func collect(t *testing.T, world *awstest.AWS, o aws.Options) (map[string]string, aws.Collected) {
	t.Helper()
	found, err := aws.Collect(t.Context(), home(t), o)
	if err != nil {
		t.Fatal(err)
	}
	if faults := world.Faults(); len(faults) > 0 {
		t.Errorf("AWS would have refused: %v", faults)
	}
	files := map[string]string{}
	for _, c := range found.Contents {
		files[c.Name] = string(c.Data)
	}
	return files, found
}

var wantFiles = []string{"autoscaling/activities.json", "cloudformation/events.json", "elb/balancers.json", "elb/classic.json",
	"first-time-login/ec2_auto_ftl.log", "instance/console.log", "instance/identity.json", "instance/instance.json"}

func sorted(files map[string]string) []string {
	var names []string
	for name := range files {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// As the role and as a user, all pages of everything that concerns the instance.
func TestCollectsWhatConcernsTheInstance(t *testing.T) {
	for name, keys := range map[string][2]string{"role": {}, "user": {awstest.AccessKey, awstest.SecretKey}} {
		t.Run(name, func(t *testing.T) {
			world := start(t, awstest.Options{})
			o := asRole(world)
			o.AccessKey, o.SecretKey = keys[0], keys[1]
			var steps []int
			o.Progress = func(done, total int) { steps = append(steps, done*10+total) }
			files, found := collect(t, world, o)
			if got := sorted(files); !slices.Equal(got, wantFiles) || len(found.Notes) > 0 {
				t.Errorf("files %v, notes %v", got, found.Notes)
			}
			for file, wants := range map[string][]string{
				"instance/instance.json":            {awstest.Instance, awstest.Stack},
				"instance/console.log":              {"Sealgate boots"},
				"instance/identity.json":            {awstest.Account, awstest.Region},
				"cloudformation/events.json":        {"event-1", "event-2", "event-3", "CREATE_COMPLETE"},
				"autoscaling/activities.json":       {"activity-1", "activity-2", "activity-3"},
				"elb/classic.json":                  {"classic-1", "classic-3"},
				"elb/balancers.json":                {"network-1", "network-3"},
				"first-time-login/ec2_auto_ftl.log": {"network done"},
			} {
				for _, want := range wants {
					if !strings.Contains(files[file], want) {
						t.Errorf("%s lacks %s:\n%s", file, want, files[file])
					}
				}
				if strings.HasSuffix(file, ".json") && !json.Valid([]byte(files[file])) {
					t.Errorf("%s is no JSON", file)
				}
				for _, never := range []string{awstest.StackSecret, awstest.SecretKey, awstest.RoleSecretKey, awstest.RoleToken, "foreign"} {
					if strings.Contains(files[file], never) {
						t.Errorf("%s holds %s", file, never)
					}
				}
			}
			if !slices.Equal(steps, []int{26, 36, 46, 56, 66}) {
				t.Errorf("progress %v", steps)
			}
			for _, want := range []string{"cloudformation:DescribeStackEvents@page-3", "autoscaling:DescribeScalingActivities@page-2", "elasticloadbalancing:DescribeLoadBalancers@page-3"} {
				if !slices.Contains(world.Requests(), want) {
					t.Errorf("%s was not asked: %v", want, world.Requests())
				}
			}
		})
	}
}

// The caller learns the credentials' secrets, to search for them.
func TestSecretsAreTold(t *testing.T) {
	world := start(t, awstest.Options{})
	_, found := collect(t, world, asRole(world))
	if got := fmt.Sprintf("%s", found.Secrets); got != fmt.Sprintf("[%s %s]", awstest.RoleSecretKey, awstest.RoleToken) {
		t.Errorf("the secrets are %s", got)
	}
}

// What the credentials do not allow is a note that names the permission.
func TestMissingPermissionIsANote(t *testing.T) {
	for action, lost := range map[string][]string{
		"ec2:GetConsoleOutput":                       {"instance/console.log"},
		"cloudformation:DescribeStackEvents":         {"cloudformation/events.json"},
		"autoscaling:DescribeScalingActivities":      {"autoscaling/activities.json"},
		"elasticloadbalancing:DescribeLoadBalancers": {"elb/classic.json", "elb/balancers.json"},
		"ec2:DescribeInstances":                      {"instance/instance.json", "cloudformation/events.json", "autoscaling/activities.json", "elb/classic.json", "elb/balancers.json"},
	} {
		world := start(t, awstest.Options{Denied: []string{action}})
		files, found := collect(t, world, asRole(world))
		want := slices.DeleteFunc(slices.Clone(wantFiles), func(name string) bool { return slices.Contains(lost, name) })
		if got := sorted(files); !slices.Equal(got, want) {
			t.Errorf("without %s: %v", action, got)
		}
		if !strings.Contains(fmt.Sprint(found.Notes), "lack the permission "+action) {
			t.Errorf("without %s the notes are %v", action, found.Notes)
		}
	}
}

// What makes every question useless is an error that says what to do, and no secret.
func TestCredentialsAreRefused(t *testing.T) {
	user := func(o *aws.Options) { o.AccessKey, o.SecretKey = awstest.AccessKey, "Wrong/Secret+Key" }
	for name, c := range map[string]struct {
		world awstest.Options
		as    func(*aws.Options)
		text  string
		hint  string
	}{
		"wrong key":        {awstest.Options{}, user, "AWS refuses the credentials (AuthFailure)", "--secret-key"},
		"unknown key":      {awstest.Options{}, func(o *aws.Options) { o.AccessKey, o.SecretKey = "AKIDUNKNOWN", "Wrong/Secret+Key" }, "AuthFailure", "--access-key"},
		"expired":          {awstest.Options{Code: map[string]string{"ec2:DescribeInstances": "ExpiredToken"}}, nil, "expired (ExpiredToken)", "clock"},
		"expired later":    {awstest.Options{Code: map[string]string{"cloudformation:DescribeStackEvents": "ExpiredToken"}}, nil, "expired (ExpiredToken)", "clock"},
		"role is refused":  {awstest.Options{Code: map[string]string{"autoscaling:DescribeScalingActivities": "InvalidClientTokenId"}}, nil, "of the instance's role", "role"},
		"no role":          {awstest.Options{NoRole: true}, nil, "no role", "attach an IAM role"},
		"no version 2":     {awstest.Options{OnlyV1: true}, nil, "(HTTP status 404)", "--http-endpoint enabled"},
		"no metadata":      {awstest.Options{}, func(o *aws.Options) { o.Endpoints.Metadata = "http://127.0.0.1:1" }, "this is not AWS", "on EC2"},
		"AWS is not there": {awstest.Options{}, func(o *aws.Options) { o.Endpoints.API = "http://127.0.0.1:1" }, "connection refused", "--proxy"},
	} {
		t.Run(name, func(t *testing.T) {
			o := asRole(start(t, c.world))
			if c.as != nil {
				c.as(&o)
			}
			_, err := aws.Collect(t.Context(), home(t), o)
			var fault *appliance.Fault
			if !errors.As(err, &fault) || !strings.Contains(err.Error(), c.text) || !strings.Contains(fault.Hint, c.hint) {
				t.Fatalf("%v, want %q and a hint with %q", err, c.text, c.hint)
			}
			for _, secret := range []string{"Wrong/Secret+Key", awstest.RoleSecretKey, awstest.RoleToken} {
				if strings.Contains(err.Error()+fault.Hint, secret) {
					t.Errorf("a secret is repeated: %v", err)
				}
			}
		})
	}
}

// The role is of no account where keys are given.
func TestKeysNeedNoRole(t *testing.T) {
	world := start(t, awstest.Options{NoRole: true})
	o := asRole(world)
	o.AccessKey, o.SecretKey = awstest.AccessKey, awstest.SecretKey
	if files, _ := collect(t, world, o); !slices.Equal(sorted(files), wantFiles) {
		t.Errorf("files %v", sorted(files))
	}
}

// Who is asked too often says so, and is asked again; who keeps saying so is noted.
func TestThrottlingIsWaitedFor(t *testing.T) {
	world := start(t, awstest.Options{Throttle: map[string]int{"ec2:DescribeInstances": 1, "cloudformation:DescribeStackEvents": 2}})
	if files, found := collect(t, world, asRole(world)); !slices.Equal(sorted(files), wantFiles) || len(found.Notes) > 0 {
		t.Errorf("files %v, notes %v", sorted(files), found.Notes)
	}
	world = start(t, awstest.Options{Throttle: map[string]int{"autoscaling:DescribeScalingActivities": 1000}})
	if _, found := collect(t, world, asRole(world)); !strings.Contains(fmt.Sprint(found.Notes), `"Throttling"`) {
		t.Errorf("notes %v", found.Notes)
	}
}

// An instance on its own has neither stack nor group.
func TestInstanceAlone(t *testing.T) {
	world := start(t, awstest.Options{Lonely: true})
	files, found := collect(t, world, asRole(world))
	if files["cloudformation/events.json"] != "" || len(found.Notes) != 2 {
		t.Errorf("files %v, notes %v", sorted(files), found.Notes)
	}
}

// A list without an end is cut, and the note says so.
func TestEndlessListIsCut(t *testing.T) {
	world := start(t, awstest.Options{Pages: 1 << 30})
	files, found := collect(t, world, asRole(world))
	if n := strings.Count(files["cloudformation/events.json"], "EventId"); n != 50 || !strings.Contains(fmt.Sprint(found.Notes), "there are more") {
		t.Errorf("%d events, notes %v", n, found.Notes)
	}
	world = start(t, awstest.Options{Pages: 1 << 30, Padding: 4 << 20})
	files, found = collect(t, world, asRole(world))
	if n := strings.Count(files["cloudformation/events.json"], "EventId"); n != 4 || !strings.Contains(fmt.Sprint(found.Notes), "there are more") {
		t.Errorf("%d large events", n)
	}
}

// What a service answers is a stranger's text: bounded, and never raw in a note.
func TestHostileAnswers(t *testing.T) {
	for name, body := range map[string]string{
		"endless":  "<a>" + strings.Repeat("<b>x</b>", 2<<20),
		"deep":     strings.Repeat("<a>", 1<<16),
		"no XML":   "\x1b[2J hello",
		"empty":    "",
		"text":     "<DescribeInstancesResponse>x</DescribeInstancesResponse>",
		"entities": `<!DOCTYPE a [<!ENTITY b "bbbb">]><a>&b;</a>`,
	} {
		t.Run(name, func(t *testing.T) {
			world := start(t, awstest.Options{})
			hostile := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { w.Write([]byte(body)) }))
			defer hostile.Close()
			o := asRole(world)
			o.Endpoints.API = hostile.URL
			if _, err := aws.Collect(t.Context(), home(t), o); err == nil || strings.ContainsAny(err.Error(), "\x1b\n") {
				t.Errorf("%v", err)
			}
		})
	}
	world := start(t, awstest.Options{Message: "\x1b[2J" + awstest.RoleToken, Code: map[string]string{"ec2:GetConsoleOutput": "Odd\x1b[2J"}})
	_, found := collect(t, world, asRole(world))
	if said := fmt.Sprint(found.Notes); len(found.Notes) != 1 || strings.Contains(said, "\x1b") || strings.Contains(said, awstest.RoleToken) {
		t.Errorf("notes %q", found.Notes)
	}
}

// A redirect is not followed: neither of the metadata service nor of AWS.
func TestRedirectsAreNotFollowed(t *testing.T) {
	asked := false
	elsewhere := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked = true }))
	defer elsewhere.Close()
	redirect := httptest.NewServer(http.RedirectHandler(elsewhere.URL, http.StatusTemporaryRedirect))
	defer redirect.Close()
	world := start(t, awstest.Options{})
	for _, e := range []aws.Endpoints{{API: world.Endpoint, Metadata: redirect.URL}, {API: redirect.URL, Metadata: world.Metadata}} {
		o := asRole(world)
		o.Endpoints = e
		if _, err := aws.Collect(t.Context(), home(t), o); err == nil || asked {
			t.Errorf("%v, followed %v", err, asked)
		}
	}
}

// Somebody in between is told nothing, whatever --insecure says of the upload's server.
func TestCertificateMustVerify(t *testing.T) {
	asked := false
	between := httptest.NewTLSServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked = true }))
	between.Config.ErrorLog = log.New(io.Discard, "", 0)
	defer between.Close()
	o := asRole(start(t, awstest.Options{}))
	o.Endpoints.API = between.URL
	if _, err := aws.Collect(t.Context(), home(t), o); err == nil || !strings.Contains(err.Error(), "failed to verify certificate") || asked {
		t.Errorf("%v, asked %v", err, asked)
	}
}

// The metadata service is never asked through the caller's dialer, and AWS by nothing else.
func TestWays(t *testing.T) {
	world := start(t, awstest.Options{})
	var mu sync.Mutex
	var dialled []string
	o := asRole(world)
	o.Dial = func(ctx context.Context, network, address string) (net.Conn, error) {
		mu.Lock()
		dialled = append(dialled, address)
		mu.Unlock()
		return new(net.Dialer).DialContext(ctx, network, address)
	}
	collect(t, world, o)
	if len(dialled) == 0 || slices.ContainsFunc(dialled, func(a string) bool { return a != world.Address }) {
		t.Errorf("dialled %v", dialled)
	}
}

func TestCancelEndsIt(t *testing.T) {
	world := start(t, awstest.Options{Throttle: map[string]int{"ec2:DescribeInstances": 1 << 30}})
	ctx, cancel := context.WithCancelCause(t.Context())
	gone := errors.New("the caller is gone")
	time.AfterFunc(100*time.Millisecond, func() { cancel(gone) })
	if _, err := aws.Collect(ctx, home(t), asRole(world)); !errors.Is(err, gone) {
		t.Errorf("%v", err)
	}
}

// Only the appliance's owner leads it elsewhere.
func TestEndpointsFile(t *testing.T) {
	h := home(t)
	path := filepath.Join(string(h), aws.EndpointsName)
	if e, err := aws.LoadEndpoints(h); err != nil || e != (aws.Endpoints{}) {
		t.Errorf("without a file: %v, %v", e, err)
	}
	good := `{"api":"https://aws.example.com:8443","metadata":"http://127.0.0.1:1"}`
	for text, ok := range map[string]bool{
		good: true, `{}`: true, ``: false, `[]`: false,
		`{"api":"ftp://x"}`: false, `{"api":"https://x/path"}`: false, `{"api":"https://u:p@x"}`: false, `{"api":"https://x?q"}`: false, `{"metadata":"x"}`: false,
	} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := aws.LoadEndpoints(h); (err == nil) != ok {
			t.Errorf("%s: %v", text, err)
		}
	}
	if err := os.WriteFile(path, []byte(good), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, 0o620); err != nil {
		t.Fatal(err)
	}
	if _, err := aws.LoadEndpoints(h); err == nil || !strings.Contains(err.Error(), "others than its owner") {
		t.Errorf("a file that the group may write: %v", err)
	}
	if err := errors.Join(os.Rename(path, path+"2"), os.Symlink(path+"2", path)); err != nil {
		t.Fatal(err)
	}
	if _, err := aws.LoadEndpoints(h); err == nil {
		t.Error("a link is followed")
	}
}
