package techinfo

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"sealgate/appliance"
	"sealgate/appliance/audit"
	"sealgate/appliance/disk"
	"sealgate/appliance/model"
	"sealgate/appliance/ownership"
	"sealgate/appliance/serverlog"
	"sealgate/appliance/store"
)

// collectors is the closed list.
func collectors(src Source, o Options) []collector {
	list := []collector{
		{"appliance", src.appliance},
		{"system", system},
		{"network", network},
		{"processes", processes},
		{"log", func(_ context.Context, c *collection) error { return src.logs(c, o) }},
		{"audit", src.auditLog},
	}
	for _, also := range []struct {
		wanted bool
		collector
	}{
		{o.Upgrade, collector{"upgrade", src.upgrade}},
		{o.AccessLog, collector{"access", func(_ context.Context, c *collection) error {
			return logFiles(c, serverlog.Access, src.Home.Spool(), o)
		}}},
		{o.Cores, collector{"coredumps", src.cores}},
		{o.Traffic, collector{"traffic", src.traffic}},
		{o.Debug, collector{"debug", src.profiles}},
		{src.Config.Role == appliance.Gateway, collector{"config", src.snapshot}},
		{src.Config.Role == appliance.ManagementServer, collector{"gateways", src.gateways}},
	} {
		if also.wanted {
			list = append(list, also.collector)
		}
	}
	if src.Store != nil {
		list = append(list, collector{"config", src.configuration}, collector{"database", src.database})
	}
	return list
}

// appliance is what the daemon says of itself.
func (src Source) appliance(_ context.Context, c *collection) error {
	space, err := disk.Of(string(src.Home))
	return errors.Join(err, c.json("appliance.json", src.Config), c.json("status.json", src.Status), c.json("disk.json", space),
		c.json("version.json", map[string]any{"product": "Sealgate", "version": src.Version, "go": runtime.Version(), "arch": runtime.GOARCH, "cpus": runtime.NumCPU()}))
}

// system is the machine, as far as the kernel tells everybody.
func system(_ context.Context, c *collection) error {
	for _, path := range []string{"/etc/os-release", "/proc/version", "/proc/cpuinfo", "/proc/meminfo", "/proc/loadavg", "/proc/uptime",
		"/proc/mounts", "/proc/diskstats", "/proc/pressure/cpu", "/proc/pressure/io", "/proc/pressure/memory", "/proc/sys/kernel/random/boot_id"} {
		c.copyFile(strings.ReplaceAll(strings.TrimPrefix(strings.TrimPrefix(path, "/proc/"), "/etc/"), "/", "-"), path)
	}
	return nil
}

// network is addresses, routes, names and open sockets, as files of the kernel: an
// installed appliance has no netlink socket to ask by.
func network(_ context.Context, c *collection) error {
	interfaces, err := filepath.Glob("/sys/class/net/*")
	if err != nil {
		return err
	}
	var b strings.Builder
	for _, path := range interfaces {
		b.WriteString(filepath.Base(path))
		for _, fact := range []string{"address", "mtu", "operstate", "speed"} {
			if data, err := readSmall(filepath.Join(path, fact)); err == nil { // some have none
				fmt.Fprintf(&b, " %s %s", fact, bytes.TrimSpace(data))
			}
		}
		b.WriteByte('\n')
	}
	c.text("interfaces", []byte(b.String()))
	for _, name := range []string{"fib_trie", "if_inet6", "route", "ipv6_route", "dev", "tcp", "tcp6", "sockstat", "snmp"} {
		c.copyFile(name, "/proc/net/"+name)
	}
	c.copyFile("resolv.conf", "/etc/resolv.conf")
	c.copyFile("hosts", "/etc/hosts")
	return nil
}

// ours are the programs of the product and the server that logins come through.
var ours = []string{"sealgated", "sealsh", "impctl", "sshd", "sshd-session"}

// processes tells of programs of ours what the kernel knows. Never their
// arguments: a line that ssh ran may hold a password.
func processes(_ context.Context, c *collection) error {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return err
	}
	// The role and the shells have other uids. The first process has root's, and is always there.
	if _, err := os.ReadFile("/proc/1/comm"); err != nil {
		c.note("only processes of uid %d are here, /proc hides those of others: %v", os.Geteuid(), err)
	}
	for _, e := range entries {
		if _, err := strconv.Atoi(e.Name()); err != nil {
			continue
		}
		comm, err := os.ReadFile("/proc/" + e.Name() + "/comm")
		if err != nil || !slices.Contains(ours, strings.TrimSpace(string(comm))) {
			continue
		}
		for _, name := range []string{"status", "stat", "limits"} {
			if data, err := readSmall("/proc/" + e.Name() + "/" + name); err == nil { // else it is gone, or not ours to see
				c.text(e.Name()+"-"+name, data)
			}
		}
	}
	return nil
}

