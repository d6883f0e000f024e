package commands

import (
	"context"
	"time"

	"sealgate/appliance"
	"sealgate/appliance/account"
	"sealgate/appliance/audit"
	"sealgate/appliance/disk"
	"sealgate/appliance/dump"
	"sealgate/appliance/model"
	"sealgate/appliance/seal"
	"sealgate/appliance/techinfo"
	"sealgate/control"
	"sealgate/transfer"
)

// Host is what the daemon does for a command. Its methods return errors that
// are fit for [ResultOf].
type Host interface {
	Home() appliance.Home
	Config() appliance.Config
	Status() Status

	// StartRole, StopRole and RestartRole return when the role is there, gone,
	// or there again.
	StartRole(context.Context) error
	StopRole(context.Context) error
	RestartRole(context.Context) error

	// AuditHead is the last record of the audit log.
	AuditHead() audit.Head

	// What needs root fails where the machine has no root service.
	Accounts(context.Context) ([]account.Account, error)
	AddAccount(context.Context, Caller, account.New) error
	RemoveAccount(ctx context.Context, c Caller, name string) error
	AddKey(ctx context.Context, c Caller, name, line string) (account.Key, error)
	RemoveKey(ctx context.Context, c Caller, name, fingerprint string) (account.Key, error)
	Reboot(context.Context, Caller) error

	// VerifySystem checks the database system password.
	VerifySystem(ctx context.Context, password string) error

	// VerifySecure checks the password by which gateways register.
	VerifySecure(ctx context.Context, password string) error

	// RollbackImport puts the data back that the last import replaced, and says
	// when they were made. The role must be stopped.
	RollbackImport(context.Context) (time.Time, error)

	// Unlock unseals the appliance with a licence key, Seal seals it again.
	Unlock(ctx context.Context, c Caller, key string) (seal.State, error)
	Seal(Caller) error

	// Blocks are those whom the gateway keeps out, Unblock lets some in.
	Blocks(context.Context) (model.Blocks, error)
	Unblock(context.Context, model.Unblock) (model.Unblocked, error)

	// Register joins a management server, Unregister leaves it; forget does so also
	// when it cannot be told.
	Register(context.Context, Caller, Register, control.UI) (Registration, error)
	Unregister(ctx context.Context, c Caller, forget bool, ui control.UI) (Registration, error)

	// What follows runs as a job: a child whose cancel is its end.
	Export(context.Context, Caller, Export, control.UI) (ExportResult, error)
	Import(context.Context, Caller, Import, control.UI) (ImportResult, error) // while the role is stopped
	Send(context.Context, Caller, Send, control.UI) (SendResult, error)
	TechInfo(context.Context, Caller, TechInfo, control.UI) (TechInfoResult, error)
	AWSLogs(context.Context, Caller, AWSLogs, control.UI) (TechInfoResult, error)
	AcceptHostKey(context.Context, Caller, AcceptHostKey, control.UI) ([]HostKey, error)
	Licences(context.Context, Caller, control.UI) (Licences, error)
	History(context.Context, Caller, History, control.UI) ([]Revision, error)

	// Events lists system events, the oldest first.
	Events(context.Context, Caller, Events, control.UI) ([]Event, error)
	AskGateway(context.Context, Caller, AskGateway, control.UI) (GatewayAnswer, error)
	SearchGateways(context.Context, Caller, SearchGateways) (FoundGateways, error)
	Revert(context.Context, Caller, Revert, control.UI) (RevertResult, error)
	TestConnection(context.Context, Caller, ConnectionTest, control.UI) (ConnectionResult, error)

	// Patch installs a release, which runs after Restart. RollbackRelease goes back
	// to the one before, likewise.
	Patch(context.Context, Caller, Patch, control.UI) (PatchResult, error)
	RollbackRelease(context.Context, Caller) (RollbackResult, error)

	// Restart starts the daemon anew, with the release that is to run.
	Restart(context.Context, Caller) error
}

// Export is the work of export-local and export-remote.
type Export struct {
	Options dump.Options `json:"options"`
	Upload  *Upload      `json:"upload,omitempty"` // nil: keep it here
}

// Made is a file that a job made.
type Made struct {
	Name     string        `json:"name"`
	Bytes    int64         `json:"bytes"`
	Uploaded string        `json:"uploaded,omitempty"` // where it is now, when it was sent
	Elapsed  time.Duration `json:"elapsed_ns"`
}

// ExportResult says what an export made.
type ExportResult struct {
	Made
	Rows    int64    `json:"rows"`              // in the dump
	Omitted []string `json:"omitted,omitempty"` // what was left out, in words
}

// TechInfo is the work of gti-remote and impctl support get-tech-info.
type TechInfo struct {
	Options techinfo.Options `json:"options"`
	Status  Status           `json:"status"`           // part of the bundle
	Dump    bool             `json:"dump,omitempty"`   // show it, and make none
	Upload  *Upload          `json:"upload,omitempty"` // nil: keep it here
}

