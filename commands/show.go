package commands

type showCmd struct {
	Audit showAuditCmd `cmd:"" example:"show audit --last 20 --failed" looks:"" exits:"130" help:"who did what, from the audit log"`
	Log   showLogCmd   `cmd:"" example:"show log --last 20 --level warn" looks:"" exits:"130" help:"what the daemon, the role and jobs reported"`
}
