package healthlog_test

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"sealgate/appliance/healthlog"
)

func TestTheLogIsARing(t *testing.T) {
	path := filepath.Join(t.TempDir(), "health.log")
	add := func(from, to int) {
		t.Helper()
		l, err := healthlog.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		for i := from; i < to; i++ {
			e := healthlog.Entry{Time: time.Unix(int64(i), 0).UTC(), Gateway: netip.MustParseAddrPort("127.0.0.1:80"), URL: fmt.Sprint("/", i), Status: 200}
			if err := l.Add(e); err != nil {
				t.Fatal(err)
			}
		}
	}
	check := func(first, last int) {
		t.Helper()
		list, err := healthlog.Read(path, healthlog.Size)
		if err != nil || len(list) != last-first+1 || list[0].URL != fmt.Sprint("/", first) || list[len(list)-1].URL != fmt.Sprint("/", last) {
			t.Errorf("%d entries, %v; want %d to %d", len(list), err, first, last)
		}
	}
	if list, err := healthlog.Read(path, 10); len(list) > 0 || err != nil {
		t.Errorf("before the first: %v, %v", list, err)
	}
	add(0, 2000)
	check(0, 1999)
	add(2000, 9000)
	check(6000, 8999)
	data, err := os.ReadFile(path)
	if err != nil || strings.Count(string(data), "\n") > healthlog.Size+500 {
		t.Errorf("the file has %d lines, %v", strings.Count(string(data), "\n"), err)
	}
	// What a power cut left of a line harms nothing.
	os.WriteFile(path, append(data, `{"time":"2026-`...), 0o600)
	add(9000, 9001)
	check(6001, 9000)
	if list, _ := healthlog.Read(path, 2); len(list) != 2 || list[1].URL != "/9000" {
		t.Errorf("the last two: %v", list)
	}
}

// The hole: the daemon, in which every prompt ends, opened whatever lies in the role's
// folder. The attack: a role that was taken over puts a pipe there that it never writes
// to, or a link to a file that the daemon alone may read. What must hold: an error, at once.
func TestWhatIsNoFileIsNotRead(t *testing.T) {
	path := filepath.Join(t.TempDir(), "health.log")
	if err := unix.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	held, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer held.Close()
	if list, err := healthlog.Read(path, 10); err == nil {
		t.Errorf("of a pipe %v", list)
	}
	link := path + ".link"
	if err := os.Symlink("/etc/passwd", link); err != nil {
		t.Fatal(err)
	}
	if list, err := healthlog.Read(link, 10); err == nil {
		t.Errorf("of a link %v", list)
	}
}
