package proxy

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/miekg/dns"
)

// Resolver asks name servers, and says how long an answer holds, which the
// standard library does not tell.
type Resolver struct {
	Config string // resolv.conf
	Hosts  string // hosts file, which is asked first
	Port   string // of the name servers; empty is the usual one
}

// SystemResolver is the machine's.
var SystemResolver = Resolver{Config: "/etc/resolv.conf", Hosts: "/etc/hosts"}

// Bounds of how long an answer holds.
const (
	leastTTL = time.Second
	mostTTL  = time.Hour
	hostsTTL = 5 * time.Second
)

var errNoSuchName = errors.New("no name server knows it")

// Lookup returns name's addresses in order, and for how long they hold.
func (r Resolver) Lookup(ctx context.Context, name string) ([]netip.Addr, time.Duration, error) {
	if ip, err := netip.ParseAddr(strings.Trim(name, "[]")); err == nil {
		return []netip.Addr{ip}, mostTTL, nil
	}
	if found := r.fromHosts(name); len(found) > 0 {
		return found, hostsTTL, nil
	}
	config, err := dns.ClientConfigFromFile(r.Config)
	if err != nil {
		return nil, 0, fmt.Errorf("resolve %s: %w", name, err)
	}
	config.Port = cmp.Or(r.Port, config.Port)
	err = errNoSuchName
	for _, full := range config.NameList(name) {
		found, ttl, asked := ask(ctx, config, full)
		if len(found) > 0 {
			return found, ttl, nil
		}
		if asked != nil {
			err = asked
		}
	}
	return nil, 0, fmt.Errorf("resolve %s: %w", name, err)
}

func (r Resolver) fromHosts(name string) (found []netip.Addr) {
	file, err := os.Open(r.Hosts)
	if err != nil {
		return nil
	}
	defer file.Close()
	for lines := bufio.NewScanner(file); lines.Scan(); {
		line, _, _ := strings.Cut(lines.Text(), "#")
		fields := strings.Fields(line)
		if len(fields) < 2 || !slices.ContainsFunc(fields[1:], func(n string) bool { return strings.EqualFold(n, strings.TrimSuffix(name, ".")) }) {
			continue
		}
		if ip, err := netip.ParseAddr(fields[0]); err == nil {
			found = append(found, ip)
		}
	}
	return found
}

// ask asks for both kinds of addresses. The shortest life counts, of aliases on the
// way too.
func ask(ctx context.Context, config *dns.ClientConfig, name string) (found []netip.Addr, ttl time.Duration, err error) {
	ttl = mostTTL
	for _, kind := range []uint16{dns.TypeA, dns.TypeAAAA} {
		answer, askErr := query(ctx, config, name, kind)
		if askErr != nil {
			err = askErr
			continue
		}
		for _, record := range answer.Answer {
			switch record := record.(type) {
			case *dns.A:
				if ip, ok := netip.AddrFromSlice(record.A.To4()); ok {
					found = append(found, ip)
				}
			case *dns.AAAA:
				if ip, ok := netip.AddrFromSlice(record.AAAA); ok {
					found = append(found, ip)
				}
			case *dns.CNAME:
			default:
				continue
			}
			ttl = min(ttl, time.Duration(record.Header().Ttl)*time.Second)
		}
	}
	slices.SortFunc(found, netip.Addr.Compare)
	return slices.Compact(found), max(ttl, leastTTL), err
}

// query asks one server after the other, over TCP where the answer does not fit.
func query(ctx context.Context, config *dns.ClientConfig, name string, kind uint16) (*dns.Msg, error) {
	question := new(dns.Msg)
	question.SetQuestion(name, kind)
	question.SetEdns0(1232, false)
	err := errors.New("there is no name server")
	for range max(config.Attempts, 1) {
		for _, server := range config.Servers {
			question.Id = uint16(rand.Uint32())
			client := dns.Client{Net: "udp", Timeout: time.Duration(max(config.Timeout, 1)) * time.Second}
			var answer *dns.Msg
			answer, _, err = client.ExchangeContext(ctx, question, net.JoinHostPort(server, config.Port))
			if err == nil && answer.Truncated {
				client.Net = "tcp"
				answer, _, err = client.ExchangeContext(ctx, question, net.JoinHostPort(server, config.Port))
			}
			switch {
			case ctx.Err() != nil:
				return nil, ctx.Err()
			case err != nil:
			case answer.Rcode == dns.RcodeSuccess, answer.Rcode == dns.RcodeNameError:
				return answer, nil
			default:
				err = fmt.Errorf("the name server answers %s", strings.ToLower(dns.RcodeToString[answer.Rcode]))
			}
		}
	}
	return nil, err
}
