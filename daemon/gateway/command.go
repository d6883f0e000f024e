package gateway

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"sealgate/daemon/gateway/event"
	"sealgate/daemon/link"
)

// Daemon is what the role may ask of the process that started it.
type Daemon interface {
	// May says whether the gateway may do what the management server asks for, one of the
	// commands Restart, Drain and Renew of the link.
	May(ctx context.Context, command string) error
	// RestartRole ends the role in order and starts it again.
	RestartRole(ctx context.Context) error
	// TechInfo makes a support bundle, and returns its name in the folder of results.
	TechInfo(ctx context.Context) (name string, err error)
	// AuditHead is the line that witnesses of the audit log keep.
	AuditHead(ctx context.Context) (string, error)
}

var (
	errNoDaemon = errors.New("the gateway's daemon cannot be asked")
	errBundle   = errors.New("the gateway makes another bundle")
	errRestarts = errors.New("the gateway restarts")
)

// going is whether the role goes on. One that does not refuses further commands.
type going int

const (
	stays     going = iota
	willLeave       // for a restart, once the server knows all results
	leaves          // the daemon was asked for it
)

// obey carries out commands. Each ends with a result, at the next poll.
func (j *joined) obey(ctx context.Context, client *link.Client, id *link.Identity, commands []link.Command) {
	for _, c := range commands {
		if !j.begin(c) {
			j.log.Warn("the management server asks for more than is done at a time", "for", link.Brief(c.Kind))
			return
		}
		j.log.Info("the management server asks", "for", link.Brief(c.Kind))
		if j.goes() != stays {
			j.end(c, errRestarts)
			continue
		}
		switch c.Kind {
		case link.Restart:
			j.restartSoon(ctx, c)
		case link.Drain:
			err := j.may(ctx, c)
			if err == nil {
				err = j.drain()
				j.drained()
			}
			j.end(c, err)
		case link.Renew:
			err := j.may(ctx, c)
			if err == nil {
				err = id.Renew(ctx, j.home, client)
			}
			j.end(c, err)
			if err == nil {
				j.events.Tell(event.Informative, event.KeysRenewed, "the gateway has new keys, as the management server asked")
				j.stopServing()
			}
		case link.TechInfo:
			j.makeBundle(ctx, client, c)
		default:
			j.end(c, fmt.Errorf("a gateway of this release does not know the command %.40q", c.Kind))
		}
	}
}

// mayTime is how long the daemon has to say whether something may be done.
const mayTime = 10 * time.Second

func (j *joined) may(ctx context.Context, c link.Command) error {
	if j.daemon == nil {
		return errNoDaemon
	}
	ctx, cancel := context.WithTimeout(ctx, mayTime)
	defer cancel()
	return j.daemon.May(ctx, c.Kind)
}

// Bounds of what a server may ask for that does not hear how it ends.
const (
	maxUnderWay  = 64 // commands
	maxCommandID = 64 // bytes
)

// begin counts a command; false is one too many.
func (j *joined) begin(c link.Command) bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	if len(j.results)+j.doing >= maxUnderWay || len(c.ID) > maxCommandID {
		return false
	}
	j.doing++
	return true
}

// end notes the result of a command.
func (j *joined) end(c link.Command, err error) {
	result := link.Result{Command: c.ID}
	if err != nil {
		result.Error = link.Brief(err.Error())
		j.log.Warn("what the management server asked for failed", "command", link.Brief(c.Kind), "error", result.Error)
	}
	j.mu.Lock()
	j.doing--
	j.results = append(j.results, result)
	j.mu.Unlock()
	j.hasNews()
}

func (j *joined) drained() {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.events.Tell(event.Low, event.Drained, "the gateway takes no connections until it starts anew, as the management server asked")
	before := j.status
	j.status.Draining = true
	j.note(before)
}

// restartSoon restarts once the server knows that it was told.
func (j *joined) restartSoon(ctx context.Context, c link.Command) {
	if err := j.may(ctx, c); err != nil {
		j.end(c, err)
		return
	}
	j.mu.Lock()
	j.going = willLeave
	if j.bundle != nil {
		j.bundle(errRestarts)
	}
	j.mu.Unlock()
	j.end(c, nil)
}

func (j *joined) goes() going {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.going
}

// restartWhenTold restarts, if it should, once the server knows all results.
func (j *joined) restartWhenTold() {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.going != willLeave || len(j.results) > 0 || j.doing > 0 {
		return
	}
	j.going = leaves
	j.events.Tell(event.Low, event.Restarting, "the gateway restarts, as the management server asked")
	go func() {
		err := j.daemon.RestartRole(context.Background())
		if err == nil {
			return
		}
		j.log.Error("the gateway does not restart", "error", err.Error())
		j.mu.Lock()
		defer j.mu.Unlock()
		j.going = stays
	}()
}

// makeBundle has a bundle made and sent beside the polls, so that other commands need not
// wait for it. One is made at a time.
func (j *joined) makeBundle(ctx context.Context, client *link.Client, c link.Command) {
	j.mu.Lock()
	free := j.bundle == nil
	if free {
		ctx, j.bundle = context.WithCancelCause(ctx)
	}
	j.mu.Unlock()
	if !free {
		j.end(c, errBundle)
		return
	}
	go func() {
		err := j.sendTechInfo(ctx, client, c)
		if cause := context.Cause(ctx); err != nil && cause != nil {
			err = cause
		}
		j.mu.Lock()
		j.bundle(nil)
		j.bundle = nil
		j.mu.Unlock()
		j.end(c, err)
	}()
}

// sendTechInfo has a support bundle made, and sends it.
func (j *joined) sendTechInfo(ctx context.Context, client *link.Client, c link.Command) error {
	if j.daemon == nil {
		return errNoDaemon
	}
	name, err := j.daemon.TechInfo(ctx)
	if err != nil {
		return err
	}
	path := filepath.Join(j.home.Results(), filepath.Base(name))
	defer os.Remove(path)
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	resp, err := client.Do(ctx, http.MethodPut, link.PathResults+c.ID, http.Header{"Content-Type": {"application/gzip"}}, file)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	_, err = io.Copy(io.Discard, io.LimitReader(resp.Body, link.MaxMessage))
	return err
}

// forgetBundles removes what was on its way when the role ended.
func (j *joined) forgetBundles() {
	entries, _ := os.ReadDir(j.home.Results()) // there may be none
	for _, e := range entries {
		os.Remove(filepath.Join(j.home.Results(), e.Name()))
	}
}
