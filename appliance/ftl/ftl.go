// Package ftl is first-time login: it turns an empty folder into an
// appliance. The configuration is written last, so that a folder with one
// holds all of an appliance, and creation that was interrupted is seen as such.
package ftl

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"time"

	"github.com/google/uuid"

	"sealgate/appliance"
	"sealgate/appliance/atomicfile"
	"sealgate/appliance/ownership"
	"sealgate/appliance/seal"
	"sealgate/appliance/secret"
	"sealgate/appliance/store"
)

// Admin is the management server's first user.
const Admin = "admin"

// Secrets are the passwords of a new appliance.
type Secrets struct {
	System string // guards the database: exports and imports ask for it
	Secure string // registers gateways
	Admin  string // of the user [Admin]
}

// maxSecrets bounds a secrets file, in bytes.
const maxSecrets = 16 << 10

// ReadSecrets reads the lines system=…, secure=… and admin=…, in any order.
// Empty lines and lines that begin with # do not count. Everything behind the
// first equals sign is the password. Errors name the key, never the value.
func ReadSecrets(r io.Reader) (Secrets, error) {
	var s Secrets
	fields := map[string]*string{"system": &s.System, "secure": &s.Secure, "admin": &s.Admin}
	seen := map[string]bool{}
	scanner := bufio.NewScanner(io.LimitReader(r, maxSecrets))
	for n := 1; scanner.Scan(); n++ {
		line := strings.TrimSuffix(scanner.Text(), "\r")
		if line == "" || line[0] == '#' {
			continue
		}
		key, value, ok := strings.Cut(line, "=")
		field := fields[key]
		switch {
		case !ok || field == nil:
			return Secrets{}, fmt.Errorf("line %d is none of system=…, secure=…, admin=…", n)
		case seen[key]:
			return Secrets{}, fmt.Errorf("line %d: %s is given twice", n, key)
		}
		*field, seen[key] = value, true
	}
	if err := scanner.Err(); err != nil {
		return Secrets{}, err
	}
	for _, key := range []string{"system", "secure", "admin"} {
		if *fields[key] == "" {
			return Secrets{}, appliance.Faultf("add a line "+key+"=PASSWORD", "the %s password is missing", key)
		}
	}
	return s, nil
}

func (s Secrets) check(name string) error {
	for _, p := range []struct{ kind, value string }{{"system", s.System}, {"secure", s.Secure}, {"admin", s.Admin}} {
		if err := secret.CheckPassword(p.kind, p.value, name); err != nil {
			return &appliance.Fault{Err: err, Hint: "choose another one in the secrets file, and start again"}
		}
	}
	return nil
}

// Request is what the owner decides.
type Request struct {
	Role       appliance.Role
	Name       string
	Listen     string
	Joining    appliance.Joining
	AssetTag   string // may be empty
	Token      string // registers a gateway instead of its *secure* password; may be empty
	Deployment string // what licences of several appliances may be bound to; may be empty
	License    string // a licence key that unseals it from the start; may be empty
	Log        *Log   // takes the steps; may be nil
	Hotfix     string // where a patch is that it installs when it first starts; may be empty
	// Also writes what else the new home holds; nil: nothing.
	Also func(appliance.Home) error
}

// check says what is wrong with the request, before anything is written.
func (r Request) check(home appliance.Home, now time.Time) error {
	if r.Deployment != "" {
		if err := seal.CheckDeployment(r.Deployment); err != nil {
			return fmt.Errorf("--%w", err)
		}
	}
	if r.License != "" {
		if err := seal.Check(home, r.License, r.Deployment, now); err != nil {
			return fmt.Errorf("--license: %w", err)
		}
	}
	return nil
}

