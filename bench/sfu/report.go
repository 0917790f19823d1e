package main

import (
	"cmp"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"time"

	"tongxiang/bench/process"
)

// median of the runs; 0 of none.
func median[T cmp.Ordered](values []T) T {
	var zero T
	if len(values) == 0 {
		return zero
	}
	s := slices.Sorted(slices.Values(values))
	return s[len(s)/2]
}

func of[T cmp.Ordered](rs []result, f func(result) T) T {
	var all []T
	for _, r := range rs {
		all = append(all, f(r))
	}
	return median(all)
}

// marginal returns microseconds of CPU for each packet more, from 10 viewers to
// 200, and KiB of memory for each viewer more. The constant cost of the publisher
// and of the process is in neither.
func marginal(ms []measurement) (cpu, rss float64) {
	var few, many measurement
	for _, m := range ms {
		switch m.viewers {
		case 10:
			few = m
		case 200:
			many = m
		}
	}
	if many.packets <= few.packets {
		return 0, 0
	}
	return float64((many.cpu - few.cpu).Nanoseconds()) / 1000 / float64(many.packets-few.packets),
		float64(many.rss-few.rss) / float64(many.viewers-few.viewers)
}

// report is the table of all runs.
func report(o options, rs []result) string {
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	line("## %s, %s", o.commit, time.Now().UTC().Format("2006-01-02 15:04 UTC"))
	line("")
	line("%s, %d cores, server on core %d at nice %d, load on core %d, medians of %d.", runtime.Version(), process.Cores(), o.serverCore, o.nice, o.loadCore, len(rs))
	line("")
	floor := of(rs, func(r result) float64 { return r.floors.WriteTo })
	cpuA := of(rs, func(r result) float64 { c, _ := marginal(r.apart); return c })
	cpuB := of(rs, func(r result) float64 { c, _ := marginal(r.burst); return c })
	rss := of(rs, func(r result) float64 { _, k := marginal(r.apart); return k })
	p99 := func(ms []measurement) time.Duration {
		for _, m := range ms {
			if m.viewers == 200 {
				return m.p99
			}
		}
		return 0
	}
	held := of(rs, func(r result) int { return r.held })
	atLeast := ""
	for _, r := range rs {
		if r.heldAll {
			atLeast = "≥ "
		}
	}
	table := func(part, format string, args ...any) {
		if o.only[part] {
			line(format, args...)
		}
	}
	if !o.only["soak"] || len(o.only) > 1 {
		line("| | measured | target |")
		line("|---|---|---|")
	}
	table("floor", "| floor: WriteTo + GCM / sendmmsg 64 / GSO of 4, µs/packet | %.2f / %.2f / %.2f | |", floor,
		of(rs, func(r result) float64 { return r.floors.Sendmmsg }), of(rs, func(r result) float64 { return r.floors.GSO }))
	table("apart", "| CPU µs/packet 10→200, packets apart / frame in one burst | %.2f / %.2f | ≤ 4.5 / ≤ 3.0 |", cpuA, cpuB)
	table("apart", "| the same, × the WriteTo floor | %.2f / %.2f | ≤ 1.0 / ≤ 0.65 |", ratio(cpuA, floor), ratio(cpuB, floor))
	rhythmA, rhythmB := of(rs, func(r result) float64 { return r.floors.Apart }), of(rs, func(r result) float64 { return r.floors.Burst })
	table("floor", "| a bare loop that sends at the publisher's rhythm, 10→200, apart / burst, µs/packet | %.2f / %.2f | |", rhythmA, rhythmB)
	if o.only["floor"] {
		table("apart", "| ours, × that loop | %.2f / %.2f | |", ratio(cpuA, rhythmA), ratio(cpuB, rhythmB))
	}
	table("apart", "| RSS KiB/viewer, 10→200 | %.0f | ≤ 120 |", rss)
	table("apart", "| p99 ms at 200 viewers, apart / burst | %.1f / %.1f | ≤ 5 / ≤ 10 |",
		millis(of(rs, func(r result) time.Duration { return p99(r.apart) })), millis(of(rs, func(r result) time.Duration { return p99(r.burst) })))
	table("capacity", "| viewers on one core, apart | %s%d | ≥ 1200 |", atLeast, held)
	q := func(pick func(result) []time.Duration, at float64) float64 {
		return millis(of(rs, func(r result) time.Duration {
			return quantile(slices.Sorted(slices.Values(pick(r))), at)
		}))
	}
	one := func(r result) []time.Duration { return r.joinOne }
	many := func(r result) []time.Duration { return r.joinMany }
	table("join", "| join to first picture packet, p50 ms: one at a time / 50 at once | %.0f / %.0f | ≤ 16 / ≤ 100 |", q(one, 0.5), q(many, 0.5))
	table("join", "| the same, p95 ms | %.0f / %.0f | |", q(one, 0.95), q(many, 0.95))
	table("meeting", "| 8×8 meeting, µs/packet | %.2f | ≤ 6 |", of(rs, func(r result) float64 { return r.meeting.perPacket }))
	table("meeting", "| 8×8 meeting, packets/s and share of what the slots can carry | %.0f, %.0f %% | |",
		of(rs, func(r result) float64 { return r.meeting.packets }), 100*of(rs, func(r result) float64 { return r.meeting.expected }))
	table("awake", "| the same on a core that is kept awake, µs/packet | %.2f | |", of(rs, func(r result) float64 { return r.awake.perPacket }))
	if o.only["plain"] {
		line("| the same meeting by a plain SFU of pion/webrtc, in the same run: µs/packet, share of what the slots can carry | %.2f, %.0f %% | |",
			of(rs, func(r result) float64 { return r.plain.perPacket }), 100*of(rs, func(r result) float64 { return r.plain.expected }))
		table("meeting", "| ours, × the plain SFU | %.2f | 6 of 20 to 27: ≤ 0.22 to 0.30 |",
			of(rs, func(r result) float64 { return ratio(r.meeting.perPacket, r.plain.perPacket) }))
	}
	if o.only["floor"] && o.only["meeting"] {
		wakes := of(rs, func(r result) float64 { return r.meeting.wakes })
		wake := of(rs, func(r result) float64 { return r.floors.Wake })
		share := of(rs, func(r result) float64 { return ratio(r.meeting.wakes*r.floors.Wake, r.meeting.packets) })
		table("meeting", "| of it wake-ups, µs/packet: so many a second × what one costs that does nothing | %.2f: %.0f × %.0f µs | |", share, wakes, wake)
	}
	table("room", "| 100 sites, one on air: CPU of the muted, share of all | %.0f %% | ≤ 10 %% |", 100*of(rs, func(r result) float64 { return r.room.share }))
	if o.only["apart"] || o.only["burst"] {
		fanOutTable(rs, line)
	}
	isolationTable(rs, line)
	for _, r := range rs {
		soakTable(r.soak, line)
	}
	return b.String()
}

