package ts

import (
	"context"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/asticode/go-astits"

	"tongxiang/internal/media"
	"tongxiang/internal/mpegts"
	"tongxiang/internal/playout/playtest"
)

// benchStream is four seconds of a picture of 6 Mbit/s and two sounds.
func benchStream() sequence {
	return generate(rand.New(rand.NewPCG(3, 3)), 4, 6_000_000, 90000, media.AAC, media.MPEGAudio)
}

// BenchmarkMultiplex measures nanoseconds a packet on the same frames: ours at a
// constant rate (null packets counted too) and at the frames' own, go-astits'
// multiplexer, which has no constant rate, and ffmpeg's with one (processor time of
// a remux less that of reading alone). The bytes go nowhere.
func BenchmarkMultiplex(b *testing.B) {
	s := benchStream()
	length := int64(5 * stcRate)
	perPacket := func(b *testing.B, packets uint64) {
		b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(packets), "ns/packet")
		b.ReportMetric(0, "ns/op")
	}
	shifted := func(f *media.Frame, n int) *media.Frame {
		g := *f
		d := media.FromTicks(int64(n)*length, stcRate)
		g.PTS, g.DTS = g.PTS+d, g.DTS+d
		return &g
	}
	b.Run("cbr", func(b *testing.B) {
		m, err := NewCBR(Config{Rate: automatic(s.need(stcOf(DefaultDelay)))})
		if err != nil {
			b.Fatal(err)
		}
		if err := m.SetTracks(s.formats); err != nil {
			b.Fatal(err)
		}
		b.ReportAllocs()
		var p [packetSize]byte
		for n := 0; b.Loop(); n++ {
			for _, x := range s.frames {
				f := shifted(x.frame, n)
				for at := stc(f.DTS.Ticks(stcRate)) - m.delay; m.anchored && m.now < at; {
					m.Next(p[:])
				}
				m.Push(x.track, f, false)
			}
		}
		if d := m.Stats().Drops; d.Total() > 0 {
			b.Fatalf("%+v", m.Stats())
		}
		st := m.Stats()
		perPacket(b, st.Packets)
		b.ReportMetric(float64(st.Used)/float64(st.Packets)*100, "%used")
	})
	b.Run("vbr", func(b *testing.B) {
		v := NewVBR(Service{})
		if err := v.SetTracks(s.formats); err != nil {
			b.Fatal(err)
		}
		b.ReportAllocs()
		packets := 0
		buf := make([]byte, 0, 1<<20)
		for n := 0; b.Loop(); n++ {
			for _, x := range s.frames {
				buf, _ = v.Append(buf[:0], x.track, shifted(x.frame, n), false)
				packets += len(buf) / packetSize
			}
		}
		perPacket(b, uint64(packets))
	})
	b.Run("astits", func(b *testing.B) {
		out := &counter{}
		m := astits.NewMuxer(context.Background(), out)
		types := []astits.StreamType{astits.StreamTypeH264Video, astits.StreamTypeAACAudio, astits.StreamTypeMPEG1Audio}
		for i := range s.formats {
			if err := m.AddElementaryStream(astits.PMTElementaryStream{ElementaryPID: uint16(0x101 + i), StreamType: types[i]}); err != nil {
				b.Fatal(err)
			}
		}
		m.SetPCRPID(0x101)
		b.ReportAllocs()
		var data []byte
		for b.Loop() {
			for _, x := range s.frames {
				data = data[:0]
				for _, u := range x.frame.Units {
					data = append(append(data, 0, 0, 0, 1), u...)
				}
				pts, dts := x.frame.PTS.Ticks(mpegts.Ticks), x.frame.DTS.Ticks(mpegts.Ticks)
				id, field := byte(0xC0), (*astits.PacketAdaptationField)(nil)
				if x.track == 0 {
					id = 0xE0
					field = &astits.PacketAdaptationField{HasPCR: true, PCR: &astits.ClockReference{Base: dts}, RandomAccessIndicator: x.frame.Sync}
				}
				_, err := m.WriteData(&astits.MuxerData{
					PID: uint16(0x101 + x.track), AdaptationField: field,
					PES: &astits.PESData{Data: data, Header: &astits.PESHeader{StreamID: id, OptionalHeader: &astits.PESOptionalHeader{
						MarkerBits: 2, PTSDTSIndicator: astits.PTSDTSIndicatorBothPresent,
						PTS: &astits.ClockReference{Base: pts}, DTS: &astits.ClockReference{Base: dts},
					}}},
				})
				if err != nil {
					b.Fatal(err)
				}
			}
		}
		perPacket(b, uint64(out.n/packetSize))
	})
	b.Run("ffmpeg", func(b *testing.B) {
		playtest.Tools(b)
		v := NewVBR(Service{})
		if err := v.SetTracks(s.formats); err != nil {
			b.Fatal(err)
		}
		const rounds = 60
		var data []byte
		for n := range rounds {
			for _, x := range s.frames {
				data, _ = v.Append(data, x.track, shifted(x.frame, n), false)
			}
		}
		name := filepath.Join(b.TempDir(), "in.ts")
		if err := os.WriteFile(name, data, 0o600); err != nil {
			b.Fatal(err)
		}
		rate := automatic(s.need(stcOf(DefaultDelay)))
		cpu := func(args ...string) time.Duration {
			cmd := exec.CommandContext(b.Context(), "ffmpeg", append([]string{"-nostdin", "-v", "quiet", "-i", name, "-map", "0", "-c", "copy"}, args...)...)
			if err := cmd.Run(); err != nil {
				b.Fatalf("ffmpeg %v: %v", args, err)
			}
			return cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
		}
		packets := int64(rounds) * length * rate / stcRate / (packetSize * 8)
		var spent time.Duration
		for b.Loop() {
			spent += cpu("-f", "mpegts", "-muxrate", strconv.FormatInt(rate, 10), "-y", "/dev/null") - cpu("-f", "null", "-")
		}
		b.ReportMetric(float64(spent.Nanoseconds())/float64(packets)/float64(b.N), "ns/packet")
		b.ReportMetric(0, "ns/op")
	})
}

// counter counts what is written.
type counter struct{ n int }

func (c *counter) Write(b []byte) (int, error) { c.n += len(b); return len(b), nil }

var _ io.Writer = (*counter)(nil)
