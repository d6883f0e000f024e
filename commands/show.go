package commands

type showCmd struct {
	Audit showAuditCmd `cmd:"" looks:"" exits:"130" help:"who did what, from the audit log"`
}
