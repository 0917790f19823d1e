package mpegts

import "tongxiang/ingest/source"

// Feed brings one programme in of a transport stream that another protocol carries,
// such as RTSP (RFC 2250 section 2). It belongs to the goroutine that reads.
type Feed struct {
	mux *mux
	in  *receiver
}

// NewFeed returns a feed that writes to out; program as in [Muxes.New].
func NewFeed(out *source.Output, program int) *Feed {
	x := newMux("", out.Clock)
	return &Feed{mux: x, in: x.add(out, program)}
}

// Write takes bytes that arrived at a moment of the clock. It counts them as
// received, and keeps none.
func (f *Feed) Write(b []byte, arrival int64) { f.mux.feed(b, arrival) }

// Close hands out what is under way. Nothing reads any more.
func (f *Feed) Close() {
	f.mux.finish()
	f.mux.remove(f.in)
}
