package folder

import (
	"time"

	"tongxiang/internal/media"
	"tongxiang/internal/mpegts"
)

// tsScanner makes entries of packets as they lie in a file, where only the
// programme's clock tells the time.
type tsScanner struct {
	demux *mpegts.Demuxer
	pcr   uint16
	video uint16
	kind  byte
	at    int64
	begun bool
	clock int64 // newest reference of the programme's clock, 33 bits of 90 kHz
	start time.Duration
	ticks int64         // since start
	now   time.Duration // on the file's time line
	jump  bool          // the packet that was fed last has a clock that jumped
	out   []Entry
	open  bool
	cur   Entry
	crc   []byte // the open fragment's packets
	table int    // where its last tables begin in crc; -1: it has none
}

func newTSScanner(at int64, start time.Duration) *tsScanner {
	s := &tsScanner{at: at, start: start, now: start}
	s.demux = mpegts.NewDemuxer(mpegts.Handler{
		Service: func(v *mpegts.Service) {
			s.pcr, s.video = v.PCRPID, 0
			for _, st := range v.Streams {
				if s.video == 0 && st.Codec.Kind() == media.Video {
					s.video, s.kind = st.PID, st.Type
				}
			}
		},
		PCR: func(pid uint16, pcr int64, _ bool) {
			if pid == s.pcr {
				s.tick(pcr / 300)
			}
		},
		Want: func(*mpegts.Service) bool { return false },
	})
	return s
}

const (
	// fragment is how much one entry of a scan tells of.
	fragment = time.Second
	// maxFragment bounds it in bytes: a stream that has no clock, or no tables.
	maxFragment = 8 << 20
	// picture is how far the time line goes on where the clock jumps, in ticks: nobody
	// knows how long the time between was.
	picture = mpegts.Ticks / 25
	// nearTables is how far before a jump of the clock tables may stand that belong to
	// what comes behind it.
	nearTables = 8 * mpegts.PacketSize
)

// tick moves the time line on by the clock. A clock never goes back, and not forward
// by more than [media.TimelineJump].
func (s *tsScanner) tick(clock int64) {
	const bits = 33
	d := (clock - s.clock) << (64 - bits) >> (64 - bits) // the shorter way round
	switch {
	case !s.begun:
		s.begun, d = true, 0
	case d < 0 || time.Duration(media.FromTicks(d, mpegts.Ticks)) > media.TimelineJump:
		s.jump, d = true, picture
	}
	s.clock = clock
	s.ticks += d
	s.now = s.start + time.Duration(media.FromTicks(s.ticks, mpegts.Ticks))
}

func (s *tsScanner) packet(p []byte) {
	pid := uint16(p[1]&0x1F)<<8 | uint16(p[2])
	sync := s.video != 0 && pid == s.video && mpegts.RandomAccess(p, s.kind)
	tables := pid == 0
	s.jump = false
	s.demux.Feed(p, 0)
	long := s.now - s.cur.Start()
	// Tables stand before a picture where decoding can start: cut there.
	switch {
	case !s.open:
	case s.jump && s.table > 0 && len(s.crc)-s.table <= nearTables:
		s.split(s.table)
	case s.jump && s.table == 0 && len(s.crc) <= nearTables:
		s.cur.TimeUS = s.now.Microseconds() // all of it is behind the jump
	case s.jump, tables && long >= fragment*6/10, long >= 5*fragment, len(s.crc) >= maxFragment:
		s.split(len(s.crc))
	}
	if !s.open {
		s.open, s.table = true, -1
		s.cur = Entry{Offset: s.at, TimeUS: s.now.Microseconds()}
	}
	if tables {
		s.table = len(s.crc)
	}
	if sync && len(s.crc) <= nearTables {
		s.cur.Sync = true
	}
	if s.cur.PTS == nil && pid == s.video {
		if pts := mpegts.PacketPTS(p); pts != mpegts.NoTime {
			s.cur.PTS = &pts
		}
	}
	s.crc = append(s.crc, p...)
	s.at += mpegts.PacketSize
}

// split ends the open fragment after n bytes; the rest of it begins the next.
func (s *tsScanner) split(n int) {
	s.cur.Length = int64(n)
	s.cur.DurationUS = max(s.now.Microseconds()-s.cur.TimeUS, 0)
	s.cur.CRC = Hex(Checksum(s.crc[:n]))
	s.out = append(s.out, s.cur)
	rest := copy(s.crc, s.crc[n:])
	s.crc, s.open, s.table = s.crc[:rest], rest > 0, -1
	if s.open {
		s.table = 0
		s.cur = Entry{Offset: s.cur.Offset + int64(n), TimeUS: s.now.Microseconds()}
	}
}

func (s *tsScanner) finish() []Entry {
	if s.open {
		s.split(len(s.crc))
	}
	return s.out
}
