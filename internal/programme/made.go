package programme

import (
	"net/http"
	"time"

	"tongxiang/internal/apierr"
	"tongxiang/internal/media"
	"tongxiang/internal/stream"
)

const (
	// askEvery is how often it is asked again for H.264 that could not be had.
	askEvery = int64(time.Second)
	// madeWithin is how long H.264 may take to come, or to come again, before the
	// picture goes on air as it is.
	madeWithin = int64(10 * time.Second)
	// freshItems is up to how many pictures a stream counts as one that has just begun.
	freshItems = 15
)

var errPictureFailed = apierr.New(http.StatusServiceUnavailable, "picture_transcode_failed",
	"The picture on air is not H.264, and its transcoder gives nothing: outputs that need H.264 have sound only.",
	"当前播出画面不是 H.264，而转码器没有输出：需要 H.264 的输出只有声音。")

// made is the H.264 of the participant on air who sends something else, such as VP8.
// It is read, and so made, only while he is on air. Where it cannot be had, his picture
// goes out as he sends it: by WebRTC and in recordings it is seen all the same, and
// outputs that carry H.264 alone have the sound. The zero value is ready.
type made struct {
	source              // of the H.264
	of     stream.Name  // the participant
	label  stream.Label // and which of his pictures
	asked  int64        // when it was last asked for
	track  *stream.Track
	items  uint64 // that it has carried
	since  int64  // since when nothing has come of it; 0: it flows
	err    error  // why there is none; nil: there is, or none is needed
}

// choose returns the track to show of the shot: the participant's own when it is
// H.264 or cannot be made so, the one made of it as soon as it flows, else nil.
func (m *made) choose(w *switcher, now int64) *stream.Track {
	own := best(w.pictures.sub, w.shot.Label)
	if own == nil || own.Format().Codec == media.H264 || w.s.cfg.H264 == nil {
		m.close(w)
		return own
	}
	m.ask(w, now)
	if m.sub == nil {
		return own
	}
	m.track = best(m.sub, m.label)
	items := uint64(0)
	if m.track != nil {
		items = m.track.Stats().Items
	}
	switch {
	case items != m.items:
		m.items, m.since, m.err = items, 0, nil
	case m.since == 0:
		m.since = now
	case now-m.since > madeWithin && own.Stats().Last > now-int64(time.Second):
		m.err = errPictureFailed
		return own
	}
	return m.track
}

// ask opens the stream in H.264 of the picture on air, once, and again and again while
// there is none.
func (m *made) ask(w *switcher, now int64) {
	of, label := w.pictures.name, w.shot.Label
	same := m.of == of && m.label == label
	if same && (m.sub != nil || now-m.asked < askEvery) {
		return
	}
	if !same {
		m.items, m.since, m.err = 0, 0, nil
	}
	m.of, m.label, m.asked = of, label, now
	name, err := w.s.cfg.H264(of, label)
	if err != nil {
		name = ""
		if m.err == nil {
			w.s.log.Warn("picture goes on air as it is sent", "stream", of, "err", err)
		}
	}
	m.err = err
	w.subscribe(&m.source, name)
}

// fresh reports whether t is the H.264 of a picture, and began a moment ago.
func (m *made) fresh(t *stream.Track) bool { return t == m.track && t.Stats().Items < freshItems }

// close lets go of it: the picture on air is H.264, or there is none.
func (m *made) close(w *switcher) {
	w.subscribe(&m.source, "")
	*m = made{}
}
