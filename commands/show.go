package commands

type showCmd struct {
	Audit  showAuditCmd  `cmd:"" example:"show audit --last 20 --failed" looks:"" exits:"130" help:"who did what, from the audit log"`
	Health showHealthCmd `cmd:"" name:"health-check" example:"show health-check --last 20" rights:"operator" help:"HTTP health checks that passed through the gateway"`
	Log    showLogCmd    `cmd:"" example:"show log --last 20 --level warn" looks:"" exits:"130" help:"what the daemon, the role and jobs reported"`
}
