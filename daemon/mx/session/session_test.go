package session_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"sealgate/appliance/model"
	"sealgate/appliance/secret"
	"sealgate/appliance/store"
	"sealgate/daemon/mx/openapi"
	"sealgate/daemon/mx/session"
	"sealgate/daemon/mx/user"
)

const adminPassword = "Admin-pw-17"

// world is a server's sessions and accounts, and the clock that they go by.
type world struct {
	t        *testing.T
	db       *store.Store
	sessions *session.Sessions
	ops      map[string]openapi.Operation
	hashes   atomic.Int64
	cheap    bool // no hash is really computed

	mu  sync.Mutex
	now time.Time
}

func newWorld(t *testing.T) *world {
	t.Helper()
	home := t.TempDir()
	verifier, err := secret.Hash(t.Context(), adminPassword)
	if err != nil {
		t.Fatal(err)
	}
	if err := store.Create(t.Context(), home, "admin", verifier, store.Options{}); err != nil {
		t.Fatal(err)
	}
	w := &world{t: t, now: time.Now(), ops: make(map[string]openapi.Operation)}
	if w.db, err = store.Open(t.Context(), home, store.Options{}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.db.Close() })
	w.sessions, err = session.New(t.Context(), session.Config{Store: w.db, Appliance: "mx1", Log: slog.New(slog.DiscardHandler), Now: w.clock,
		Check: func(ctx context.Context, verifier, password string) (bool, error) {
			w.hashes.Add(1)
			if w.cheap {
				return password == adminPassword, nil
			}
			return secret.Check(ctx, verifier, password)
		}})
	if err != nil {
		t.Fatal(err)
	}
	accounts := user.New(w.db, "mx1", w.sessions.Changed)
	for _, op := range append(w.sessions.Operations(), accounts.Operations()...) {
		w.ops[op.Method+" "+op.Path] = op
	}
	return w
}

func (w *world) clock() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.now
}

func (w *world) pass(d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.now = w.now.Add(d)
}

// client is somebody at an address.
type client struct {
	w      *world
	from   string
	cookie string // as the answer to the login had it
}

// do is what the router does, as far as operations see it.
func (c *client) do(method, path, body string, set func(*http.Request)) (string, http.Header, error) {
	r := httptest.NewRequest(method, "https://mx"+openapi.Base, strings.NewReader(body))
	r.RemoteAddr = c.from + ":40000"
	if c.cookie != "" {
		r.Header.Set("Cookie", c.cookie)
	}
	if set != nil {
		set(r)
	}
	pattern, values := path, map[string]string{}
	if name, ok := strings.CutPrefix(path, "/v1/conf/users/"); ok {
		pattern, values["userName"] = "/v1/conf/users/{userName}", name
	}
	op, ok := c.w.ops[method+" "+pattern]
	if !ok {
		c.w.t.Fatalf("there is no %s %s", method, path)
	}
	call := &openapi.Call{Path: values, Body: []byte(body), Request: r, Header: http.Header{}}
	if !op.Open {
		var err error
		if call.Caller, err = c.w.sessions.Caller(r); err != nil {
			return "", nil, err
		}
	}
	out, err := op.Do(c.w.t.Context(), call)
	answer, _ := json.Marshal(out)
	return string(answer), call.Header, err
}

func (c *client) login(name, password string) error {
	c.cookie = ""
	return c.loginWith("POST", "/v1/auth/session", "", name, password)
}

func (c *client) loginWith(method, path, body, name, password string) error {
	answer, header, err := c.do(method, path, body, func(r *http.Request) { r.SetBasicAuth(name, password) })
	if err != nil {
		return err
	}
	var opened map[string]string
	if err := json.Unmarshal([]byte(answer), &opened); err != nil {
		c.w.t.Fatal(err)
	}
	c.cookie = opened["session-id"]
	if strings.Count(c.cookie, "=") != 1 || !strings.HasPrefix(c.cookie, "JSESSIONID=") {
		c.w.t.Errorf("session-id is %q", c.cookie)
	}
	for i, name := range []string{c.cookie + ";", "SSOSESSIONID="} {
		set := header.Values("Set-Cookie")[i]
		if !strings.HasPrefix(set, name) || !strings.Contains(set, "Path=/SecureSphere; HttpOnly; Secure; SameSite=Strict") {
			c.w.t.Errorf("Set-Cookie: %s", set)
		}
	}
	return nil
}

