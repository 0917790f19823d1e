package ts

import (
	"fmt"
	"strings"
	"time"

	"tongxiang/internal/playout/feed"
)

// State is how an output is.
type State string

// The states.
const (
	// Starting: nothing is sent yet, or only tables, because the stream is being looked at.
	Starting State = "starting"
	// OnAir: the stream goes out.
	OnAir State = "on_air"
	// Overloaded: it goes out with holes, because it needs more than the bit rate.
	Overloaded State = "overloaded"
	// Idle: the stream is away; tables and null packets go out.
	Idle State = "idle"
	// Stopped: the stream is away, and the output is told to be silent then.
	Stopped State = "stopped"
	// Failed: the socket cannot be opened; it is tried again.
	Failed State = "failed"
)

// Why is why an output is as it is, for a program and for people.
type Why struct{ Code, EN, ZH string }

// Status is an output as it is now.
type Status struct {
	OutputConfig
	State   State
	Since   time.Time
	Reason  Why               // empty when all is well
	Rate    int64             // bits a second of the time line; 0: not known yet
	Needed  int64             // what the stream needs, about; 0: not known
	Now     int64             // bits a second that were sent in the last second
	Packets uint64            // transport packets sent
	Errors  map[string]uint64 // what was lost, by name
}

var (
	whyNoStream = Why{
		"no_stream", "Nobody publishes the stream at the moment.", "该节目流当前没有信号。",
	}
	whySilent = Why{
		"no_frames", "The stream is published, but no picture and no sound come.", "节目流存在，但没有图像和声音数据。",
	}
	whyMeasuring = Why{
		"measuring", "The stream is looked at for a few seconds to find its bit rate.", "正在测量节目流的码率。",
	}
)

// megabits writes a rate for people.
func megabits(rate int64) string { return fmt.Sprintf("%.2f Mbit/s", float64(rate)/1e6) }

func whyOverloaded(need, rate int64) Why {
	return Why{
		"output_bitrate_too_small",
		fmt.Sprintf("The stream needs about %s; the output has %s. Pictures are left out.", megabits(need), megabits(rate)),
		fmt.Sprintf("节目流约需 %s，输出码率只有 %s，部分图像被丢弃。", megabits(need), megabits(rate)),
	}
}

// whyUnplayable names the codecs that no transport stream carries.
func whyUnplayable(refused []feed.Refused) Why {
	var names []string
	for _, r := range refused {
		names = append(names, r.Format.Codec.String())
	}
	list := strings.Join(names, ", ")
	return Why{
		"output_unplayable",
		"A transport stream cannot carry " + list + ", and it cannot be transcoded here.",
		"传输流无法承载 " + list + "，本机也无法转码。",
	}
}

// numbers returns the counts that are not zero, by name.
func (o *output) numbers() map[string]uint64 {
	out := make(map[string]uint64)
	put := func(name string, n uint64) {
		if n > 0 {
			out[name] += n
		}
	}
	if o.mux != nil {
		s := o.mux.Stats()
		for r, n := range s.Drops {
			put(Reason(r).String(), n)
		}
		put("clock_jumps", s.Jumps)
		put("finished_late", s.Late)
	}
	put("socket_full", o.grams.full)
	put("refused", o.grams.refused)
	put("send_failed", o.grams.failed)
	put("stalls", o.stalls)
	put("socket_failures", o.failures)
	for name, n := range o.lost.Snapshot() {
		put(name, n)
	}
	return out
}
