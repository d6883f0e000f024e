package commands

import (
	"context"
	"fmt"
	"time"

	"sealgate/control"
	"sealgate/transfer"
)

type testConnectionCmd struct {
	uploadFlags
	URL string `arg:"" name:"url" help:"where uploads go: HOST[:PORT]/path; a path that ends in / is a folder"`
}

func (testConnectionCmd) Help() string {
	return `Each step prints a line when it has ended, and the first that fails is the last:
resolve, proxy, connect, tls or host key, login, write, delete. What is written
is a small file sealgate-probe-… in the folder, which is deleted again; where the
server could not delete it, it is not written.`
}

// ConnectionTest is the work of impctl test-connection.
type ConnectionTest struct {
	Upload Upload `json:"upload"`
}

// ConnectionResult says how far a test came.
type ConnectionResult struct {
	Target string           `json:"target"`
	OK     bool             `json:"ok"`
	Steps  []ConnectionStep `json:"steps"`
	Error  string           `json:"error,omitempty"`
	Hint   string           `json:"hint,omitempty"`
	Exit   int              `json:"exit"`
}

// ConnectionStep is one step of the way.
type ConnectionStep struct {
	Name    transfer.Op   `json:"name"`
	State   string        `json:"state"` // ok, failed, skipped
	Note    string        `json:"note,omitempty"`
	Elapsed time.Duration `json:"elapsed_ns"`
}

// Line is the step as a person reads it.
func (s ConnectionStep) Line() string {
	return fmt.Sprintf("%-9s %-8s %6.2f s  %s\n", s.Name, s.State, s.Elapsed.Seconds(), s.Note)
}

func (c *testConnectionCmd) Run(ctx context.Context, e *Env) error {
	up, err := c.upload(e, c.URL)
	if err != nil {
		return err
	}
	ui := e.UI
	if e.json {
		ui = mute{ui}
	}
	r, err := e.Host.TestConnection(ctx, e.Caller, ConnectionTest{Upload: up}, ui)
	if err != nil {
		return err
	}
	if e.told = e.json; e.json {
		if err := e.Out(r, ""); err != nil {
			return err
		}
	}
	if !r.OK {
		return &Failure{r.Exit, r.Error, r.Hint}
	}
	return nil
}

// mute leaves out what is printed on the way to a result that says it all.
type mute struct{ control.UI }

func (m mute) Text(s control.Stream, text string) {
	if s != control.Out {
		m.UI.Text(s, text)
	}
}
