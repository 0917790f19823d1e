package mpegts

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"strings"
	"testing"
)

// rtp makes a packet whose payload names its sequence number.
func rtp(ssrc uint32, seq uint16) []byte {
	b := make([]byte, 12, 32)
	b[0], b[1] = 0x80, 33
	binary.BigEndian.PutUint16(b[2:], seq)
	binary.BigEndian.PutUint32(b[8:], ssrc)
	return fmt.Appendf(b, "%d ", seq)
}

// orderOf returns an order that writes what it passes on to a text: "|" where a
// new sender begins.
func orderOf() (*order, *strings.Builder) {
	var out strings.Builder
	o := &order{
		emit:  func(b []byte, _ int64) { out.Write(b) },
		fresh: func() { out.WriteString("| ") },
	}
	return o, &out
}

func TestRTPIsPutInOrderAndWhatIsMissingIsCounted(t *testing.T) {
	const ms = int64(1e6)
	type step struct {
		at   int64
		seqs []uint16
		ssrc uint32
	}
	run := func(from, to uint16) (s []uint16) {
		for ; from != to; from++ {
			s = append(s, from)
		}
		return s
	}
	text := func(from, to uint16) string {
		var b strings.Builder
		for _, n := range run(from, to) {
			fmt.Fprintf(&b, "%d ", n)
		}
		return b.String()
	}
	for name, tc := range map[string]struct {
		steps []step
		want  string
		count map[string]uint64
	}{
		"in order":             {[]step{{0, []uint16{5, 6, 7}, 1}}, "5 6 7 ", nil},
		"over the wrap":        {[]step{{0, []uint16{65534, 65535, 0, 1}, 1}}, "65534 65535 0 1 ", nil},
		"two change places":    {[]step{{0, []uint16{1, 3, 2, 4}, 1}}, "1 2 3 4 ", map[string]uint64{"rtp_reordered": 1}},
		"reordered at a wrap":  {[]step{{0, []uint16{65535, 1, 0, 2}, 1}}, "65535 0 1 2 ", map[string]uint64{"rtp_reordered": 1}},
		"a duplicate":          {[]step{{0, []uint16{1, 2, 2, 3, 1}, 1}}, "1 2 3 ", map[string]uint64{"rtp_duplicate": 2}},
		"a duplicate held":     {[]step{{0, []uint16{1, 3, 3, 2}, 1}}, "1 2 3 ", map[string]uint64{"rtp_duplicate": 1, "rtp_reordered": 1}},
		"lost, window passes":  {[]step{{0, append([]uint16{1}, run(3, 3+window)...), 1}}, "1 " + text(3, 3+window), map[string]uint64{"rtp_lost": 1}},
		"lost, time passes":    {[]step{{0, []uint16{1, 3, 4}, 1}, {99 * ms, []uint16{5}, 1}, {101 * ms, []uint16{6}, 1}}, "1 3 4 5 6 ", map[string]uint64{"rtp_lost": 1}},
		"late":                 {[]step{{0, []uint16{1, 3}, 1}, {101 * ms, []uint16{4, 2, 5}, 1}}, "1 3 4 5 ", map[string]uint64{"rtp_lost": 1, "rtp_late": 1}},
		"a burst is lost":      {[]step{{0, []uint16{1, 1001}, 1}, {101 * ms, []uint16{1002}, 1}}, "1 1001 1002 ", map[string]uint64{"rtp_lost": 999}},
		"a stray number":       {[]step{{0, []uint16{1, 30000, 2, 3}, 1}}, "1 2 3 ", map[string]uint64{"rtp_jump": 1}},
		"numbers begin anew":   {[]step{{0, []uint16{40000, 40001, 7, 8, 9}, 1}}, "40000 40001 8 9 ", map[string]uint64{"rtp_jump": 1}},
		"another sender":       {[]step{{0, []uint16{1, 2}, 1}, {150 * ms, []uint16{900, 901}, 2}}, "1 2 | 900 901 ", map[string]uint64{"rtp_new_sender": 1}},
		"two senders at once":  {[]step{{0, []uint16{1}, 1}, {0, []uint16{900}, 2}, {0, []uint16{2}, 1}, {ms, []uint16{901}, 2}, {ms, []uint16{3}, 1}}, "1 2 3 ", map[string]uint64{"rtp_other_sender": 2}},
		"a successor at once":  {[]step{{0, []uint16{1}, 1}, {ms, run(100, 100+strangers), 2}}, fmt.Sprintf("1 | %d ", 100+strangers-1), map[string]uint64{"rtp_other_sender": strangers - 1, "rtp_new_sender": 1}},
		"held at a new sender": {[]step{{0, []uint16{1, 3}, 1}, {150 * ms, []uint16{9}, 2}}, "1 3 | 9 ", map[string]uint64{"rtp_lost": 1, "rtp_new_sender": 1}},
	} {
		t.Run(name, func(t *testing.T) {
			o, out := orderOf()
			for _, s := range tc.steps {
				for _, seq := range s.seqs {
					o.take(rtp(s.ssrc, seq), 1e9+s.at)
				}
			}
			if out.String() != tc.want {
				t.Errorf("passed on %q, want %q", out, tc.want)
			}
			got := map[string]uint64{}
			o.count(got)
			for k, n := range got {
				if n != tc.count[k] {
					t.Errorf("%s is %d, want %d", k, n, tc.count[k])
				}
			}
		})
	}
}

