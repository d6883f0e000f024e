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
	if err := writeKey(c.Out); err != nil {
		return err
	}
	fmt.Printf("wrote %s.key and %s.pub\n", c.Out, c.Out)
	return nil
}

// writeKey makes NAME.key and NAME.pub.
func writeKey(name string) error {
	_, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		return err
	}
	private, public, err := anchor.MarshalKey(key)
	if err != nil {
		return err
	}
	if err := writeNew(name+".key", private, 0o600); err != nil {
		return err
	}
	return writeNew(name+".pub", public, 0o644)
}

// readKey reads what writeKey made.
func readKey(path string) (ed25519.PrivateKey, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if info.Mode().Perm()&0o077 != 0 {
		return nil, fmt.Errorf("others can read %s: chmod 600 it, and think about who has read it", path)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	private, err := anchor.ParsePrivate(data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return private, nil
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