// Create makes the appliance in home, which must be empty or not exist.
func Create(ctx context.Context, home appliance.Home, r Request, s Secrets, now time.Time) (_ appliance.Config, err error) {
	at := Settings
	defer func() {
		switch {
		case err == nil:
		case at == Settings: // the folder, if there is one, is not this appliance's
			r.Log.say(at, Failed, err.Error())
		default:
			r.Log.Step(at, Failed, err.Error())
		}
	}()
	config := appliance.NewConfig(uuid.NewString(), r.Role, r.Name, now)
	config.Listen, config.Joining, config.AssetTag = r.Listen, r.Joining, r.AssetTag
	if err := config.Validate(); err != nil {
		return config, err
	}
	if err := s.check(r.Name); err != nil {
		return config, err
	}
	if err := r.check(home, now); err != nil {
		return config, err
	}
	if err := vacant(home); err != nil {
		return config, err
	}
	owner, err := ownership.Of(home)
	if err != nil {
		return config, err
	}
	// Administrators' shells pass through to the socket, whatever the umask is.
	if err := errors.Join(os.MkdirAll(string(home), 0o711), os.Chmod(string(home), 0o711)); err != nil {
		return config, err
	}
	if err := owner.MakeFolders(home); err != nil {
		return config, err
	}
	r.Log.Step(Settings, Done, fmt.Sprintf("%s %s", r.Role.Title(), r.Name))
	if r.AssetTag != "" {
		r.Log.Step(AssetTag, Done, r.AssetTag)
	}
	r.Log.Step(TimeZone, Done, zone(now)+", the machine's; logs and the shell say UTC")
	at = Passwords
	if err := secret.Create(string(home), s.System, s.Secure); err != nil {
		return config, err
	}
	r.Log.Step(Passwords, Done, "system and secure")
	at = License
	keys, err := secret.Open(string(home))
	if err != nil {
		return config, err
	}
	if err := seal.Create(home, keys, r.Deployment, r.License); err != nil {
		return config, err
	}
	if r.License != "" {
		r.Log.Step(License, Done, "unsealed")
	}
	at = Users
	if r.Role == appliance.ManagementServer {
		verifier, err := secret.Hash(ctx, s.Admin)
		if err != nil {
			return config, err
		}
		if err := store.Create(ctx, string(home), Admin, verifier, store.Options{}); err != nil {
			return config, fmt.Errorf("create the database: %w", err)
		}
		r.Log.Step(Users, Done, Admin+", the first user of the REST API")
	}
	if r.Hotfix != "" {
		if err := atomicfile.Write(home.Hotfix(), []byte(r.Hotfix+"\n"), 0o600); err != nil {
			return config, err
		}
	}
	if r.Joining.ManagementServer != "" {
		// The passwords of a new gateway are those that its management server has.
		pending := secret.Registration{Token: r.Token}
		if r.Token == "" {
			pending.Password = s.Secure
		}
		if err := keys.KeepRegistration(string(home), pending); err != nil {
			return config, err
		}
	}
	at = Network
	if r.Also != nil {
		if err := r.Also(home); err != nil {
			return config, err
		}
	}
	r.Log.Step(Network, Done, "management address "+r.Listen)
	at = Creation
	data, err := json.MarshalIndent(config, "", "  ")
	if err != nil {
		return config, err
	}
	if err := owner.Take(home); err != nil {
		return config, err
	}
	if err := owner.WriteRecord(home.Config(), append(data, '\n')); err != nil {
		return config, err
	}
	r.Log.Step(Creation, Done, string(home))
	return config, nil
}

// zone is the machine's time zone.
func zone(now time.Time) string {
	text := now.Local().Format("MST, UTC-07:00")
	if path, err := os.Readlink("/etc/localtime"); err == nil {
		if _, name, ok := strings.Cut(path, "zoneinfo/"); ok {
			return name + ", " + text
		}
	}
	return text
}

// vacant says whether home can become an appliance.
func vacant(home appliance.Home) error {
	entries, err := os.ReadDir(string(home))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if _, err := os.Lstat(home.Config()); err == nil {
		return appliance.Faultf("sealgated run --home "+string(home)+" runs it", "%s holds an appliance already", home)
	}
	for _, e := range entries {
		if e.Name() != "lost+found" && e.Name() != appliance.AnchorsName {
			return appliance.Faultf("if an interrupted init left it, delete the folder and start again",
				"%s is not empty (%s)", home, e.Name())
		}
	}
	return nil
}