func (w *world) client(from string) *client { return &client{w: w, from: from} }

func (c *client) must(method, path, body string) string {
	c.w.t.Helper()
	answer, _, err := c.do(method, path, body, nil)
	if err != nil {
		c.w.t.Fatalf("%s %s: %v", method, path, err)
	}
	return answer
}

func (c *client) faults(code int, method, path, body string) {
	c.w.t.Helper()
	_, _, err := c.do(method, path, body, nil)
	if faults, ok := errors.AsType[openapi.Faults](err); !ok || faults[0].Code != code {
		c.w.t.Errorf("%s %s %s: %v, not IMP-%d", method, path, body, err, code)
	}
}

// in says whether the client has a session.
func (c *client) in() bool {
	c.w.t.Helper()
	_, _, err := c.do("GET", "/v1/auth/session/roles", "", nil)
	if err != nil && !errors.Is(err, openapi.ErrNoSession) {
		c.w.t.Fatal(err)
	}
	return err == nil
}

func (w *world) admin() *client {
	w.t.Helper()
	c := w.client("192.0.2.1")
	if err := c.login("admin", adminPassword); err != nil {
		w.t.Fatal(err)
	}
	return c
}

func TestSessionBeginsAndEnds(t *testing.T) {
	w := newWorld(t)
	c := w.client("192.0.2.1")
	if c.in() {
		t.Error("nobody has a session")
	}
	if err := c.login("admin", "wrong"); !errors.Is(err, openapi.ErrNoSession) {
		t.Errorf("a wrong password: %v", err)
	}
	if _, _, err := c.do("POST", "/v1/auth/session", "", nil); !errors.Is(err, openapi.ErrNoSession) {
		t.Errorf("no password at all: %v", err)
	}
	c = w.admin()
	if got := c.must("GET", "/v1/auth/session/roles", ""); got != `["administrator"]` {
		t.Errorf("roles %s", got)
	}
	other := w.admin()
	c.must("DELETE", "/v1/auth/session", "")
	if c.in() || !other.in() {
		t.Error("a logout ends one session, its own")
	}
}

func TestSessionEndsByItself(t *testing.T) {
	w := newWorld(t)
	idle, busy := w.admin(), w.admin()
	for range session.Absolute/session.Idle*2 - 1 {
		w.pass(session.Idle / 2)
		if !busy.in() {
			t.Fatal("a session that is used ends")
		}
	}
	if idle.in() {
		t.Error("an idle session lives on")
	}
	w.pass(session.Idle / 2)
	if busy.in() {
		t.Error("an old session lives on")
	}
}

func TestSessionsOfAUserAreCounted(t *testing.T) {
	w := newWorld(t)
	var all []*client
	for range session.PerUser + 1 {
		all = append(all, w.admin())
		w.pass(time.Second)
	}
	if all[0].in() {
		t.Error("the oldest is still there")
	}
	for _, c := range all[1:] {
		if !c.in() {
			t.Error("a newer one is gone")
		}
	}
}

// The hole: an id that an attacker knows before the login. It never becomes a session.
func TestSessionIDIsTheServersChoice(t *testing.T) {
	w := newWorld(t)
	c := w.client("192.0.2.1")
	fixed := "JSESSIONID=" + strings.Repeat("ab", 32)
	c.cookie = fixed
	if err := c.loginWith("POST", "/v1/auth/session", "", "admin", adminPassword); err != nil || c.cookie == fixed {
		t.Fatalf("%v, %s", err, c.cookie)
	}
	if thief := (&client{w: w, from: "198.51.100.1", cookie: fixed}); thief.in() {
		t.Error("the id that was planted is a session")
	}
	// Planted beside the real one, by another site of the domain.
	c.cookie = fixed + "; " + c.cookie
	if !c.in() {
		t.Error("a planted cookie hides the real one")
	}
}

