package gateway

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"

	"sealgate/appliance/atomicfile"
	"sealgate/appliance/model"
	"sealgate/daemon/gateway/event"
	"sealgate/daemon/link"
)

// fetch brings the configuration that the server offers into use. One that cannot be
// used is refused, and is not fetched again: that is no failure of the link.
func (j *joined) fetch(ctx context.Context, client *link.Client, id *link.Identity, offered link.Revision) error {
	j.fetching.Lock()
	defer j.fetching.Unlock()
	if j.decided(offered) {
		return nil // by another poll's answer
	}
	data, err := client.Configuration(ctx)
	if err != nil {
		return err
	}
	s, err := model.ReadSnapshot(bytes.NewReader(data))
	if err == nil {
		offered = link.Revision{Number: s.Revision, SHA256: s.SHA256} // it may be newer than what was offered
		err = j.openKeys(s, id)
	}
	if err == nil {
		err = j.use(s)
	}
	j.decide(offered, err)
	return nil
}

// openKeys opens the private keys that are sealed to this gateway.
func (j *joined) openKeys(s *model.Snapshot, id *link.Identity) error {
	opener, err := id.Opener()
	if err != nil {
		return err
	}
	for i := range s.Services {
		for k := range s.Services[i].Keys {
			key := &s.Services[i].Keys[k]
			private, err := opener.Open(key.Secret, s.SealedKeys[key.Secret])
			if err != nil {
				return fmt.Errorf("the private key of certificate %q of web service %q is not sealed to this gateway", key.Name, s.Services[i].Name)
			}
			key.PrivateKey, key.Secret = string(private), ""
		}
	}
	s.SealedKeys = nil
	return nil
}

// use swaps to a configuration, and keeps it for the next start. Where it cannot be
// kept it is used all the same: the next start fetches it again.
func (j *joined) use(s *model.Snapshot) error {
	j.taking.Lock()
	defer j.taking.Unlock()
	if err := j.take(s); err != nil {
		return err
	}
	data, err := json.Marshal(s)
	if err == nil {
		err = atomicfile.Write(j.home.Snapshot(), data, 0o600)
	}
	if err == nil {
		j.seen, err = os.Stat(j.home.Snapshot())
	}
	if err != nil {
		j.log.Error("the configuration is in use and could not be kept", "error", err.Error())
	}
	return nil
}

// decided says whether the gateway runs a configuration, or has refused it.
func (j *joined) decided(r link.Revision) bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.runs().SHA256 == r.SHA256 || j.status.Refused != nil && j.status.Refused.SHA256 == r.SHA256
}

// decide notes what became of a configuration.
func (j *joined) decide(r link.Revision, err error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	before := j.status
	if err != nil {
		j.status.Refused = &link.Refused{Revision: r, Reason: link.Brief(err.Error())}
		j.log.Error("the configuration is refused, the one before stays", "error", err.Error(), "revision", r.Number)
		j.events.Tell(event.High, event.Refused, "revision %d of the configuration is refused, revision %d stays: %s", r.Number, j.runs().Number, err)
	} else {
		j.status.Refused, j.status.Running = nil, r
	}
	j.note(before)
}
