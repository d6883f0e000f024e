package hub_test

import (
	"testing"

	"sealgate/daemon/job"
	"sealgate/daemon/link/hub"
)

// The daemon's jobs package stands above this one, which knows one of its names.
func TestAnUploadIsCalledWhatTheDaemonCallsIt(t *testing.T) {
	if hub.Upload != job.KindSend {
		t.Errorf("%q, the daemon says %q", hub.Upload, job.KindSend)
	}
}
