package transfer_test

import (
	"context"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"testing"
	"time"
	"fmt"

	"sealgate/transfer"
)

type unk struct{ transfer.Source }

func (u unk) Size() int64 { return -1 }

func TestZPerf(t *testing.T) {
	path := "/dev/shm/perf.bin"
	f, _ := os.Create(path)
	r, _ := (&random{size: 512 << 20}).Open(context.Background())
	io.Copy(f, r)
	f.Close()
	defer os.Remove(path)
	for range 3 { eachPlace(t, func(t *testing.T, p *place) { if p.name != "ftp" && p.name != "ftps" && p.name != "https" { return }
		for round := range 1 {
			var src transfer.Source = transfer.File(path)
			if round == 1 {
				src = unk{src}
			}
			runtime.GC()
			stop := make(chan uint64)
			go func() {
				var peak uint64
				for {
					var m runtime.MemStats
					runtime.ReadMemStats(&m)
					peak = max(peak, m.HeapInuse+m.StackInuse)
					select {
					case <-time.After(50 * time.Millisecond):
					case stop <- peak:
						return
					}
				}
			}()
			s := time.Now()
			if _, err := p.upload(t, t.Context(), "f", src); err != nil {
				t.Fatal(err)
			}
			fmt.Printf("%s unknown=%v %.0f MB/s peak heap %d MB\n", p.name, round == 1, 512/time.Since(s).Seconds(), (<-stop)>>20)
		}
		var args []string
		switch p.name {
		case "ftps":
			args = []string{"--ssl-reqd", "--cacert", p.server.CertFile}
		case "https":
			args = []string{"--cacert", p.server.CertFile}
		case "scp":
			args = []string{"-k"}
		}
		scheme := p.protocol
		if scheme == "scp" {
			scheme = "sftp"
		}
		args = append(args, "-sS", "-u", p.server.User+":"+p.server.Password, "-T", path, scheme+"://"+p.url("c"))
		s := time.Now()
		out, err := exec.Command("curl", args...).CombinedOutput()
		fmt.Printf("%s curl %.0f MB/s %v %s\n", p.name, 512/time.Since(s).Seconds(), err, out)
		os.RemoveAll(filepath.Join(p.folder, "f"))
	})
	}
}
