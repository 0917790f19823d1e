package fmp4

import (
	"bytes"
	"errors"
	"io"
	"testing"
	"time"

	"tongxiang/internal/media"
)

// soundFile is a head and two fragments of one second each of a sound.
func soundFile(t testing.TB) (head, fragments []byte) {
	t.Helper()
	head, err := Init([]media.Format{{Codec: media.Opus, Rate: 48000, Channels: 2}})
	if err != nil {
		t.Fatal(err)
	}
	for i := range int64(2) {
		s := Sample{DTS: i * 48000, Duration: 48000, Size: 3, Sync: true, Units: [][]byte{{1, 2, byte(i)}}}
		fragments = AppendFragment(fragments, uint32(i+1), []Run{{Track: 1, Samples: []Sample{s}}})
	}
	return head, fragments
}

func TestFragmentsAreReadAndMovedInTime(t *testing.T) {
	head, fragments := soundFile(t)
	file := append(append(bytes.Clone(head), Space()...), fragments...)
	var starts []time.Duration
	var moved []byte
	heads := 0
	err := ReadFragments(bytes.NewReader(file), 90*time.Second, func(p Piece) error {
		if p.Head {
			heads++
			if !bytes.Equal(p.Data, head) {
				t.Error("the head was changed")
			}
			return nil
		}
		starts = append(starts, p.Start)
		moved = append(moved, p.Data...)
		return nil
	})
	if err != nil || heads != 1 || len(starts) != 2 || starts[0] != 90*time.Second || starts[1] != 91*time.Second {
		t.Fatalf("%v, %d heads, %v", err, heads, starts)
	}
	e, err := Scan(bytes.NewReader(append(bytes.Clone(head), moved...)), int64(len(head)+len(moved)))
	if err != nil || e.Fragments != 2 || e.Index[1].Start != 91*time.Second {
		t.Errorf("%+v, %v", e, err)
	}
	one := moved[:len(moved)/2]
	if at, ok := Shift(head, one, -90*time.Second, 7); !ok || at != 0 {
		t.Errorf("moved back: %v, %v", at, ok)
	}
	if at, ok := Shift(head, one, -time.Second, 7); !ok || at != 0 {
		t.Errorf("moved before 0: %v, %v", at, ok)
	}
	if _, ok := Shift(nil, one, 0, 1); ok {
		t.Error("times without a time scale")
	}
}

func TestFragmentsThatEndWithinABoxAreTold(t *testing.T) {
	head, fragments := soundFile(t)
	file := append(bytes.Clone(head), fragments...)
	err := ReadFragments(bytes.NewReader(file[:len(file)-1]), 0, func(Piece) error { return nil })
	if !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("%v", err)
	}
	if err := ReadFragments(bytes.NewReader([]byte("\xff\xff\xff\xffmdat")), 0, func(Piece) error { return nil }); !errors.Is(err, errBox) {
		t.Errorf("%v", err)
	}
}

func FuzzReadFragments(f *testing.F) {
	head, fragments := soundFile(f)
	f.Add(append(bytes.Clone(head), fragments...), int64(time.Hour))
	f.Fuzz(func(t *testing.T, b []byte, by int64) {
		_ = ReadFragments(bytes.NewReader(b), time.Duration(by), func(p Piece) error {
			if len(p.Data) > len(b) {
				t.Error("more than there was")
			}
			return nil
		})
	})
}
