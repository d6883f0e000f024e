package commands

import (
	"context"
	"errors"
	"fmt"

	"sealgate/appliance"
	"sealgate/appliance/dump"
	"sealgate/appliance/guard"
	"sealgate/appliance/seal"
	"sealgate/control"
	"sealgate/transfer"
)

// Failure is an error that knows its exit status and what to do about it.
type Failure struct {
	Exit int
	Text string
	Hint string
}

func (f *Failure) Error() string { return f.Text }

func usage(hint, format string, args ...any) error {
	return &Failure{control.ExitUsage, fmt.Sprintf(format, args...), hint}
}

func denied(format string, args ...any) error {
	return &Failure{control.ExitDenied, fmt.Sprintf(format, args...), "an administrator is root, the daemon's account, or in the group sealgate-admin; sealgate-operator may look"}
}

var errInterrupted = &Failure{control.ExitInterrupted, "interrupted", ""}

// ErrWrongPassword is what a wrong system password gives.
var ErrWrongPassword = &Failure{control.ExitDenied, "the database system password (--pwd) is wrong",
	"it is the system password that was set when the appliance was created; --pwd - asks for it"}

// ErrWrongSecure is what a wrong secure password gives.
var ErrWrongSecure = &Failure{control.ExitDenied, "the secure password (--securepwd) is wrong",
	"it is the secure password that was set when the appliance was created; --securepwd - asks for it"}

// ResultOf is the one place where an error becomes an exit status.
func ResultOf(err error) control.Result {
	var failure *Failure
	var sent *transfer.Error
	var fault *appliance.Fault
	switch {
	case err == nil:
		return control.Result{}
	case errors.As(err, &failure):
		return control.Result{Exit: failure.Exit, Error: failure.Text, Hint: failure.Hint}
	case errors.Is(err, context.Canceled), errors.Is(err, control.ErrGone):
		return ResultOf(errInterrupted)
	case errors.Is(err, dump.ErrPassphrase):
		return control.Result{Exit: control.ExitDenied, Error: "encryption check: the password (--encryptpwd) does not open the dump", Hint: "nothing was changed; it is the one that the dump was exported with"}
	case errors.Is(err, guard.ErrBusy):
		return control.Result{Exit: control.ExitFailed, Error: oneLine(err.Error()), Hint: "somebody is trying passwords or licence keys; the log says who"}
	case errors.As(err, &sent) && sent.Kind == transfer.Cancelled:
		return ResultOf(errInterrupted)
	case errors.As(err, &sent) && sent.Kind == transfer.Forbidden:
		return control.Result{Exit: control.ExitDenied, Error: oneLine(err.Error()), Hint: sent.Hint}
	case errors.As(err, &sent):
		return control.Result{Exit: control.ExitTransfer, Error: oneLine(err.Error()), Hint: sent.Hint}
	case errors.As(err, &fault) && errors.Is(err, seal.ErrRefused):
		return control.Result{Exit: control.ExitDenied, Error: oneLine(err.Error()), Hint: fault.Hint}
	case errors.As(err, &fault):
		return control.Result{Exit: control.ExitFailed, Error: oneLine(err.Error()), Hint: fault.Hint}
	default:
		return control.Result{Exit: control.ExitFailed, Error: oneLine(err.Error())}
	}
}

// FailureOf is the error of a result that came from a job.
func FailureOf(r control.Result) error {
	if r.Exit == control.ExitDone {
		return nil
	}
	return &Failure{r.Exit, r.Error, r.Hint}
}
