package peers_test

import (
	"bufio"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"strings"
	"syscall"
	"testing"
	"time"

	"sealgate/internal/peers"
)

// childEnv makes the test binary start one server, say where, and wait to be killed.
const childEnv = "SEALGATE_PEERS_CHILD"

func TestMain(m *testing.M) {
	if os.Getenv(childEnv) != "" {
		s, err := peers.StartVSFTPD(peers.VSFTPDConfig{})
		if err != nil {
			fmt.Println("error", err)
			os.Exit(1)
		}
		fmt.Println(s.Addr, s.User, s.Root)
		select {}
	}
	os.Exit(m.Run())
}

func TestStopLeavesNothing(t *testing.T) {
	starts := map[string]func(*peers.Account) (*peers.Server, error){
		"sshd": func(a *peers.Account) (*peers.Server, error) { return peers.StartSSHD(peers.SSHDConfig{Account: a}) },
		"vsftpd": func(a *peers.Account) (*peers.Server, error) {
			return peers.StartVSFTPD(peers.VSFTPDConfig{Account: a})
		},
		"nginx": func(a *peers.Account) (*peers.Server, error) { return peers.StartNginx(peers.NginxConfig{Account: a}) },
	}
	account, err := peers.NewAccount()
	if err != nil {
		t.Fatal(err)
	}
	for name, start := range starts {
		t.Run(name, func(t *testing.T) {
			s, err := start(account)
			if err != nil {
				t.Fatal(err)
			}
			open, err := net.Dial("tcp", s.Addr)
			if err != nil {
				t.Fatal(err)
			}
			defer open.Close()
			s.Stop()
			s.Stop()
			mustBeClosed(t, s.Addr)
			if _, err := os.Stat(s.Root); !os.IsNotExist(err) {
				t.Errorf("the folder is left: %v", err)
			}
		})
	}
	if err := account.Remove(); err != nil {
		t.Fatal(err)
	}
	if _, err := user.Lookup(account.Name); err == nil {
		t.Errorf("the account %s is left", account.Name)
	}
}

// A test that is killed cannot clean up: its servers end with it, and the next run removes the rest.
func TestKilledRunLeavesNothing(t *testing.T) {
	child := exec.Command(os.Args[0])
	child.Env = append(os.Environ(), childEnv+"=1")
	child.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	line, _ := bufio.NewReader(out).ReadString('\n')
	child.Process.Kill()
	child.Wait()
	fields := strings.Fields(line)
	if len(fields) != 3 {
		t.Fatalf("the child said %q", line)
	}
	mustBeClosed(t, fields[0])
	account, err := peers.NewAccount()
	if err != nil {
		t.Fatal(err)
	}
	defer account.Remove()
	if _, err := user.Lookup(fields[1]); err == nil {
		t.Errorf("the account %s is left", fields[1])
	}
	if _, err := os.Stat(fields[2]); !os.IsNotExist(err) {
		t.Errorf("the folder %s is left: %v", fields[2], err)
	}
}

func mustBeClosed(t *testing.T, addr string) {
	t.Helper()
	for range 100 {
		c, err := net.Dial("tcp", addr)
		if err != nil {
			return
		}
		c.Close()
		time.Sleep(20 * time.Millisecond)
	}
	t.Errorf("something still listens on %s", addr)
}

// Servers listen only when their tests do, and some on passive ports only now and then: nobody else may be given those.
func TestPortsAreGivenOnce(t *testing.T) {
	given := make(map[int]bool)
	for range 50 {
		first := peers.FreePorts(t, "127.0.0.1", 16)
		for port := first; port < first+16; port++ {
			if given[port] {
				t.Fatalf("port %d is given twice", port)
			}
			given[port] = true
		}
	}
	claim, err := net.ListenPacket("unixgram", fmt.Sprintf("@sealgate-test-port-%d", peers.FreePort(t, "127.0.0.1")))
	if err == nil {
		claim.Close()
		t.Error("another process could have that port, too")
	}
}
