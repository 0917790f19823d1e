package programme

import (
	"time"

	"tongxiang/internal/media"
	"tongxiang/internal/stream"
)

// silent is 20 ms of silence in Opus: a CELT frame of no bytes (RFC 6716 section 3.1).
// It is copied nowhere and never changed.
var silent = []byte{0xf8, 0xff, 0xfe}

// silence fills the sound while nobody is heard. Without it players that wait for
// sound would stop, and the track would come and go with the first word.
func (w *switcher) silence(now int64) {
	const length = int64(20 * time.Millisecond)
	if !w.video.begun && !w.audio.begun {
		return // nothing is on air yet
	}
	if w.heard == 0 {
		w.heard = now - int64(quiet)
	}
	if now-w.heard < int64(quiet) {
		return
	}
	l := &w.audio
	if l.out == nil || l.out.Format().Codec != media.Opus {
		l.out = w.pub.AddTrack(stream.TrackInfo{Label: stream.LabelAudio, Form: stream.Packets, Format: media.Format{
			Codec: media.Opus, ClockRate: 48000, Rate: 48000, Channels: 2,
		}})
	}
	at := media.Time(now - int64(quiet))
	if l.begun {
		at = l.time + media.Time(length)
	}
	for ; int64(at) <= now-int64(quiet)+length; at += media.Time(length) {
		p := &media.Packet{
			Time: at, Timestamp: at.Ticks(48000), Arrival: now, Codec: media.Opus, Payload: silent, Start: true, Sync: true,
		}
		l.cut(p, 0)
		l.put(p)
	}
	if w.sound != nil {
		w.sound.began = false // what comes of it again is placed anew
	}
}
