package commands

type showCmd struct {
	Audit  showAuditCmd  `cmd:"" example:"show audit --last 20 --failed" looks:"" exits:"130" help:"who did what, from the audit log"`
	Blocks showBlocksCmd `cmd:"" example:"show blocks --last 20" roles:"gateway" rights:"operator" help:"whom the gateway keeps out, and why"`
	Events showEventsCmd `cmd:"" example:"show events --last 20 --severity medium" roles:"mx" rights:"operator" exits:"130" help:"what happened to the management server and its gateways"`
	Health showHealthCmd `cmd:"" name:"health-check" example:"show health-check --last 20" rights:"operator" help:"HTTP health checks that passed through the gateway"`
	Log    showLogCmd    `cmd:"" example:"show log --last 20 --level warn" looks:"" exits:"130" help:"what the daemon, the role and jobs reported"`
}
