package commands

import "context"

type impctlCmd struct {
	Server         serverCmd         `cmd:"" example:"impctl server status" roles:"mx" help:"the management server"`
	Gateway        gatewayCmd        `cmd:"" example:"impctl gateway restart gw1" example-gateway:"impctl gateway show" help:"the gateway, or on a management server its gateways"`
	Teardown       teardownCmd       `cmd:"" example:"impctl teardown" help:"stop the role until the next start or boot; the shell stays"`
	Status         impctlStatus      `cmd:"" example:"impctl status" rights:"operator" help:"the state of the appliance's services"`
	Support        supportCmd        `cmd:"" example:"impctl support get-tech-info" help:"bundles for support, and its key"`
	Platform       platformCmd       `cmd:"" example:"impctl platform show" help:"the appliance as a whole"`
	Seal           sealCmd           `cmd:"" example:"impctl seal" help:"seal the appliance again"`
	KnownHosts     knownHostsCmd     `cmd:"" example:"impctl known-hosts list" help:"SSH host keys that transfers accept"`
	SSHKey         sshKeyCmd         `cmd:"" name:"ssh-key" example:"impctl ssh-key show" help:"the key by which this appliance logs in to servers"`
	User           userCmd           `cmd:"" example:"impctl user list" help:"administrators and operators of this appliance"`
	Restart        restartAllCmd     `cmd:"" example:"impctl restart --yes" help:"start the appliance's services anew"`
	Reboot         rebootCmd         `cmd:"" example:"impctl reboot --yes" help:"reboot the machine"`
	TestConnection testConnectionCmd `cmd:"" example:"impctl test-connection --protocol scp --user backup backup.example.com/dumps/" exits:"4,130" help:"try each step of the way to a server"`
	TransferPolicy transferPolicyCmd `cmd:"" example:"impctl transfer-policy show" help:"which addresses transfers may connect to"`
}

type serverCmd struct {
	Start       startCmd       `cmd:"" example:"impctl server start" help:"start the management server"`
	Stop        stopCmd        `cmd:"" example:"impctl server stop" help:"stop the management server; exports still work"`
	Restart     restartCmd     `cmd:"" example:"impctl server restart" help:"stop it and start it again"`
	Status      serviceStatus  `cmd:"" example:"impctl server status" rights:"operator" help:"how it is, how often it was restarted and why"`
	Certificate certificateCmd `cmd:"" example:"impctl server certificate show" help:"the certificate of the management address"`
	History     historyCmd     `cmd:"" example:"impctl server history --limit 5" rights:"operator" help:"who changed the configuration, when, and what"`
	Revert      revertCmd      `cmd:"" example:"impctl server revert 1" help:"go back to a revision of the configuration"`

	RollbackImport rollbackImportCmd `cmd:"" name:"rollback-import" example:"impctl server rollback-import --yes" help:"put the data back that the last import replaced"`
}

type gatewayCmd struct {
	Start   startCmd          `cmd:"" roles:"gateway" example:"impctl gateway start" help:"start the gateway"`
	Stop    stopCmd           `cmd:"" roles:"gateway" example:"impctl gateway stop" help:"stop the gateway"`
	Restart gatewayRestartCmd `cmd:"" example:"impctl gateway restart gw1" example-gateway:"impctl gateway restart" exits:"130" help:"stop it and start it again"`
	Status  serviceStatus     `cmd:"" roles:"gateway" example:"impctl gateway status" rights:"operator" help:"how it is, how often it was restarted and why"`

	Register   gatewayRegisterCmd   `cmd:"" roles:"gateway" example:"impctl gateway register --management-server mx.example.com --gateway-group Shop" exits:"130" help:"join a management server"`
	Unregister gatewayUnregisterCmd `cmd:"" roles:"gateway" example:"impctl gateway unregister" exits:"130" help:"leave the management server"`
	Unblock    gatewayUnblockCmd    `cmd:"" roles:"gateway" example:"impctl gateway unblock 203.0.113.9" help:"let somebody in whom a policy keeps out"`
	Show       gatewayShowCmd       `cmd:"" roles:"gateway" example:"impctl gateway show" rights:"operator" help:"group, management server, connection, revision of the configuration"`

	Drain       gatewayDrainCmd    `cmd:"" example:"impctl gateway drain gw1" roles:"mx" exits:"130" help:"have a gateway take no more connections"`
	ReRegister  gatewayRenewCmd    `cmd:"" name:"re-register" example:"impctl gateway re-register gw1" roles:"mx" exits:"130" help:"have a gateway register by new keys"`
	GetTechInfo gatewayTechInfoCmd `cmd:"" name:"get-tech-info" example:"impctl gateway get-tech-info gw1" roles:"mx" exits:"130" help:"fetch a support bundle from a gateway"`
}

type startCmd struct{}

func (startCmd) Run(ctx context.Context, e *Env) error { return e.act(ctx, e.Host.StartRole) }

type stopCmd struct{}

func (stopCmd) Run(ctx context.Context, e *Env) error { return e.act(ctx, e.Host.StopRole) }

type restartCmd struct{}

func (restartCmd) Run(ctx context.Context, e *Env) error { return e.act(ctx, e.Host.RestartRole) }

// teardownCmd stops everything that the role needs, which in this release is
// the role's own process.
type teardownCmd struct{}

func (teardownCmd) Run(ctx context.Context, e *Env) error { return e.act(ctx, e.Host.StopRole) }

// act does something to the role and shows how it is then.
func (e *Env) act(ctx context.Context, do func(context.Context) error) error {
	if err := do(ctx); err != nil {
		return err
	}
	return serviceStatus{}.Run(ctx, e)
}

type serviceStatus struct{}

func (serviceStatus) Run(_ context.Context, e *Env) error {
	s := e.Host.Status()
	return e.Out(s.Service, serviceLines(s))
}

type impctlStatus struct{}

func (impctlStatus) Run(_ context.Context, e *Env) error {
	s := e.Host.Status()
	return e.Out(s, row("daemon", "up since %s (%s)", stamp(s.Started), since(s.Started))+serviceLines(s)+jobLines(s))
}
