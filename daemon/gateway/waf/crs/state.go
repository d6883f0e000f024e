package crs

import (
	"fmt"
	"io"

	"github.com/corazawaf/coraza/v3/debuglog"
	"github.com/corazawaf/coraza/v3/experimental/plugins/plugintypes"
)

// logger makes Coraza carry our state: it asks its logger for a logger of each
// transaction's own, and hands that to operators. It logs nothing.
type logger struct{ silent }

func (logger) With(...debuglog.ContextField) debuglog.Logger   { return new(state) }
func (l logger) WithLevel(debuglog.Level) debuglog.Logger      { return l }
func (l logger) WithOutput(io.Writer) debuglog.Logger          { return l }
func (s *state) With(...debuglog.ContextField) debuglog.Logger { return s }
func (s *state) WithLevel(debuglog.Level) debuglog.Logger      { return s }
func (s *state) WithOutput(io.Writer) debuglog.Logger          { return s }

// state is what operators know of their transaction.
type state struct {
	silent
	hits []uint64 // gated rules that can match, by their place in gates.rules
	work int      // what is left
}

func stateOf(tx plugintypes.TransactionState) *state { return tx.DebugLogger().(*state) }

func (s *state) begin(g *gates, work int) {
	s.work = work
	if g != nil {
		s.hits = make([]uint64, (len(g.rules)+63)/64)
	}
}

func (s *state) hit(rule uint32) { s.hits[rule/64] |= 1 << (rule % 64) }

func (s *state) isHit(rule int) bool { return s.hits[rule/64]&(1<<(rule%64)) != 0 }

// spend takes work away, and ends the inspection when none is left.
func (s *state) spend(work int) {
	if s.work -= work; s.work < 0 {
		panic(ErrBudget)
	}
}

type silent struct{}

func (silent) Trace() debuglog.Event { return noEvent{} }
func (silent) Debug() debuglog.Event { return noEvent{} }
func (silent) Info() debuglog.Event  { return noEvent{} }
func (silent) Warn() debuglog.Event  { return noEvent{} }
func (silent) Error() debuglog.Event { return noEvent{} }

type noEvent struct{}

func (noEvent) Msg(string)                                     {}
func (e noEvent) Str(string, string) debuglog.Event            { return e }
func (e noEvent) Err(error) debuglog.Event                     { return e }
func (e noEvent) Bool(string, bool) debuglog.Event             { return e }
func (e noEvent) Int(string, int) debuglog.Event               { return e }
func (e noEvent) Uint(string, uint) debuglog.Event             { return e }
func (e noEvent) Stringer(string, fmt.Stringer) debuglog.Event { return e }
func (noEvent) IsEnabled() bool                                { return false }
