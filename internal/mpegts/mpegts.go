// Package mpegts is the transport-stream core (ISO/IEC 13818-1, ETSI EN 300 468):
// bytes in, services and access units out, and the other way round for what we
// write ourselves.
//
//	bytes ─> splitter ─> packets ─┬─> sections ─> PAT, PMT, SDT, EIT … ─> Service
//	         (resync)             └─> PES ─> pictures, sounds ──────────> media.Frame
//
// A [Demuxer] reads a whole multiplex once, whatever the number of services in
// it. It belongs to the goroutine that feeds it and starts none; its callbacks
// run in that goroutine. Nothing is allocated per packet: memory is taken per PID
// seen and per access unit, and both are bounded.
//
// Times are handed over as carried: 33-bit ticks of 90 kHz. Turning them into the
// clock of a stream, over wraps and jumps, is media.Timeline's work.
package mpegts

// PacketSize is the length of a transport packet without time code or parity.
const PacketSize = 188

const (
	syncByte = 0x47
	pids     = 8192
	// pmtLowest is the first PID that is not kept for the tables of all.
	pmtLowest = 0x20
	nullPID   = 0x1FFF

	pidPAT = 0x0000
	pidCAT = 0x0001
	pidNIT = 0x0010
	pidSDT = 0x0011 // and BAT
	pidEIT = 0x0012
	pidTDT = 0x0014 // and TOT
)

// Ticks is how many ticks of PTS and DTS a second has.
const Ticks = 90000

// NoTime stands for a PTS or DTS that the stream does not carry.
const NoTime int64 = -1

// wrap is where 33-bit times begin anew.
const wrap = 1 << 33

// forward returns the distance from a to b on the 33-bit circle, in -2^32 to 2^32-1.
func forward(a, b int64) int64 {
	d := (b - a) & (wrap - 1)
	if d >= wrap/2 {
		d -= wrap
	}
	return d
}

// Forward returns the distance in ticks from one 33-bit time to another, over a wrap.
func Forward(from, to int64) int64 { return forward(from, to) }
