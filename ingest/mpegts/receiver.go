package mpegts

import (
	"fmt"
	"slices"
	"time"

	"tongxiang/ingest/source"
	"tongxiang/internal/media"
	core "tongxiang/internal/mpegts"
	"tongxiang/internal/stream"
)

const (
	// reportEvery is how often counts are reported, in nanoseconds.
	reportEvery = int64(1e9)
	// silence is how long a sender may say nothing and still go on with its clock.
	silence = int64(1e9)
	// clockBack and clockAhead are steps of the PCR that cannot be: packets of one
	// sender may overtake one another a little, and 100 ms is the most between two.
	clockBack  = -27_000_000 / 20
	clockAhead = 27_000_000 * 5
	// dtsBack is how far decoding times may run back before it counts as a new
	// clock; less is an encoder's slip and is evened out.
	dtsBack = 500 * time.Millisecond
)

// receiver brings one programme of a mux in: it chooses the programme and writes
// its tracks. It belongs to its mux, which calls it with the mux locked.
type receiver struct {
	out     *source.Output
	program int
	resumed bool // an earlier source wrote before this one
	demux   *core.Demuxer
	way     *source.Link // of the mux
	si      *information // of its mux
	chosen  *core.Service
	raw     *raw                   // set while somebody takes the packets raw
	tracks  map[uint16]*trackState // by PID
	states  map[*stream.Track]*trackState
	clock   int64 // newest reference of the chosen service
	clocked bool
	now     int64
	next    int64  // when to report again
	packets uint64 // of the chosen service, when they were counted last
}

// trackState is what is known of a track, whose stream may become another one.
type trackState struct {
	stream *core.Stream // nil while the one that is announced is not known
	track  *stream.Track
	epoch  int
	begun  bool
	fresh  bool       // the next frame is the first after time was lost
	last   media.Time // DTS written
}

func newReceiver(out *source.Output, program int, demux *core.Demuxer, way *source.Link) *receiver {
	return &receiver{
		out: out, program: program, demux: demux, way: way,
		tracks: make(map[uint16]*trackState), resumed: out.Latest() > 0,
	}
}

// received counts what came: of the programme, once it is chosen, else all.
func (r *receiver) received(n int) {
	if r.chosen != nil {
		was := r.packets
		r.packets = r.chosen.Packets()
		n = int(r.packets-min(was, r.packets)) * core.PacketSize
	}
	r.out.Received(n, r.now)
}

// anew says that the next times continue nothing.
func (r *receiver) anew() {
	r.out.Timeline.Restart()
	for _, t := range r.states {
		t.fresh = true
	}
	if r.raw != nil {
		r.raw.anew()
	}
}

func (r *receiver) pcr(pid uint16, pcr int64, _ bool) {
	if r.chosen == nil || r.chosen.PCRPID != pid {
		return
	}
	if r.clocked {
		if step := clockStep(r.clock, pcr); step < clockBack || step > clockAhead {
			r.demux.Discontinue(r.chosen)
			r.anew()
		}
	}
	r.clock, r.clocked = pcr, true
	r.out.Referenced(r.now)
}

// clockStep returns the distance between two clock references, over a wrap.
func clockStep(from, to int64) int64 {
	return core.Forward(from/300, to/300)*300 + to%300 - from%300
}

// service takes news about a service.
func (r *receiver) service(s *core.Service) {
	if r.chosen == nil {
		if o := r.choose(s); o != nil {
			r.chosen, r.clocked = o, false
			r.si.stale = true
			r.demux.Reselect()
			s = o
		}
	}
	if s == r.chosen {
		r.publish()
		r.report()
	}
}

// choose returns the programme to bring in, now that s is known better, or nil.
func (r *receiver) choose(s *core.Service) *core.Service {
	if s.Known && r.suits(s) {
		return s
	}
	if r.program != 0 {
		return nil
	}
	// When all are known and none can be played, the reason of the first is wanted.
	var first *core.Service
	for _, o := range r.demux.Services() {
		if !o.Known {
			return nil
		}
		if first == nil && anyMedia(o) {
			first = o
		}
	}
	return first
}

func (r *receiver) suits(s *core.Service) bool {
	if r.program != 0 {
		return int(s.ID) == r.program
	}
	for _, st := range s.Streams {
		if handled(st.Codec) && !s.CA {
			return true
		}
	}
	return false
}

func anyMedia(s *core.Service) bool {
	for _, st := range s.Streams {
		if st.Media {
			return true
		}
	}
	return false
}

func (r *receiver) gone(s *core.Service) {
	if s != r.chosen {
		return
	}
	r.chosen = nil
	r.tracks = make(map[uint16]*trackState)
	// A programme that was renumbered is found again among those that are left.
	for _, o := range r.demux.Services() {
		if o != s && o.Known && r.suits(o) {
			r.service(o)
			return
		}
	}
}

// handled reports whether the core makes frames of a codec.
func handled(c media.Codec) bool {
	switch c {
	case media.H264, media.H265, media.MPEG2Video, media.AAC, media.MPEGAudio, media.AC3, media.EAC3, media.Opus:
		return true
	}
	return false
}

