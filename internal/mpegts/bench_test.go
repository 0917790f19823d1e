package mpegts

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"testing"

	"github.com/asticode/go-astits"

	"tongxiang/internal/media"
)

// multiplex makes seven services at 38 Mbit/s, about a second of it: pictures of
// random bytes, which have as many ones and zeros as coded ones, MP2 sound, and
// tables. The PIDs are interleaved packet by packet, as multiplexers do.
func multiplex() []byte {
	const services = 7
	r := rand.New(rand.NewPCG(1, 2))
	b := newBuilder()
	b.nulls()
	var programmes []patEntry
	for i := range services {
		programmes = append(programmes, patEntry{uint16(i + 1), uint16(0x100 + i*16)})
	}
	lanes := make([][]byte, services)
	for i := range services {
		l := newBuilder()
		base := uint16(0x100 + i*16)
		video, audio := base+1, base+2
		for k := range 25 {
			if k%12 == 0 {
				l.section(base, pmtOf(uint16(i+1), 0, video, es{typ: 0x1B, pid: video}, es{typ: 0x03, pid: audio}))
			}
			size := 20000
			if k%12 == 0 {
				size = 80000
			}
			picture := make([]byte, size)
			for n := range picture {
				picture[n] = byte(r.Uint32())
			}
			unit := annex(aud, append([]byte{0x41, 0x9A}, picture...))
			if k%12 == 0 {
				unit = annex(aud, testSPS, testPPS, append([]byte{0x65, 0x88}, picture...))
			}
			l.pes(video, 0xE0, int64(k)*3600, int64(k)*3600, 0, unit)
			l.pes(audio, 0xC0, int64(k)*3600, int64(k)*3600, -1, bytes.Join([][]byte{mp2Frame(1), mp2Frame(2)}, nil))
		}
		lanes[i] = l.out.Bytes()
	}
	b.section(pidPAT, patOf(0, programmes...))
	for at := 0; ; at += PacketSize {
		done := true
		for _, l := range lanes {
			if at < len(l) {
				b.out.Write(l[at : at+PacketSize])
				done = false
			}
		}
		if done {
			return b.out.Bytes()
		}
	}
}

// BenchmarkDemux measures nanoseconds a packet: the bare scan of headers as the
// floor, the tables alone, and everything up to access units.
func BenchmarkDemux(b *testing.B) {
	data := multiplex()
	packets := len(data) / PacketSize
	perPacket := func(b *testing.B) {
		b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*packets), "ns/packet")
		b.ReportMetric(0, "ns/op")
		b.SetBytes(int64(len(data)))
	}
	b.Run("scan", func(b *testing.B) {
		var counters [pids]byte
		var seen uint64
		for b.Loop() {
			for at := 0; at+PacketSize <= len(data); at += PacketSize {
				p := data[at : at+PacketSize : at+PacketSize]
				if p[0] != syncByte {
					b.Fatal("sync")
				}
				id := uint16(p[1]&0x1F)<<8 | uint16(p[2])
				if counters[id] != p[3]&0x0F {
					seen++
				}
				counters[id] = p[3] & 0x0F
				if p[3]&0x20 != 0 && p[4] >= 7 && p[5]&0x10 != 0 {
					seen++
				}
			}
		}
		perPacket(b)
	})
	feed := func(b *testing.B, h Handler) {
		b.ReportAllocs()
		d := NewDemuxer(h)
		for b.Loop() {
			for at := 0; at < len(data); at += 7 * PacketSize {
				d.Feed(data[at:min(at+7*PacketSize, len(data))], 1)
			}
		}
		perPacket(b)
	}
	b.Run("tables", func(b *testing.B) { feed(b, Handler{Want: func(*Service) bool { return false }}) })
	b.Run("access-units", func(b *testing.B) {
		frames := 0
		feed(b, Handler{Frame: func(*Stream, *media.Frame, Times) { frames++ }})
		if frames < (7*25*2-7*2)*b.N {
			b.Fatalf("%d frames", frames)
		}
	})
	b.Run("go-astits", func(b *testing.B) { // PES packets and tables, no access units
		b.ReportAllocs()
		for b.Loop() {
			d := astits.NewDemuxer(b.Context(), bytes.NewReader(data), astits.DemuxerOptPacketSize(PacketSize))
			for {
				_, err := d.NextData()
				if errors.Is(err, astits.ErrNoMorePackets) {
					break
				}
				if err != nil {
					b.Fatal(err)
				}
			}
		}
		perPacket(b)
	})
}
