// Package dump writes the database to one file and reads it back.
//
// A dump is a gzipped tar, and with a passphrase that tar.gz as an age file
// (scrypt), so that the standard tools open both. docs/FORMATS.md describes
// what lies in it. Everything in it is read in one snapshot; memory does not
// grow with the database.
//
// A dump never holds trust anchors, seal, audit log, machine identity or the
// appliance's own keys. Secrets of the configuration (private keys, passwords)
// are in it only when a passphrase protects it; otherwise they are left out
// and named.
package dump

import (
	"time"

	"sealgate/appliance"
	"sealgate/appliance/secret"
	"sealgate/appliance/store"
)

// product is whose dumps these are.
const product = "Sealgate"

// Format is the version of the layout that this release writes. It reads all
// before it:
//
//	1  the first one; which hash the parts have is known at the end
//	2  the header names the hash; events can be searched by any attribute
const Format = 2

// The names in the tar that are not data. The header is its first entry, so
// that a reader learns what it holds without reading all of it; the manifest is
// the last, because only then the hashes are known.
const (
	headerName   = "header.json"
	manifestName = "manifest.json"
)

// Options say what a dump leaves out and how it is protected.
type Options struct {
	NoAlerts       bool   `json:"no_alerts,omitempty"` // --exptype 2: neither alerts nor violations
	FailedArchives bool   `json:"failed_archives,omitempty"`
	NoArchives     bool   `json:"no_archives,omitempty"`
	NoSSL          bool   `json:"no_ssl,omitempty"`
	NoAudit        bool   `json:"no_audit,omitempty"`
	NoCredentials  bool   `json:"no_credentials,omitempty"`
	Passphrase     string `json:"passphrase,omitempty"`
}

// Source is the appliance that is dumped.
type Source struct {
	Version string // of the product
	Config  appliance.Config
	Home    appliance.Home
	Store   *store.Store
	Secrets *secret.Keys
}

// Header says what a dump is.
type Header struct {
	Format  int       `json:"format"`
	Product string    `json:"product"`
	Version string    `json:"version"`
	Schema  Schema    `json:"schema"`
	Name    string    `json:"name"`           // of the appliance
	Created time.Time `json:"created"`        // when the snapshot was taken, UTC
	Options Options   `json:"options"`        // without the passphrase
	Secrets bool      `json:"secrets"`        // private keys and passwords are in it
	Hash    string    `json:"hash,omitempty"` // of the parts: sha256, or blake2b (of 256 bits); in format 1 the manifest alone has it
	Sizes   Sizes     `json:"sizes,omitzero"` // nearly
}

// Sizes are bytes that a dump holds, from which a reader tells how long it takes.
type Sizes struct {
	Rows  int64 `json:"rows"`
	Files int64 `json:"files"`
}

// Schema is the migration that each kind of database is at.
type Schema struct {
	Config int64 `json:"config"`
	Events int64 `json:"events"`
}

// Manifest lists everything that lies between header and manifest.
type Manifest struct {
	Header
	Parts   []Part           `json:"parts"`
	Counts  map[string]int64 `json:"counts"`            // rows by table
	Omitted []string         `json:"omitted,omitempty"` // what was left out, in words
}

// Part is one file of the tar.
type Part struct {
	Name  string `json:"name"`
	Table string `json:"table,omitempty"` // empty for a file
	Rows  int64  `json:"rows,omitempty"`
	Size  int64  `json:"size"` // bytes
	Sum   string `json:"sum"`  // in hexadecimal digits, as sha256sum or b2sum -l 256 prints it
}

// Rows is the number of all rows.
func (m Manifest) Rows() int64 {
	var n int64
	for _, c := range m.Counts {
		n += c
	}
	return n
}
