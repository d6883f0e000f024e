package techinfo

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"

	"filippo.io/age"
	"golang.org/x/sys/unix"

	"sealgate/appliance"
	"sealgate/appliance/atomicfile"
)

// ErrNoSupportKey means that there is nobody whom core files could be sealed to.
var ErrNoSupportKey = appliance.Faultf("impctl support key set AGE-RECIPIENT names whoever may read them, as age-keygen prints it",
	"core files hold what a process had in its memory, and leave only sealed to a support key, which is not set")

// maxKey bounds a key, in bytes.
const maxKey = 4 << 10

// SupportKey is the age recipient whom core files are sealed to, as it was set, or
// [ErrNoSupportKey].
func SupportKey(home appliance.Home) (string, age.Recipient, error) {
	file, err := os.OpenFile(home.SupportKey(), os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil, ErrNoSupportKey
	}
	if err != nil {
		return "", nil, err
	}
	defer file.Close()
	text, err := io.ReadAll(io.LimitReader(file, maxKey))
	if err != nil {
		return "", nil, err
	}
	return parseKey(strings.TrimSpace(string(text)))
}

func parseKey(text string) (string, age.Recipient, error) {
	const hint = "a recipient is one word, age1…: age-keygen prints it beside the identity, which stays with support"
	if strings.HasPrefix(strings.ToUpper(text), "AGE-SECRET-KEY-") {
		return "", nil, appliance.Faultf("make another one, for this one was shown; "+hint, "this is an identity, which opens what is sealed, and not a recipient")
	}
	list, err := age.ParseRecipients(strings.NewReader(text))
	if err != nil || len(list) != 1 {
		return "", nil, appliance.Faultf(hint, "this is no age recipient")
	}
	return text, list[0], nil
}

// SetSupportKey seals core files to whoever has the identity of an age recipient.
func SetSupportKey(home appliance.Home, text string) error {
	text, _, err := parseKey(strings.TrimSpace(text))
	if err != nil {
		return err
	}
	return atomicfile.Write(home.SupportKey(), []byte(text+"\n"), 0o600)
}

// RemoveSupportKey lets no core file leave any more.
func RemoveSupportKey(home appliance.Home) error {
	err := os.Remove(home.SupportKey())
	if errors.Is(err, fs.ErrNotExist) {
		return ErrNoSupportKey
	}
	if err != nil {
		return fmt.Errorf("the support key stays: %w", err)
	}
	return atomicfile.SyncDir(string(home))
}

// sealedSize is the size of n bytes when they are sealed to r: the header, and 16
// bytes for each 64 KiB.
func sealedSize(n int64, r age.Recipient) (int64, error) {
	var empty counted
	w, err := age.Encrypt(&empty, r)
	if err == nil {
		err = w.Close()
	}
	const chunk, tag = 64 << 10, 16
	return int64(empty) + n + tag*(max(1, (n+chunk-1)/chunk)-1), err
}

type counted int64

func (c *counted) Write(p []byte) (int, error) {
	*c += counted(len(p))
	return len(p), nil
}

// sealing is what from holds, sealed.
func sealing(from io.Reader, to age.Recipient) io.ReadCloser {
	out, in := io.Pipe()
	go func() {
		w, err := age.Encrypt(in, to)
		if err == nil {
			_, err = io.Copy(w, from)
			err = errors.Join(err, w.Close())
		}
		in.CloseWithError(err)
	}()
	return out
}
