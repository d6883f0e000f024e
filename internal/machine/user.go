package machine

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/pem"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"

	"golang.org/x/crypto/ssh"

	"sealgate/internal/peers"
)

// User is somebody with an account here, a password and a key, who logs in at
// Server.
type User struct {
	*peers.Account
	Home   string
	Key    ssh.Signer
	Server *peers.Server

	folder string // holds what a client knows: key, known_hosts
}

// NewUser makes an account with the sealed shell, in those groups, with a home
// of its own. dir takes its home and its client's files.
func NewUser(server *peers.Server, dir string, groups ...string) (*User, error) {
	return NewShellUser(server, dir, "/usr/bin/sealsh", groups...)
}

// NewStranger makes an account that has nothing to do with the appliance.
func NewStranger(server *peers.Server, dir string) (*User, error) {
	return NewShellUser(server, dir, "/bin/sh")
}

// NewShellUser makes an account with that login shell.
func NewShellUser(server *peers.Server, dir, shell string, groups ...string) (*User, error) {
	folder, err := os.MkdirTemp(dir, "client-")
	if err != nil {
		return nil, err
	}
	home, err := os.MkdirTemp("/home", "test-")
	if err != nil {
		return nil, err
	}
	u := &User{Home: home, Server: server, folder: folder}
	if u.Account, err = peers.NewAccountFor(shell, home, groups...); err != nil {
		return nil, err
	}
	if err := u.Plant(".hushlogin", ""); err != nil {
		return nil, err
	}
	return u, u.makeKey()
}

// Plant writes a file into the user's home, as its own, folders included.
func (u *User) Plant(name, text string) error {
	path := filepath.Join(u.Home, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	return errors.Join(os.WriteFile(path, []byte(text), 0o600), chownAll(u.Home, u.UID, u.GID))
}

func chownAll(dir string, uid, gid int) error {
	return filepath.WalkDir(dir, func(path string, _ os.DirEntry, err error) error {
		return errors.Join(err, os.Lchown(path, uid, gid))
	})
}

func (u *User) makeKey() error {
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return err
	}
	block, err := ssh.MarshalPrivateKey(private, "")
	if err != nil {
		return err
	}
	if u.Key, err = ssh.NewSignerFromKey(private); err != nil {
		return err
	}
	known := fmt.Sprintf("[%s]:%d %s", u.Server.Host, u.Server.Port, ssh.MarshalAuthorizedKey(u.Server.HostKeys[0]))
	return errors.Join(
		os.WriteFile(u.keyFile(), pem.EncodeToMemory(block), 0o600),
		os.WriteFile(u.knownHosts(), []byte(known), 0o600),
	)
}

func (u *User) keyFile() string    { return filepath.Join(u.folder, "key") }
func (u *User) knownHosts() string { return filepath.Join(u.folder, "known_hosts") }

// AuthorizedKey is the line that admits the user's key.
func (u *User) AuthorizedKey() string { return string(ssh.MarshalAuthorizedKey(u.Key.PublicKey())) }

// Admit puts the key where the installation's sshd looks for it.
func (u *User) Admit() error {
	return os.WriteFile(filepath.Join("/etc/sealgate/authorized_keys", u.Name), []byte(u.AuthorizedKey()), 0o644)
}

// Flags are what the distribution's ssh, scp and sftp need to log in with the
// key, and nothing of this machine's own client configuration.
func (u *User) Flags() []string {
	return []string{"-F", "none", "-i", u.keyFile(),
		"-o", "IdentitiesOnly=yes", "-o", "BatchMode=yes", "-o", "StrictHostKeyChecking=yes",
		"-o", "HostKeyAlgorithms=" + u.Server.HostKeys[0].Type(),
		"-o", "UserKnownHostsFile=" + u.knownHosts(), "-o", "Port=" + strconv.Itoa(u.Server.Port)}
}

// At is the user's login as a client names it.
func (u *User) At() string { return u.Name + "@" + u.Server.Host }

// SSH is `ssh FLAGS user@host WORDS…`, about to log in with the key.
func (u *User) SSH(flags []string, words ...string) *exec.Cmd {
	args := append(append(u.Flags(), flags...), u.At())
	return exec.Command("ssh", append(args, words...)...)
}

// Dial logs in without the distribution's client, which refuses some of what
// an attacker would send.
func (u *User) Dial(auth ssh.AuthMethod) (*ssh.Client, error) {
	return ssh.Dial("tcp", net.JoinHostPort(u.Server.Host, strconv.Itoa(u.Server.Port)), &ssh.ClientConfig{
		User: u.Name, Auth: []ssh.AuthMethod{auth},
		HostKeyCallback:   ssh.FixedHostKey(u.Server.HostKeys[0]),
		HostKeyAlgorithms: []string{u.Server.HostKeys[0].Type()},
	})
}
