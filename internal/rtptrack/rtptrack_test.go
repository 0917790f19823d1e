package rtptrack

import (
	"log/slog"
	"testing"

	"github.com/bluenviron/gortsplib/v4/pkg/format"
	"github.com/pion/rtp"

	"tongxiang/internal/media"
	"tongxiang/internal/stream"
)

var (
	sps = []byte{0x67, 0x64, 0x00, 0x0A, 0xAC, 0xD9, 0x44, 0x7B, 0x01, 0x10, 0x00, 0x00, 0x03, 0x00, 0x10, 0x00, 0x00, 0x03, 0x03, 0x20, 0xF1, 0x22, 0x59, 0x60}
	pps = []byte{0x68, 0xEB, 0xE3, 0xCB, 0x22, 0xC0}
)

func track(t testing.TB, f media.Format) *stream.Track {
	t.Helper()
	hub := stream.NewHub(slog.New(slog.DiscardHandler))
	t.Cleanup(hub.Close)
	pub, err := hub.Publish("channels/x", false)
	if err != nil {
		t.Fatal(err)
	}
	return pub.AddTrack(stream.TrackInfo{Label: stream.LabelVideo, Form: stream.Packets, Format: f})
}

func TestWhatIsDescribedIsReadBack(t *testing.T) {
	h264, err := media.H264Format([][]byte{sps, pps})
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range []media.Format{
		h264,
		{Codec: media.H264, ClockRate: 90000},
		{Codec: media.H265, ClockRate: 90000},
		{Codec: media.VP8, ClockRate: 90000},
		{Codec: media.MPEG2Video, ClockRate: 90000, Reordered: true},
		{Codec: media.Opus, ClockRate: 48000, Rate: 48000, Channels: 2},
		{Codec: media.AAC, ClockRate: 48000, Rate: 48000, Channels: 2, Config: []byte{0x11, 0x90}},
		{Codec: media.MPEGAudio, ClockRate: 90000},
		{Codec: media.AC3, ClockRate: 48000, Rate: 48000, Channels: 6},
		{Codec: media.PCMA, ClockRate: 8000, Rate: 8000, Channels: 1},
		{Codec: media.PCMU, ClockRate: 16000, Rate: 16000, Channels: 2},
	} {
		d, err := Describe(f, 96)
		if err != nil {
			t.Fatalf("%s: %v", f.Codec, err)
		}
		back, ok := Format(d)
		if !ok || back.Codec != f.Codec || back.ClockRate != f.ClockRate || back.Rate != f.Rate || back.Channels != f.Channels || back.Width != f.Width {
			t.Errorf("%+v came back as %+v", f, back)
		}
	}
	for _, c := range []media.Codec{media.AVS, media.EAC3, media.MPEG4Video, media.Unknown} {
		if _, err := Describe(media.Format{Codec: c, ClockRate: 90000}, 96); err == nil {
			t.Errorf("%s is described", c)
		}
	}
}

func TestAFewOddPacketsAreNoLie(t *testing.T) {
	w := NewWriter(media.Format{Codec: media.H264, ClockRate: 90000}, new(media.RTPSession))
	w.Open(track(t, media.Format{Codec: media.H264, ClockRate: 90000}), 0, 0)
	for n := range 2000 {
		payload := []byte{0x41, 0x9A, 1}
		if n%4 == 0 {
			payload = []byte{30, 1, 1} // a type that mode 1 does not have
		}
		w.Write(&rtp.Packet{Header: rtp.Header{SequenceNumber: uint16(n), Timestamp: uint32(n) * 3600}, Payload: payload}, int64(n)*4e7+1)
	}
	if w.Lies() || w.Malformed() != 500 {
		t.Errorf("lies %v, malformed %d", w.Lies(), w.Malformed())
	}
	for n := range 200 {
		w.Write(&rtp.Packet{Header: rtp.Header{SequenceNumber: uint16(2000 + n)}, Payload: []byte{0xFF, 1, 1}}, 1e12)
	}
	if !w.Lies() {
		t.Error("nothing but nonsense is no lie")
	}
}

// FuzzWriter has any payload of any codec twice: nothing may panic, and what is
// written fits a datagram or came that large.
func FuzzWriter(f *testing.F) {
	formats := []format.Format{
		&format.H264{PayloadTyp: 96}, &format.H265{PayloadTyp: 96}, &format.VP8{PayloadTyp: 96}, &format.MPEG1Video{}, &format.MPEG1Audio{},
		&format.AC3{PayloadTyp: 96, SampleRate: 48000, ChannelCount: 2}, &format.Opus{PayloadTyp: 96, ChannelCount: 2}, &format.G711{PayloadTyp: 8, SampleRate: 8000, ChannelCount: 1},
	}
	f.Add(uint8(0), append([]byte{24, 0, byte(len(sps))}, sps...), uint16(1), true)
	f.Add(uint8(0), append([]byte{0x65, 0x88}, make([]byte, 2000)...), uint16(2), true)
	f.Add(uint8(1), []byte{48 << 1, 1, 0, 3, 0x40, 1, 1}, uint16(3), false)
	f.Add(uint8(3), []byte{0, 0, 0x21, 0, 0, 0, 1, 0xB3}, uint16(3), false)
	f.Add(uint8(5), []byte{0, 1, 0x0B, 0x77, 0, 0, 0}, uint16(3), false)
	f.Fuzz(func(t *testing.T, which uint8, payload []byte, seq uint16, marker bool) {
		known, _ := Format(formats[int(which)%len(formats)])
		out := track(t, known)
		w := NewWriter(known, new(media.RTPSession))
		w.Open(out, 0, 0)
		for i := range 3 {
			w.Write(&rtp.Packet{Header: rtp.Header{SequenceNumber: seq + uint16(i), Timestamp: uint32(i/2) * 3000, Marker: marker}, Payload: payload}, int64(i)*1e7+1)
		}
		rd := stream.NewReader(nil)
		cur, err := out.FollowPackets(rd, stream.AtOldest)
		if err != nil {
			t.Fatal(err)
		}
		defer cur.Close()
		for p := cur.Next(); p != nil; p = cur.Next() {
			if len(p.Payload) > maxPayload && len(p.Payload) != len(payload) {
				t.Errorf("a packet of %d bytes", len(p.Payload))
			}
		}
	})
}
