package trial

import (
	"fmt"
	"os/exec"
	"strings"

	"github.com/creack/pty"
)

// AgeDecrypt decrypts a dump with the distribution's age, which asks for a
// passphrase at a terminal only.
func AgeDecrypt(from, to, passphrase string) error {
	cmd := exec.Command("age", "-d", "-o", to, from)
	tty, err := pty.Start(cmd)
	if err != nil {
		return err
	}
	defer tty.Close()
	var said strings.Builder
	piece := make([]byte, 1024)
	for answered := false; ; {
		n, err := tty.Read(piece)
		said.Write(piece[:n])
		if !answered && strings.Contains(said.String(), "assphrase") {
			answered = true
			fmt.Fprintln(tty, passphrase)
		}
		if err != nil { // age has closed its end
			break
		}
	}
	if err := cmd.Wait(); err != nil {
		return fmt.Errorf("age: %w: %s", err, said.String())
	}
	return nil
}