// publish makes the known streams of the chosen service the tracks of the channel.
// Labels follow the PMT: one picture, then "audio", "audio2" and so on, whichever
// of them is known first.
func (r *receiver) publish() {
	if r.chosen == nil {
		return
	}
	var infos []stream.TrackInfo
	var streams []*core.Stream
	video, audio := 0, 0
	for _, st := range r.chosen.Streams {
		if !handled(st.Codec) {
			continue
		}
		label := stream.LabelVideo
		if st.Codec.Kind() == media.Video {
			if video++; video > 1 {
				continue
			}
		} else {
			label = stream.LabelAudio
			if audio++; audio > 1 {
				label = stream.Label(fmt.Sprintf("%s%d", stream.LabelAudio, audio))
			}
		}
		format := st.Format
		if !st.Known {
			// Its headers come in a moment. Until then who reads the stream that it
			// takes the place of goes on waiting.
			t := r.labelled(label, st.Codec)
			if t == nil {
				continue
			}
			format, st = t.Format(), nil
		}
		infos = append(infos, stream.TrackInfo{Label: label, Form: stream.Frames, Format: format})
		streams = append(streams, st)
	}
	if len(infos) == 0 && len(r.states) == 0 {
		return // keep what an earlier source published until this one has something
	}
	old := r.states
	r.tracks = make(map[uint16]*trackState, len(infos))
	r.states = make(map[*stream.Track]*trackState, len(infos))
	for i, t := range r.out.Publisher.SetTracks(infos) {
		state := old[t]
		if state == nil {
			state = &trackState{track: t, fresh: r.resumed}
		}
		state.stream = streams[i]
		r.states[t] = state
		if state.stream != nil {
			r.tracks[state.stream.PID] = state
		}
	}
	r.report()
}

// labelled returns the track with a label and a codec that there is already, or nil.
func (r *receiver) labelled(label stream.Label, codec media.Codec) *stream.Track {
	for t := range r.states {
		if t.Label() == label && t.Format().Codec == codec {
			return t
		}
	}
	return nil
}

// format takes news about a stream's headers.
func (r *receiver) format(st *core.Stream) {
	if r.chosen != nil && slices.Contains(r.chosen.Streams, st) {
		r.publish()
	}
}

// takes reports whether a stream is one of the receiver's tracks.
func (r *receiver) takes(st *core.Stream) bool {
	ts := r.tracks[st.PID]
	return ts != nil && ts.stream == st
}

// frame writes an access unit of the chosen service.
func (r *receiver) frame(st *core.Stream, f *media.Frame, t core.Times) {
	ts := r.tracks[st.PID]
	if ts == nil || ts.stream != st || t.DTS == core.NoTime {
		return
	}
	dts, epoch := r.out.Timeline.Time(uint64(t.DTS), r.now)
	if ts.begun && ts.last.Sub(dts) > dtsBack {
		r.anew()
		dts, epoch = r.out.Timeline.Time(uint64(t.DTS), r.now)
	}
	f.PTS = dts + media.FromTicks(core.Forward(t.DTS, t.PTS), core.Ticks)
	if ts.begun && dts <= ts.last {
		dts = ts.last.Add(time.Second / core.Ticks)
		f.PTS = max(f.PTS, dts)
	}
	f.DTS, ts.last = dts, dts
	f.Gap = ts.fresh || ts.begun && epoch != ts.epoch
	ts.epoch, ts.begun, ts.fresh = epoch, true, false
	r.out.Written(f.DTS, r.now)
	ts.track.WriteFrame(f)
}

// report tells the channel what is there.
func (r *receiver) report() {
	rep := source.Report{
		Errors: counts(r.demux.Stats(), r.way.Errors), Program: r.program,
		Waiting: r.way.Waiting, Cause: r.way.Cause, Detail: r.way.Detail,
	}
	if s := r.chosen; s != nil {
		rep.Service, rep.Provider, rep.Program = s.Name, s.Provider, int(s.ID)
		rep.Network, rep.Stream = r.si.network, r.si.stream
		rep.Streams = Streams(s)
		measured := r.demux.MeasureService(s)
		rep.Transport = &measured
		for i := range rep.Streams {
			rep.Streams[i].Published = r.tracks[uint16(rep.Streams[i].PID)] != nil
		}
		now(rep.Streams, s)
	}
	r.out.Report(rep)
}

// now makes scrambled streams those that are scrambled at the moment: a programme
// that was for an hour plays again.
func now(streams []source.Stream, s *core.Service) {
	for i := range streams {
		for _, st := range s.Streams {
			if int(st.PID) == streams[i].PID && st.Known {
				streams[i].Scrambled = st.ScrambledNow()
			}
		}
	}
}

// Streams returns the pictures and sounds of a service.
func Streams(s *core.Service) []source.Stream {
	var out []source.Stream
	for _, st := range s.Streams {
		if !st.Media {
			continue
		}
		f := st.Format
		f.Codec, f.Note = st.Codec, st.Note
		out = append(out, source.Stream{
			Format: f, Known: st.Known, PID: int(st.PID),
			// What has not come yet is judged by what is announced.
			Scrambled: st.Scrambled() || !st.Known && s.Scrambled(),
		})
	}
	return out
}
