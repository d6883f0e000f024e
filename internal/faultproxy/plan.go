package faultproxy

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"time"
)

// Kind is what a fault does.
type Kind string

const (
	Cut     Kind = "cut"        // both ends read end of file; what they still send is swallowed
	Reset   Kind = "reset"      // both ends are reset
	Hole    Kind = "black hole" // what is sent in this direction is swallowed, and nothing is closed
	Corrupt Kind = "corrupt"    // one bit of the byte is turned over
)

// Direction is where bytes go.
type Direction int

const (
	Up   Direction = iota // from the client to the server
	Down                  // from the server to the client
)

func (d Direction) String() string { return [...]string{"up", "down"}[d] }

// Fault strikes once: when the byte At comes by, counted from 0 over all connections of the proxy in its direction.
// That byte is not carried any more, unless it is corrupted.
type Fault struct {
	Kind      Kind
	Direction Direction
	At        int64
	// Wide strikes all connections that are open then, and not only the one that carries the byte.
	Wide bool
}

func (f Fault) String() string {
	text := fmt.Sprintf("%s at byte %d %s", f.Kind, f.At, f.Direction)
	if f.Wide {
		text += ", everywhere"
	}
	return text
}

// Path is one direction of every connection. The zero value is as good as loopback.
type Path struct {
	Delay time.Duration // of each byte, one way
	Rate  int64         // bytes a second on each connection; 0 has no limit
}

// Plan is how bad the network is.
type Plan struct {
	Paths  [2]Path // by Direction
	Faults []Fault
}

// String is the plan in words that tell how to make it again.
func (p Plan) String() string {
	var parts []string
	for direction, path := range p.Paths {
		if path != (Path{}) {
			parts = append(parts, fmt.Sprintf("%s %v late, %d B/s", Direction(direction), path.Delay, path.Rate))
		}
	}
	for _, fault := range p.Faults {
		parts = append(parts, fault.String())
	}
	return strings.Join(parts, "; ")
}

// early is where logins and handshakes are: half of all faults strike there.
const early = 8 << 10

// Random is seed's plan: one to three faults of these kinds in connections that carry about size bytes in each
// direction, which may also be late and slow. The same arguments give the same plan.
func Random(seed uint64, size [2]int64, kinds ...Kind) Plan {
	r := rand.New(rand.NewPCG(seed, 0))
	var plan Plan
	for direction := range plan.Paths {
		if r.IntN(4) == 0 {
			plan.Paths[direction].Delay = time.Duration(r.Int64N(int64(3 * time.Millisecond)))
		}
		if r.IntN(8) == 0 {
			plan.Paths[direction].Rate = 4<<20 + r.Int64N(16<<20)
		}
	}
	for range 1 + r.IntN(3) {
		fault := Fault{Kind: kinds[r.IntN(len(kinds))], Direction: Direction(r.IntN(2)), Wide: r.IntN(3) == 0}
		reach := size[fault.Direction]
		if r.IntN(2) == 0 {
			reach = min(reach, early)
		}
		fault.At = r.Int64N(max(reach, 1))
		plan.Faults = append(plan.Faults, fault)
	}
	return plan
}

// Storm is thousands of faults of these kinds, one after the other, for connections that go on for minutes.
func Storm(r *rand.Rand, kinds ...Kind) Plan {
	var plan Plan
	for d := range plan.Paths {
		at := int64(0)
		for range 2000 {
			at += 200 + r.Int64N(20_000)
			plan.Faults = append(plan.Faults, Fault{Kind: kinds[r.IntN(len(kinds))], Direction: Direction(d), At: at, Wide: r.IntN(3) == 0})
		}
	}
	return plan
}
