package ftl

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"sync"
	"time"
	"unicode"

	"golang.org/x/sys/unix"

	"sealgate/appliance"
)

// Task is what a step of the set-up is about.
type Task string

// The tasks.
const (
	Settings     Task = "settings"
	Passwords    Task = "passwords"
	License      Task = "license"
	Users        Task = "users"
	Network      Task = "network"
	Creation     Task = "creation"
	Start        Task = "start"
	Registration Task = "registration"
	Hotfix       Task = "hotfix"
	AssetTag     Task = "asset tag"
	TimeZone     Task = "time zone"
)

// Status is how a step went.
type Status string

// How steps go.
const (
	Done    Status = "done"
	Failed  Status = "failed"
	Waiting Status = "waiting" // it is tried again by itself
)

const (
	maxLog    = 1 << 20 // bytes, then the log begins anew and the one before is kept
	maxReason = 300     // bytes
)

// Log is the first-time-login log: a line for each step of the set-up, in a file of
// the appliance and on the console. What cannot be written is lost: a set-up does not
// fail for its log. A nil one keeps nothing.
type Log struct {
	path    string
	console io.Writer

	mu   sync.Mutex
	last Step
}

// NewLog is the log of home. Its lines go to console, too, whose errors nobody is told of.
func NewLog(home appliance.Home, console io.Writer) *Log {
	return &Log{path: home.FirstLogin(), console: console}
}

// Step writes down how a step went and why. What went as the step before did, for the
// same reason, is written once. The reason must hold no secret.
func (l *Log) Step(task Task, status Status, reason string) {
	if line := l.say(task, status, reason); line != nil {
		_ = l.append(line)
	}
}

// say tells the console alone. It returns the line, or nil where that is not a new one.
func (l *Log) say(task Task, status Status, reason string) []byte {
	if l == nil {
		return nil
	}
	step := Step{Task: task, Status: status, Reason: plain(reason)}
	l.mu.Lock()
	defer l.mu.Unlock()
	if step == l.last {
		return nil
	}
	l.last = step
	step.Time = time.Now().UTC().Truncate(time.Second)
	line := []byte(step.Line())
	_, _ = l.console.Write(line)
	return line
}

func (l *Log) append(line []byte) (err error) {
	if info, err := os.Lstat(l.path); err == nil && info.Size()+int64(len(line)) > maxLog {
		if err := os.Rename(l.path, l.path+oldSuffix); err != nil {
			return err
		}
	}
	file, err := os.OpenFile(l.path, os.O_WRONLY|os.O_APPEND|os.O_CREATE|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0o600)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	_, err = file.Write(line)
	return err
}

const oldSuffix = ".old"

// plain makes a reason one line of printable text.
func plain(reason string) string {
	reason = strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return ' '
	}, reason)
	reason = strings.Join(strings.Fields(reason), " ")
	if len(reason) > maxReason {
		reason = strings.ToValidUTF8(reason[:maxReason], "") + "…"
	}
	return reason
}

// Step is one line.
type Step struct {
	Time   time.Time `json:"time"`
	Task   Task      `json:"task"`
	Status Status    `json:"status"`
	Reason string    `json:"reason,omitempty"`
}

const stepTime = "2006-01-02 15:04:05 MST"

// Line is the step as the log has it: columns with two blanks or more between them.
func (s Step) Line() string {
	return strings.TrimRight(fmt.Sprintf("%s  %-12s  %-7s  %s", s.Time.Format(stepTime), s.Task, s.Status, s.Reason), " ") + "\n"
}

// ParseStep reads a line.
func ParseStep(line string) (s Step, ok bool) {
	at, rest, _ := strings.Cut(line, "  ")
	task, rest, _ := strings.Cut(strings.TrimLeft(rest, " "), "  ")
	status, reason, _ := strings.Cut(strings.TrimLeft(rest, " "), "  ")
	t, err := time.Parse(stepTime, at)
	s = Step{t.UTC(), Task(task), Status(strings.TrimSpace(status)), plain(reason)}
	return s, err == nil && plain(task) == task && task != "" && s.Status != "" && plain(string(s.Status)) == string(s.Status)
}

// Reader reads a log while it grows.
type Reader struct {
	path string
	file *os.File
	rest *bufio.Reader
	part string // of a line whose end is not there yet
}

// Read is the log of home, from its oldest line on.
func Read(home appliance.Home) (*Reader, error) {
	r := &Reader{path: home.FirstLogin()}
	for _, path := range []string{r.path + oldSuffix, r.path} {
		if err := r.open(path); err == nil || !errors.Is(err, fs.ErrNotExist) {
			return r, err
		}
	}
	return r, nil
}

func (r *Reader) open(path string) error {
	file, err := os.OpenFile(path, os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if err != nil {
		return err
	}
	if info, err := file.Stat(); err != nil || !info.Mode().IsRegular() {
		return errors.Join(err, fmt.Errorf("%s is not a regular file", path), file.Close())
	}
	r.Close()
	r.file, r.rest, r.part = file, bufio.NewReader(file), ""
	return nil
}

// Next is the next step. The error is io.EOF where there is none yet.
func (r *Reader) Next() (Step, error) {
	for {
		if r.rest != nil {
			text, err := r.rest.ReadString('\n')
			r.part += text
			if len(r.part) > 2*maxReason+len(stepTime) {
				r.part = "" // no line of ours
			}
			switch {
			case err == nil:
				line := strings.TrimSuffix(r.part, "\n")
				r.part = ""
				if s, ok := ParseStep(line); ok {
					return s, nil
				}
				continue
			case err != io.EOF:
				return Step{}, err
			}
		}
		if !r.replaced() {
			return Step{}, io.EOF
		}
		if err := r.open(r.path); err != nil {
			if errors.Is(err, fs.ErrNotExist) {
				err = io.EOF
			}
			return Step{}, err
		}
	}
}

// replaced says whether another file than the one at hand is the log now.
func (r *Reader) replaced() bool {
	if r.file == nil {
		return true
	}
	now, err := os.Lstat(r.path)
	if err != nil {
		return false
	}
	ours, err := r.file.Stat()
	return err == nil && !os.SameFile(now, ours)
}

// Close ends reading.
func (r *Reader) Close() {
	if r.file != nil {
		r.file.Close()
	}
}
