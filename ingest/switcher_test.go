package ingest

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// TestSwitcherScripts gives the switcher what it sees at moments and reads what it
// wants: the sources that are open, and the one to take. A source is written as its
// state: "-" closed or not there yet, "r" ready and well, "R" on air, "s" on air and
// suspect, "F" on air at fault, "B" on air and black, "x" failed, "g" gone and on air.
func TestSwitcherScripts(t *testing.T) {
	black := Rule{On: []Fault{FaultNoPackets, FaultBlack}}
	for name, tc := range map[string]struct {
		rule   Rule
		script string
	}{
		"the first start": {Rule{}, `
			0    -- open 0
			1    r- open 0 take 0
			1.1  R- open 0`},
		"the backup is opened on suspicion and taken when it is certain": {Rule{}, `
			10   R- open 0
			10.3 s- open 01
			10.6 sr open 01
			11   Fr open 01 take 1 for no_packets
			11.1 FR open 01`},
		"a stutter": {Rule{}, `
			10   s- open 01
			10.2 Rr open 01
			14   Rr open 01
			15.3 Rr open 0`},
		"the third when the second does not come": {Rule{}, `
			10   s-- open 01
			11   F-- open 01
			12.6 F-- open 012
			13   F-r open 012 take 2 for no_packets
			13.1 F-R open 02`},
		"the third at once when the second fails": {Rule{}, `
			10   s-- open 01
			10.2 sx- open 012
			11   Fxr open 012 take 2 for no_packets`},
		"the primary comes back while the backup is opened": {Rule{}, `
			10   F- open 01
			10.5 R- open 01
			16   R- open 0`},
		"back after a minute of health": {Rule{}, `
			10   Fr open 01 take 1 for no_packets
			11   -R open 01
			20   rR open 01
			60   rR open 01
			79   rR open 01
			80   rR open 01 take 0 for back
			80.5 Rr open 0`},
		"a minute begins anew when it stutters": {Rule{}, `
			10   Fr open 01 take 1 for no_packets
			11   -R open 01
			20   rR open 01
			60   -R open 01
			61   rR open 01
			90   rR open 01
			121  rR open 01 take 0 for back`},
		"a primary that fails again is held twice as long": {Rule{BackAfter: 10 * time.Second}, `
			10   Fr open 01 take 1 for no_packets
			11   rR open 01
			21   rR open 01 take 0 for back
			22   Rr open 0
			30   F- open 01
			31   Fr open 01 take 1 for no_packets
			32   rR open 01
			43   rR open 01
			52   rR open 01 take 0 for back`},
		"back by hand only": {Rule{Back: BackManual}, `
			10   Fr open 01 take 1 for no_packets
			11   -R open 1
			500  -R open 1
			501  -R ask 0 open 01
			502  rR open 01 take 0 for manual
			503  Rr open 0`},
		"never back, but when the backup fails": {Rule{Back: BackNever}, `
			10   Fr open 01 take 1 for no_packets
			11   -R open 1
			500  -F open 01
			501  rF open 01 take 0 for no_packets
			502  R- open 0`},
		"by hand, and it stays": {Rule{}, `
			10   R- ask 1 open 01
			11   Rr open 01 take 1 for manual
			12   -R open 1
			500  -R open 1
			501  -F open 01
			502  rF open 01 take 0 for no_packets`},
		"by hand, and it does not come": {Rule{}, `
			10   R- ask 1 open 01
			24   R- open 01
			26   R- open 0`},
		"standby": {Rule{Standby: true}, `
			10   R-- open 01
			11   Rr- open 01
			12   Fr- open 01 take 1 for no_packets
			13   -R- open 01`},
		"a black picture on both is not changed to and fro": {black, `
			10   Br open 01 take 1 for black
			11   -R open 01
			21   rB open 01
			22   rB open 01
			71   rB open 01 take 0 for black`},
		"black on the backup, yet the primary is gone": {black, `
			10   Br open 01 take 1 for black
			11   rR open 01
			12   rF open 01 take 0 for no_packets`},
		"the source on air was taken out": {Rule{}, `
			10   -g open 01
			10.5 rg open 01 take 0 for removed`},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSwitcher(tc.rule)
			well := map[int]int64{}
			why := FaultNone
			for line := range strings.Lines(tc.script) {
				fields := strings.Fields(line)
				if len(fields) == 0 {
					continue
				}
				var at float64
				if _, err := fmt.Sscan(fields[0], &at); err != nil {
					t.Fatal(err)
				}
				now := int64(at * 1e9)
				if strings.Contains(fields[1], "g") && s.current == 0 {
					s.current = strings.Index(fields[1], "g")
				}
				v := views(fields[1], now, well)
				for i := range v {
					if v[i].onAir && i != s.current {
						s.switched(now, i, why)
					}
				}
				rest := fields[2:]
				if rest[0] == "ask" {
					s.ask(int(rest[1][0]-'0'), now)
					rest = rest[2:]
				}
				d := s.step(now, v)
				why = d.why
				got := "open "
				for i, o := range d.open {
					if o {
						got += fmt.Sprint(i)
					}
				}
				if d.take >= 0 {
					got += fmt.Sprintf(" take %d", d.take)
					if d.why != FaultNone {
						got += " for " + string(d.why)
					}
				}
				if want := strings.Join(rest, " "); got != want {
					t.Fatalf("at %v, seeing %s: %s\nwant %s", at, fields[1], got, want)
				}
			}
		})
	}
}

func views(states string, now int64, well map[int]int64) []view {
	var out []view
	for i, c := range states {
		v := view{}
		switch c {
		case 'r':
			v.ready = true
		case 'R', 's', 'F', 'B', 'g':
			v.ready, v.onAir = true, true
			v.gone = c == 'g'
			v.suspected = c == 's' || c == 'F' || c == 'B'
			if c == 'F' {
				v.fault = FaultNoPackets
			}
			if c == 'B' {
				v.fault = FaultBlack
			}
		case 'x':
			v.failed = true
		}
		if !strings.ContainsRune("rRB", c) {
			delete(well, i)
		} else if _, ok := well[i]; !ok {
			well[i] = now
		}
		v.well = well[i]
		out = append(out, v)
	}
	return out
}
