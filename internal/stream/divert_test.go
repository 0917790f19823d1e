package stream

import (
	"fmt"
	"log/slog"
	"testing"

	"tongxiang/internal/media"
)

// sink writes down what reaches it.
type sink struct{ got []string }

func (s *sink) Tracks(list []*Track) {
	text := "tracks"
	for _, t := range list {
		text += fmt.Sprintf(" %s/%d", t.Label(), t.Format().Width)
	}
	s.got = append(s.got, text)
}

func (s *sink) Frame(t *Track, f *media.Frame) {
	s.got = append(s.got, fmt.Sprintf("frame %s %d", t.Label(), f.DTS))
}

func (s *sink) Packet(t *Track, p *media.Packet) {
	s.got = append(s.got, fmt.Sprintf("packet %s %d", t.Label(), p.Sequence))
}

func (s *sink) take() string {
	text := fmt.Sprint(s.got)
	s.got = nil
	return text
}

func TestADivertedPublisherWritesToItsSink(t *testing.T) {
	var s sink
	p := Divert("channels/x", &s)
	video := TrackInfo{Label: LabelVideo, Form: Frames, Format: media.Format{Codec: media.H264, Width: 64}}
	audio := TrackInfo{Label: LabelAudio, Form: Packets, Format: media.Format{Codec: media.Opus, ClockRate: 48000}}
	tracks := p.SetTracks([]TrackInfo{video, audio})
	if got := s.take(); got != "[tracks video/64 audio/0]" {
		t.Errorf("set at once: %s", got)
	}
	tracks[0].WriteFrame(&media.Frame{DTS: 7})
	tracks[1].WritePacket(&media.Packet{Sequence: 8})
	video.Format.Width = 128
	if again := p.SetTracks([]TrackInfo{video}); again[0] != tracks[0] {
		t.Error("a track with another size is another track")
	}
	tracks[0].SetFormat(media.Format{Codec: media.H264, Width: 256})
	if got := s.take(); got != "[frame video 7 packet audio 8 tracks video/128 tracks video/256]" {
		t.Errorf("written: %s", got)
	}
	if n := tracks[0].Stats(); n.Items != 1 {
		t.Errorf("%+v", n)
	}
	p.Close()
	p.Close()
	select {
	case <-tracks[0].Done():
	default:
		t.Error("the track goes on behind the end")
	}
}

func TestKeyFramesAreAskedOfTheTrackBehind(t *testing.T) {
	h := NewHub(slog.New(slog.DiscardHandler))
	defer h.Close()
	pub, err := h.Publish("channels/x", false)
	if err != nil {
		t.Fatal(err)
	}
	info := TrackInfo{Label: LabelVideo, Form: Frames, Format: media.Format{Codec: media.H264}}
	front, behind := pub.AddTrack(info), Divert("channels/x", &sink{}).AddTrack(info)
	front.PassRequests(behind)
	front.RequestKeyFrame()
	if len(behind.KeyFrameRequests()) != 1 || len(front.KeyFrameRequests()) != 0 {
		t.Error("the request went elsewhere")
	}
	front.PassRequests(nil)
	front.RequestKeyFrame()
	if len(front.KeyFrameRequests()) != 1 {
		t.Error("the request went elsewhere")
	}
}