func TestChangedAccountEndsItsSessions(t *testing.T) {
	for _, change := range []string{`{"password":"An-0ther-one"}`, `{"enabled":false}`, `{"locked":"true"}`, `DELETE`} {
		w := newWorld(t)
		admin := w.admin()
		admin.must("POST", "/v1/conf/users/zoe", `{"password":"Zoe-pw-2026","roles":["administrator"]}`)
		zoe := w.client("192.0.2.2")
		if err := zoe.login("zoe", "Zoe-pw-2026"); err != nil || !zoe.in() {
			t.Fatal(err)
		}
		if change == "DELETE" {
			admin.must("DELETE", "/v1/conf/users/zoe", "")
		} else {
			admin.must("PUT", "/v1/conf/users/zoe", change)
		}
		if zoe.in() {
			t.Errorf("the session outlives %s", change)
		}
		if err := zoe.login("zoe", "Zoe-pw-2026"); !errors.Is(err, openapi.ErrNoSession) {
			t.Errorf("a login after %s: %v", change, err)
		}
		if !admin.in() {
			t.Errorf("%s ended somebody else's session", change)
		}
	}
}

// What another process writes (an import, say) counts as well.
func TestRightsAreLookedAtAgain(t *testing.T) {
	w := newWorld(t)
	c := w.admin()
	u, err := w.db.User(t.Context(), "admin")
	if err != nil {
		t.Fatal(err)
	}
	u.Document = []byte(`{"locked":true}`)
	if _, err := w.db.Write(t.Context(), store.Change{Author: "t"}, func(tx *store.Tx) error { return tx.UpdateUser(t.Context(), u) }); err != nil {
		t.Fatal(err)
	}
	w.pass(time.Second)
	if c.in() {
		t.Error("a locked account has a session")
	}
}

func TestFirstTimePassword(t *testing.T) {
	const path = "/v1/administration/user/password/firsttime"
	w := newWorld(t)
	w.admin().must("POST", "/v1/conf/users/zoe", `{"password":"Zoe-pw-2026","roles":["read-only"]}`)
	before, c := w.client("192.0.2.2"), w.client("192.0.2.2")
	if err := before.login("zoe", "Zoe-pw-2026"); err != nil {
		t.Fatal(err)
	}
	for body, code := range map[string]int{`{}`: 10056, `{"newPassword":"short"}`: 15103, `{"newPassword":"Zoe-pw-2026"}`: 15103, `[`: 10002} {
		err := c.loginWith("POST", path, body, "zoe", "Zoe-pw-2026")
		if faults, ok := errors.AsType[openapi.Faults](err); !ok || faults[0].Code != code {
			t.Errorf("%s: %v, not IMP-%d", body, err, code)
		}
	}
	if err := c.loginWith("POST", path, `{"newPassword":"My-own-1-word"}`, "zoe", "wrong"); !errors.Is(err, openapi.ErrNoSession) {
		t.Errorf("a wrong password: %v", err)
	}
	if err := c.loginWith("POST", path, `{"newPassword":"My-own-1-word"}`, "zoe", "Zoe-pw-2026"); err != nil || !c.in() {
		t.Fatalf("%v", err)
	}
	if before.in() {
		t.Error("a session of the first password lives on")
	}
	if err := before.login("zoe", "Zoe-pw-2026"); !errors.Is(err, openapi.ErrNoSession) {
		t.Errorf("the first password: %v", err)
	}
	err := c.loginWith("POST", path, `{"newPassword":"My-other-1-word"}`, "zoe", "My-own-1-word")
	if faults, ok := errors.AsType[openapi.Faults](err); !ok || faults[0].Code != 15102 {
		t.Errorf("a second first time: %v", err)
	}
}

// Whether there is such a user is not told by what a login costs or answers.
func TestUnknownUserCostsTheSame(t *testing.T) {
	w := newWorld(t)
	w.admin().must("POST", "/v1/conf/users/zoe", `{"password":"Zoe-pw-2026","roles":["read-only"],"enabled":false}`)
	for _, name := range []string{"admin", "nobody", "zoe", "", strings.Repeat("x", 5000), "admin\x00"} {
		for _, password := range []string{"Zoe-pw-2026", "", strings.Repeat("y", 5000)} {
			before := w.hashes.Load()
			if err := w.client(fmt.Sprintf("192.0.2.%d", 10+len(name)%200)).login(name, password); !errors.Is(err, openapi.ErrNoSession) {
				t.Errorf("%.10q %.10q: %v", name, password, err)
			}
			if n := w.hashes.Load() - before; n != 1 {
				t.Errorf("%.10q %.10q costs %d hashes", name, password, n)
			}
		}
	}
}

