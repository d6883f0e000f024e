package job

import (
	"context"
	"fmt"
	"strings"

	"golang.org/x/crypto/ssh"

	"sealgate/appliance"
	"sealgate/commands"
	"sealgate/control"
	"sealgate/transfer"
)

// acceptHostKey fetches a server's keys and keeps those that are expected or
// that the person accepts.
func acceptHostKey(ctx context.Context, home appliance.Home, x commands.AcceptHostKey, ui control.UI) ([]commands.HostKey, error) {
	policy, err := transfer.LoadPolicy(home.TransferPolicy())
	if err != nil {
		return nil, err
	}
	keys, err := transfer.HostKeys(ctx, x.Host, x.Port, transfer.Options{Policy: policy, Proxy: x.Proxy})
	if err != nil {
		return nil, err
	}
	if x.Look {
		return named(x, keys), nil
	}
	if x.Fingerprint != "" {
		keys, err = expected(keys, x)
	} else {
		err = confirm(ctx, keys, x, ui)
	}
	if err != nil {
		return nil, err
	}
	if _, err := transfer.AddKnownHost(home.KnownHosts(), x.Host, x.Port, keys...); err != nil {
		return nil, err
	}
	return named(x, keys), nil
}

// named are keys under the host's name as known_hosts spells it.
func named(x commands.AcceptHostKey, keys []ssh.PublicKey) []commands.HostKey {
	name := x.Host
	if x.Port != 22 {
		name = fmt.Sprintf("[%s]:%d", x.Host, x.Port)
	}
	var list []commands.HostKey
	for _, k := range keys {
		list = append(list, commands.HostKey{Hosts: []string{name}, Type: k.Type(), Fingerprint: ssh.FingerprintSHA256(k)})
	}
	return list
}

func expected(keys []ssh.PublicKey, x commands.AcceptHostKey) ([]ssh.PublicKey, error) {
	var shown []string
	for _, k := range keys {
		if ssh.FingerprintSHA256(k) == x.Fingerprint {
			return []ssh.PublicKey{k}, nil
		}
		shown = append(shown, ssh.FingerprintSHA256(k))
	}
	return nil, &commands.Failure{
		Exit: control.ExitFailed,
		Text: fmt.Sprintf("%s shows another key than %s: %s", x.Host, x.Fingerprint, strings.Join(shown, ", ")),
		Hint: "ask the server's owner; if the key was not changed on purpose, somebody may stand between",
	}
}

func confirm(ctx context.Context, keys []ssh.PublicKey, x commands.AcceptHostKey, ui control.UI) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%s shows\n", x.Host)
	for _, k := range keys {
		fmt.Fprintf(&b, "  %s %s\n", k.Type(), ssh.FingerprintSHA256(k))
	}
	b.WriteString("accept and keep? (yes/no) ")
	answer, err := ui.Ask(ctx, control.Question{Prompt: b.String(), Confirm: true})
	if err != nil {
		return err
	}
	if answer != "yes" {
		return &commands.Failure{Exit: control.ExitFailed, Text: "no host key was accepted", Hint: "only the answer yes accepts"}
	}
	return nil
}
