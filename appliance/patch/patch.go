// Package patch brings new releases of the appliance. A patch is one signed and
// encrypted file; Open proves it against the anchors before anything in it is
// parsed or decrypted, and Place makes the folder of a release of it. Which
// release runs is one link; package patch keeps beside it which one shall run, on
// trial or for good, so that whoever is killed at any instant leaves the old
// release or the new one.
//
// What the encryption is for: nobody along the way, a mirror or a proxy, reads the
// patch. It keeps nothing from the owner of an appliance, whose anchors' folder
// holds the identity that opens it.
package patch

import (
	"bufio"
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"sealgate/appliance"
	"sealgate/appliance/anchor"
)

// Patch is one whose signature holds.
type Patch struct {
	Manifest *Manifest
	Key      anchor.ID // its signer's

	trust Trust
	file  *os.File
	begin int64 // of the payload
	size  int64 // of the payload
}

// Trust is a folder of anchors and identities, and whose files in it hold.
type Trust struct {
	Dir    string
	Owners []uint32
}

// TrustOf is an appliance's.
func TrustOf(home appliance.Home) Trust {
	return Trust{home.PatchAnchors(), anchor.Owners(home)}
}

// Open checks the signature of a patch, and only then reads what it says. file
// stays the caller's.
func Open(trust Trust, file *os.File) (*Patch, error) {
	info, err := file.Stat()
	if err != nil {
		return nil, err
	}
	head := bufio.NewReaderSize(io.NewSectionReader(file, 0, info.Size()), 64<<10)
	h, err := readHeader(head)
	if err != nil {
		return nil, refused(damagedHint, "%w", err)
	}
	begin := int64(manifestAt) + h.manifest
	switch whole := begin + h.payload; {
	case info.Size() < whole:
		return nil, refused(damagedHint, "%w: it has %d bytes of %d", errShort, info.Size(), whole)
	case info.Size() > whole:
		return nil, refused(damagedHint, "%d bytes follow its end", info.Size()-whole)
	}
	manifest := make([]byte, h.manifest)
	if err := read(head, manifest); err != nil {
		return nil, refused(damagedHint, "%w", err)
	}
	if h.key == (anchor.ID{}) {
		return nil, refused("the vendor signs it: sealmint patch sign", "it is not signed")
	}
	public, err := anchor.Read(trust.Dir, trust.Owners).Find(h.key)
	if err != nil {
		var fault *appliance.Fault
		errors.As(err, &fault)
		return nil, refused(fault.Hint, "%w", err)
	}
	if !ed25519.Verify(public, signedPart(h.raw[:], manifest), h.signature[:]) {
		return nil, refused(damagedHint, "it is forged or damaged: the signature does not hold")
	}
	p := &Patch{Key: h.key, trust: trust, file: file, begin: begin, size: h.payload}
	if p.Manifest, err = decode(manifest, h.payload); err != nil {
		return nil, err
	}
	if p.Manifest.Product != Product {
		return nil, refused("ask the vendor for a patch of "+Product, "it is for another product, %.40q", p.Manifest.Product)
	}
	return p, nil
}

// Check reads the whole payload and compares it with what was signed.
func (p *Patch) Check(ctx context.Context, progress func(done, total int64)) error {
	_, err := io.Copy(io.Discard, p.payload(ctx, progress))
	return err
}

// payload is the payload, of which nothing is given out that was not compared
// with the manifest.
func (p *Patch) payload(ctx context.Context, progress func(done, total int64)) io.Reader {
	return &pieces{ctx: ctx, patch: p, progress: progress, buffer: make([]byte, pieceSize)}
}

type pieces struct {
	ctx      context.Context
	patch    *Patch
	progress func(done, total int64)
	buffer   []byte
	rest     []byte // of the piece that was read last
	next     int    // piece
}

func (r *pieces) Read(b []byte) (int, error) {
	if len(r.rest) == 0 {
		if err := r.fill(); err != nil {
			return 0, err
		}
	}
	n := copy(b, r.rest)
	r.rest = r.rest[n:]
	return n, nil
}

// WriteTo spares a copy.
func (r *pieces) WriteTo(w io.Writer) (n int64, err error) {
	for {
		if len(r.rest) == 0 {
			if err := r.fill(); errors.Is(err, io.EOF) {
				return n, nil
			} else if err != nil {
				return n, err
			}
		}
		m, err := w.Write(r.rest)
		n += int64(m)
		if err != nil {
			return n, err
		}
		r.rest = nil
	}
}

func (r *pieces) fill() error {
	if err := r.ctx.Err(); err != nil {
		return context.Cause(r.ctx)
	}
	p, at := r.patch, int64(r.next)*pieceSize
	if at >= p.size {
		return io.EOF
	}
	piece := r.buffer[:min(pieceSize, p.size-at)]
	if n, err := p.file.ReadAt(piece, p.begin+at); n < len(piece) {
		if errors.Is(err, io.EOF) {
			err = errShort
		}
		return refused(damagedHint, "%w", err)
	}
	if sum := sha256.Sum256(piece); hex.EncodeToString(sum[:]) != p.Manifest.Payload.SHA256[r.next] {
		return refused(damagedHint, "it is altered: %d MiB from the beginning it is not what was signed", at>>20)
	}
	r.next++
	r.rest = piece
	r.progress(at+int64(len(piece)), p.size)
	return nil
}

// Fits says whether a patch may be installed on the release that runs.
func (p *Patch) Fits(r Releases) error {
	m := p.Manifest
	running, err := r.Running()
	if err != nil {
		return err
	}
	highest, err := r.highest()
	if err != nil {
		return err
	}
	if err := highest.check(p.Key, m); err != nil {
		return err
	}
	if m.To == running || m.To == r.Base {
		return refused("impctl platform show lists the releases", "release %s is there already", m.To)
	}
	if !slices.Contains(m.From, running) {
		return refused("ask the vendor for the patches in between", "it is for release %s, and release %s runs", list(m.From), running)
	}
	return nil
}

// list is a few of many, for people.
func list(versions []string) string {
	const most = 4
	text := strings.Join(versions[:min(len(versions), most)], ", ")
	if len(versions) > most {
		text += fmt.Sprintf(" and %d more", len(versions)-most)
	}
	return text
}