// The attack: guesses at the administrator's password. After a few they are held up,
// longer each time, and the administrator is not, where it is.
func TestFailuresHoldUpTheirAddressAlone(t *testing.T) {
	w := newWorld(t)
	w.cheap = true
	w.admin()
	guesser := w.client("198.51.100.1")
	held, looked := 0, 0
	for range 24 * 60 {
		before := w.hashes.Load()
		err := guesser.login("admin", "guess")
		if _, busy := errors.AsType[openapi.Faults](err); busy {
			held++
		}
		looked += int(w.hashes.Load() - before)
		w.pass(time.Minute)
	}
	if looked > 300 || held == 0 {
		t.Errorf("%d guesses a day were looked at, %d were held up", looked, held)
	}
	if err := w.client("203.0.113.9").login("admin", adminPassword); err != nil {
		t.Errorf("the administrator at another address: %v", err)
	}
	w.pass(10 * time.Minute)
	if err := guesser.login("admin", adminPassword); err != nil {
		t.Errorf("the right password when the hold is over: %v", err)
	}
}

// The attack: one address tries a password with many names. Who has logged in there
// before still may.
func TestManyNamesHoldUpTheirAddress(t *testing.T) {
	w := newWorld(t)
	w.cheap = true
	w.admin()
	before := w.hashes.Load()
	for i := range 500 {
		w.client("192.0.2.1").login(fmt.Sprintf("user%d", i), "Summer-2026")
	}
	if n := w.hashes.Load() - before; n > 30 {
		t.Errorf("%d guesses were looked at", n)
	}
	w.admin()
}

// The attack: a flood of logins, to fill memory, to keep others out, or both.
func TestFloodOfLogins(t *testing.T) {
	w := newWorld(t)
	w.admin().must("POST", "/v1/conf/users/zoe", `{"password":"Zoe-pw-2026","roles":["read-only"]}`)
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	hashes := w.hashes.Load()
	var flood sync.WaitGroup
	for i := range 2000 {
		flood.Go(func() { w.client(fmt.Sprintf("198.51.100.%d", i%4)).login("admin", "wrong") })
	}
	// In the middle of it: the one whom the flood is about, at a new address and at a
	// known one, and somebody else.
	for _, c := range []struct{ from, name, password string }{
		{"203.0.113.9", "admin", adminPassword}, {"192.0.2.1", "admin", adminPassword}, {"198.51.100.1", "zoe", "Zoe-pw-2026"},
	} {
		if err := w.client(c.from).login(c.name, c.password); err != nil {
			t.Errorf("%s at %s: %v", c.name, c.from, err)
		}
	}
	flood.Wait()
	runtime.ReadMemStats(&after)
	if n := w.hashes.Load() - hashes; n > 50 {
		t.Errorf("%d passwords were looked at", n)
	}
	if more := int64(after.Sys) - int64(before.Sys); more > 128<<20 {
		t.Errorf("the flood took %d MiB", more>>20)
	}
}

