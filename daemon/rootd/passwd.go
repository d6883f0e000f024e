package rootd

import (
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"

	"sealgate/appliance/account"
)

// firstUID is the least uid that is a person's.
const firstUID = 1000

// entry is one of our accounts in the operating system.
type entry struct {
	name   string
	uid    int
	rights account.Rights
}

// fields are the lines of one of the account files, split.
func fields(path string, n int) ([][]string, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var lines [][]string
	for line := range strings.Lines(string(data)) {
		if f := strings.Split(strings.TrimSuffix(line, "\n"), ":"); len(f) >= n {
			lines = append(lines, f)
		}
	}
	return lines, nil
}

// managed are the accounts that we may touch: a person's uid, a valid name,
// our shell, and one of our groups. All else on the machine is foreign.
func managed() ([]entry, error) {
	groups, err := fields("/etc/group", 4)
	if err != nil {
		return nil, err
	}
	users, err := fields("/etc/passwd", 7)
	if err != nil {
		return nil, err
	}
	in := func(user []string, group string) bool {
		return slices.ContainsFunc(groups, func(g []string) bool {
			return g[0] == group && (g[2] == user[3] || slices.Contains(strings.Split(g[3], ","), user[0]))
		})
	}
	var list []entry
	for _, u := range users {
		uid, err := strconv.Atoi(u[2])
		if err != nil || uid < firstUID || u[6] != account.Shell || account.CheckName(u[0]) != nil {
			continue
		}
		switch {
		case in(u, account.AdministratorGroup):
			list = append(list, entry{u[0], uid, account.Administrator})
		case in(u, account.OperatorGroup):
			list = append(list, entry{u[0], uid, account.Operator})
		}
	}
	return list, nil
}

// find is the managed account of that name.
func find(name string) (entry, []entry, error) {
	list, err := managed()
	if err != nil {
		return entry{}, nil, err
	}
	i := slices.IndexFunc(list, func(e entry) bool { return e.name == name })
	if i < 0 || account.CheckName(name) != nil {
		return entry{}, nil, notOurs(name)
	}
	return list[i], list, nil
}

// taken says whether a user or a group has the name, managed or not.
func taken(name string) (bool, error) {
	for _, path := range []string{"/etc/passwd", "/etc/group"} {
		lines, err := fields(path, 1)
		if err != nil {
			return false, err
		}
		if slices.ContainsFunc(lines, func(f []string) bool { return f[0] == name }) {
			return true, nil
		}
	}
	return false, nil
}

// hasPassword says which accounts have one.
func hasPassword() (map[string]bool, error) {
	lines, err := fields("/etc/shadow", 2)
	if err != nil {
		return nil, fmt.Errorf("which accounts have a password: %w", err)
	}
	has := map[string]bool{}
	for _, f := range lines {
		has[f[0]] = f[1] != "" && f[1][0] != '!' && f[1][0] != '*'
	}
	return has, nil
}
