package commands

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"golang.org/x/crypto/ssh"

	"sealgate/appliance/secret"
	"sealgate/control"
)

type sshKeyCmd struct {
	Show  sshKeyShowCmd  `cmd:"" example:"impctl ssh-key show" rights:"operator" help:"the public key, as a line of authorized_keys"`
	Renew sshKeyRenewCmd `cmd:"" example:"impctl ssh-key renew" help:"make a new key; the old one is gone"`
}

type sshKeyShowCmd struct{}

func (sshKeyShowCmd) Help() string {
	return `Transfers with scp offer this key to a server before a password. Put the line
into ~/.ssh/authorized_keys of the account there.`
}

func (sshKeyShowCmd) Run(_ context.Context, e *Env) error {
	key, err := secret.SSHKey(string(e.Host.Home()))
	if errors.Is(err, secret.ErrNoSSHKey) {
		return &Failure{control.ExitFailed, oneLine(err.Error()), "impctl ssh-key renew makes one"}
	}
	if err != nil {
		return err
	}
	return e.showKey(key)
}

type sshKeyRenewCmd struct{}

func (sshKeyRenewCmd) Run(_ context.Context, e *Env) error {
	key, err := secret.RenewSSHKey(string(e.Host.Home()))
	if err != nil {
		return err
	}
	return e.showKey(key)
}

func (e *Env) showKey(key ssh.Signer) error {
	line := strings.TrimSpace(string(ssh.MarshalAuthorizedKey(key.PublicKey()))) + " sealgate@" + e.Host.Config().Name
	return e.Out(struct {
		Line        string `json:"line"`
		Fingerprint string `json:"fingerprint"`
	}{line, ssh.FingerprintSHA256(key.PublicKey())}, fmt.Sprintln(line))
}
