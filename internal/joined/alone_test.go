package joined

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"testing"
	"time"

	"sealgate/internal/peers"
)

// A daemon that is killed leaves its role, which ends by itself when the requests that
// are under way are answered. The next daemon's role waits for it: two that write one
// spool would lose what either of them tells.
func TestRolesOfAHomeDoNotMeet(t *testing.T) {
	origin := newOrigin(t)
	mx := newManagement(t, "mx1", "127.0.0.21")
	port := peers.FreePort(t, "127.0.0.31")
	g := newGateway(t, "gw1", "127.0.0.31", port, "--management-server", mx.address)
	g.connected()
	mx.protect(port, origin)
	mx.reach([]*gateway{g}, "active", 403)

	conn, err := net.Dial("tcp", g.serves)
	must(t, err)
	defer conn.Close()
	const form = "q=1%27+union+select+password+from+users--"
	fmt.Fprintf(conn, "POST /slow HTTP/1.1\r\nHost: shop.example\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: %d\r\n\r\n%s", len(form), form[:len(form)-1])
	g.blocks("/before") // so the other request is there, too
	mx.comes(g, "/before", "block")
	g.Kill()
	started := make(chan error, 1)
	go func() { started <- g.Start() }()
	select {
	case err := <-started:
		started <- err
		g.blocks("/meanwhile")
	case <-time.After(time.Second):
	}
	io.WriteString(conn, form[len(form)-1:])
	conn.SetReadDeadline(time.Now().Add(time.Minute))
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	must(t, err)
	body, err := io.ReadAll(resp.Body)
	if event := eventID.FindSubmatch(body); err != nil || resp.StatusCode != 403 || event == nil {
		t.Fatalf("the slow attack: %d %s %v", resp.StatusCode, body, err)
	}
	must(t, <-started)
	g.blocks("/after")
	mx.comes(g, "/after", "block")
	mx.comes(g, "/slow", "block")
}
