// Package awstest is as much of AWS as aws-logs-remote asks for, on loopback: the
// instance metadata service, version 2 alone, and the query APIs of EC2, Auto Scaling,
// CloudFormation and Elastic Load Balancing. It is for tests only.
//
// It checks what it is sent as AWS would: the signature of each request, its time, the
// region, the service, the session token, the version of the API, the page tokens and
// the token of the metadata service. What AWS would refuse it refuses, and keeps in
// Faults.
package awstest

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"time"
)

// What the emulated world holds.
const (
	Region   = "eu-central-1"
	Account  = "111122223333"
	Instance = "i-0123456789abcdef0"
	VPC      = "vpc-0a1b2c3d"
	Stack    = "waf-stack"
	Group    = "waf-group"
	Role     = "waf-role"

	// A user's keys.
	AccessKey = "AKIDEXAMPLEUSER00001"
	SecretKey = "Us3r/Secret+Key/Of/The/Emulated/AWS00001"

	// The role's keys, which the metadata service gives.
	RoleAccessKey = "ASIAEXAMPLEROLE00002"
	RoleSecretKey = "R0le/Secret+Key/Of/The/Emulated/AWS00002"
	RoleToken     = "R0leSessionTokenOfTheEmulatedAWSIQoJb3JpZ2luX2VjEA=="

	// StackSecret stands in the properties of a resource, as a user-data script does.
	StackSecret = "P4ssword-in-the-properties-of-a-resource"
)

// Options say how the emulated world differs from a healthy one.
type Options struct {
	Denied   []string          // actions that the credentials do not allow, such as ec2:GetConsoleOutput
	Code     map[string]string // the error code that an action gives instead of an answer
	Throttle map[string]int    // how many requests of an action are refused before one is answered
	NoRole   bool              // the instance has no role
	OnlyV1   bool              // the metadata service answers without a token and gives none
	Lonely   bool              // the instance is in no stack and no group
	Pages    int               // of events and activities; 0: 3
	Padding  int               // bytes more of each event
	Message  string            // what errors say; empty: what AWS says
}

// AWS is the emulated world.
type AWS struct {
	Metadata string // where its metadata service is, http://HOST:PORT
	Endpoint string // where its APIs are, http://HOST:PORT
	Address  string // the same, HOST:PORT

	o        Options
	metadata *httptest.Server
	api      *httptest.Server

	mu        sync.Mutex
	tokens    []string
	requests  []string
	faults    []string
	throttled map[string]int
}

// Start starts it; the caller stops it.
func Start(o Options) *AWS {
	a := &AWS{o: o, throttled: map[string]int{}}
	a.metadata = httptest.NewServer(http.HandlerFunc(a.serveMetadata))
	a.api = httptest.NewServer(http.HandlerFunc(a.serveAPI))
	a.Metadata, a.Endpoint, a.Address = a.metadata.URL, a.api.URL, a.api.Listener.Addr().String()
	return a
}

// Stop ends it.
func (a *AWS) Stop() {
	a.metadata.Close()
	a.api.Close()
}

// Requests are what was asked and answered, in order: service:Action, with @ and the
// page token where there was one.
func (a *AWS) Requests() []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.Clone(a.requests)
}

// Faults are the requests that AWS would have refused for what they are.
func (a *AWS) Faults() []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.Clone(a.faults)
}

func (a *AWS) fault(format string, args ...any) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.faults = append(a.faults, fmt.Sprintf(format, args...))
}

// serveMetadata is version 2: a PUT gives a token, without which nothing is answered.
func (a *AWS) serveMetadata(w http.ResponseWriter, r *http.Request) {
	if r.Header.Get("X-Forwarded-For") != "" || r.Header.Get("Via") != "" {
		a.fault("metadata asked through a proxy")
		w.WriteHeader(http.StatusForbidden)
		return
	}
	if r.Method == http.MethodPut && r.URL.Path == "/latest/api/token" {
		a.giveToken(w, r)
		return
	}
	a.mu.Lock()
	known := slices.Contains(a.tokens, r.Header.Get("X-Aws-Ec2-Metadata-Token"))
	a.mu.Unlock()
	if !known {
		a.fault("metadata %s asked without a token", r.URL.Path)
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	a.answerMetadata(w, r)
}

func (a *AWS) giveToken(w http.ResponseWriter, r *http.Request) {
	ttl := r.Header.Get("X-Aws-Ec2-Metadata-Token-Ttl-Seconds")
	switch {
	case a.o.OnlyV1:
		w.WriteHeader(http.StatusNotFound)
		return
	case ttl == "":
		a.fault("a metadata token is asked for without a time")
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	a.mu.Lock()
	token := fmt.Sprintf("metadata-token-%d", len(a.tokens)+1)
	a.tokens = append(a.tokens, token)
	a.mu.Unlock()
	w.Header().Set("X-Aws-Ec2-Metadata-Token-Ttl-Seconds", ttl)
	fmt.Fprint(w, token)
}

func (a *AWS) answerMetadata(w http.ResponseWriter, r *http.Request) {
	const credentials = "/latest/meta-data/iam/security-credentials/"
	switch path := r.URL.Path; {
	case path == "/latest/dynamic/instance-identity/document":
		fmt.Fprintf(w, `{"accountId":%q,"instanceId":%q,"region":%q,"availabilityZone":"%sa","instanceType":"m6i.large","imageId":"ami-1"}`,
			Account, Instance, Region, Region)
	case path == credentials && !a.o.NoRole:
		fmt.Fprintln(w, Role)
	case path == credentials+Role && !a.o.NoRole:
		fmt.Fprintf(w, `{"Code":"Success","Type":"AWS-HMAC","AccessKeyId":%q,"SecretAccessKey":%q,"Token":%q,"Expiration":%q}`,
			RoleAccessKey, RoleSecretKey, RoleToken, time.Now().Add(time.Hour).UTC().Format(time.RFC3339))
	case a.o.NoRole && path == credentials:
		w.WriteHeader(http.StatusNotFound)
	default:
		a.fault("metadata %s asked for", path)
		w.WriteHeader(http.StatusNotFound)
	}
}
