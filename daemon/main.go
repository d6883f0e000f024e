package daemon

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/alecthomas/kong"
	"golang.org/x/sys/unix"

	"sealgate/appliance"
	"sealgate/appliance/audit"
	"sealgate/appliance/ftl"
	"sealgate/appliance/token"
	"sealgate/commands"
	"sealgate/control"
	"sealgate/daemon/job"
	"sealgate/daemon/launch"
	"sealgate/daemon/rootd"
	"sealgate/transfer"
)

// cli is what sealgated can be started as.
type cli struct {
	Init    initCmd        `cmd:"" help:"create an appliance"`
	Run     runCmd         `cmd:"" help:"run an appliance in the foreground"`
	Serve   serveCmd       `cmd:"" hidden:"" help:"what run starts in a release"`
	Role    roleCmd        `cmd:"" hidden:"" help:"a child of run"`
	Job     jobCmd         `cmd:"" hidden:"" help:"a child of run"`
	Verify  verifyAuditCmd `cmd:"" name:"verify-audit" help:"check the audit log for records that were changed, removed or inserted"`
	Version versionCmd     `cmd:"" help:"print the version"`
	Root    rootCmd        `cmd:"" help:"run the root service"`
}

// Main is sealgated. It returns the exit status.
func Main(args []string, stdout, stderr io.Writer) int {
	log := slog.New(slog.NewJSONHandler(stderr, nil))
	// Memory that holds secrets is written nowhere.
	if err := unix.Setrlimit(unix.RLIMIT_CORE, &unix.Rlimit{}); err != nil {
		return fail(stderr, fmt.Errorf("forbid core files: %w", err))
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()

	exited := -1
	k, err := kong.New(&cli{}, kong.Name("sealgated"), kong.Writers(stdout, stderr),
		kong.Description("The Sealgate daemon."), kong.Exit(func(code int) { exited = code }))
	if err != nil {
		return fail(stderr, err)
	}
	kctx, err := k.Parse(args)
	if exited >= 0 { // --help
		return exited
	}
	if err != nil {
		return fail(stderr, &commands.Failure{Exit: control.ExitUsage, Text: err.Error(), Hint: "sealgated --help"})
	}
	kctx.BindTo(ctx, (*context.Context)(nil))
	kctx.BindTo(stdout, (*io.Writer)(nil))
	kctx.Bind(console{stderr})
	if err := kctx.Run(log); err != nil {
		return fail(stderr, err)
	}
	return control.ExitDone
}

// fail prints an error as every program of ours does.
func fail(stderr io.Writer, err error) int {
	var status exitStatus
	if errors.As(err, &status) {
		return int(status)
	}
	r := commands.ResultOf(err)
	fmt.Fprintf(stderr, "sealgate: error: %s\n", r.Error)
	if r.Hint != "" {
		fmt.Fprintf(stderr, "sealgate: hint: %s\n", r.Hint)
	}
	return r.Exit
}

type initCmd struct {
	Home             string         `required:"" placeholder:"DIR" help:"folder for the appliance's state; must be empty or not exist"`
	Role             appliance.Role `required:"" enum:"mx,gateway" placeholder:"{mx,gateway}" help:"management server or gateway"`
	Name             string         `required:"" placeholder:"NAME" help:"the appliance's name, also in the names of its dumps"`
	Secrets          string         `required:"" placeholder:"FILE" help:"file with the lines system=…, secure=… and admin=…"`
	Listen           string         `default:"0.0.0.0:8083" placeholder:"ADDR:PORT" help:"management address (default 0.0.0.0:8083, all addresses; port 0 takes a free one)"`
	ManagementServer string         `placeholder:"HOST:PORT" help:"gateway: the management server to join at the first start, by the secure password"`
	GatewayGroup     string         `placeholder:"GROUP" help:"gateway: the group to join"`
	Alias            string         `placeholder:"NAME" help:"gateway: the alias of its data address (default AWS Default)"`
	DataAddress      string         `placeholder:"IP" help:"gateway: the address on which it serves (default: the one that reaches the management server)"`
	Licensing        string         `placeholder:"{byol,on-demand}" help:"gateway: how it counts at the management server (default byol)"`

	RegistrationToken string `placeholder:"FILE" help:"gateway: file with a registration token, to join by instead of the secure password"`

	AssetTag     string   `placeholder:"TEXT" help:"what your inventory calls the machine; impctl platform show and support bundles tell it"`
	Deployment   string   `placeholder:"ID" help:"what the appliances of a scaling group or a pair share; a licence may be bound to it"`
	License      string   `placeholder:"FILE" help:"file with a licence key: the appliance is unsealed from the start"`
	Hotfix       string   `placeholder:"URL" help:"a patch that the appliance installs when it first starts: ftp://, http:// or https://, without a password"`
	AllowNetwork []string `placeholder:"NETWORK" help:"let transfers connect to a network that is refused by default, such as 127.0.0.0/8"`
}

// maxOneLine bounds a file of one line, in bytes.
const maxOneLine = 4 << 10

// lineOf reads what stands in the file of a flag, if there is one.
func lineOf(flag, path, what string) (string, error) {
	if path == "" {
		return "", nil
	}
	file, err := os.Open(path)
	if err != nil {
		return "", appliance.Faultf("write the "+what+", one line, into a file", "%s: %w", flag, err)
	}
	defer file.Close()
	data, err := io.ReadAll(io.LimitReader(file, maxOneLine))
	if err == nil && len(bytes.TrimSpace(data)) == 0 {
		err = appliance.Faultf("write the "+what+", one line, into it", "it is empty")
	}
	if err != nil {
		return "", fmt.Errorf("%s %s: %w", flag, path, err)
	}
	return string(bytes.TrimSpace(data)), nil
}

// token reads the registration token, if there is one.
func (c *initCmd) token() (string, error) {
	text, err := lineOf("--registration-token", c.RegistrationToken, "registration token")
	if err != nil || text == "" {
		return "", err
	}
	if c.ManagementServer == "" {
		return "", appliance.Faultf("say at which one: --management-server HOST:PORT", "--registration-token is for joining a management server")
	}
	if _, err := token.Parse(text); err != nil {
		return "", fmt.Errorf("--registration-token %s: %w", c.RegistrationToken, err)
	}
	return text, nil
}

func (c *initCmd) Run(ctx context.Context, stdout io.Writer) error {
	rules, err := allowRules(c.AllowNetwork)
	if err != nil {
		return err
	}
	if err := checkHotfix(c.Hotfix); err != nil {
		return err
	}
	file, err := os.Open(c.Secrets)
	if err != nil {
		return appliance.Faultf("write the lines system=…, secure=… and admin=… into a file that only you can read", "--secrets: %w", err)
	}
	defer file.Close()
	secrets, err := ftl.ReadSecrets(file)
	if err != nil {
		return fmt.Errorf("--secrets %s: %w", c.Secrets, err)
	}
	if info, err := file.Stat(); err == nil && info.Mode().Perm()&0o077 != 0 {
		fmt.Fprintf(stdout, "others can read %s: delete it, or chmod 600\n", c.Secrets)
	}
	license, err := lineOf("--license", c.License, "licence key")
	if err != nil {
		return err
	}
	token, err := c.token()
	if err != nil {
		return err
	}
	config, err := ftl.Create(ctx, appliance.Home(c.Home), ftl.Request{
		Role: c.Role, Name: c.Name, Listen: c.Listen, AssetTag: c.AssetTag,
		Joining: appliance.Joining{ManagementServer: c.ManagementServer, GatewayGroup: c.GatewayGroup,
			Alias: c.Alias, DataAddress: c.DataAddress, Licensing: c.Licensing},
		Token: token, Deployment: c.Deployment, License: license, Hotfix: c.Hotfix, Also: rules.write,
		Log: ftl.NewLog(appliance.Home(c.Home), machineConsole(appliance.Home(c.Home))),
	}, secrets, time.Now())
	if err != nil {
		return err
	}
	fmt.Fprintf(stdout, "created the %s %s in %s\nnext: sealgated run --home %s\n", config.Role.Title(), config.Name, c.Home, c.Home)
	return nil
}

// machineConsole is where an owner looks who cannot log in yet: that of the machine
// whose appliance is made, if we may write there.
func machineConsole(home appliance.Home) io.Writer {
	if !home.Installed() {
		return io.Discard
	}
	file, err := os.OpenFile("/dev/console", os.O_WRONLY|unix.O_NOCTTY|unix.O_NONBLOCK, 0)
	if err != nil {
		return io.Discard
	}
	return file
}

// allowed are the networks that a new appliance's transfers may connect to.
type allowed []transfer.Rule

func (a allowed) write(home appliance.Home) error {
	for _, rule := range a {
		if err := transfer.ChangePolicy(home.TransferPolicy(), rule); err != nil {
			return err
		}
	}
	return nil
}

func allowRules(networks []string) (allowed, error) {
	var rules allowed
	for _, raw := range networks {
		network, err := transfer.ParseNetwork(raw)
		if err != nil {
			return nil, &commands.Failure{Exit: control.ExitUsage, Text: fmt.Sprintf("--allow-network: %q is not a network", raw), Hint: commands.ResultOf(err).Hint}
		}
		rules = append(rules, transfer.Rule{Network: network, Allow: true})
	}
	return rules, nil
}

// place is where an appliance is, and its surroundings.
type place struct {
	Home          string        `default:"/var/lib/sealgate" placeholder:"DIR" help:"the appliance's folder"`
	Syslog        string        `default:"/dev/log" placeholder:"SOCKET" help:"where the audit log's head is kept as well (default /dev/log)"`
	HealthyWithin time.Duration `default:"10m" placeholder:"TIME" help:"how long a patched release may take to come up before the one before runs again (default 10m)"`
}

// args are the flags that say so. Children work elsewhere: the folder's path is
// absolute.
func (p *place) args() []string {
	return []string{"--home", p.Home, "--syslog", p.Syslog, "--healthy-within", p.HealthyWithin.String()}
}

func (p *place) absolute() (err error) {
	p.Home, err = filepath.Abs(p.Home)
	return err
}

// console is standard error.
type console struct{ io.Writer }

type runCmd struct{ place }

func (c *runCmd) Run(ctx context.Context, console console, stdout io.Writer, log *slog.Logger) error {
	if err := c.absolute(); err != nil {
		return err
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	home := appliance.Home(c.Home)
	l := launch.Launcher{
		Home: home, Deadline: c.HealthyWithin, Stderr: console, Log: log,
		Args: append(c.args(), "--base", control.Version, "--launcher", self),
		Lock: func() (io.Closer, error) {
			if _, err := home.Load(); err != nil { // nothing is made where no appliance is
				return nil, err
			}
			return lockHome(home)
		},
		Run: func(ctx context.Context) error {
			return Run(ctx, home, Options{Base: control.Version, Within: c.HealthyWithin, Console: console, SetUp: ftl.NewLog(home, stdout), Witnesses: []audit.Witness{audit.Syslog(c.Syslog)}})
		},
	}
	return c.again(l.Start(ctx), self)
}

// again puts the launcher in this process's place, if that is how it ended.
func (p *place) again(end error, launcher string) error {
	if !errors.Is(end, launch.ErrAgain) {
		return end
	}
	return unix.Exec(launcher, append([]string{"sealgated", "run"}, p.args()...), os.Environ())
}

// serveCmd is the appliance in a release. Its flags are what every launcher, of
// whatever release, says.
type serveCmd struct {
	place
	Base     string `required:""`
	Launcher string `required:""`
	Trial    bool
}

func (c *serveCmd) Run(ctx context.Context, console console, stdout io.Writer) error {
	home := appliance.Home(c.Home)
	o := Options{Base: c.Base, Within: c.HealthyWithin, Console: console, SetUp: ftl.NewLog(home, stdout), Witnesses: []audit.Witness{audit.Syslog(c.Syslog)}}
	if c.Trial {
		o.Healthy = os.NewFile(launch.TrialFD, "launcher")
		unix.CloseOnExec(launch.TrialFD)
	}
	err := Run(ctx, home, o)
	if c.Trial && errors.Is(err, launch.ErrAgain) {
		return exitStatus(launch.Again)
	}
	return c.again(err, c.Launcher)
}

type rootCmd struct {
	Socket string `placeholder:"PATH" help:"listen there instead of on the socket that systemd passes"`
}

func (c *rootCmd) Run(ctx context.Context, log *slog.Logger) error {
	return rootd.Run(ctx, c.Socket, log)
}

type roleCmd struct {
	Which appliance.Role `arg:"" enum:"mx,gateway"`
	Home  string         `required:""`
}

func (c *roleCmd) Run(ctx context.Context, log *slog.Logger) error {
	log = log.With("role", c.Which)
	if err := runRole(ctx, c.Which, appliance.Home(c.Home), log); err != nil {
		log.Error("the role ends", "error", err.Error())
		return exitStatus(control.ExitFailed)
	}
	return nil
}

type jobCmd struct{}

func (jobCmd) Run(ctx context.Context, log *slog.Logger) error {
	if status := job.Main(ctx, log); status != 0 {
		return exitStatus(status)
	}
	return nil
}

// exitStatus is an error that was reported already.
type exitStatus int

func (s exitStatus) Error() string { return fmt.Sprintf("exit status %d", int(s)) }

type versionCmd struct{}

func (versionCmd) Run(stdout io.Writer) error {
	_, err := fmt.Fprintf(stdout, "%s %s\n", commands.Product, control.Version)
	return err
}