// fanOutTable is every step of the growing audiences.
func fanOutTable(rs []result, line func(string, ...any)) {
	line("")
	line("| viewers | spacing | core %% | µs/packet | loss %% | p50 ms | p99 ms | max ms | RSS MiB | core taken by others %% | stolen by the host %% |")
	line("|---|---|---|---|---|---|---|---|---|---|---|")
	for _, spacing := range []struct {
		name string
		of   func(result) []measurement
	}{{"apart", func(r result) []measurement { return r.apart }}, {"burst", func(r result) []measurement { return r.burst }}} {
		for i, n := range fanOut {
			at := func(f func(measurement) float64) float64 {
				var all []float64
				for _, r := range rs {
					if ms := spacing.of(r); i < len(ms) {
						all = append(all, f(ms[i]))
					}
				}
				return median(all)
			}
			line("| %d | %s | %.0f | %.2f | %.2f | %.1f | %.1f | %.1f | %.0f | %.0f | %.1f |", n, spacing.name,
				at(func(m measurement) float64 { return 100 * m.load }), at(perPacketOf), at(func(m measurement) float64 { return 100 * m.loss }),
				at(func(m measurement) float64 { return millis(m.p50) }), at(func(m measurement) float64 { return millis(m.p99) }),
				at(func(m measurement) float64 { return millis(m.max) }), at(func(m measurement) float64 { return float64(m.rss) / 1024 }),
				at(func(m measurement) float64 { return 100 * m.disturbed }), at(func(m measurement) float64 { return 100 * m.stolen }))
		}
	}
}

func ratio(a, b float64) float64 {
	if b == 0 {
		return 0
	}
	return a / b
}
