package rtsp

import (
	"math"

	"github.com/pion/rtcp"
	"github.com/pion/rtp"

	"tongxiang/internal/media"
	"tongxiang/internal/stream"
)

// lane is one track on its way to players. It belongs to its pump.
type lane struct {
	part
	payload uint8
	rate    int    // of the RTP clock that was described
	ssrc    uint32 // the library's

	track  *stream.Track
	cursor *stream.Cursor[media.Packet]
	head   *media.Packet // read, not sent

	begun    bool
	waits    bool       // for a place to start
	from     media.Time // what is earlier is passed over
	sequence int64
	offset   int64 // added to the hub's sequence numbers
	native   bool  // the hub's timestamps have the rate that was described
	shift    int64 // added to the hub's timestamps

	// of the newest packet sent, for reports
	time    media.Time
	stamp   uint32
	packets uint32
	octets  uint32
}

func newLane(p part, ssrc uint32) *lane {
	return &lane{part: p, payload: p.format.PayloadType(), rate: p.format.ClockRate(), ssrc: ssrc, from: math.MinInt64}
}

// attach follows a track, or none.
func (l *lane) attach(t *stream.Track, rd *stream.Reader, from stream.Start) error {
	l.detach()
	if t == nil {
		return nil
	}
	cursor, err := t.FollowPackets(rd, from)
	if err != nil {
		return err
	}
	l.track, l.cursor = t, cursor
	l.native = t.Format().ClockRate == l.rate
	return nil
}

func (l *lane) detach() {
	if l.cursor != nil {
		l.cursor.Close()
	}
	l.track, l.cursor, l.head = nil, nil, nil
	l.begun = false // numbers and times of the next track are others
}

// peek returns the next packet to send, or nil.
func (l *lane) peek(drops *stream.Drops) *media.Packet {
	for l.head == nil && l.cursor != nil {
		p := l.cursor.Next()
		if p == nil {
			return nil
		}
		if len(p.Payload) == 0 || p.Time < l.from {
			continue
		}
		if l.waits && !p.SyncPoint() {
			drops.Add(stream.DropWaitingForKeyFrame, 1)
			continue
		}
		l.waits = false
		l.head = p
	}
	return l.head
}

// next makes the RTP packet of what peek returned. The payload is the hub's. Numbers
// keep the source's gaps, so that a player sees what was lost before it came here.
func (l *lane) next() *rtp.Packet {
	p := l.head
	l.head = nil
	if !l.begun {
		l.begun = true
		l.offset = l.sequence + 1 - p.Sequence
		l.shift = p.Time.Ticks(l.rate) - p.Timestamp
	}
	sequence := p.Sequence + l.offset
	l.sequence = max(l.sequence, sequence)
	stamp := p.Timestamp + l.shift
	if !l.native {
		stamp = p.Time.Ticks(l.rate)
	}
	l.time, l.stamp = p.Time, uint32(stamp)
	l.packets++
	l.octets += uint32(len(p.Payload))
	return &rtp.Packet{
		Header: rtp.Header{
			Version: 2, Marker: p.Marker, PayloadType: l.payload, SequenceNumber: uint16(sequence), Timestamp: l.stamp,
		},
		Payload: p.Payload,
	}
}

// report relates the lane's timestamps to the clock that all tracks of the stream
// share (RFC 3550 6.4.1), so that players show together what belongs together. It is
// about the newest packet sent.
func (l *lane) report(clock media.Clock) *rtcp.SenderReport {
	wall := clock.Wall(int64(l.time)).UTC()
	const since1900 = 2_208_988_800
	ntp := uint64(wall.Unix()+since1900)<<32 | uint64(wall.Nanosecond())<<32/1e9
	return &rtcp.SenderReport{SSRC: l.ssrc, NTPTime: ntp, RTPTime: l.stamp, PacketCount: l.packets, OctetCount: l.octets}
}
