package proxy

import (
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"

	"sealgate/daemon/gateway/http1"
)

// deadlines is an answer's writer that counts who touches it.
type deadlines struct {
	*httptest.ResponseRecorder
	set int
}

func (d *deadlines) SetReadDeadline(time.Time) error { d.set++; return nil }

// The hole: the transport reads a body for a while after its exchange is over, and when the
// patience with that read ended it touched an answer's writer that HTTP/2 had taken back:
// the gateway's process died of it. What must hold: it touches none then.
func TestPatienceEndsWithTheExchange(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := New(Options{})
		for over, want := range map[bool]int{false: 1, true: 0} {
			w := &deadlines{ResponseRecorder: httptest.NewRecorder()}
			body, client := io.Pipe()
			r := httptest.NewRequest("POST", "/", nil)
			x := exchange{p: p, w: w, r: r, timed: &timedBody{ReadCloser: body, control: http.NewResponseController(w), limits: &http1.Limits{Slow: time.Minute}}}
			ended := make(chan bool)
			go func() {
				x.timed.Read(make([]byte, 1))
				close(ended)
			}()
			synctest.Wait()
			if over {
				x.done()
			}
			time.Sleep(2 * time.Minute)
			synctest.Wait()
			if w.set != want {
				t.Errorf("the exchange is over: %v; its answer's writer was touched %d times", over, w.set)
			}
			client.Close()
			<-ended
		}
	})
}
