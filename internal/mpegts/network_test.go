package mpegts

import (
	"path/filepath"
	"slices"
	"testing"
)

func nitOf(number, last byte, network []byte, streams ...[]byte) []byte {
	loop := slices.Concat(streams...)
	body := append([]byte{0xF0 | byte(len(network)>>8), byte(len(network))}, network...)
	body = append(append(body, 0xF0|byte(len(loop)>>8), byte(len(loop))), loop...)
	return longSection(tableNITActual, 9, 1, number, last, body)
}

func nitStream(stream, network uint16, descs ...[]byte) []byte {
	ds := slices.Concat(descs...)
	return append([]byte{byte(stream >> 8), byte(stream), byte(network >> 8), byte(network), 0xF0 | byte(len(ds)>>8), byte(len(ds))}, ds...)
}

func sdtOf(stream, network uint16, services ...uint16) []byte {
	body := []byte{byte(network >> 8), byte(network), 0xFF}
	for _, s := range services {
		body = append(body, byte(s>>8), byte(s), 0xFF, 0x80, 0)
	}
	return longSection(tableSDTActual, stream, 1, 0, 0, body)
}

func TestChannelNumbersAreReadFromEachKindOfDescriptor(t *testing.T) {
	for name, tc := range map[string]struct {
		descs [][]byte
		want  int
	}{
		"EACEM":             {[][]byte{descriptorOf(descLogicalChannel, []byte{0, 7, 0xFC, 12})}, 12},
		"not visible":       {[][]byte{descriptorOf(descLogicalChannel, []byte{0, 7, 0x7C, 12})}, 12},
		"NorDig 1":          {[][]byte{descriptorOf(descPrivateSpec, []byte{0, 0, 0, 0x29}), descriptorOf(descLogicalChannel, []byte{0, 7, 0xC7, 0xD0})}, 2000},
		"NorDig 2":          {[][]byte{descriptorOf(descLogicalChannel2, []byte{1, 2}, []byte("AB"), []byte("swe"), []byte{4, 0, 7, 0xFC, 33})}, 33},
		"HD takes over":     {[][]byte{descriptorOf(descLogicalChannel, []byte{0, 7, 0xFC, 12}), descriptorOf(descHDSimulcast, []byte{0, 7, 0xFC, 2})}, 2},
		"zero is no number": {[][]byte{descriptorOf(descLogicalChannel, []byte{0, 7, 0xFC, 0})}, 0},
		"of another one":    {[][]byte{descriptorOf(descLogicalChannel, []byte{0, 8, 0xFC, 5})}, 0},
		"cut short":         {[][]byte{descriptorOf(descLogicalChannel, []byte{0, 7, 0xFC})}, 0},
		"a list cut short":  {[][]byte{descriptorOf(descLogicalChannel2, []byte{1, 200, 1, 2, 3, 4})}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			p := NewProber()
			p.section(pidPAT, patOf(0, patEntry{7, testPMT}))
			p.section(pidSDT, sdtOf(1, 3, 7))
			p.section(pidNIT, nitOf(0, 0, descriptorOf(descNetworkName, []byte("Net")), nitStream(2, 3, descriptorOf(descLogicalChannel, []byte{0, 7, 0xFC, 99})), nitStream(1, 3, tc.descs...)))
			if got := p.net.number(7); got != tc.want && !(tc.want == 0 && got == 99) {
				t.Errorf("%d, want %d", got, tc.want)
			}
			if n, original, stream := p.Network(); n != "Net" || original != 3 || stream != 1 {
				t.Errorf("%q %d %d", n, original, stream)
			}
		})
	}
}

func TestALookIsCompleteWhenAllThatTheTablesPromiseWasSeen(t *testing.T) {
	b := newBuilder()
	p := NewProber()
	feed := func() float64 {
		_, _ = p.Write(b.out.Bytes())
		b.out.Reset()
		return p.Complete()
	}
	b.nulls()
	b.section(pidSDT, sdtOf(1, 3, 1))
	if c := feed(); c != 0 {
		t.Errorf("%v without a PAT", c)
	}
	b.programme()
	before := feed()
	b.section(pidNIT, nitOf(0, 1, nil))
	if c := feed(); c != before || c >= 1 {
		t.Errorf("%v with half a NIT, %v before", c, before)
	}
	b.section(pidNIT, nitOf(1, 1, nil))
	b.pes(testVideo, 0xE0, 9000, 5400, 0, annex(aud, testSPS, testPPS, idr(1, 600)))
	b.pes(testVideo, 0xE0, 9000, 9000, 0, annex(aud, slice(2, 300)))
	if c := feed(); c <= before || c >= 1 {
		t.Errorf("%v without the sound's headers", c)
	}
	b.pes(testAudio, 0xC0, 8000, 8000, -1, slices.Concat(mp2Frame(1), mp2Frame(2)))
	if c := feed(); c != 1 {
		t.Errorf("%v with everything", c)
	}
}

func TestNumbersOfACapture(t *testing.T) {
	r := probeFile(t, filepath.Join(captures(t), "synthetic", "si_gb2312_0x13.ts"))
	if len(r.Services) == 0 {
		t.Fatal("no services")
	}
	for i, s := range r.Services {
		if s.LCN != i+1 {
			t.Errorf("%s has number %d, want %d", s.Name, s.LCN, i+1)
		}
	}
}

// FuzzNIT: whatever a NIT says, what is kept is bounded.
func FuzzNIT(f *testing.F) {
	f.Add(nitOf(0, 0, descriptorOf(descNetworkName, []byte("N")), nitStream(1, 3, descriptorOf(descLogicalChannel, []byte{0, 7, 0xFC, 12})))[8:])
	f.Add(nitOf(0, 0, nil, nitStream(1, 3, descriptorOf(descLogicalChannel2, []byte{1, 2, 'A', 'B', 's', 'w', 'e', 4, 0, 7, 0xFC, 33})))[8:])
	f.Fuzz(func(t *testing.T, b []byte) {
		var n network
		n.readNIT(b)
		if len(n.numbers) > maxNumbers {
			t.Errorf("%d numbers", len(n.numbers))
		}
	})
}
