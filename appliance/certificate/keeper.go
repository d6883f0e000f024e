package certificate

import (
	"crypto/tls"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"sync"

	"sealgate/appliance"
)

// Keeper shows the certificate of the management address, the newest one to each
// connection that begins.
type Keeper struct {
	home appliance.Home
	log  *slog.Logger

	mu   sync.Mutex
	seen fs.FileInfo
	pair *tls.Certificate
}

// NewKeeper needs the certificate to be there.
func NewKeeper(home appliance.Home, log *slog.Logger) (*Keeper, error) {
	k := &Keeper{home: home, log: log}
	k.look()
	if k.pair == nil {
		_, err := load(home, management)
		return nil, fmt.Errorf("the certificate in %s cannot be used: %w", home.Certificate(), err)
	}
	return k, nil
}

// Get is what tls.Config.GetCertificate needs.
func (k *Keeper) Get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.look()
	return k.pair, nil
}

// look reads the file when it is another one. The old certificate stays when the
// new one cannot be used.
func (k *Keeper) look() {
	info, err := os.Lstat(filepath.Join(k.home.Certificate(), management))
	if err != nil || k.seen != nil && os.SameFile(info, k.seen) && info.ModTime().Equal(k.seen.ModTime()) && info.Size() == k.seen.Size() {
		return
	}
	k.seen = info
	pair, err := load(k.home, management)
	if err != nil {
		k.log.Error("the certificate of the management address cannot be used", "error", err)
		return
	}
	k.pair = &pair
}
