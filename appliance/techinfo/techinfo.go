// Package techinfo collects what support needs to know of an appliance into one
// bundle: versions, configuration, logs, the audit log, facts of the machine, health
// of the database, jobs, gateways.
//
// It promises that
//
//   - what is collected is a closed list; a collector that fails or takes longer than
//     its time-out leaves a note in the manifest, and the bundle is made all the same;
//   - no secret is in it: what holds secrets is not collected, and every byte of the
//     rest is searched for the secrets that the caller knows, in plain, hexadecimal
//     and base64 form, and overwritten with asterisks where one is found;
//   - its content is bounded by [MaxContent], the newest logs first.
//
// A bundle is a gzipped tar: the files in folders named after their collectors, and
// last manifest.json ([Manifest]).
package techinfo

import (
	"context"
	"time"

	"sealgate/appliance"
	"sealgate/appliance/store"
)

// MaxContent bounds what a bundle holds, in bytes before compression.
const MaxContent = 4 << 30

// Options choose what a bundle holds beside what it always holds.
type Options struct {
	Case      string    `json:"case,omitempty"`        // support case, [ValidCase]
	Archives  int       `json:"archives,omitempty"`    // at most so many log files that were put aside; 0: all
	Since     time.Time `json:"since,omitzero"`        // none that was put aside before
	NoBigLogs bool      `json:"no_big_logs,omitempty"` // of each log the last MiB

	Upgrade   bool `json:"upgrade,omitempty"`    // releases, and the schemas of the databases
	AccessLog bool `json:"access_log,omitempty"` // what the role was asked
	Cores     bool `json:"coredumps,omitempty"`  // crash reports, and core files sealed to the support key
	Traffic   bool `json:"traffic,omitempty"`    // counters over a few seconds, and connections
	Debug     bool `json:"debug,omitempty"`      // profiles of the running role
}

// maxCase is the longest case number.
const maxCase = 32

// ValidCase says whether a case number is fit to be part of a file's name.
func ValidCase(s string) bool {
	if s == "" || len(s) > maxCase {
		return false
	}
	for _, r := range s {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', r == '-':
		default:
			return false
		}
	}
	return true
}

// Source is whom a bundle is about.
type Source struct {
	Version string
	Home    appliance.Home
	Config  appliance.Config
	Status  any          // how the daemon says it is; marshals to JSON
	Store   *store.Store // nil where there is none
	Secrets [][]byte     // that must not be in the bundle, whoever wrote them there
	Notes   []Note       // what is missing from the beginning
	// Ask asks the running role: heap, cpu, goroutine, runtime, counters,
	// configuration or gateways.
	Ask func(ctx context.Context, what string) (answer []byte, cut bool, err error)
}

// Manifest is the last file of a bundle.
type Manifest struct {
	Format    int            `json:"format"` // 1
	Product   string         `json:"product"`
	Version   string         `json:"version"`
	Appliance string         `json:"appliance"` // its name
	ID        string         `json:"id"`
	Role      appliance.Role `json:"role"`
	Created   time.Time      `json:"created"`
	Options   Options        `json:"options"`
	Files     []File         `json:"files"`
	Notes     []Note         `json:"notes"`  // what is missing, and why
	Masked    int            `json:"masked"` // secrets that were found and overwritten: a fault of who wrote them there
}

// File is one file of a bundle.
type File struct {
	Name   string `json:"name"`
	Size   int64  `json:"size"` // bytes
	SHA256 string `json:"sha256"`
}

// Note says what a collector could not get.
type Note struct {
	Collector string `json:"collector"`
	Text      string `json:"text"`
}

const format = 1

func manifestOf(src Source, o Options, now time.Time) Manifest {
	return Manifest{
		Format: format, Product: "Sealgate", Version: src.Version, Appliance: src.Config.Name, ID: src.Config.ID,
		Role: src.Config.Role, Created: now.UTC().Truncate(time.Second), Options: o, Files: []File{}, Notes: append([]Note{}, src.Notes...),
	}
}

// Name is what a bundle made now is called, without the ending .tgz.
func Name(config appliance.Config, o Options, now time.Time) string {
	name := "get-tech-info_" + config.Name
	if o.Case != "" {
		name += "_" + o.Case
	}
	return name + now.UTC().Format("_20060102_150405")
}

// gather runs the collectors side by side.
func gather(ctx context.Context, src Source, o Options, m *Manifest) []item {
	results := run(ctx, collectors(src, o), collectTime)
	var items []item
	for _, r := range results {
		items = append(items, r.items...)
		for _, text := range r.notes {
			m.Notes = append(m.Notes, Note{r.name, text})
		}
	}
	return items
}
