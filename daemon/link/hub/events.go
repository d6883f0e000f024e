package hub

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"regexp"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/klauspost/compress/zstd"

	"sealgate/appliance/spool"
	"sealgate/appliance/store"
	"sealgate/daemon/gateway/event"
	"sealgate/daemon/link"
)

// Bounds of what is in memory of events.
const (
	places    = 16              // batches that are read or wait to be stored
	placeTime = 5 * time.Second // that one waits for its place
	together  = 4000            // violations that are stored in one transaction, about
	maxNumber = 1 << 62
	maxLine   = spool.MaxRecord + 100 // bytes; the number stands before the record
)

// validID is an id that a gateway may give: an event's, and a number behind it for each
// further match of one request.
var validID = regexp.MustCompile(`^[0-9A-Za-z]{1,64}(-[0-9]{1,5})?$`)

// intake stores what gateways deliver. Batches that come while others are stored are
// stored together: a thousand gateways with an event each are one transaction.
type intake struct {
	aggregator *store.Aggregator
	room       func() error
	log        *slog.Logger
	places     chan struct{}
	queue      chan *delivery
	decoder    *zstd.Decoder
	failing    atomic.Bool // the last batch was not stored
	refused    atomic.Bool // one was, for want of room, since old events were to make some
	off        int         // events whose time cannot be, that were not told of
	offTold    time.Time
}

// delivery is a batch on its way into the database.
type delivery struct {
	store.Delivery
	passed int // records that are no events
	stored chan error
}

func newIntake(a *store.Aggregator, room func() error, log *slog.Logger) *intake {
	decoder, err := zstd.NewReader(nil, zstd.WithDecoderMaxMemory(link.MaxBatch), zstd.WithDecoderConcurrency(2), zstd.WithDecoderLowmem(true))
	if err != nil {
		panic(err) // the options are constant
	}
	return &intake{aggregator: a, room: room, log: log, places: make(chan struct{}, places), queue: make(chan *delivery), decoder: decoder}
}

// take answers a batch of a gateway's events when they are on the disk.
func (h *Hub) take(w http.ResponseWriter, r *http.Request, from link.Gateway) error {
	h.mu.Lock()
	g := h.gateways[from.GatewayID]
	free := g != nil && !g.delivering
	var name string
	if free {
		g.delivering, name = true, g.name
	}
	h.mu.Unlock()
	if !free {
		return &link.Problem{Code: link.Busy, Text: "the gateway has not polled yet, or another batch of it is on its way", After: 1}
	}
	defer func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		g.delivering = false
	}()
	begin := time.Now()
	select {
	case h.events.places <- struct{}{}:
	case <-r.Context().Done():
		return r.Context().Err()
	case <-time.After(placeTime):
		return &link.Problem{Code: link.Busy, Text: "the management server has many events to store", After: 2}
	}
	defer func() { <-h.events.places }()
	placed := time.Now()
	if err := http.NewResponseController(w).SetReadDeadline(placed.Add(link.BatchTime)); err != nil {
		return err
	}
	d, err := h.events.read(r, from.GatewayID, name)
	came := time.Since(placed)
	if err != nil {
		return &link.Problem{Code: link.BadRequest, Text: err.Error()}
	}
	if d.passed > 0 {
		h.mu.Lock()
		log := h.log(g)
		h.mu.Unlock()
		log.Warn("records of a gateway are no events that are known here", "gateway", name, "records", d.passed)
	}
	select {
	case h.events.queue <- d:
	case <-r.Context().Done():
		return r.Context().Err()
	}
	if err := <-d.stored; err != nil {
		return err
	}
	return link.Answer(w, link.Acknowledged{Sequence: d.Last, Waited: (time.Since(begin) - came).Milliseconds()})
}

