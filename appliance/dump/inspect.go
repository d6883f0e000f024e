package dump

import (
	"archive/tar"
	"bufio"
	"bytes"
	"encoding/json"
	"io"

	"github.com/klauspost/compress/gzip"

	"sealgate/appliance"
)

// ageMagic begins an age file (age-encryption.org/v1).
var ageMagic = []byte("age-encryption.org/")

// maxHeader bounds what is read of a dump to learn what it is, in bytes.
const maxHeader = 1 << 20

// inClear is what is wrong with a dump that an export never makes.
const inClear = "the dump holds private keys or passwords and is not encrypted"

// FitToSend refuses a dump that holds private keys or passwords and is not
// encrypted: it must not leave the appliance. Other files are none of its
// business.
func FitToSend(r io.Reader) error {
	in := bufio.NewReader(io.LimitReader(r, maxHeader))
	if magic, _ := in.Peek(len(ageMagic)); bytes.Equal(magic, ageMagic) {
		return nil
	}
	h, ok := readHeader(in)
	if ok && h.Secrets {
		return appliance.Faultf("export it again with --encryptpwd", inClear)
	}
	return nil
}

// readHeader reads the first entry of a dump that is not encrypted.
func readHeader(r io.Reader) (Header, bool) {
	gz, err := gzip.NewReader(r)
	if err != nil {
		return Header{}, false
	}
	defer gz.Close()
	in := tar.NewReader(io.LimitReader(gz, maxHeader))
	first, err := in.Next()
	if err != nil || first.Name != headerName {
		return Header{}, false
	}
	var h Header
	if err := json.NewDecoder(in).Decode(&h); err != nil {
		return Header{}, false
	}
	return h, true
}
