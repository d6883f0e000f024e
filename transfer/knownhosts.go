package transfer

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha1"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"

	"github.com/skeema/knownhosts"
	"golang.org/x/crypto/ssh"
)

// maxKnownHosts bounds a known_hosts file: some fifty thousand keys.
const maxKnownHosts = 16 << 20

// KnownHost is one line of a known_hosts file.
type KnownHost struct {
	Line   int      // counted from 1
	Marker string   // "", "cert-authority" or "revoked"
	Hosts  []string // names, addresses, [host]:port or patterns; one "|1|…" where the name is hashed
	Key    ssh.PublicKey
	// Comment is what follows the key.
	Comment string
}

// Hashed says whether the host's name cannot be read.
func (k KnownHost) Hashed() bool { return len(k.Hosts) == 1 && strings.HasPrefix(k.Hosts[0], "|") }

// Fingerprint is the key's SHA-256 fingerprint as OpenSSH shows it.
func (k KnownHost) Fingerprint() string { return ssh.FingerprintSHA256(k.Key) }

// names says whether the line is for exactly this host, as known_hosts spells it; patterns are for nobody in particular.
func (k KnownHost) names(host string) bool {
	if k.Hashed() {
		return hashedAs(k.Hosts[0], host)
	}
	return slices.Contains(k.Hosts, host)
}

// hashedAs says whether hashed, |1|SALT|HMAC-SHA1, stands for host.
func hashedAs(hashed, host string) bool {
	parts := strings.Split(hashed, "|")
	if len(parts) != 4 || parts[1] != "1" {
		return false
	}
	salt, err := base64.StdEncoding.DecodeString(parts[2])
	if err != nil {
		return false
	}
	sum, err := base64.StdEncoding.DecodeString(parts[3])
	if err != nil {
		return false
	}
	mac := hmac.New(sha1.New, salt)
	mac.Write([]byte(host))
	return hmac.Equal(mac.Sum(nil), sum)
}

// KnownHosts lists the keys in a known_hosts file. A file that is not there has none; a line that cannot be read is an
// error that names it.
func KnownHosts(file string) ([]KnownHost, error) {
	text, err := readSmall(file, maxKnownHosts)
	if err != nil {
		return nil, knownHostsFault(file, err)
	}
	return parseKnownHosts(file, text)
}

func parseKnownHosts(file string, text []byte) ([]KnownHost, error) {
	var entries []KnownHost
	for i, line := range bytes.Split(text, []byte("\n")) {
		entry, ok, err := parseKnownHost(line)
		if err != nil {
			return nil, addHint(knownHostsFault(file, fmt.Errorf("line %d: %w", i+1, err)), "repair or remove that line")
		}
		if ok {
			entry.Line = i + 1
			entries = append(entries, entry)
		}
	}
	return entries, nil
}

// AddKnownHost adds keys for host:port and returns how many were new. A host that has another key of the same type is
// an error: that decision is RemoveKnownHost's.
func AddKnownHost(file, host string, port int, keys ...ssh.PublicKey) (added int, err error) {
	name := knownName(host, port)
	if strings.ContainsAny(name, " \t\r\n,|*?!#") || name == "" {
		return 0, knownHostsFault(file, fmt.Errorf("%q is not a host", name))
	}
	err = changeKnownHosts(file, func(text []byte, entries []KnownHost) ([]byte, error) {
		if len(text) > 0 && text[len(text)-1] != '\n' {
			text = append(text, '\n')
		}
		for _, key := range keys {
			switch known, err := holdsKey(entries, name, key); {
			case err != nil:
				return nil, err
			case known:
				continue
			}
			text = append(text, knownhosts.Line([]string{name}, key)+"\n"...)
			entries = append(entries, KnownHost{Hosts: []string{name}, Key: key})
			added++
		}
		return text, nil
	})
	if err != nil {
		return 0, err
	}
	return added, nil
}

// holdsKey says whether entries have key for name; another key of its type is an error.
func holdsKey(entries []KnownHost, name string, key ssh.PublicKey) (bool, error) {
	var other ssh.PublicKey
	for _, entry := range entries {
		if entry.Marker != "" || !entry.names(name) || entry.Key.Type() != key.Type() {
			continue
		}
		if bytes.Equal(entry.Key.Marshal(), key.Marshal()) {
			return true, nil
		}
		other = entry.Key
	}
	if other == nil {
		return false, nil
	}
	return false, &Error{Op: OpHostKey, Kind: HostKeyChanged, Target: name,
		Err:  fmt.Errorf("another key is known already: %s; the new one is %s", fingerprint(other), fingerprint(key)),
		Hint: "when its owner confirms the new key: impctl known-hosts remove " + name}
}

// RemoveKnownHost removes every key of host:port and returns how many. Lines for several hosts lose only this one;
// patterns, certificate authorities and revoked keys stay.
func RemoveKnownHost(file, host string, port int) (removed int, err error) {
	name := knownName(host, port)
	err = changeKnownHosts(file, func(text []byte, entries []KnownHost) ([]byte, error) {
		lines := bytes.SplitAfter(text, []byte("\n"))
		for _, entry := range entries {
			if entry.Marker != "" || !entry.names(name) {
				continue
			}
			removed++
			old := lines[entry.Line-1]
			lines[entry.Line-1] = nil
			if rest := slices.DeleteFunc(slices.Clone(entry.Hosts), func(h string) bool { return h == name }); !entry.Hashed() && len(rest) > 0 {
				_, tail, _ := bytes.Cut(bytes.TrimLeft(old, " \t"), []byte(strings.Join(entry.Hosts, ",")))
				lines[entry.Line-1] = append([]byte(strings.Join(rest, ",")), tail...)
			}
		}
		return bytes.Join(lines, nil), nil
	})
	if err != nil {
		return 0, err
	}
	return removed, nil
}

// knownName is host:port as known_hosts spells it.
func knownName(host string, port int) string {
	return knownhosts.Normalize(net.JoinHostPort(strings.ToLower(host), strconv.Itoa(port)))
}

// parseKnownHost reads one line; ok is false for an empty one and for a comment.
func parseKnownHost(line []byte) (entry KnownHost, ok bool, err error) {
	line = bytes.TrimSpace(line)
	if len(line) == 0 || line[0] == '#' {
		return entry, false, nil
	}
	marker, hosts, key, comment, _, err := ssh.ParseKnownHosts(line)
	if err != nil {
		return entry, false, errors.New("this is not a line of a known_hosts file")
	}
	return KnownHost{Marker: marker, Hosts: hosts, Key: key, Comment: comment}, true, nil
}

// changeKnownHosts replaces the file by what change makes of it.
func changeKnownHosts(file string, change func(text []byte, entries []KnownHost) ([]byte, error)) error {
	return changeFile(file, maxKnownHosts, func(text []byte) ([]byte, error) {
		entries, err := parseKnownHosts(file, text)
		if err != nil {
			return nil, err
		}
		return change(text, entries)
	}, knownHostsFault)
}

func knownHostsFault(file string, err error) error {
	return &Error{Op: OpHostKey, Kind: LocalFailure, Err: inWords(err, "known hosts %s", file)}
}