// read reads a batch. A record that is no event is passed over and told of: it must
// not hold up those behind it for ever.
func (in *intake) read(r *http.Request, id, name string) (*delivery, error) {
	d := &delivery{Delivery: store.Delivery{GatewayID: id, Epoch: r.Header.Get(link.HeaderEpoch)}, stored: make(chan error, 1)}
	first, err := strconv.ParseUint(r.Header.Get(link.HeaderFirst), 10, 64)
	if err != nil {
		return nil, errors.New("a batch says which record is its first")
	}
	if d.Last, err = strconv.ParseUint(r.Header.Get(link.HeaderLast), 10, 64); err != nil || d.Last < first || d.Last > maxNumber {
		return nil, errors.New("a batch says which record is its last")
	}
	if len(d.Epoch) != 32 {
		return nil, errors.New("a batch says which epoch of the spool it is of")
	}
	body, err := io.ReadAll(io.LimitReader(r.Body, link.MaxBatch+1))
	if err != nil {
		return nil, err
	}
	if len(body) > link.MaxBatch {
		return nil, fmt.Errorf("a batch has more than %d bytes", link.MaxBatch)
	}
	lines, err := in.decoder.DecodeAll(body, nil)
	if err != nil {
		return nil, errors.New("a batch is not zstd, or too large")
	}
	for line := range bytes.Lines(lines) {
		e, ok := read(line, first, d.Last)
		if !ok || !d.add(e, name) {
			d.passed++
			continue
		}
		first = e.Sequence + 1
	}
	return d, nil
}

// sent is a line of a batch.
type sent struct {
	Sequence uint64       `json:"sequence"`
	Record   event.Record `json:"record"`
}

func read(line []byte, first, last uint64) (e sent, ok bool) {
	ok = len(line) <= maxLine && json.Unmarshal(line, &e) == nil && e.Sequence >= first && e.Sequence <= last
	return e, ok
}

// add adds a record to the delivery, if it is an event: one of the gateway of that name,
// whatever it calls itself.
func (d *delivery) add(e sent, gateway string) bool {
	switch {
	case e.Record.Kind == event.Violation && e.Record.Violation != nil && validID.MatchString(e.Record.Violation.ID):
		v := *e.Record.Violation
		v.Gateway = gateway
		d.Violations = append(d.Violations, store.Delivered{Sequence: e.Sequence, Violation: v})
		return true
	case e.Record.Kind == event.System:
		told, ok := systemEvent(e.Record.System, gateway)
		if ok {
			d.Events = append(d.Events, told)
		}
		return ok
	}
	return false
}

// run stores what is queued until ctx ends.
func (in *intake) run(ctx context.Context) {
	for {
		select {
		case d := <-in.queue:
			in.store(ctx, in.gather(d))
		case <-ctx.Done():
			return
		}
	}
}

// gather adds what else is queued. A gateway has one batch on its way.
func (in *intake) gather(d *delivery) []*delivery {
	list, n := []*delivery{d}, d.size()
	for n < together {
		select {
		case d := <-in.queue:
			list, n = append(list, d), n+d.size()
		default:
			return list
		}
	}
	return list
}

func (d *delivery) size() int { return len(d.Violations) + len(d.Events) }

func (in *intake) store(ctx context.Context, list []*delivery) {
	deliveries := make([]store.Delivery, len(list))
	for i, d := range list {
		deliveries[i] = d.Delivery
	}
	off, err := 0, in.room()
	if err == nil {
		off, err = in.aggregator.Deliver(ctx, deliveries)
	} else if errors.Is(err, errNoRoom) {
		in.refused.Store(true)
	}
	if err != nil {
		if ctx.Err() == nil && !in.failing.Swap(true) {
			in.log.Error("events of gateways cannot be stored, they wait at the gateways", "error", err.Error())
		}
		err = &link.Problem{Code: link.Busy, Text: "the management server cannot store events", After: 5}
	} else if in.failing.Swap(false) {
		in.log.Info("events of gateways are stored again")
	}
	if in.off += off; in.off > 0 && time.Since(in.offTold) >= linesEvery {
		in.log.Warn("events had a time that cannot be, and were given the time at which they came", "events", in.off)
		in.off, in.offTold = 0, time.Now()
	}
	for _, d := range list {
		d.stored <- err
	}
}
