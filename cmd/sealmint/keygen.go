package main

import (
	"crypto/ed25519"
	"fmt"
	"os"

	"sealgate/appliance/anchor"
)

type keygenCmd struct {
	Out string `required:"" placeholder:"NAME" help:"write NAME.key, which signs and stays with the vendor, and NAME.pub, the anchor that appliances get"`
}

func (c *keygenCmd) Run() error {
	_, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		return err
	}
	private, public, err := anchor.MarshalKey(key)
	if err != nil {
		return err
	}
	if err := writeNew(c.Out+".key", private, 0o600); err != nil {
		return err
	}
	if err := writeNew(c.Out+".pub", public, 0o644); err != nil {
		return err
	}
	fmt.Printf("wrote %s.key and %s.pub\n", c.Out, c.Out)
	return nil
}

// writeNew never replaces a file: a key that is gone signs nothing more.
func writeNew(path string, data []byte, perm os.FileMode) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, perm)
	if err != nil {
		return err
	}
	if _, err := f.Write(data); err != nil {
		f.Close()
		return err
	}
	return f.Close()
}
