package transcode

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"tongxiang/internal/apierr"
	"tongxiang/internal/media"
	"tongxiang/internal/stream"
)

// A participant's picture that is not H.264, such as VP8, is made H.264 while the
// programme of his meeting shows it, so that every output of the programme has the one
// codec that all of them carry. It is a rendition like the others: made while somebody
// reads it and [stream.Linger] longer, in a room and with a priority like theirs. It
// differs in what it follows: the largest of his layers that flows, which changes
// with his line, from key frame to key frame.

// Why a picture is not made H.264, for people.
var (
	errPictureAbsent = apierr.New(http.StatusNotAcceptable, "picture_needs_ffmpeg",
		"The picture on air is not H.264, and ffmpeg is not installed on the server: outputs that need H.264 have sound only.",
		"当前播出画面不是 H.264，而服务器上没有安装 ffmpeg：需要 H.264 的输出只有声音。")
	errPictureBusy = apierr.New(http.StatusServiceUnavailable, "picture_transcode_busy",
		"The picture on air is not H.264, and the server is transcoding as much as it may: outputs that need H.264 have sound only.",
		"当前播出画面不是 H.264，而服务器的转码路数已满：需要 H.264 的输出只有声音。")
	errPictureHopeless = apierr.New(http.StatusNotAcceptable, "picture_unsupported",
		"The codec of the picture on air cannot be transcoded: outputs that need H.264 have sound only.",
		"无法转码当前播出画面的编码：需要 H.264 的输出只有声音。")
)

// Picture returns the stream that carries a participant's picture in H.264, in a track
// with the label of the picture that it is made of. The error is an [apierr.Error]
// that says why there is none.
func (s *Service) Picture(participant stream.Name, label stream.Label) (stream.Name, error) {
	t := H264
	if label == stream.LabelScreen {
		t = H264Screen
	}
	name := Rendition(participant, t)
	if _, _, ok := parse(name); !ok {
		return "", errPictureHopeless.Because(fmt.Errorf("%s is no participant", participant))
	}
	sub := s.hub.Open(participant)
	defer sub.Close()
	source := foreign(sub.Tracks(), label)
	switch {
	case !s.Available():
		return "", errPictureAbsent
	case source == nil:
		return "", errPictureHopeless.Because(errors.New("no picture of his can be decoded"))
	case s.hub.Published(name) || s.room.fits(true, estimate(Plan{target: t, picture: Encode}, []media.Format{source.Format()})):
		return name, nil
	}
	s.refusals.Add(1)
	return "", errPictureBusy
}

// foreign returns the largest layer of a label that flows and that is to be made H.264.
func foreign(tracks []*stream.Track, label stream.Label) *stream.Track {
	var of []*stream.Track
	for _, t := range tracks {
		if t.Format().Codec == media.VP8 {
			of = append(of, t)
		}
	}
	return stream.Flowing(of, label)
}

// runPicture publishes one picture until ctx ends. The hub runs it, by [Service.run].
func (s *Service) runPicture(ctx context.Context, pub *stream.Publisher, sub *stream.Subscription, t Target) error {
	p := &picture{s: s, pub: pub, label: t.label()}
	p.in = layers{sub: sub, label: p.label, rd: stream.NewReader(&s.drops)}
	defer p.in.close()
	for {
		source, err := p.wait(ctx)
		if err != nil {
			return nil // ctx ended
		}
		p.job, err = s.room.enter(true, estimate(Plan{target: t, picture: Encode}, []media.Format{source.Format()}))
		if err != nil {
			s.refusals.Add(1)
			return err
		}
		err = p.follow(ctx)
		s.room.leave(p.job)
		pub.SetTracks(nil)
		if !errors.Is(err, errGone) {
			return nil
		}
	}
}

// errGone ends a run of a picture because there is none to transcode any more.
var errGone = errors.New("the picture is gone, or is H.264 now")

// picture is the transcoding of one participant's camera or screen. It belongs to the
// goroutine of runPicture, and to those that this one waits for.
type picture struct {
	s     *Service
	in    layers
	pub   *stream.Publisher
	label stream.Label
	job   *job // its place in the room

	begin *media.Frame // the key frame that the next child begins with; nil: it asks for one
	last  media.Time   // decode time of the newest frame that was published, over all children
}

// wait returns a picture that is to be transcoded as soon as there is one.
func (p *picture) wait(ctx context.Context) (*stream.Track, error) {
	look := time.NewTicker(lookEvery) // that a layer begins to flow is no change of the stream's
	defer look.Stop()
	for {
		if t := foreign(p.in.sub.Tracks(), p.label); t != nil {
			return t, nil
		}
		select {
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		case <-look.C:
		}
	}
}

// follow keeps a child running until ctx ends or there is nothing for it to do.
func (p *picture) follow(ctx context.Context) error {
	ctx, end := context.WithCancelCause(ctx)
	defer end(nil)
	return p.s.keep(ctx, p.pub.Name(), func(ctx context.Context) error {
		err := (&pictureChild{p: p}).run(ctx)
		if errors.Is(err, errGone) {
			end(errGone)
		}
		return err
	})
}