func TestRTPHeadersThatLieAreCountedAndCarryNothing(t *testing.T) {
	ts := bytes.Repeat([]byte{0x47}, 188)
	with := func(b ...byte) []byte { return append(append(b, 0, 1, 0, 0, 0, 0, 0, 0, 0, 1), ts...) }
	for name, b := range map[string][]byte{
		"empty": {}, "short": {0x80, 33, 0}, "version 1": with(0x40, 33), "version 3": with(0xC0, 33),
		"15 contributors in 12 bytes": {0x8F, 33, 0, 1, 0, 0, 0, 0, 0, 0, 0, 1},
		"no room for an extension":    {0x90, 33, 0, 1, 0, 0, 0, 0, 0, 0, 0, 1, 0xBE},
		"an extension of 256 kB":      {0x90, 33, 0, 1, 0, 0, 0, 0, 0, 0, 0, 1, 0xBE, 0xDE, 0xFF, 0xFF, 1, 2, 3, 4},
		"padding of nothing":          {0xA0, 33, 0, 1, 0, 0, 0, 0, 0, 0, 0, 1, 7, 0},
		"padding longer than all":     {0xA0, 33, 0, 1, 0, 0, 0, 0, 0, 0, 0, 1, 7, 200},
	} {
		o, out := orderOf()
		o.take(b, 1)
		if o.bad != 1 || out.Len() > 0 {
			t.Errorf("%s: counted %d, passed on %q", name, o.bad, out)
		}
	}
	o, _ := orderOf()
	o.take([]byte{0x80, 200, 0, 6, 0, 0, 0, 1}, 1) // a sender report
	if o.bad != 0 {
		t.Error("RTCP on the same port is counted as bad")
	}
}

func FuzzOrder(f *testing.F) {
	f.Add([]byte{0x80, 33, 0, 1, 0, 0, 0, 0, 0, 0, 0, 1, 0x47}, uint16(1), int64(1e6))
	f.Add([]byte{0xB1, 33, 0, 1, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0x47, 2}, uint16(60000), int64(0))
	f.Fuzz(func(t *testing.T, b []byte, step uint16, pause int64) {
		o, _ := orderOf()
		passed := uint64(0)
		o.emit = func(p []byte, at int64) {
			passed++
			if len(p) > len(b)-12 {
				t.Fatal("the payload is longer than the packet")
			}
			if at < o.at {
				t.Fatal("time runs back")
			}
		}
		for i := range 300 {
			if len(b) >= 4 {
				binary.BigEndian.PutUint16(b[2:], uint16(i)*step)
			}
			o.take(b, int64(i)*(pause&0xFFFFFFFF))
		}
		o.flush()
		if o.held != 0 || passed > 300 {
			t.Fatalf("%d held, %d passed on of 300", o.held, passed)
		}
	})
}
