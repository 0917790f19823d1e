package rtsp

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/bluenviron/gortsplib/v4/pkg/description"
	"github.com/bluenviron/gortsplib/v4/pkg/format"

	"tongxiang/internal/apierr"
	"tongxiang/internal/media"
	"tongxiang/internal/rtptrack"
	"tongxiang/internal/stream"
)

const (
	// settle is how long tracks must have stayed as they are before they are
	// described: a source finds its sound a little after its picture.
	settle = 400 * time.Millisecond
	// maxSounds bounds the sound tracks of a description.
	maxSounds = 8
	// firstPayload is the first dynamic payload type (RFC 3551 3).
	firstPayload = 96
)

var (
	errNotLive = apierr.New(http.StatusNotFound, "stream_not_live",
		"The stream is not on air at the moment.", "该节目当前没有信号。")
	errNoCodec = apierr.New(http.StatusUnsupportedMediaType, "no_common_codec",
		"Nothing in this stream can be carried by RTSP.", "该节目的编码无法通过 RTSP 传输。")
)

// part is one track of a description.
type part struct {
	label  stream.Label
	known  media.Format
	format format.Format
	media  *description.Media
}

// layout is a stream as it was described to players.
type layout struct {
	parts []part
	desc  *description.Session
}

// describe waits for a stream's tracks and describes them. A stream that is made on
// demand is started by it.
func (s *Server) describe(ctx context.Context, name stream.Name) (*layout, error) {
	sub := s.hub.Open(name)
	defer sub.Close()
	ctx, cancel := context.WithTimeout(ctx, s.cfg.StartTimeout)
	defer cancel()
	for {
		changed := sub.Changed()
		tracks := sub.Tracks()
		var quiet <-chan time.Time
		if len(tracks) > 0 {
			quiet = time.After(settle)
			if complete(tracks) {
				return layoutOf(name, tracks)
			}
		}
		select {
		case <-changed:
		case <-quiet:
			return layoutOf(name, sub.Tracks())
		case <-ctx.Done():
			if len(tracks) > 0 {
				return layoutOf(name, tracks)
			}
			return nil, errNotLive.Because(context.Cause(ctx))
		}
	}
}

// complete reports whether nothing more is to be expected of a stream: it has a
// picture, whose parameter sets are known, and a sound.
func complete(tracks []*stream.Track) bool {
	var picture, sound bool
	for _, t := range tracks {
		f := t.Format()
		switch f.Codec {
		case media.H264, media.H265:
			picture = picture || len(f.Params) > 0
		default:
			picture = picture || t.Kind() == media.Video
			sound = sound || t.Kind() == media.Audio
		}
	}
	return picture && sound
}

// layoutOf describes the largest layer of the first picture, and the sounds.
func layoutOf(name stream.Name, tracks []*stream.Track) (*layout, error) {
	l := &layout{desc: &description.Session{Title: name.String()}}
	payload := uint8(firstPayload)
	var why error
	for _, t := range choose(tracks) {
		f := t.Format()
		d, err := rtptrack.Describe(f, payload)
		if err != nil {
			why = err
			continue
		}
		payload++
		m := &description.Media{
			Type: description.MediaType(t.Kind().String()), Control: "trackID=" + strconv.Itoa(len(l.parts)),
			Formats: []format.Format{d},
		}
		l.parts = append(l.parts, part{t.Label(), f, d, m})
		l.desc.Medias = append(l.desc.Medias, m)
	}
	if len(l.parts) == 0 {
		if why == nil {
			why = fmt.Errorf("%d tracks", len(tracks))
		}
		return nil, errNoCodec.Because(why)
	}
	return l, nil
}

func choose(tracks []*stream.Track) []*stream.Track {
	var picture *stream.Track
	var sounds []*stream.Track
	for _, t := range tracks {
		switch {
		case t.Kind() == media.Audio:
			if len(sounds) < maxSounds {
				sounds = append(sounds, t)
			}
		case picture == nil, picture.Label() == t.Label() && t.Layer() > picture.Layer():
			picture = t
		}
	}
	if picture == nil {
		return sounds
	}
	return append([]*stream.Track{picture}, sounds...)
}

// find returns the track that carries a part now, or nil. changed says that there is
// one with its label, in a format that was not described.
func (p *part) find(tracks []*stream.Track) (t *stream.Track, changed bool) {
	i := slices.IndexFunc(tracks, func(t *stream.Track) bool { return t.Label() == p.label })
	if i < 0 {
		return nil, false
	}
	for _, o := range tracks {
		if o.Label() == p.label && o.Layer() > tracks[i].Layer() {
			t = o
		}
	}
	if t == nil {
		t = tracks[i]
	}
	f := t.Format()
	if f.Codec != p.known.Codec {
		return nil, true
	}
	if f.Codec.Kind() == media.Video { // parameter sets come in band as well
		return t, false
	}
	if f.Rate != p.known.Rate || f.Channels != p.known.Channels || !slices.Equal(f.Config, p.known.Config) {
		return nil, true
	}
	return t, false
}
