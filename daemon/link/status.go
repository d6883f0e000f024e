package link

import (
	"encoding/json"
	"errors"
	"io/fs"
	"path/filepath"
	"time"

	"sealgate/appliance"
)

// Status is how a gateway's end of the link is, as its role wrote it down last: at
// each change, not at each poll.
type Status struct {
	Connected    bool      `json:"connected"`
	Since        time.Time `json:"since"`                   // when Connected became what it is
	Error        string    `json:"error,omitempty"`         // why it is not connected
	Running      Revision  `json:"running,omitzero"`        // of the configuration
	Refused      *Refused  `json:"refused,omitempty"`       // the configuration that was not taken
	NotListening string    `json:"not_listening,omitempty"` // the addresses of the configuration where it does not, and why
	Draining     bool      `json:"draining,omitempty"`
}

func statusFile(home appliance.Home) string { return filepath.Join(home.Link(), "status.json") }

// ReadStatus reads the status of a gateway; one that never had any is the zero value.
func ReadStatus(home appliance.Home) (s Status, err error) {
	data, err := readShared(statusFile(home))
	if errors.Is(err, fs.ErrNotExist) {
		return s, nil
	}
	if err != nil {
		return s, err
	}
	return s, json.Unmarshal(data, &s)
}

// Write keeps the status.
func (s Status) Write(home appliance.Home) error {
	return writeShared(home, statusFile(home), s)
}
