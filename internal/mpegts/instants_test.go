package mpegts

import "testing"

func TestAStreamHasInstantsWhenTheyComeOftenEnough(t *testing.T) {
	const idr, recovery = 'I', 'R'
	for _, tc := range []struct {
		name     string
		pictures string // one a second
		absent   bool
	}{
		{"IDR each second", "IIII", false},
		{"recovery points only", "RR", true},
		{"the first picture says nothing", "R", false},
		{"an IDR where the encoder began", "IRRRRRRRRRRRR", true},
		{"that one is believed for a while", "IRRRR", false},
		{"IDR each five seconds, recovery points between", "IRRRRIRRRRIRRRR", false},
		{"the same, entered in the middle", "RRRRIRRRRIRR", false},
		{"a file of recovery points that begins anew", "RRRRRRRRRRRRIRRRRRRRRRRRRIRR", true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var w instants
			for i, p := range tc.pictures {
				dts := (wrap - 3*Ticks + int64(i)*Ticks) % wrap
				w.picture(p == idr || p == recovery, p == idr, dts)
			}
			if w.absent != tc.absent {
				t.Errorf("absent %v", w.absent)
			}
		})
	}
}