func TestManageUsers(t *testing.T) {
	w := newWorld(t)
	admin := w.admin()
	const good = `"password":"Zoe-pw-2026"`
	for _, c := range []struct {
		code             int
		method, name, in string
	}{
		{15101, "GET", "zoe", ``}, {15101, "PUT", "zoe", `{}`}, {15101, "DELETE", "zoe", ``},
		{15100, "POST", "zoe", `{"roles":["read-only"]}`},
		{15100, "POST", "zoe", `{"password":"","roles":["read-only"]}`},
		{15103, "POST", "zoe", `{"password":"weak","roles":["read-only"]}`},
		{15104, "POST", "zoe", `{` + good + `,"authenticator":"ldap","roles":["read-only"]}`},
		{15105, "POST", "zoe", `{` + good + `,"roles":["root"]}`},
		{15105, "POST", "zoe", `{` + good + `,"roles":["Nowhere administrator"]}`},
		{15105, "POST", "zoe", `{` + good + `,"roles":["read-only","Default Site administrator"]}`},
		{15110, "POST", "zoe", `{` + good + `}`},
		{15106, "POST", "admin", `{` + good + `,"roles":["administrator"]}`},
		{15107, "POST", "a:b", `{` + good + `,"roles":["administrator"]}`},
		{15107, "POST", "a\x1bb", `{` + good + `,"roles":["administrator"]}`},
		{15108, "POST", "zoe", `{` + good + `,"email":"nowhere","roles":["administrator"]}`},
		{10145, "POST", strings.Repeat("x", 101), `{` + good + `,"roles":["administrator"]}`},
		{10145, "POST", "zoe", `{` + good + `,"title":"` + strings.Repeat("x", 257) + `","roles":["administrator"]}`},
		{10016, "POST", "zoe", `{` + good + `,"enabled":"maybe","roles":["administrator"]}`},
		{10002, "POST", "zoe", `nonsense`},
		{15102, "PUT", "admin", `{"enabled":false}`}, {15102, "PUT", "admin", `{"roles":["read-only"]}`},
		{15102, "PUT", "admin", `{"readOnly":true}`}, {15102, "DELETE", "admin", ``},
	} {
		admin.faults(c.code, c.method, "/v1/conf/users/"+c.name, c.in)
	}
	admin.must("POST", "/v1/conf/users/zoe", `{`+good+`,"roles":["Default Site administrator"],"fullName":"Zoë","email":"z@example.com","readOnly":null}`)
	want := `{"authenticator":"internal","enabled":"true","locked":"false","readOnly":"false","fullName":"Zoë","email":"z@example.com","roles":["Default Site administrator"]}`
	if got := admin.must("GET", "/v1/conf/users/zoe", ""); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if got := admin.must("GET", "/v1/conf/users", ""); got != `{"usernames":["admin","zoe"]}` {
		t.Error(got)
	}
	revisions, err := w.db.Revisions(t.Context(), 0, 100)
	if err != nil || revisions[0].Author != "admin" || revisions[0].Summary != "create user zoe" {
		t.Errorf("%+v, %v", revisions[0], err)
	}
	history, _ := json.Marshal(revisions)
	if u, _ := w.db.User(t.Context(), "zoe"); strings.Contains(string(history), u.Verifier) || strings.Contains(string(history), "Zoe-pw") {
		t.Error("history holds a password or a verifier")
	}
}

// Rights follow roles: a site's follow the site, whatever it is called.
func TestRolesGiveRights(t *testing.T) {
	w := newWorld(t)
	admin := w.admin()
	site := model.DefaultID(model.Site, model.DefaultSite)
	rename := func(name string) {
		_, err := w.db.Write(t.Context(), store.Change{Author: "t"}, func(tx *store.Tx) error {
			return tx.Rename(t.Context(), site, name)
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	admin.must("POST", "/v1/conf/users/zoe", `{"password":"Zoe-pw-2026","roles":"Default Site administrator"}`)
	zoe := w.client("192.0.2.2")
	if err := zoe.login("zoe", "Zoe-pw-2026"); err != nil {
		t.Fatal(err)
	}
	rename("Shop")
	w.pass(time.Second)
	admin.must("PUT", "/v1/conf/users/zoe", `{"fullName":"Zoë"}`)
	if got := zoe.must("GET", "/v1/auth/session/roles", ""); got != `["Shop administrator"]` {
		t.Error(got)
	}
	caller := func(c *client) openapi.Caller {
		r := httptest.NewRequest("GET", "/", nil)
		r.Header.Set("Cookie", c.cookie)
		caller, err := w.sessions.Caller(r)
		if err != nil {
			t.Fatal(err)
		}
		return caller
	}
	if c := caller(zoe); c.ReadOnly || fmt.Sprint(c.Sites) != "[Shop]" {
		t.Errorf("%+v", c)
	}
	if c := caller(admin); c.ReadOnly || c.Sites != nil {
		t.Errorf("%+v", c)
	}
	// Who has one site makes no accounts, and sees its own alone.
	zoe.faults(10151, "POST", "/v1/conf/users/eve", `{"password":"Eve-pw-2026","roles":["administrator"]}`)
	zoe.faults(10151, "PUT", "/v1/conf/users/zoe", `{"roles":["administrator"]}`)
	zoe.faults(10151, "GET", "/v1/conf/users/admin", ``)
	zoe.faults(10151, "DELETE", "/v1/conf/users/admin", ``)
	zoe.must("GET", "/v1/conf/users/zoe", "")

	// At once, and in the session that is there.
	admin.must("PUT", "/v1/conf/users/zoe", `{"roles":["read-only"]}`)
	if c := caller(zoe); !c.ReadOnly || c.Sites != nil {
		t.Errorf("%+v", c)
	}
	zoe.must("GET", "/v1/conf/users/admin", "")
	zoe.faults(10151, "PUT", "/v1/conf/users/zoe", `{"roles":["administrator"]}`)
}
