package mpegts

import "tongxiang/internal/media"

// Service is one programme of a multiplex. It belongs to its [Demuxer] and is read
// in the feeding goroutine, inside callbacks or between calls of Feed.
type Service struct {
	ID       uint16 // program_number
	PMTPID   uint16
	PCRPID   uint16
	Name     string // from the SDT; empty when that is silent
	Provider string
	Type     byte // service_type of the SDT
	// CA is set when the PMT or the SDT announces conditional access. Whether
	// packets really come scrambled is told by [Service.Scrambled].
	CA bool
	// Known is set once the PMT was read.
	Known   bool
	Streams []*Stream // in the order of the PMT

	crc     uint32 // of the PMT section in force
	version byte   // likewise
	pmt     []byte // its body
	sdtC    bool   // the SDT says CA
	pmtC    bool   // the PMT says CA
}

// Scrambled reports whether the service's pictures or sounds come scrambled; when
// none came yet, whether conditional access is announced.
func (s *Service) Scrambled() bool {
	seen := false
	for _, st := range s.Streams {
		if !st.Media {
			continue
		}
		if st.pid.scrambled {
			return true
		}
		seen = seen || st.pid.clear
	}
	return !seen && s.CA
}

// Stream is one elementary stream. A PID that two services name is one Stream in both.
type Stream struct {
	PID      uint16
	Type     byte        // stream_type
	Codec    media.Codec // media.Unknown: see Note
	Note     string      // what the stream is, when Codec does not say
	Media    bool        // a picture or a sound, known to us or not
	Language string      // ISO 639-2, when announced
	// Format is what is known so far; complete is what Known says.
	Format media.Format
	// Known is set once the stream's own headers were read.
	Known bool
	// AccessUnits counts pictures and sound frames handed over.
	AccessUnits uint64

	pid      *pid
	instants instants // of H.264
	raw      []byte   // the PMT's descriptors in force
	uses     int      // services that name it
}

// Scrambled reports whether packets of the stream came scrambled.
func (s *Stream) Scrambled() bool { return s.pid.scrambled }

// ScrambledNow reports whether the newest packet of the stream came scrambled; when
// none came yet, whether the service announces it is for the caller to ask.
func (s *Stream) ScrambledNow() bool { return s.pid.ciphered }

// Times are the times of an access unit as carried, in 33-bit ticks of 90 kHz.
type Times struct {
	PTS, DTS int64 // DTS equals PTS when the stream carries none; [NoTime] when neither is known
	// Computed is set when the stream carries no time for this unit, as for the
	// second picture of a PES packet: it was counted on from the one before.
	Computed bool
}

// Handler receives what a [Demuxer] finds. Any of the functions may be nil. They
// are called in the goroutine that feeds the demuxer and must not feed it.
type Handler struct {
	// Service is called when a service appears and when its streams, its name or
	// its conditional access change.
	Service func(*Service)
	// Gone is called when a service left the PAT.
	Gone func(*Service)
	// Format is called when a stream's own headers were read first, and when they change.
	Format func(*Stream)
	// Frame is called for each access unit. The frame is the callee's: PTS and DTS
	// are to be set from the times, Gap is left alone.
	Frame func(*Stream, *media.Frame, Times)
	// PCR is called for each clock reference, in ticks of 27 MHz.
	PCR func(pid uint16, pcr int64, discontinuity bool)
	// Section is called for each section with a right CRC; it is valid during the call.
	Section func(pid uint16, section []byte)
	// Want says whether a service's streams are to be parsed into frames; nil: all.
	Want func(*Service) bool
	// Whole says that each picture comes in a PES packet of its own, as encoders on
	// this machine send them: where its length is told, the picture is handed over
	// when its packet is complete, a picture earlier than when the next one begins.
	Whole bool
}

// Stats counts what went wrong and what passed.
type Stats struct {
	Packets         uint64 // with a right sync byte
	Bytes           uint64 // fed
	Nulls           uint64
	Duplicates      uint64 // legal repetitions (ISO/IEC 13818-1 2.4.3.3)
	SyncErrors      uint64 // wrong sync bytes in place
	SyncLosses      uint64
	TransportErrors uint64 // packets that the demodulator marked
	Continuity      uint64 // jumps of the continuity counter
	CRCErrors       uint64 // sections
	BadAdaptation   uint64 // adaptation fields longer than their packet
	BadSections     uint64 // sections that contradict themselves
	BadPES          uint64 // PES headers that are none
	BadUnits        uint64 // pieces of an elementary stream that are not what their type says
	Scrambled       uint64 // packets
}

// Packets returns how many packets of the service's streams there were so far. It
// falls when a stream leaves the service.
func (s *Service) Packets() uint64 {
	n := uint64(0)
	for _, st := range s.Streams {
		n += st.pid.packets
	}
	return n
}
