package transfer

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"regexp"
	"strings"
	"time"
)

// hashSpeed is the least that a server's hashing is waited for, in bytes a second.
const hashSpeed = 20 << 20

var sha256Hex = regexp.MustCompile(`(?:^|\s)([0-9A-Fa-f]{64})(?:\s|$)`)

// ftpSum asks a server that offers XSHA256 for the SHA-256 of a file of size bytes. Most do not: then known is false.
func (s *session) ftpSum(ctx context.Context, name string, size int64) (sum [sha256.Size]byte, known bool, err error) {
	offers, err := s.control.command("FEAT")
	if err != nil {
		return sum, false, s.fault(ctx, OpVerify, err)
	}
	if offers.Code/100 != 2 || !strings.Contains(offers.Msg, "XSHA256") {
		return sum, false, nil
	}
	// The server is silent while it reads the file.
	s.idle.pause()
	defer s.idle.resume()
	s.control.SetReadDeadline(time.Now().Add(s.o.IdleTimeout + time.Duration(size/hashSpeed)*time.Second))
	defer s.control.SetReadDeadline(time.Time{})
	answer, err := s.control.command("XSHA256 " + name)
	if err != nil {
		return sum, false, s.fault(ctx, OpVerify, err)
	}
	found := sha256Hex.FindStringSubmatch(answer.Msg)
	if answer.Code/100 != 2 || found == nil {
		return sum, false, nil
	}
	hex.Decode(sum[:], []byte(found[1]))
	return sum, true, nil
}

// verifySum compares what the server says of the part with the source, which is read once more.
func (u *upload) verifySum(ctx context.Context, part string) error {
	theirs, known, err := u.ftpSum(ctx, part, u.reader.count())
	if err != nil || !known {
		return err
	}
	again, err := u.src.Open(ctx)
	if err != nil {
		return u.fault(ctx, OpSource, u.sourceFault(err))
	}
	defer again.Close()
	ours, err := sumOf(again)
	if err != nil {
		return u.fault(ctx, OpSource, u.sourceFault(err))
	}
	return u.sameSum(ours, theirs)
}

func sumOf(r io.Reader) (sum [sha256.Size]byte, err error) {
	hash := sha256.New()
	_, err = io.CopyBuffer(struct{ io.Writer }{hash}, r, make([]byte, copyBuffer))
	return [sha256.Size]byte(hash.Sum(nil)), err
}

// verifySum compares what the server says of the file with what lies here, which is read
// once more: most servers say nothing, and then a sum would take half the processor time.
func (d *download) verifySum(ctx context.Context) error {
	theirs, known, err := d.ftpSum(ctx, d.target.name(), d.at)
	if err != nil || !known {
		return err
	}
	again, err := os.Open(d.file.Name())
	if err != nil {
		return d.wrap(OpSave, LocalFailure, err, "")
	}
	defer again.Close()
	ours, err := sumOf(again)
	if err != nil {
		return d.wrap(OpSave, LocalFailure, err, "")
	}
	return d.sameSum(ours, theirs)
}

func (s *session) sameSum(ours, theirs [sha256.Size]byte) error {
	if ours == theirs {
		return nil
	}
	return s.wrap(OpVerify, ChecksumMismatch, fmt.Errorf("the SHA-256 is %x here and %x on the server", ours, theirs),
		"the network or the server's disk changes data: use https or scp, and look at both")
}
