package patch

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"sealgate/appliance"
	"sealgate/appliance/atomicfile"
)

// State is how far a release has come.
type State string

// The states. What happens in each is repeated at every start until the next one
// is on the disk.
const (
	None      State = ""          // no patch was installed, or what it brought runs no more
	Pending   State = "pending"   // it is there, and to be activated at the next start
	OnTrial   State = "trial"     // it was activated, and nobody has proven it healthy
	Proven    State = "proven"    // it came up healthy
	Returning State = "returning" // the release before is to run again
)

// Trial is which release is to run, and how it came to that. It is written whole,
// and with the link it decides what starts.
type Trial struct {
	Format int    `json:"format"` // 1
	State  State  `json:"state"`
	Base   string `json:"base,omitempty"`    // the installation's own release when it was last looked at
	To     string `json:"release,omitempty"` // what the patch brought
	From   string `json:"before,omitempty"`  // what ran before
	Starts int    `json:"starts,omitempty"`  // of it, on trial

	// The generations of data that belong to either; a gateway has none.
	Data       string `json:"data,omitempty"`
	DataBefore string `json:"data_before,omitempty"`

	// Note is what logins are told, and when that was.
	Note string    `json:"note,omitempty"`
	At   time.Time `json:"at,omitzero"`
	// Hotfix is what they are told of the patch that the appliance was created with.
	Hotfix string `json:"hotfix,omitempty"`
	// Untold is that the audit log has no record of Note yet: nobody's command led to it.
	Untold bool `json:"untold,omitempty"`
}

const (
	trialFormat = 1
	maxTrial    = 16 << 10 // bytes
)

// ReadTrial reads it. An appliance that was never patched has an empty one.
func ReadTrial(home appliance.Home) (Trial, error) {
	var t Trial
	f, err := os.OpenFile(home.Trial(), os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return t, nil
	}
	if err != nil {
		return t, err
	}
	defer f.Close()
	if err := json.NewDecoder(io.LimitReader(f, maxTrial)).Decode(&t); err != nil {
		return Trial{}, fmt.Errorf("%s is damaged: %w", home.Trial(), err)
	}
	if t.Format != trialFormat {
		return Trial{}, fmt.Errorf("%s has format %d, and this release reads format %d", home.Trial(), t.Format, trialFormat)
	}
	return t, nil
}

// Lock has whoever else changes the trial wait, in this process or another one, until
// it is closed.
func Lock(home appliance.Home) (io.Closer, error) {
	folder, err := os.Open(string(home)) // the file itself is another one after each change
	if err != nil {
		return nil, err
	}
	err = unix.EINTR
	for err == unix.EINTR {
		err = unix.Flock(int(folder.Fd()), unix.LOCK_EX)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("lock %s: %w", home, err), folder.Close())
	}
	return folder, nil
}

// Change changes the trial as it is now, and returns what it is then. An error of
// change leaves it as it was.
func Change(home appliance.Home, change func(*Trial) error) (Trial, error) {
	lock, err := Lock(home)
	if err != nil {
		return Trial{}, err
	}
	defer lock.Close()
	t, err := ReadTrial(home)
	if err != nil {
		return t, err
	}
	if err := change(&t); err != nil {
		return t, err
	}
	return t, t.Write(home)
}

// Write keeps it. Whoever changes what may be there already has locked it.
func (t Trial) Write(home appliance.Home) error {
	t.Format = trialFormat
	data, err := json.Marshal(t)
	if err != nil {
		return err
	}
	return atomicfile.Write(home.Trial(), append(data, '\n'), 0o600)
}

// Back is the way back to the release before.
func (t Trial) Back(note string, now time.Time) Trial {
	t.State, t.Note, t.At = Returning, note, now.UTC().Truncate(time.Second)
	return t
}

// Keeps are the generations of data that t needs, whichever is in use.
func (t Trial) Keeps() []string {
	switch t.State {
	case None:
		return nil
	case Proven:
		return []string{t.DataBefore}
	}
	return []string{t.Data, t.DataBefore}
}

// Ended is the state when the release before runs again: what was said stays.
func (t Trial) Ended() Trial {
	return Trial{Base: t.Base, Note: t.Note, At: t.At, Hotfix: t.Hotfix, Untold: t.Untold}
}
