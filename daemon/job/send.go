package job

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"time"

	"sealgate/appliance"
	"sealgate/appliance/dump"
	"sealgate/appliance/folder"
	"sealgate/appliance/secret"
	"sealgate/commands"
	"sealgate/control"
	"sealgate/transfer"
)

// send uploads a file that is there, and leaves it there.
func send(ctx context.Context, home appliance.Home, x commands.Send, ui control.UI) (commands.SendResult, error) {
	begin := time.Now()
	debug.SetGCPercent(collectWhileTransferring)
	file, err := folder.Open(home, x.Name, x.Kinds...)
	if err != nil {
		return commands.SendResult{}, err
	}
	defer closing(file)
	if err := dump.FitToSend(file); err != nil {
		return commands.SendResult{}, err
	}
	target, err := transfer.ParseTarget(x.Upload.Protocol, x.Upload.URL, x.Name)
	if err != nil {
		return commands.SendResult{}, err
	}
	// The descriptor, not the name: what was looked at is what is sent.
	if err := upload(ctx, home, target, transfer.File(fmt.Sprintf("/proc/self/fd/%d", file.Fd())), x.Upload, ui); err != nil {
		return commands.SendResult{}, err
	}
	info, err := file.Stat()
	if err != nil {
		return commands.SendResult{}, err
	}
	return commands.SendResult{Name: x.Name, Bytes: info.Size(), Sent: target.String(), Elapsed: time.Since(begin)}, nil
}

// upload sends src to target on behalf of up.
func upload(ctx context.Context, home appliance.Home, target transfer.Target, src transfer.Source, up commands.Upload, ui control.UI) error {
	o, err := options(home, up.Access, ui)
	if err != nil {
		return err
	}
	o.Progress = func(sent int64) {
		// While the file grows, the export's own progress says more.
		if total := src.Size(); total >= 0 {
			ui.Progress(control.Progress{Label: "uploading", Unit: "B", Done: sent, Total: total})
		}
	}
	_, err = transfer.Upload(ctx, target, src, o)
	return err
}

// options are how this appliance goes to a server as whom a says.
func options(home appliance.Home, a commands.Access, ui control.UI) (transfer.Options, error) {
	policy, err := transfer.LoadPolicy(home.TransferPolicy())
	if err != nil {
		return transfer.Options{}, err
	}
	key, err := secret.SSHKey(string(home))
	if err != nil && !errors.Is(err, secret.ErrNoSSHKey) {
		return transfer.Options{}, err
	}
	o := transfer.Options{
		Key:        key,
		Policy:     policy,
		User:       a.User,
		Password:   a.Password,
		Insecure:   a.Insecure,
		Proxy:      a.Proxy,
		KnownHosts: home.KnownHosts(),
		TLSServers: home.TLSServers(),
		Notice:     func(line string) { ui.Text(control.Err, line+"\n") },
	}
	if a.Ask {
		o.AskHostKey = askHostKey(ui)
	}
	return o, nil
}
