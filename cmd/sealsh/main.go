// Command sealsh is the administrator's login shell: a terminal for the
// appliance's daemon.
package main

import (
	"os"

	"sealgate/shell"
)

func main() { os.Exit(shell.Sealsh(os.Args, shell.Standard(), shell.Environment())) }
