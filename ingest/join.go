package ingest

import (
	"tongxiang/internal/media"
	"tongxiang/internal/stream"
)

// join leads one track of a source into one track of the channel: times and sequence
// numbers go on behind what an earlier source wrote, and the form becomes that of
// the channel's track.
type join struct {
	out    *outlet
	format media.Format
	begun  bool
	seq    int64 // added to sequence numbers

	frames  *media.Depacketizer // the source writes packets, the channel has frames
	packets *media.Packetizer   // the other way round
}

// convertible reports whether items of a format can be brought into a form.
func convertible(f media.Format, to stream.Form) bool {
	var err error
	if to == stream.Frames {
		_, err = media.NewDepacketizer(f)
	} else {
		_, err = media.NewPacketizer(f)
	}
	return err == nil
}

func newJoin(from stream.TrackInfo, o *outlet) *join {
	j := &join{out: o, format: from.Format}
	to := o.track.Info().Form
	// The errors were looked at by convertible.
	switch {
	case from.Form == stream.Packets && to == stream.Frames:
		j.frames, _ = media.NewDepacketizer(from.Format)
	case from.Form == stream.Frames && to == stream.Packets:
		j.packets, _ = media.NewPacketizer(from.Format)
	}
	return j
}

// write passes an item on and returns its time as written; ok is false when it was
// left out because it lies before what an earlier source wrote. Items may be shared
// with others, so what changes is a copy.
func (j *join) write(i item, shift media.Time) (t media.Time, ok bool) {
	switch {
	case i.frame != nil && j.packets != nil:
		f := *i.frame
		f.PTS, f.DTS = f.PTS+shift, f.DTS+shift
		for _, p := range j.packets.Push(&f) {
			if j.packet(p) {
				t, ok = max(t, p.Time), true
			}
		}
	case i.frame != nil:
		f := i.frame
		if shift != 0 || !j.begun {
			c := *f
			f = &c
			f.PTS, f.DTS = f.PTS+shift, f.DTS+shift
		}
		return f.DTS, j.frame(f)
	default:
		p := i.packet
		if shift != 0 || j.seq != 0 || !j.begun {
			c := *p
			p = &c
			p.Time += shift
			p.Timestamp += shift.Ticks(max(j.format.ClockRate, 1))
		}
		if j.frames == nil {
			return p.Time, j.packet(p)
		}
		for _, f := range j.frames.Push(p) {
			if j.frame(f) {
				t, ok = max(t, f.DTS), true
			}
		}
	}
	return t, ok
}

// frame writes a frame that is ours.
func (j *join) frame(f *media.Frame) bool {
	o := j.out
	if !j.begun {
		if o.begun {
			if f.DTS <= o.last {
				return false
			}
			f.Gap = true
		}
		j.begun, o.begun = true, true
	}
	o.last = max(o.last, f.DTS)
	o.track.WriteFrame(f)
	return true
}

// packet writes a packet that is ours.
func (j *join) packet(p *media.Packet) bool {
	o := j.out
	if !j.begun {
		if o.begun {
			if p.Time <= o.last || !p.Start && !p.Sync {
				return false
			}
			j.seq = o.sequence + sequenceGap - p.Sequence
		}
		j.begun, o.begun = true, true
	}
	if j.seq != 0 { // then it is a copy
		p.Sequence += j.seq
	}
	o.sequence = max(o.sequence, p.Sequence)
	o.last = max(o.last, p.Time)
	o.track.WritePacket(p)
	return true
}
