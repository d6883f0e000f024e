package appliance

import (
	"io"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// maxMotd is in bytes; the rest is left out.
const maxMotd = 4 << 10

// etcMotd is an installed appliance's message, which its owner edits as root.
const etcMotd = "/etc/sealgate/motd"

// Motd is what the owner of the appliance says to everybody who comes to the
// prompt, or "". It is a regular file named motd: in /etc/sealgate for an
// installed appliance, in the home of any other.
func (h Home) Motd() string {
	path := h.path("motd")
	if h == DefaultHome {
		path = etcMotd
	}
	return readMotd(path)
}

func readMotd(path string) string {
	// O_NONBLOCK: a FIFO must not hold us.
	file, err := os.OpenFile(path, os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if err != nil {
		return ""
	}
	defer file.Close()
	if info, err := file.Stat(); err != nil || !info.Mode().IsRegular() {
		return ""
	}
	data, err := io.ReadAll(io.LimitReader(file, maxMotd))
	if err != nil {
		return ""
	}
	text := strings.TrimRight(strings.ToValidUTF8(string(data), ""), "\n") // a rune may be cut
	if text == "" {
		return ""
	}
	return text + "\n"
}
