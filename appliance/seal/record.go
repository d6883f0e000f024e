package seal

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"sealgate/appliance"
	"sealgate/appliance/atomicfile"
	"sealgate/appliance/secret"
)

// record is what HOME/seal/record holds, sealed with the appliance's key: the
// licence key itself, whose signature every look checks again, and what a
// licence is held against.
type record struct {
	Deployment string `json:"deployment,omitempty"`
	Key        string `json:"key,omitempty"`
	// Seen is the latest time, in seconds since 1970, at which each licence that
	// ends was looked at: a clock turned back makes none of them younger.
	Seen map[string]int64 `json:"seen,omitempty"`

	changed bool
}

const (
	recordID = "seal record" // what the record is sealed for
	// markEvery is how far a clock goes before a mark is written again.
	markEvery = 10 * time.Minute
	maxSeen   = 256 // licences whose marks are kept; the earliest mark is forgotten
)

func readRecord(home appliance.Home, keys *secret.Keys) (*record, error) {
	r := &record{Seen: map[string]int64{}}
	sealed, err := os.ReadFile(home.Seal())
	if errors.Is(err, fs.ErrNotExist) {
		return r, nil
	}
	if err != nil {
		return nil, err
	}
	plain, err := keys.Unseal(recordID, sealed)
	if err == nil {
		err = json.Unmarshal(plain, r)
	}
	if err != nil {
		return nil, appliance.Faultf("the owner of the machine may delete it: the appliance is sealed then, and has no deployment",
			"%s is damaged, or another appliance's", home.Seal())
	}
	if r.Seen == nil {
		r.Seen = map[string]int64{}
	}
	return r, nil
}

func (r *record) write(home appliance.Home, keys *secret.Keys) error {
	plain, err := json.Marshal(r)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(home.Seal()), 0o700); err != nil {
		return err
	}
	if err := atomicfile.Write(home.Seal(), keys.Seal(recordID, plain), 0o600); err != nil {
		return err
	}
	r.changed = false
	return nil
}

// mark gives the time at which l is to be judged: now, or what was seen before.
func (r *record) mark(l *Licence, now time.Time) time.Time {
	seen, known := r.Seen[l.ID]
	at := max(now.Unix(), seen)
	if l.NotAfter != 0 && (!known || at-seen >= int64(markEvery/time.Second) || l.ended(at) && !l.ended(seen)) {
		if !known && len(r.Seen) >= maxSeen {
			r.forget()
		}
		r.Seen[l.ID], r.changed = at, true
	}
	return time.Unix(at, 0)
}

func (r *record) forget() {
	earliest := ""
	for id, at := range r.Seen {
		if earliest == "" || at < r.Seen[earliest] {
			earliest = id
		}
	}
	delete(r.Seen, earliest)
}

// Create records what a new appliance in home begins with. The licence key may
// be empty; another one must have passed [Check].
func Create(home appliance.Home, keys *secret.Keys, deployment, key string) error {
	if err := (&record{Deployment: deployment, Key: key}).write(home, keys); err != nil {
		return fmt.Errorf("record the seal: %w", err)
	}
	return atomicfile.SyncDir(string(home))
}
