package stories

import (
	"bytes"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"sealgate/appliance/audit"
)

// Every write of the REST API is one record of the audit log, however many come at once
// and although the server is stopped behind the last.
func TestWritesAreAudited(t *testing.T) {
	app := newAppliance(t)
	if err := app.Start(); err != nil {
		t.Fatal(err)
	}
	defer app.Stop()
	api := "https://" + addressOf(t, app) + "/SecureSphere/api/v1"
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, MaxIdleConnsPerHost: 8}}
	session := ""
	do := func(method, path, body string) string {
		r, err := http.NewRequestWithContext(t.Context(), method, api+path, bytes.NewBufferString(body))
		if err != nil {
			t.Error(err)
			return ""
		}
		if session == "" {
			r.SetBasicAuth("admin", "Admin-pw-17")
		} else {
			r.Header.Set("Cookie", session)
		}
		answer, err := client.Do(r)
		if err != nil {
			t.Error(err)
			return ""
		}
		defer answer.Body.Close()
		text, err := io.ReadAll(answer.Body)
		if err != nil || answer.StatusCode != http.StatusOK {
			t.Errorf("%s %s: %d %s, %v", method, path, answer.StatusCode, text, err)
		}
		return string(text)
	}
	session = strings.Split(do(http.MethodPost, "/auth/session", ""), `"`)[3]
	const clients, each = 4, 100
	begin := time.Now()
	var all sync.WaitGroup
	for c := range clients {
		all.Go(func() {
			for n := range each {
				do(http.MethodPost, fmt.Sprintf("/conf/sites/site-%d-%d", c, n), "")
			}
		})
	}
	all.Wait()
	t.Logf("%.0f writes a second", clients*each/time.Since(begin).Seconds())
	if out, err := app.Run("impctl server stop"); err != nil {
		t.Fatalf("%v %s", err, out)
	}
	out, err := app.Run("show audit --last 10000 --json")
	if err != nil {
		t.Fatal(err)
	}
	var shown struct{ Records []audit.Record }
	if err := json.Unmarshal([]byte(out), &shown); err != nil {
		t.Fatal(err)
	}
	note := regexp.MustCompile(`^create site "site-\d+-\d+", revision (\d+)$`)
	told := map[string]bool{}
	for _, r := range shown.Records {
		if r.Event != "write" {
			continue
		}
		found := note.FindStringSubmatch(r.Note)
		if found == nil || r.User != "REST API: admin" || r.Origin != "127.0.0.1" || strings.Join(r.Words, " ") != "POST /v1/conf/sites/{siteName}" {
			t.Fatalf("a record is %+v", r)
		}
		if told[found[1]] {
			t.Errorf("revision %s is told twice", found[1])
		}
		told[found[1]] = true
	}
	if len(told) != clients*each {
		t.Errorf("%d records of %d writes", len(told), clients*each)
	}
}
