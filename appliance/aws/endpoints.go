package aws

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"sealgate/appliance"
)

// Endpoints are where AWS is, where its own names do not lead there: in a partition
// that the product does not know, or in a test. Whoever may write the appliance's folder
// says so, and no user of the prompt.
type Endpoints struct {
	API      string `json:"api,omitempty"`      // of every service, https://HOST[:PORT]
	Metadata string `json:"metadata,omitempty"` // http://HOST[:PORT]
}

// EndpointsName is the file of a home that holds them.
const EndpointsName = "aws_endpoints.json"

// maxEndpoints bounds the file, in bytes.
const maxEndpoints = 4 << 10

// LoadEndpoints reads the owner's file. One that is not there says nothing; one that
// others may write is refused.
func LoadEndpoints(home appliance.Home) (Endpoints, error) {
	path := filepath.Join(string(home), EndpointsName)
	e, err := loadEndpoints(path)
	if err != nil {
		return e, appliance.Faultf("it is a file of the appliance's account with mode 0600, docs/FORMATS.md tells what is in it", "%s: %w", path, err)
	}
	return e, nil
}

func loadEndpoints(path string) (e Endpoints, err error) {
	file, err := os.OpenFile(path, os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return e, nil
	}
	if err != nil {
		return e, err
	}
	defer file.Close()
	var info unix.Stat_t
	if err := unix.Fstat(int(file.Fd()), &info); err != nil {
		return e, err
	}
	if info.Mode&unix.S_IFMT != unix.S_IFREG || info.Mode&0o077 != 0 || info.Uid != 0 && int(info.Uid) != os.Geteuid() {
		return e, errors.New("others than its owner may use it")
	}
	data, err := io.ReadAll(io.LimitReader(file, maxEndpoints))
	if err != nil {
		return e, err
	}
	return parseEndpoints(data)
}

func parseEndpoints(data []byte) (e Endpoints, err error) {
	if err := json.Unmarshal(data, &e); err != nil {
		return Endpoints{}, err
	}
	for _, raw := range []string{e.API, e.Metadata} {
		u, err := url.Parse(raw)
		if raw != "" && (err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" || u.Path != "" || u.User != nil || u.RawQuery != "") {
			return Endpoints{}, fmt.Errorf("%.80q is not https://HOST[:PORT]", raw)
		}
	}
	return e, nil
}

func (e Endpoints) metadata() string { return cmp.Or(e.Metadata, metadataAddress) }

// of is where a service is in a region.
func (e Endpoints) of(service, region string) string {
	return cmp.Or(e.API, fmt.Sprintf("https://%s.%s.%s", service, region, domain(region)))
}

// domain is the one of a region's partition.
func domain(region string) string {
	switch {
	case strings.HasPrefix(region, "cn-"):
		return "amazonaws.com.cn"
	case strings.HasPrefix(region, "eusc-"):
		return "amazonaws.eu"
	default:
		return "amazonaws.com"
	}
}
