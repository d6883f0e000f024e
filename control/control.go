// Package control is the protocol between a terminal and the appliance: one
// unix socket connection per command, length-prefixed JSON frames both ways.
//
// The client sends one [Request]. The server answers with any number of
// events (text, progress, questions) and exactly one [Result], after which the
// connection ends. Answers to questions are the only further frames that a
// client sends. When the client closes the connection, or its writing half,
// the command's context is cancelled; a client that kept its reading half
// still gets the result.
//
// The package knows no command and no appliance. It promises bounded frames,
// a bounded number of connections, and a peer named by the kernel
// (SO_PEERCRED), never by the peer itself.
package control

import (
	"context"
	"encoding/json"
	"os"
)

// Limits of the protocol, in bytes.
const (
	MaxRequest = 256 << 10 // one request or answer
	MaxEvent   = 4 << 20   // one event or result; text is cut into pieces before it gets there
	maxText    = 64 << 10  // one piece of text
)

// Exit statuses that every command shares.
const (
	ExitDone        = 0
	ExitFailed      = 1
	ExitUsage       = 2
	ExitDenied      = 3 // wrong password or not allowed
	ExitTransfer    = 4
	ExitInterrupted = 130
)

// Op says what a request wants.
type Op string

// The operations of the appliance's socket. OpJob is spoken on the private
// connection between the daemon and a job that it started.
const (
	OpGreet    Op = "greet"    // the banner as text, Result.Prompt and Result.Idle
	OpRun      Op = "run"      // run Words, their output through Filters
	OpComplete Op = "complete" // candidates for the last of Words, or of the last of Filters
	OpHelp     Op = "help"     // what may stand in that place, as text
	OpLogin    Op = "login"    // which shell the caller gets, in Result.Shell
	OpJob      Op = "job"      // Data says what
)

// Request is the first frame of a connection.
type Request struct {
	Op       Op              `json:"op"`
	Words    []string        `json:"words,omitempty"`
	Filters  [][]string      `json:"filters,omitempty"`  // the words behind each unquoted |
	Prompt   bool            `json:"prompt,omitempty"`   // typed at the prompt: commands may be abbreviated
	Terminal bool            `json:"terminal,omitempty"` // a person sits there: questions and progress make sense
	Width    int             `json:"width,omitempty"`    // columns of that terminal
	Login    bool            `json:"login,omitempty"`    // a real shell may run the words instead: Result.Shell
	Origin   string          `json:"origin,omitempty"`   // SSH_CONNECTION: the client's word, for the log only
	Data     json.RawMessage `json:"data,omitempty"`     // a job's specification

	// Files go over beside the frame, to a server that takes them ([Server.MaxFiles]).
	// The sender keeps its own; the server closes what arrived after the handler.
	Files []*os.File `json:"-"`
}

// Stream names where text goes.
type Stream string

// The two streams of a command.
const (
	Out Stream = "out"
	Err Stream = "err"
)

// Progress is how far a command is. Total is -1 while unknown.
type Progress struct {
	Label string `json:"label"`
	Unit  string `json:"unit,omitempty"` // "B" for bytes, which are shown scaled
	Done  int64  `json:"done"`
	Total int64  `json:"total"`
}

// Question asks the person (or the script's standard input) for one line.
type Question struct {
	Prompt string `json:"prompt"`
	Secret bool   `json:"secret,omitempty"` // no echo, kept nowhere
	// Confirm marks a question that only a person may answer: without a
	// terminal it is an error instead of a line read from standard input.
	Confirm bool `json:"confirm,omitempty"`
}

// Candidate is one completion.
type Candidate struct {
	Value string `json:"value"`
	Help  string `json:"help,omitempty"`
	Open  bool   `json:"open,omitempty"` // more may follow in the same word: no space after it
}

// Result ends a command.
type Result struct {
	Exit       int             `json:"exit"`
	Error      string          `json:"error,omitempty"` // one line, no "error:" in front
	Hint       string          `json:"hint,omitempty"`
	History    []string        `json:"history,omitempty"` // the words written out, with secrets taken out
	Filters    [][]string      `json:"filters,omitempty"` // the filters that go with them
	Candidates []Candidate     `json:"candidates,omitempty"`
	More       int             `json:"more,omitempty"`   // candidates beyond those
	Common     string          `json:"common,omitempty"` // where there are more: how all of them begin
	Prompt     string          `json:"prompt,omitempty"`
	Idle       int             `json:"idle,omitempty"`  // seconds without a key after which a prompt ends; 0: never
	Leave      bool            `json:"leave,omitempty"` // the shell ends after this command
	Shell      string          `json:"shell,omitempty"` // run this instead: the appliance is unsealed
	Data       json.RawMessage `json:"data,omitempty"`  // a job's outcome
}

// UI is where a command's events go: a terminal, or a connection that leads
// to one. Methods may be called from several goroutines.
type UI interface {
	Text(Stream, string)
	Progress(Progress)
	// Ask returns the answer without its line end. It fails when nobody is
	// there to answer.
	Ask(context.Context, Question) (string, error)
}

// event is a frame from the server: exactly one field is set.
type event struct {
	Text     *textEvent `json:"text,omitempty"`
	Progress *Progress  `json:"progress,omitempty"`
	Question *Question  `json:"question,omitempty"`
	Result   *Result    `json:"result,omitempty"`
}

type textEvent struct {
	Stream Stream `json:"stream"`
	Data   string `json:"data"`
}

// answer is a frame from the client, one for each question.
type answer struct {
	Text    string `json:"text"`
	Refused string `json:"refused,omitempty"` // why there is no answer
}