// bigLog is what --no-big-logs leaves of a log, in bytes.
const bigLog = 1 << 20

// logs are what the appliance reported, and how it was set up.
func (src Source) logs(c *collection, o Options) error {
	for _, path := range []string{src.Home.FirstLogin(), src.Home.FirstLogin() + ".old"} {
		if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
			c.log(path, math.MaxInt64)
		}
	}
	return logFiles(c, serverlog.Server, src.Home.Logs(), o)
}

// maxArchives bounds the files of a log: in the role's folder there may be any number.
const maxArchives = 1000

// logFiles are the files of a log that were asked for.
func logFiles(c *collection, log serverlog.Name, dir string, o Options) error {
	aside, err := log.Aside(dir)
	if err != nil {
		return err
	}
	limit := int64(math.MaxInt64)
	if o.NoBigLogs {
		limit = bigLog
	}
	c.log(filepath.Join(dir, log.Current()), limit)
	wanted := 0
	for _, name := range slices.Backward(aside) {
		at, _ := log.TimeOf(name)
		if at.Before(o.Since) || o.Archives > 0 && wanted == o.Archives {
			c.note("%d older logs were not asked for", len(aside)-wanted)
			break
		}
		if wanted == maxArchives {
			c.note("%d older logs are left out: at most %d are collected", len(aside)-wanted, maxArchives)
			break
		}
		c.log(filepath.Join(dir, name), limit)
		wanted++
	}
	return nil
}

// auditLog is all of it, and whether it is whole.
func (src Source) auditLog(ctx context.Context, c *collection) error {
	dir := src.Home.Audit()
	names, err := filepath.Glob(filepath.Join(dir, "*.jsonl"))
	if err != nil {
		return err
	}
	for _, name := range names {
		c.log(name, math.MaxInt64)
	}
	report, err := audit.Verify(ctx, dir, nil)
	if err != nil {
		return err
	}
	return c.json("verify.json", report)
}

// snapshot is what the gateway was told, without keys. On an installed one the file is
// the role's alone, and is read where the role can say nothing.
func (src Source) snapshot(ctx context.Context, c *collection) error {
	_, askErr := src.ask(ctx, c, "configuration", "snapshot.json")
	if askErr == nil {
		return nil
	}
	file, err := ownership.OpenShared(src.Home.Snapshot())
	if errors.Is(err, fs.ErrNotExist) {
		c.note("the gateway has no configuration yet")
		return nil
	}
	if err != nil {
		return errors.Join(askErr, err)
	}
	defer file.Close()
	s, err := model.ReadSnapshot(file)
	if err != nil {
		return err
	}
	s.TakeKeys()
	return c.json("snapshot.json", s)
}

// gateways are those of a management server, and how they are.
func (src Source) gateways(ctx context.Context, c *collection) error {
	_, err := src.ask(ctx, c, "gateways", "gateways.json")
	return err
}

// configuration is every table without its secrets, and users without verifiers.
func (src Source) configuration(ctx context.Context, c *collection) (err error) {
	snap, err := src.Store.Snapshot(ctx, store.SnapshotOptions{Without: []store.Kind{store.Alerts, store.Violations, store.Audit}})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, snap.Close()) }()
	for _, t := range snap.Tables() {
		var b bytes.Buffer
		err := snap.Rows(ctx, t, func(line []byte) error {
			if b.Len()+len(line) > maxTable {
				return errTooLarge
			}
			b.Write(line)
			return b.WriteByte('\n')
		})
		if errors.Is(err, errTooLarge) {
			c.note("table %s: the first %d bytes", t.Name, b.Len())
		} else if err != nil {
			return err
		}
		c.text(t.Name+".jsonl", b.Bytes())
	}
	return nil
}

// maxTable is the most of one table, in bytes.
const maxTable = 32 << 20

var errTooLarge = errors.New("the table is larger than is collected")

// database is how much there is, and whether it is whole.
func (src Source) database(ctx context.Context, c *collection) error {
	schema, err := store.KnownSchema()
	if err != nil {
		return err
	}
	counts, err := src.Store.Counts(ctx)
	if err != nil {
		return err
	}
	days, err := src.Store.EventDays(ctx)
	if err != nil {
		return err
	}
	if err := c.json("counts.json", map[string]any{"schema": schema, "counts": counts, "days": days}); err != nil {
		return err
	}
	health := "whole\n"
	if err := src.Store.Check(ctx); err != nil {
		health = err.Error() + "\n"
	}
	c.text("check", []byte(health))
	return ctx.Err()
}

func readSmall(path string) ([]byte, error) {
	file, err := os.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	return io.ReadAll(io.LimitReader(file, maxSmall))
}