// TechInfoResult says what bundle was made.
type TechInfoResult struct {
	Made
	Files  int             `json:"files"`
	Notes  []techinfo.Note `json:"notes"`  // what is missing
	Masked int             `json:"masked"` // secrets that were found and overwritten
}

// Import is the work of import-local and import-remote.
type Import struct {
	Name     string             `json:"name,omitempty"`     // of the dump in the export folder
	Download *Download          `json:"download,omitempty"` // where else it is
	Options  dump.ImportOptions `json:"options"`
	Author   string             `json:"author"`
}

// ImportResult says what an import did.
type ImportResult struct {
	Name string `json:"name"` // of the dump
	dump.Imported
	Elapsed time.Duration `json:"elapsed_ns"`
}

// Download is where a file comes from and as whom.
type Download struct {
	URL string `json:"url"` // with its scheme
	Access
}

// Patch is the work of patch-remote.
type Patch struct {
	Download Download `json:"download"`
	Here     bool     `json:"here,omitempty"` // it was downloaded, as Home.HotfixPatch
	Base     string   `json:"base"`           // the installation's own release
	For      string   `json:"for"`            // who wants it
}

// PatchResult says what a patch brought.
type PatchResult struct {
	Name     string        `json:"name"` // where it came from
	Release  string        `json:"release"`
	Before   string        `json:"before"` // the release that runs until the restart
	Sequence uint64        `json:"sequence"`
	Files    int           `json:"files"`
	Bytes    int64         `json:"bytes"` // of the files
	Key      string        `json:"key"`   // id of its signer's anchor
	Elapsed  time.Duration `json:"elapsed_ns"`
}

// RollbackResult says what runs after the restart.
type RollbackResult struct {
	Release   string `json:"release"`
	Instead   string `json:"instead"`             // what does not run then
	Discarded bool   `json:"discarded,omitempty"` // it never ran: no restart is needed
}

// Release is one that is there.
type Release struct {
	Version string `json:"version"`
	State   string `json:"state"` // in words
	Runs    bool   `json:"runs,omitempty"`
}

// Send is the work of files send and gti-gw-remote.
type Send struct {
	Name   string   `json:"name"`
	Kinds  []string `json:"kinds,omitempty"` // of files; none: all
	Upload Upload   `json:"upload"`
}

// SendResult says what was sent.
type SendResult struct {
	Name    string        `json:"name"`
	Bytes   int64         `json:"bytes"`
	Sent    string        `json:"sent"` // where it is now
	Elapsed time.Duration `json:"elapsed_ns"`
}

// Upload is where a file goes and as whom.
type Upload struct {
	Protocol string `json:"protocol"`
	URL      string `json:"url"`
	Access
}

// Access is as whom a server is asked, and by which way.
type Access struct {
	User     string         `json:"user,omitempty"`
	Password string         `json:"password,omitempty"`
	Insecure bool           `json:"insecure,omitempty"`
	Proxy    transfer.Proxy `json:"proxy,omitzero"`
	Ask      bool           `json:"ask,omitempty"` // a person can be asked about a host key
}

// Status is how the appliance is.
type Status struct {
	Product string         `json:"product"`
	Version string         `json:"version"`
	Role    appliance.Role `json:"role"`
	Name    string         `json:"name"`
	ID      string         `json:"id"`
	Sealed  bool           `json:"sealed"`
	Seal    seal.State     `json:"seal"`
	Started time.Time      `json:"started"` // the daemon
	Service Service        `json:"service"`
	Jobs    []Job          `json:"jobs"`
	// Ended are jobs that ended lately, the last one at the end: in bundles alone, for
	// their errors name servers and accounts, which are not every caller's business.
	Ended []Job      `json:"ended_jobs,omitempty"`
	Disk  disk.Space `json:"disk"`

	Releases     []Release     `json:"releases"`
	Note         string        `json:"note,omitempty"`         // what became of a patch, if not what was wanted
	Registration *Registration `json:"registration,omitempty"` // a gateway's
}

// Service is how the role's process is.
type Service struct {
	State    string    `json:"state"` // running, starting, stopped, waiting (to be restarted)
	Address  string    `json:"address,omitempty"`
	PID      int       `json:"pid,omitempty"`
	Account  string    `json:"account,omitempty"` // under which the process runs
	Since    time.Time `json:"since"`
	Restarts int       `json:"restarts"`            // since the daemon started
	LastEnd  string    `json:"last_end,omitempty"`  // how it last ended by itself
	LastSaid []string  `json:"last_said,omitempty"` // and its last words
}

// Job is a job that runs, or ran.
type Job struct {
	Kind  string    `json:"kind"`
	User  string    `json:"user"`
	PID   int       `json:"pid,omitempty"` // while it runs
	Since time.Time `json:"since"`
	Ended time.Time `json:"ended,omitzero"`
	Error string    `json:"error,omitempty"`
}
