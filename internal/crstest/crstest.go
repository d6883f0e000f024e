// Package crstest runs the regression cases that the OWASP Core Rule Set comes
// with against a listener, over plain connections. It is for tests only.
package crstest

import (
	"bufio"
	"encoding/base64"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"sort"
	"strconv"
	"strings"
	"time"

	"github.com/corazawaf/coraza-coreruleset/v4/tests"
	"gopkg.in/yaml.v3"
)

// Setup is what the cases expect beside paranoia level 4, in SecLang, before the rules.
const Setup = `SecAction "id:900005,phase:1,nolog,pass,t:none,setvar:tx.crs_validate_utf8_encoding=1,setvar:tx.arg_name_length=100,setvar:tx.arg_length=400,setvar:tx.total_arg_length=64000,setvar:tx.max_num_args=255,setvar:tx.max_file_size=64100,setvar:tx.combined_file_sizes=65535"
`

// Refused are the cases that a server in Go answers itself, before any rule.
var Refused = map[string]string{
	"920290-4": "an empty Host header, which a server in Go takes for none",
	"920430-5": "no version",
	"920430-8": "HTTP/4.0",
	"920620-1": "wants Apache's joining of two Content-Type headers; ours matches, as it should",
}

// Case is one case, named RULE-NUMBER.
type Case struct {
	Name   string
	Stages []Stage
}

// Stage is one request and what is expected of it.
type Stage struct {
	Input  Input
	Output Output
}

// Input is a request. What is absent has the usual value.
type Input struct {
	Method, URI, Version *string
	Headers              map[string]string
	Data                 *string
	Encoded              string `yaml:"encoded_request"`
	Autocomplete         *bool  `yaml:"autocomplete_headers"`
}

// Output is what is expected in the log. The statuses of the cases are those of
// the Apache that they were written for, and are not looked at.
type Output struct {
	Log struct {
		Expect   []int  `yaml:"expect_ids"`
		Unwanted []int  `yaml:"no_expect_ids"`
		Match    string `yaml:"match_regex"`
		NoMatch  string `yaml:"no_match_regex"`
	}
	ExpectError bool `yaml:"expect_error"`
}

// Cases reads all cases, ordered by rule.
func Cases() ([]Case, error) {
	names, err := fs.Glob(tests.FS, "*/*.yaml")
	if err != nil {
		return nil, err
	}
	var all []Case
	for _, name := range names {
		text, err := fs.ReadFile(tests.FS, name)
		if err != nil {
			return nil, err
		}
		var file struct {
			RuleID int `yaml:"rule_id"`
			Tests  []struct {
				ID     int `yaml:"test_id"`
				Stages []Stage
			}
		}
		if err := yaml.Unmarshal(text, &file); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		for _, t := range file.Tests {
			all = append(all, Case{fmt.Sprintf("%d-%d", file.RuleID, t.ID), t.Stages})
		}
	}
	return all, nil
}

// malformed is the rule that speaks of a multipart body which cannot be read,
// for which the cases know ModSecurity's words only.
const malformed = 200003

// Logged is what a request left in the log.
type Logged struct {
	IDs  []int
	Text string
}

// Run sends a case to a listener and says what is not as expected, empty when
// all is. logged is asked after each answer.
func (c Case) Run(addr string, logged func() Logged) string {
	for _, stage := range c.Stages {
		err := send(addr, stage.Input.bytes())
		if wrong := stage.Output.check(err, logged()); wrong != "" {
			return wrong
		}
	}
	return ""
}

func (o Output) check(err error, got Logged) string {
	if err != nil {
		if o.ExpectError {
			return ""
		}
		return fmt.Sprintf("no answer: %v", err)
	}
	if slices.Contains(got.IDs, malformed) {
		got.Text += "\nMultipart parsing error: Multipart: Invalid part header (contains invalid character)"
	}
	for _, id := range o.Log.Expect {
		if !slices.Contains(got.IDs, id) {
			return fmt.Sprintf("rule %d did not match; these did: %v", id, got.IDs)
		}
	}
	for _, id := range o.Log.Unwanted {
		if slices.Contains(got.IDs, id) {
			return fmt.Sprintf("rule %d matched", id)
		}
	}
	for pattern, want := range map[string]bool{o.Log.Match: true, o.Log.NoMatch: false} {
		if pattern != "" && regexp.MustCompile(pattern).MatchString(got.Text) != want {
			return fmt.Sprintf("%q in the log is not %v: %s", pattern, want, got.Text)
		}
	}
	return ""
}

// repeat is the one template that cases use in their data.
var repeat = regexp.MustCompile(`{{ "([^"]*)" \| repeat (\d+) }}`)

// bytes is the request as it goes over the wire.
func (in Input) bytes() []byte {
	if in.Encoded != "" {
		raw, err := base64.StdEncoding.DecodeString(strings.ReplaceAll(in.Encoded, "\n", ""))
		if err != nil {
			panic(err) // a case that is not one
		}
		return raw
	}
	data := or(in.Data, "")
	for repeat.MatchString(data) {
		m := repeat.FindStringSubmatchIndex(data)
		n, _ := strconv.Atoi(data[m[4]:m[5]])
		data = data[:m[0]] + strings.Repeat(data[m[2]:m[3]], n) + data[m[1]:]
	}
	header := func(name string) (string, bool) {
		for k, v := range in.Headers {
			if strings.EqualFold(k, name) {
				return v, true
			}
		}
		return "", false
	}
	complete := in.Autocomplete == nil || *in.Autocomplete
	var extra []string
	if complete {
		kind, typed := header("Content-Type")
		if data != "" && !typed {
			kind = "application/x-www-form-urlencoded"
			extra = append(extra, "Content-Type: "+kind)
		}
		if kind == "application/x-www-form-urlencoded" {
			data = encoded(data)
		}
		if _, sized := header("Content-Length"); data != "" && !sized {
			extra = append(extra, fmt.Sprintf("Content-Length: %d", len(data)))
		}
		if _, kept := header("Connection"); !kept {
			extra = append(extra, "Connection: close")
		}
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s %s\r\n", or(in.Method, "GET"), or(in.URI, "/"), or(in.Version, "HTTP/1.1"))
	names := make([]string, 0, len(in.Headers))
	for name := range in.Headers {
		names = append(names, name)
	}
	sort.Strings(names)
	for _, name := range names {
		fmt.Fprintf(&b, "%s: %s\r\n", name, in.Headers[name])
	}
	for _, line := range extra {
		b.WriteString(line + "\r\n")
	}
	b.WriteString("\r\n" + data)
	return []byte(b.String())
}

func or(s *string, usual string) string {
	if s == nil {
		return usual
	}
	return *s
}

// encoded is a form as a browser would send it; what is encoded already stays.
func encoded(data string) string {
	if plain, err := url.QueryUnescape(data); err != nil || plain != data {
		return data
	}
	values, err := url.ParseQuery(data)
	if err != nil {
		return data
	}
	return values.Encode()
}

// answerTime is how long a listener may take. A request that promises more
// than it brings is answered never.
const answerTime = 10 * time.Second

func send(addr string, request []byte) error {
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		return err
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(answerTime))
	if _, err := conn.Write(request); err != nil {
		return err
	}
	method, _, _ := strings.Cut(string(request), " ")
	response, err := http.ReadResponse(bufio.NewReader(conn), &http.Request{Method: method})
	if err != nil {
		return err
	}
	defer response.Body.Close()
	_, err = io.Copy(io.Discard, response.Body)
	return err
}
