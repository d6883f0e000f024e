package rootd

import (
	"context"
	"os"

	"golang.org/x/sys/unix"

	"sealgate/appliance"
	"sealgate/appliance/patch"
	"sealgate/control"
)

// Releases are the installed appliance's. The installation's own is this program.
func Releases() patch.Releases {
	return patch.Releases{Home: appliance.DefaultHome, Base: control.Version}
}

// Needed says whether what concerns releases of home is the service's to do, and
// not the caller's own.
func Needed(home appliance.Home) bool { return home.Installed() && os.Geteuid() != 0 }

// placeRelease makes a release of the patch that the caller hands over, whose
// signature is checked here, whatever the caller says. The file may change under
// our hands: nothing of it is used that was not compared with what was signed.
func (s *service) placeRelease(ctx context.Context, c call) (any, error) {
	if len(c.files) != 1 {
		return nil, refused("this verb takes one descriptor, not %d", len(c.files))
	}
	var stat unix.Stat_t
	if err := unix.Fstat(int(c.files[0].Fd()), &stat); err != nil || stat.Mode&unix.S_IFMT != unix.S_IFREG {
		return nil, refused("a patch is a file")
	}
	s.releases.Lock()
	defer s.releases.Unlock()
	p, err := patch.Open(patch.TrustOf(appliance.DefaultHome), c.files[0])
	if err != nil {
		return nil, err
	}
	err = p.Place(ctx, Releases(), func(done, total int64) {
		c.session.Progress(control.Progress{Label: "installing", Unit: "B", Done: done, Total: total})
	})
	if err != nil {
		return nil, err
	}
	s.log.Info("a release is there", "release", p.Manifest.To, "sequence", p.Manifest.Sequence, "key", p.Key.String())
	return nil, nil
}

// Installation is the installation's own release, whichever that is.
const Installation = ""

// releaseName is the data of release-activate.
type releaseName struct {
	Release string `json:"release"`
}

func (s *service) activateRelease(_ context.Context, c call) (any, error) {
	var x releaseName
	if err := c.read(&x); err != nil {
		return nil, err
	}
	s.releases.Lock()
	defer s.releases.Unlock()
	if x.Release == Installation {
		x.Release = control.Version
	}
	if err := Releases().Activate(x.Release); err != nil {
		return nil, err
	}
	s.log.Info("a release is activated", "release", x.Release)
	return nil, nil
}
