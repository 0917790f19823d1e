package mpegts

import (
	"slices"

	"tongxiang/internal/media"
	core "tongxiang/internal/mpegts"
)

const (
	// runLength is how many bytes of packets are handed over at once at most.
	runLength = 340 * core.PacketSize
	// runAge is how old the first of them may become, in nanoseconds. It is also how
	// often tables are written: DVB wants them twice a second, a player that joins more.
	runAge = int64(100e6)
)

// raw hands the packets of one programme over as they came: its streams and its
// clock, under tables of its own. It belongs to its mux, which calls it locked.
type raw struct {
	r        *receiver
	service  *core.Service
	tables   core.Tables
	picture  uint16 // PID of the first picture; 0: none
	kind     byte   // its stream_type
	run      []byte
	size     int // of the last run, a guess at the next
	sync     bool
	gap      bool // what comes next continues nothing
	since    int64
	sequence int64
}

// raws are the programmes of a mux that somebody takes raw, by PID.
type raws struct {
	list  []*raw
	byPID [8192][]*raw
}

// rewire looks whether the programmes handed over raw are those that are wanted, and begins or ends them.
// The caller holds x.mu.
func (x *mux) rewire() {
	same := !x.stale
	wanted := 0
	for _, r := range x.receivers {
		if r.chosen != nil && r.chosen.Known && r.out.Raw.Wanted() {
			wanted++
			same = same && r.raw != nil
		} else {
			same = same && r.raw == nil
		}
	}
	if same {
		return
	}
	x.stale = false
	old := x.raws
	x.raws = nil
	if old != nil {
		for _, t := range old.list {
			t.flush()
		}
	}
	if wanted == 0 {
		for _, r := range x.receivers {
			r.raw = nil
		}
		x.demux.Tap(nil)
		return
	}
	x.raws = new(raws)
	for _, r := range x.receivers {
		if r.chosen == nil || !r.chosen.Known || !r.out.Raw.Wanted() {
			r.raw = nil
			continue
		}
		if r.raw == nil {
			r.raw = &raw{r: r, gap: true}
		}
		r.raw.follow(r.chosen, x.raws)
	}
	x.demux.Tap(func(p []byte) {
		for _, t := range x.raws.byPID[uint16(p[1]&0x1F)<<8|uint16(p[2])] {
			t.packet(p, x.now)
		}
	})
}

// follow takes the PIDs of a service.
func (t *raw) follow(s *core.Service, in *raws) {
	t.service, t.picture, t.kind = s, 0, 0
	in.list = append(in.list, t)
	take := func(pid uint16) {
		if pid != nullPID && !slices.Contains(in.byPID[pid], t) {
			in.byPID[pid] = append(in.byPID[pid], t)
		}
	}
	take(s.PCRPID)
	for _, st := range s.Streams {
		take(st.PID)
		if t.picture == 0 && st.Codec.Kind() == media.Video {
			t.picture, t.kind = st.PID, st.Type
		}
	}
}

// nullPID is that of stuffing, and of a PMT that has no clock.
const nullPID = 0x1FFF

// packet takes one packet of the service.
func (t *raw) packet(p []byte, now int64) {
	start := uint16(p[1]&0x1F)<<8|uint16(p[2]) == t.picture && p[1]&0x40 != 0 && core.RandomAccess(p, t.kind)
	if start || len(t.run) >= runLength {
		t.flush()
	}
	if len(t.run) == 0 {
		t.run = t.tables.Append(make([]byte, 0, t.size+8*core.PacketSize), t.service)
		t.since, t.sync = now, start || t.picture == 0
	}
	t.run = append(t.run, p...)
}

// flush hands over what there is.
func (t *raw) flush() {
	if len(t.run) == 0 {
		return
	}
	t.size = len(t.run)
	t.sequence++
	t.r.out.Raw.Write(&media.Packet{
		Sequence: t.sequence, Arrival: t.since, Payload: t.run, Codec: media.Unknown, Sync: t.sync, Start: t.sync, Gap: t.gap,
	})
	t.run, t.gap = nil, false
}

// anew says that the clock of what comes does not go on from what came.
func (t *raw) anew() {
	t.flush()
	t.gap = true
}

// late hands over what has waited long enough.
func (t *raw) late(now int64) {
	if len(t.run) > 0 && now-t.since >= runAge {
		t.flush()
	}
}
