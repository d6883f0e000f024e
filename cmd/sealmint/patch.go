package main

import (
	"context"
	"fmt"
	"os"
	"strings"

	"filippo.io/age"
	"golang.org/x/sys/unix"

	"sealgate/appliance/atomicfile"
	"sealgate/appliance/patch"
)

type patchCmd struct {
	Keygen patchKeygenCmd `cmd:"" help:"make the keys that patches are signed with and encrypted to"`
	Build  patchBuildCmd  `cmd:"" help:"make an unsigned patch of a folder"`
	Sign   patchSignCmd   `cmd:"" help:"sign a patch in its place"`
	Verify patchVerifyCmd `cmd:"" help:"check a patch as an appliance does, and say what it is"`
}

type patchKeygenCmd struct {
	Out string `required:"" placeholder:"NAME" help:"write NAME.key, which signs, and NAME.recipient, which encrypts: they stay with the vendor; and NAME.pub and NAME.identity, which appliances get in the folder patches of their anchors"`
}

func (c *patchKeygenCmd) Run() error {
	identity, err := age.GenerateX25519Identity()
	if err != nil {
		return err
	}
	if err := writeKey(c.Out); err != nil {
		return err
	}
	// It is on every appliance, and no secret from its owner.
	if err := writeNew(c.Out+".identity", []byte(identity.String()+"\n"), 0o644); err != nil {
		return err
	}
	if err := writeNew(c.Out+".recipient", []byte(identity.Recipient().String()+"\n"), 0o644); err != nil {
		return err
	}
	fmt.Printf("wrote %s.key, %[1]s.pub, %[1]s.identity and %[1]s.recipient\n", c.Out)
	return nil
}

type patchBuildCmd struct {
	From      []string `required:"" placeholder:"RELEASE" help:"a release that it may be installed on; may be repeated"`
	To        string   `required:"" placeholder:"RELEASE" help:"the release that it brings, as its sealgated says itself"`
	Sequence  uint64   `required:"" placeholder:"N" help:"a number that grows with every release: appliances refuse lower ones than they had"`
	Recipient string   `required:"" placeholder:"FILE" help:"the NAME.recipient of sealmint patch keygen"`
	Out       string   `required:"" placeholder:"FILE" help:"write the patch there"`
	Folder    string   `arg:"" help:"what the release consists of: sealgated, and files that it reads"`
}

func (c *patchBuildCmd) Run() error {
	text, err := os.ReadFile(c.Recipient)
	if err != nil {
		return err
	}
	recipient, err := age.ParseX25519Recipient(strings.TrimSpace(string(text)))
	if err != nil {
		return fmt.Errorf("%s: %w", c.Recipient, err)
	}
	out, err := atomicfile.Create(c.Out, 0o644)
	if err != nil {
		return err
	}
	defer out.Close()
	m := patch.Manifest{From: c.From, To: c.To, Sequence: c.Sequence}
	if err := patch.Build(out.File, c.Folder, m, recipient); err != nil {
		return err
	}
	if err := out.Commit(); err != nil {
		return err
	}
	fmt.Printf("wrote %s; next: sealmint patch sign --key NAME.key %[1]s\n", c.Out)
	return nil
}

type patchSignCmd struct {
	Key   string `required:"" placeholder:"FILE" help:"the NAME.key of sealmint patch keygen"`
	Patch string `arg:"" help:"the patch"`
}

func (c *patchSignCmd) Run() error {
	private, err := readKey(c.Key)
	if err != nil {
		return err
	}
	file, err := os.OpenFile(c.Patch, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer file.Close()
	m, err := patch.Sign(file, private)
	if err != nil {
		return fmt.Errorf("%s: %w", c.Patch, err)
	}
	fmt.Printf("signed: %s", describe(m))
	return nil
}

type patchVerifyCmd struct {
	Anchors string `required:"" placeholder:"DIR" help:"folder with the vendor's NAME.pub and NAME.identity"`
	Unpack  string `placeholder:"DIR" help:"and leave its files in a new folder"`
	Patch   string `arg:"" help:"the patch"`
}

func (c *patchVerifyCmd) Run(ctx context.Context) error {
	file, err := os.OpenFile(c.Patch, os.O_RDONLY|unix.O_NONBLOCK, 0)
	if err != nil {
		return err
	}
	defer file.Close()
	p, err := patch.Open(patch.Trust{Dir: c.Anchors, Owners: []uint32{0, uint32(os.Geteuid())}}, file)
	if err == nil {
		err = p.Check(ctx, silent)
	}
	if err == nil && c.Unpack != "" {
		err = c.unpack(ctx, p)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", c.Patch, err)
	}
	fmt.Printf("key %s: %s", p.Key, describe(p.Manifest))
	return nil
}

func (c *patchVerifyCmd) unpack(ctx context.Context, p *patch.Patch) error {
	if err := os.Mkdir(c.Unpack, 0o700); err != nil {
		return err
	}
	return p.Unpack(ctx, c.Unpack, silent)
}

func silent(int64, int64) {}

func describe(m *patch.Manifest) string {
	return fmt.Sprintf("release %s, sequence %d, for %s: %d files, %d bytes\n", m.To, m.Sequence, strings.Join(m.From, ", "), len(m.Files), m.Unpacked())
}
