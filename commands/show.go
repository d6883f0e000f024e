package commands

type showCmd struct {
	Audit showAuditCmd `cmd:"" example:"show audit --last 20 --failed" looks:"" exits:"130" help:"who did what, from the audit log"`
}
