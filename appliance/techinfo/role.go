package techinfo

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"
)

// ask adds what the running role answers.
func (src Source) ask(ctx context.Context, c *collection, what, name string) ([]byte, error) {
	if src.Ask == nil {
		return nil, errors.New("there is no role that could be asked")
	}
	answer, cut, err := src.Ask(ctx, what)
	if err != nil {
		return nil, err
	}
	if cut {
		c.note("of %s the first %d bytes", name, len(answer))
	}
	if strings.HasSuffix(name, ".pprof") {
		c.binary(name, answer)
	} else {
		c.text(name, answer)
	}
	return answer, nil
}

// profiles are of the running role's program: functions and sizes, not what is in its
// memory.
func (src Source) profiles(ctx context.Context, c *collection) error {
	for _, question := range [][2]string{{"heap", "heap.pprof"}, {"goroutine", "goroutines"}, {"runtime", "runtime.json"}, {"cpu", "cpu.pprof"}} {
		if _, err := src.ask(ctx, c, question[0], question[1]); err != nil {
			return fmt.Errorf("%s: %w", question[0], err)
		}
	}
	return nil
}

// sampled is the time between two looks at the counters.
const sampled = 5 * time.Second

// traffic is what passes through the role while it is looked at, and who is connected.
func (src Source) traffic(ctx context.Context, c *collection) error {
	if err := connections(c); err != nil {
		c.note("%v", err)
	}
	first, err := src.ask(ctx, c, "counters", "first")
	if err != nil {
		return err
	}
	begin := time.Now()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-time.After(sampled):
	}
	second, err := src.ask(ctx, c, "counters", "second")
	if err != nil {
		return err
	}
	c.text("rates", rates(first, second, time.Since(begin)))
	return nil
}

// rates says what has changed between two texts of counters, and how fast.
func rates(first, second []byte, between time.Duration) []byte {
	before := samples(first)
	var b bytes.Buffer
	fmt.Fprintf(&b, "%-64s %16s %16s %16s\n", fmt.Sprintf("over %.1f s", between.Seconds()), "before", "after", "a second")
	for _, s := range samples(second) {
		at := slices.IndexFunc(before, func(x sample) bool { return x.name == s.name })
		was := 0.0
		if at >= 0 {
			was = before[at].value
		}
		if s.value != was {
			fmt.Fprintf(&b, "%-64s %16g %16g %16.2f\n", s.name, was, s.value, (s.value-was)/between.Seconds())
		}
	}
	return b.Bytes()
}

type sample struct {
	name  string // with its labels
	value float64
}

// maxSamples bounds what is read of a role's counters.
const maxSamples = 2000

// samples reads the text format of Prometheus, histograms' buckets left out.
func samples(text []byte) (list []sample) {
	lines := bufio.NewScanner(bytes.NewReader(text))
	for lines.Scan() && len(list) < maxSamples {
		name, value, ok := cutLast(lines.Text(), " ")
		v, err := strconv.ParseFloat(value, 64)
		if ok && err == nil && !strings.HasPrefix(name, "#") && !strings.Contains(name, "_bucket{") {
			list = append(list, sample{name, v})
		}
	}
	return list
}

func cutLast(s, sep string) (before, after string, found bool) {
	if i := strings.LastIndex(s, sep); i >= 0 {
		return s[:i], s[i+len(sep):], true
	}
	return s, "", false
}

// tcpStates are the kernel's, by their number.
var tcpStates = []string{"", "established", "syn-sent", "syn-received", "fin-wait-1", "fin-wait-2", "time-wait", "closed", "close-wait", "last-ack", "listening", "closing"}

// most of the addresses that are connected are told.
const most = 50

// connections counts the machine's TCP connections by port and state, and by who is at
// their other end.
func connections(c *collection) error {
	byPort, byPeer := map[string]int{}, map[string]int{}
	for _, path := range []string{"/proc/net/tcp", "/proc/net/tcp6"} {
		data, err := readSmall(path)
		if errors.Is(err, fs.ErrNotExist) {
			continue // without IPv6
		}
		if err != nil {
			return err
		}
		if len(data) == maxSmall {
			c.note("connections: of %s the first %d bytes", path, maxSmall)
		}
		for line := range strings.Lines(string(data)) {
			local, peer, state, ok := tcpLine(line)
			if !ok {
				continue
			}
			byPort[fmt.Sprintf("port %d %s", local.Port(), state)]++
			if state != "listening" {
				byPeer["with "+peer.Addr().Unmap().String()]++
			}
		}
	}
	var b bytes.Buffer
	for _, counts := range []map[string]int{byPort, byPeer} {
		keys := make([]string, 0, len(counts))
		for key := range counts {
			keys = append(keys, key)
		}
		slices.SortFunc(keys, func(x, y string) int { return cmp.Or(counts[y]-counts[x], cmp.Compare(x, y)) })
		for _, key := range keys[:min(len(keys), most)] {
			fmt.Fprintf(&b, "%8d  %s\n", counts[key], key)
		}
		if over := len(keys) - most; over > 0 {
			fmt.Fprintf(&b, "          and %d more\n", over)
		}
	}
	c.text("connections", b.Bytes())
	return nil
}

// tcpLine reads a line of /proc/net/tcp or tcp6.
func tcpLine(line string) (local, peer netip.AddrPort, state string, ok bool) {
	f := strings.Fields(line)
	if len(f) < 4 {
		return local, peer, "", false
	}
	local, okLocal := kernelAddress(f[1])
	peer, okPeer := kernelAddress(f[2])
	n, err := strconv.ParseUint(f[3], 16, 8)
	if !okLocal || !okPeer || err != nil || n == 0 || int(n) >= len(tcpStates) {
		return local, peer, "", false
	}
	return local, peer, tcpStates[n], true
}

// kernelAddress reads words of 32 bits as this machine has them in memory, and a port.
func kernelAddress(text string) (netip.AddrPort, bool) {
	address, port, _ := strings.Cut(text, ":")
	raw, err := hex.DecodeString(address)
	n, portErr := strconv.ParseUint(port, 16, 16)
	if err != nil || portErr != nil || len(raw) != 4 && len(raw) != 16 {
		return netip.AddrPort{}, false
	}
	for i := 0; i < len(raw); i += 4 {
		binary.NativeEndian.PutUint32(raw[i:], binary.BigEndian.Uint32(raw[i:]))
	}
	a, _ := netip.AddrFromSlice(raw)
	return netip.AddrPortFrom(a, uint16(n)), true
}
