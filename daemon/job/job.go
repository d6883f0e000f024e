// Package job is the inside of a job: a child process of the daemon that does
// one heavy command and ends. It speaks the control protocol on descriptor 3,
// where its specification arrives and its progress, questions and result
// leave; nothing secret is ever in its arguments or environment. When the
// daemon closes the connection the job cleans up and ends.
package job

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"runtime/debug"

	"golang.org/x/sys/unix"

	"sealgate/appliance"
	"sealgate/appliance/ownership"
	"sealgate/commands"
	"sealgate/control"
)

// The kinds of jobs.
const (
	KindExport   = "export"
	KindSend     = "upload"
	KindHostKey  = "host key check"
	KindTechInfo = "get-tech-info"
	KindTest     = "connection test"
	KindAWSLogs  = "collection from AWS"
	KindImport   = "import"
	KindHistory  = "history"
	KindEvents   = "list of events"
	KindSearch   = "search for gateways"
	KindLicences = "licence check"
	KindRevert   = "revert"
	KindPatch    = "patch"
	KindGateway  = "gateway command"

	KindRegistration = "registration"
)

// Spec is what a job is to do: exactly one of its fields besides Home is set.
type Spec struct {
	Home           appliance.Home           `json:"home"`
	Export         *commands.Export         `json:"export,omitempty"`
	Send           *commands.Send           `json:"send,omitempty"`
	TechInfo       *commands.TechInfo       `json:"tech_info,omitempty"`
	AcceptHostKey  *commands.AcceptHostKey  `json:"accept_host_key,omitempty"`
	Test           *commands.ConnectionTest `json:"test,omitempty"`
	AWSLogs        *commands.AWSLogs        `json:"aws_logs,omitempty"`
	Import         *commands.Import         `json:"import,omitempty"`
	History        *commands.History        `json:"history,omitempty"`
	Events         *commands.Events         `json:"events,omitempty"`
	Revert         *commands.Revert         `json:"revert,omitempty"`
	Licences       bool                     `json:"licences,omitempty"`
	Patch          *commands.Patch          `json:"patch,omitempty"`
	Hotfix         *commands.Download       `json:"hotfix,omitempty"`
	Gateway        *commands.AskGateway     `json:"gateway,omitempty"`
	SearchGateways *commands.SearchGateways `json:"search_gateways,omitempty"`
	Register       *Register                `json:"register,omitempty"`
	Leave          *Leave                   `json:"leave,omitempty"`
}

const (
	connFD = 3

	// The runtime collects harder near softLimit. Above hardLimit, which
	// nothing here comes near, the kernel refuses memory and the job dies
	// instead of the appliance.
	softLimit = 80 << 20
	// What a job keeps is few and large buffers, so collecting seldom is cheap:
	// a twentieth of an export's processor time, for 5 MiB.
	collectAt = 400 // percent, as GOGC
	// A transfer allocates each packet anew, and would keep four times what it needs.
	collectWhileTransferring = 100
	hardLimit                = 768 << 20
)

// Main is the whole life of a job's process; the end of ctx cancels the work. It
// returns the exit status.
func Main(ctx context.Context, log *slog.Logger) int {
	debug.SetMemoryLimit(softLimit)
	debug.SetGCPercent(collectAt)
	unix.Umask(ownership.Umask)
	if err := unix.Setrlimit(unix.RLIMIT_DATA, &unix.Rlimit{Cur: hardLimit, Max: hardLimit}); err != nil {
		log.Warn("a job runs without its memory limit", "error", err)
	}
	file := os.NewFile(connFD, "daemon")
	conn, err := net.FileConn(file)
	file.Close()
	if err != nil {
		log.Error("a job is only started by the daemon", "error", err)
		return control.ExitUsage
	}
	defer conn.Close()
	if err := control.ServeConn(ctx, conn, control.HandlerFunc(serve), log); err != nil {
		log.Error("the job's specification cannot be read", "error", err)
		return control.ExitFailed
	}
	return control.ExitDone
}

func serve(ctx context.Context, _ control.Peer, req control.Request, s *control.Session) control.Result {
	var spec Spec
	if err := json.Unmarshal(req.Data, &spec); err != nil || req.Op != control.OpJob {
		return commands.ResultOf(fmt.Errorf("the job's specification cannot be read"))
	}
	var out any
	var err error
	switch {
	case spec.Export != nil:
		out, err = export(ctx, spec.Home, *spec.Export, s)
	case spec.Import != nil:
		out, err = takeDump(ctx, spec.Home, *spec.Import, s)
	case spec.Patch != nil:
		out, err = takePatch(ctx, spec.Home, *spec.Patch, s)
	case spec.Hotfix != nil:
		out, err = fetchHotfix(ctx, spec.Home, *spec.Hotfix, s)
	case spec.Send != nil:
		out, err = send(ctx, spec.Home, *spec.Send, s)
	case spec.TechInfo != nil:
		out, err = techInfo(ctx, spec.Home, *spec.TechInfo, s)
	case spec.AWSLogs != nil:
		out, err = awsLogs(ctx, spec.Home, *spec.AWSLogs, s)
	case spec.AcceptHostKey != nil:
		out, err = acceptHostKey(ctx, spec.Home, *spec.AcceptHostKey, s)
	case spec.Test != nil:
		out, err = testConnection(ctx, spec.Home, *spec.Test, s)
	case spec.History != nil:
		out, err = history(ctx, spec.Home, *spec.History)
	case spec.Events != nil:
		out, err = systemEvents(ctx, spec.Home, *spec.Events)
	case spec.Licences:
		out, err = licences(ctx, spec.Home)
	case spec.Revert != nil:
		out, err = revert(ctx, spec.Home, *spec.Revert)
	case spec.Gateway != nil:
		out, err = askGateway(ctx, spec.Home, *spec.Gateway, s)
	case spec.SearchGateways != nil:
		out, err = searchGateways(ctx, spec.Home, *spec.SearchGateways)
	case spec.Register != nil:
		out, err = register(ctx, spec.Home, *spec.Register)
	case spec.Leave != nil:
		out, err = leave(ctx, spec.Home, *spec.Leave)
	default:
		err = fmt.Errorf("the job's specification names no work")
	}
	if err != nil {
		return commands.ResultOf(err)
	}
	data, err := json.Marshal(out)
	if err != nil {
		return commands.ResultOf(err)
	}
	return control.Result{Data: data}
}

// closing closes c where its error changes nothing.
func closing(c io.Closer) { _ = c.Close() }
