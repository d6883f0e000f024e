// Command impctl runs the appliance's impctl command from outside the sealed
// shell.
package main

import (
	"os"

	"sealgate/shell"
)

func main() { os.Exit(shell.Impctl(os.Args, shell.Standard(), shell.Environment())) }
