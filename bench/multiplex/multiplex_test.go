package multiplex

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"tongxiang/internal/media"
	"tongxiang/internal/mpegts"
)

// TestAMultiplexPlaysForEverWithoutASeam looks at two rounds and a half with the
// product's own demuxer.
func TestAMultiplexPlaysForEverWithoutASeam(t *testing.T) {
	if testing.Short() {
		t.Skip("-short is set: this codes 67 s of pictures")
	}
	if _, err := exec.LookPath("ffmpeg"); err != nil {
		t.Skip("ffmpeg is not installed: it codes the programmes")
	}
	dir := filepath.Join("..", "..", "bench-out", "multiplex") // what a measurement made already
	if _, err := os.Stat(dir); err != nil {
		dir = t.TempDir()
	}
	files, err := Make(t.Context(), dir, Mixed, 1)
	if err != nil {
		t.Fatal(err)
	}
	l, err := Open(files[0])
	if err != nil {
		t.Fatal(err)
	}
	frames := map[uint16]int{}
	last := map[uint16]int64{}
	steps := map[uint16]map[int64]int{}
	pcr := map[uint16]int64{}
	d := mpegts.NewDemuxer(mpegts.Handler{
		Frame: func(s *mpegts.Stream, f *media.Frame, at mpegts.Times) {
			if f.Corrupt {
				t.Errorf("a damaged frame on PID %d", s.PID)
			}
			frames[s.PID] += len(f.Units)
			if s.Codec.Kind() == media.Video {
				frames[s.PID] += 1 - len(f.Units)
			}
			if was, ok := last[s.PID]; ok {
				if steps[s.PID] == nil {
					steps[s.PID] = map[int64]int{}
				}
				steps[s.PID][mpegts.Forward(was, at.DTS)]++
			}
			last[s.PID] = at.DTS
		},
		PCR: func(pid uint16, at int64, _ bool) {
			if was, ok := pcr[pid]; ok && (at-was <= 0 || at-was > pcrRate/10) {
				t.Errorf("PID %d: a clock reference comes %d ticks after the one before", pid, at-was)
			}
			pcr[pid] = at
		},
	})
	buf := make([]byte, 7*packetSize)
	total := int64(Packets) * 5 / 2
	for n := int64(0); n < total; n += 7 {
		l.Fill(buf, n)
		d.Feed(buf, 1)
	}
	s := d.Stats()
	if s.Continuity+s.Duplicates+s.CRCErrors+s.BadSections+s.BadPES+s.BadUnits+s.SyncErrors > 0 {
		t.Errorf("%+v", s)
	}
	if len(d.Services()) != Services {
		t.Fatalf("%d services", len(d.Services()))
	}
	for i, v := range d.Services() {
		if int(v.ID) != ServiceID(0, i) || v.Name != Name(0, i) || len(v.Streams) != 2 {
			t.Errorf("service %d %q of %d streams", v.ID, v.Name, len(v.Streams))
		}
		for _, st := range v.Streams {
			if st.Codec.Kind() == media.Video {
				if n := frames[st.PID]; n < Pictures*5/2-30 || n > Pictures*5/2 {
					t.Errorf("%q: %d pictures in 24 s", v.Name, n)
				}
				if len(steps[st.PID]) != 1 || steps[st.PID][3600] == 0 {
					t.Errorf("%q: pictures follow one another after %v ticks", v.Name, steps[st.PID])
				}
			} else if n := frames[st.PID]; n < 990 || n > 1125 {
				t.Errorf("%q: %d frames of sound in 24 s", v.Name, n)
			}
		}
	}
}
