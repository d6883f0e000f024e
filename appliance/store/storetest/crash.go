package storetest

import (
	"bufio"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"testing"
	"time"

	"sealgate/appliance/model"
	"sealgate/appliance/store"
)

// crashHome tells a test process to write to a store until it is killed.
const crashHome = "SEALGATE_STORETEST_HOME"

const kills = 12

// killed starts processes that write, kills each at a random instant, and looks at
// what they left: every write that was acknowledged, and no half ones.
func killed(t *testing.T, open func(*testing.T) *store.Store) {
	home := open(t).Home()
	random := rand.New(rand.NewPCG(1, 2))
	acknowledged := int64(1)
	for n := range kills {
		acknowledged = max(acknowledged, killOne(t, home, time.Duration(random.IntN(60))*time.Millisecond))
		lookAtRemains(t, home, acknowledged, int64(n+1))
	}
	if acknowledged == 1 {
		t.Error("no process lived long enough to write")
	}
}

// killOne runs a writing process and returns the last revision that it
// acknowledged before it was killed.
func killOne(t *testing.T, home string, after time.Duration) int64 {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^"+regexp.QuoteMeta(topLevel(t.Name()))+"$")
	cmd.Env = append(os.Environ(), crashHome+"="+home)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	last := int64(0)
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		if last == 0 {
			time.AfterFunc(after, func() { cmd.Process.Kill() })
		}
		n, err := strconv.ParseInt(lines.Text(), 10, 64)
		if err != nil {
			t.Errorf("the writing process said %q", lines.Text())
			break
		}
		last = n
	}
	if err := cmd.Wait(); err == nil {
		t.Error("the writing process ended by itself")
	}
	return last
}

func topLevel(name string) string {
	for i, c := range name {
		if c == '/' {
			return name[:i]
		}
	}
	return name
}

// writeUntilKilled is the life of a writing process; in any other it returns false.
func writeUntilKilled(t *testing.T) bool {
	home := os.Getenv(crashHome)
	if home == "" {
		return false
	}
	s, err := store.Open(t.Context(), home, store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	aggregator, err := s.Aggregator(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for {
		number := write(t, s, func(tx *store.Tx) error {
			site, err := tx.Create(t.Context(), store.Object{ParentID: model.RootID, Kind: model.Site, Name: store.NewID()})
			if err != nil {
				return err
			}
			group, err := tx.Create(t.Context(), store.Object{ParentID: site, Kind: model.ServerGroup, Name: "a"})
			if err != nil {
				return err
			}
			_, err = tx.AddSSLKey(t.Context(), store.SSLKey{ServiceID: mustService(t, tx, group), Name: "k"}, sealer{}, []byte("private"))
			return err
		})
		if err := s.Append(t.Context(), store.Batch{Audit: []store.AuditRecord{audit(int(number)%3, int(number))}}); err != nil {
			t.Fatal(err)
		}
		if err := aggregator.Append(t.Context(), []store.Violation{violation(int(number)%3, int(number))}); err != nil {
			t.Fatal(err)
		}
		fmt.Println(number)
	}
}

func mustService(t *testing.T, tx *store.Tx, group string) string {
	id, err := tx.Create(t.Context(), store.Object{ParentID: group, Kind: model.WebService, Name: "s"})
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// lookAtRemains opens what killed processes left. Each may have died between a
// revision and its events, so there may be one gap for each.
func lookAtRemains(t *testing.T, home string, acknowledged, gaps int64) {
	t.Helper()
	s, err := store.Open(t.Context(), home, store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	check(t, s)
	number, err := s.Revision(t.Context())
	if err != nil || number < acknowledged {
		t.Fatalf("revision %d, %v; %d was acknowledged", number, err, acknowledged)
	}
	sites, err := s.List(t.Context(), model.RootID, model.Site)
	if err != nil || int64(len(sites)) != number {
		t.Errorf("%d sites at revision %d, %v: a write is there in part", len(sites), number, err)
	}
	if c := count(t, s, store.SSLKeys); c.Rows != number-1 {
		t.Errorf("%d SSL keys at revision %d: a write is there in part", c.Rows, number)
	}
	violations, audited := count(t, s, store.Violations), count(t, s, store.Audit)
	if audited.Rows < violations.Rows || violations.Rows < number-1-gaps || audited.Rows > number-1 {
		t.Errorf("%d violations and %d audit records at revision %d, %d acknowledged", violations.Rows, audited.Rows, number, acknowledged)
	}
	CheckAlerts(t, s)
}
