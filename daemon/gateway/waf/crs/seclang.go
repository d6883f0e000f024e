package crs

import (
	"fmt"
	"io/fs"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// directive is one line of SecLang. Of a SecRule, and of a SecAction as far as
// it has them, the parts are apart; chained rules follow their head.
type directive struct {
	name string // SecRule, SecAction, SecMarker, …
	rest string // as it stands behind the name
	file string

	id, phase int
	targets   []string
	negated   bool
	operator  string // without @
	argument  string // unescaped
	actions   string
	chain     []directive
}

// read reads a file's directives in order.
func read(files fs.FS, name string) ([]directive, error) {
	text, err := fs.ReadFile(files, name)
	if err != nil {
		return nil, err
	}
	var all []directive
	var line strings.Builder
	open := false // the last rule waits for what it is chained to
	for part := range strings.Lines(string(text)) {
		part = strings.TrimSpace(part)
		if part == "" || part[0] == '#' {
			continue
		}
		if cut, continues := strings.CutSuffix(part, `\`); continues {
			line.WriteString(cut)
			continue
		}
		line.WriteString(part)
		d, err := parse(line.String())
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		line.Reset()
		d.file = name
		chains := d.has("chain")
		if open {
			head := &all[len(all)-1]
			head.chain = append(head.chain, d)
		} else {
			all = append(all, d)
		}
		open = chains
	}
	return all, nil
}

var (
	idAction    = regexp.MustCompile(`(?:^|,)\s*id:'?(\d+)`)
	phaseAction = regexp.MustCompile(`(?:^|,)\s*phase:'?(\d)`)
)

func parse(line string) (directive, error) {
	name, rest, _ := strings.Cut(line, " ")
	d := directive{name: name, rest: strings.TrimSpace(rest), phase: 2}
	switch name {
	case "SecRule":
		targets, behind, _ := strings.Cut(d.rest, " ")
		d.targets = strings.Split(targets, "|")
		operator, actions, ok := quoted(strings.TrimSpace(behind))
		if !ok {
			return d, fmt.Errorf("a rule without operator: %.60q", line)
		}
		d.setOperator(operator)
		d.actions = strings.Trim(strings.TrimSpace(actions), `"`)
	case "SecAction":
		d.actions = strings.Trim(d.rest, `"`)
	default:
		return d, nil
	}
	if m := idAction.FindStringSubmatch(d.actions); m != nil {
		d.id, _ = strconv.Atoi(m[1])
	}
	if m := phaseAction.FindStringSubmatch(d.actions); m != nil {
		d.phase, _ = strconv.Atoi(m[1])
	}
	return d, nil
}

func (d *directive) setOperator(text string) {
	text, d.negated = strings.CutPrefix(text, "!")
	if named, ok := strings.CutPrefix(text, "@"); ok {
		d.operator, d.argument, _ = strings.Cut(named, " ")
	} else {
		d.operator, d.argument = "rx", text
	}
	d.argument = strings.ReplaceAll(strings.TrimSpace(d.argument), `\"`, `"`)
}

// quoted cuts a quoted word off.
func quoted(s string) (word, rest string, ok bool) {
	if s == "" || s[0] != '"' {
		return "", "", false
	}
	for i := 1; i < len(s); i++ {
		switch s[i] {
		case '\\':
			i++
		case '"':
			return s[1:i], s[i+1:], true
		}
	}
	return "", "", false
}

// String is the directive as Coraza reads it, with its chain.
func (d *directive) String() string {
	var b strings.Builder
	switch d.name {
	case "SecRule":
		negation := ""
		if d.negated {
			negation = "!"
		}
		fmt.Fprintf(&b, `SecRule %s "%s@%s %s"`, strings.Join(d.targets, "|"), negation, d.operator, strings.ReplaceAll(d.argument, `"`, `\"`))
		if d.actions != "" {
			fmt.Fprintf(&b, ` "%s"`, d.actions)
		}
	case "SecAction":
		fmt.Fprintf(&b, "SecAction \"%s\"", d.actions)
	default:
		fmt.Fprintf(&b, "%s %s", d.name, d.rest)
	}
	b.WriteByte('\n')
	for i := range d.chain {
		b.WriteString(d.chain[i].String())
	}
	return b.String()
}

// has says whether an action of that name is among the directive's.
func (d *directive) has(action string) bool { return slices.Contains(d.list(), action) }

// list is the directive's actions without their quoted texts' commas.
func (d *directive) list() []string {
	var out []string
	start, inside := 0, false
	for i := 0; i < len(d.actions); i++ {
		switch d.actions[i] {
		case '\\':
			i++
		case '\'':
			inside = !inside
		case ',':
			if !inside {
				out = append(out, strings.TrimSpace(d.actions[start:i]))
				start = i + 1
			}
		}
	}
	return append(out, strings.TrimSpace(d.actions[start:]))
}

// value is an action's value, empty when it is missing.
func (d *directive) value(action string) string {
	for _, a := range d.list() {
		if v, ok := strings.CutPrefix(a, action+":"); ok {
			return strings.Trim(v, "'")
		}
	}
	return ""
}

// transformations are the names that take effect, in order.
func (d *directive) transformations() []string {
	var out []string
	for _, a := range d.list() {
		if name, ok := strings.CutPrefix(a, "t:"); ok {
			if name == "none" {
				out = nil
				continue
			}
			out = append(out, name)
		}
	}
	return out
}
