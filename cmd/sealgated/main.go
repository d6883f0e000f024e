// Sealgated is the appliance's daemon.
package main

import (
	"os"

	"sealgate/daemon"
)

func main() { os.Exit(daemon.Main(os.Args[1:], os.Stdout, os.Stderr)) }
