package hub

import (
	"slices"
	"time"
)

// copies tell whether a gateway's key is in two machines: a start of the gateway that
// another one has followed goes on polling.
type copies struct {
	starts   []string // that polled, the last one at the end
	returned int      // how often one of the others came back
	last     time.Time
}

// A poll may be overtaken by one of the next start on the way, so that one that comes back
// means little. Two machines take turns, since each poll ends the other's.
const (
	startsKept    = 8
	manyReturned  = 5
	returnedWhile = silentAfter
)

func (c *copies) hear(start string, now time.Time) {
	at := slices.Index(c.starts, start)
	if start == "" || at >= 0 && at == len(c.starts)-1 { // a release before this one draws none
		return
	}
	if at >= 0 {
		if now.Sub(c.last) > returnedWhile {
			c.returned = 0
		}
		c.returned, c.last = c.returned+1, now
		c.starts = slices.Delete(c.starts, at, at+1)
	}
	c.starts = append(c.starts, start)
	c.starts = c.starts[max(len(c.starts)-startsKept, 0):]
}

func (c *copies) there(now time.Time) bool {
	return c.returned >= manyReturned && now.Sub(c.last) <= returnedWhile
}
