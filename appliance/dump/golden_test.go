package dump

import (
	"flag"
	"fmt"
	"testing"
)

var update = flag.Bool("update", false, "write the golden dumps of the present format")

// goldenPassphrase opens the encrypted golden dumps.
const goldenPassphrase = "Golden-pw-17"

// golden is the name of the dump that a format keeps for ever.
func golden(format int, passphrase string) string {
	kind := "plain"
	if passphrase != "" {
		kind = "encrypted"
	}
	return fmt.Sprintf("testdata/format-%d-%s.tgz", format, kind)
}

func TestGoldenDumps(t *testing.T) {
	if *update {
		src := tiny(t)
		for _, passphrase := range []string{"", goldenPassphrase} {
			_, data := export(t, src, Options{FailedArchives: true, Passphrase: passphrase})
			writeFile(t, golden(Format, passphrase), data)
		}
	}
}
