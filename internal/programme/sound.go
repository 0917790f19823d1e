package programme

import (
	"log/slog"
	"net/http"
	"time"

	"tongxiang/internal/apierr"
	"tongxiang/internal/media"
	"tongxiang/internal/programme/mix"
	"tongxiang/internal/retry"
	"tongxiang/internal/stream"
)

const (
	// behind is how far the mix is behind the clock: what is on its way, or being
	// repaired, must have come. Times say so, so pictures stay with their sound.
	behind = int64(250 * time.Millisecond)
	// maxVoices is how many are mixed at once. More than that is noise.
	maxVoices = 6
	// maxCatchUp is how much sound is made at once after a stall; beyond it the
	// mix begins anew.
	maxCatchUp = 2 * time.Second
	// encoderTries is how many children in a row may give nothing at all before the
	// programme does without mixing. One that has worked is started again for ever.
	encoderTries = 3
	// encoderSteady is how long a child must have run for its end to be the first.
	encoderSteady = int64(30 * time.Second)
)

// Why one speaker is heard and not all, for people.
var (
	errSoundAbsent = apierr.New(http.StatusNotAcceptable, "sound_needs_ffmpeg",
		"ffmpeg is not installed on the server: of the meeting only the dominant speaker is heard, in Opus as he sends it.",
		"服务器上没有安装 ffmpeg：会议播出只有主讲人的声音（原始 Opus），没有混音。")
	errSoundFailed = apierr.New(http.StatusServiceUnavailable, "sound_mixer_failed",
		"The encoder of the meeting's mixed sound ends again and again: only the dominant speaker is heard, in Opus as he sends it.",
		"会议混音的编码器反复退出：会议播出只有主讲人的声音（原始 Opus），没有混音。")
)

// sound mixes what the participants say and has it encoded. It belongs to the
// switcher's goroutine, which calls tick 50 times a second.
type sound struct {
	w     *switcher
	rd    *stream.Reader // never slept on: everybody is read at each tick
	ears  map[string]*ear
	mixer *mix.Mixer
	begin media.Time // of the mixer's position 0
	log   *slog.Logger

	opus, aac *stream.Track
	enc       *encoder
	started   int64 // when enc was
	failures  int
	again     int64 // not before this is the next child started
	backoff   retry.Backoff

	pcm   [longestPacket * mix.Channels]float32
	block [mix.Block * mix.Channels]float32
}

func newSound(w *switcher) *sound {
	return &sound{
		w: w, rd: stream.NewReader(nil), ears: make(map[string]*ear), log: w.s.log.With("meeting", w.id),
		backoff: retry.Backoff{First: 200 * time.Millisecond, Max: 30 * time.Second},
	}
}

// works reports whether the programme's sound is the mix. Without ffmpeg, or while
// it fails again and again, it is the dominant speaker's as he sends it.
func (m *sound) works() bool { return m.w.s.cfg.FFmpeg != "" && m.failures < encoderTries }

// why says why the sound is not the mix; nil: it is.
func (m *sound) why() error {
	switch {
	case m.works():
		return nil
	case m.w.s.cfg.FFmpeg == "":
		return errSoundAbsent
	}
	return errSoundFailed
}

// tick reads, mixes and hands on what is due.
func (m *sound) tick(in Input, now int64) {
	m.attend(in)
	if m.mixer == nil || now-int64(m.place(m.mixer.Position()))-behind > int64(maxCatchUp) {
		m.restart(now)
	}
	for _, e := range m.ears {
		e.follow(m.rd)
		e.listen(func(p *media.Packet) { m.w.clock(e.sub.Name(), p) })
	}
	speaking := voices(m.ears, now, maxVoices)
	mixed := make(map[string]bool, len(speaking))
	for _, id := range speaking {
		mixed[id] = true
	}
	for id, e := range m.ears {
		if !mixed[id] {
			e.rest(now)
			continue
		}
		name := e.sub.Name()
		err := e.decode(now, m.pcm[:], func(p *media.Packet, pcm []float32) {
			if c := m.w.clocks[name]; c != nil {
				m.mixer.Put(id, m.position(c.at(p.Time)), pcm)
			}
		})
		if err != nil {
			m.log.Debug("sound cannot be decoded", "participant", id, "err", err)
		}
	}
	m.encode(now)
}

// place is the time of a position, position that of a time.
func (m *sound) place(position int64) media.Time {
	return m.begin + media.FromTicks(position, mix.Rate)
}

func (m *sound) position(t media.Time) int64 { return (t - m.begin).Ticks(mix.Rate) }

// restart begins the mix anew, now.
func (m *sound) restart(now int64) {
	m.mixer = mix.New()
	m.begin = media.FromTicks(media.Time(now-behind).Ticks(mix.Rate), mix.Rate)
	m.stop()
}

// attend listens to those who are present.
func (m *sound) attend(in Input) {
	here := make(map[string]bool, len(in.Present))
	for _, id := range in.Present {
		here[id] = true
		if m.ears[id] == nil && len(m.ears) < maxSources {
			m.ears[id] = &ear{sub: m.w.s.hub.Open(stream.Participant(m.w.id, id))}
		}
	}
	for id, e := range m.ears {
		if !here[id] {
			e.close()
			delete(m.ears, id)
			if m.mixer != nil {
				m.mixer.Forget(id)
			}
		}
	}
}

// encode makes the blocks that are due and gives them to the child.
func (m *sound) encode(now int64) {
	for int64(m.place(m.mixer.Position()+mix.Block))+behind <= now {
		at := m.place(m.mixer.Position() - mix.Delay)
		m.mixer.Mix(m.block[:])
		if !m.ready(at, now) {
			continue // the next child begins with a later block
		}
		if err := m.enc.write(m.block[:]); err != nil {
			m.failed(err, now)
		}
	}
}

// ready starts a child when there is none, and says whether there is one.
func (m *sound) ready(at media.Time, now int64) bool {
	if m.enc != nil && at.Sub(m.enc.origin) > encoderRenew {
		m.stop()
	}
	if m.enc != nil {
		return true
	}
	if now < m.again {
		return false
	}
	m.publish()
	m.enc, m.started = startEncoder(m.w.s.cfg.FFmpeg, at, m.opus, m.aac, m.w.s.clock, m.log), now
	return true
}

// publish makes the two tracks, which are one sound in two codings.
func (m *sound) publish() {
	m.opus = m.w.pub.AddTrack(stream.TrackInfo{Label: stream.LabelAudio, Form: stream.Frames, Format: opusFormat})
	m.aac = m.w.pub.AddTrack(stream.TrackInfo{Label: stream.LabelAudio, Layer: 1, Form: stream.Frames, Format: aacFormat})
}

func (m *sound) failed(err error, now int64) {
	if now-m.started > encoderSteady {
		m.backoff.Reset()
	}
	m.failures++
	if m.enc.gave.Load() {
		m.failures = 0
	}
	m.stop()
	pause := m.backoff.Next()
	m.again = now + int64(pause)
	m.log.Warn("the programme's sound encoder ended", "err", err, "again in", pause)
	if !m.works() {
		m.log.Warn("the programme has the dominant speaker's sound instead of all voices")
		m.w.s.unmixed.Add(1)
		m.w.pub.RemoveTrack(m.aac)
	}
}

func (m *sound) stop() {
	if m.enc != nil {
		m.enc.close()
		m.enc = nil
	}
}

// close lets go of everything.
func (m *sound) close() {
	m.stop()
	for _, e := range m.ears {
		e.close()
	}
}
