package rtsp

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"

	"github.com/bluenviron/gortsplib/v4"
	"github.com/bluenviron/gortsplib/v4/pkg/base"
	"github.com/bluenviron/gortsplib/v4/pkg/description"
	"github.com/bluenviron/gortsplib/v4/pkg/format"
	"github.com/pion/rtcp"
	"github.com/pion/rtp"

	"tongxiang/internal/apierr"
	"tongxiang/internal/media"
	"tongxiang/internal/push"
	"tongxiang/internal/rtptrack"
	"tongxiang/internal/stream"
)

var errNothingKnown = apierr.New(http.StatusUnsupportedMediaType, "no_common_codec",
	"Nothing that the encoder announces can be taken: H.264, H.265, VP8, MPEG-2, AAC, Opus, MP2, AC-3, G.711.",
	"编码器声明的格式均不支持；可用 H.264、H.265、VP8、MPEG-2、AAC、Opus、MP2、AC-3、G.711。")

// maxAnnounced bounds the media sections of an announcement.
const maxAnnounced = 16

// encoder is the session of one encoder that sends to a channel.
type encoder struct {
	server  *Server
	name    stream.Name // of the push
	who     push.Encoder
	session *gortsplib.ServerSession
	inputs  []*input
	clocks  media.RTPSession

	pub   *stream.Publisher // once it records
	over  chan struct{}     // closed by close
	watch sync.WaitGroup    // for a takeover
	why   atomic.Pointer[string]
}

// input is one track of an encoder. Its packets come from one goroutine.
type input struct {
	label  stream.Label
	known  media.Format
	media  *description.Media
	format format.Format
	writer *rtptrack.Writer
}

// OnAnnounce answers ANNOUNCE.
func (h *handler) OnAnnounce(x *gortsplib.ServerHandlerOnAnnounceCtx) (*base.Response, error) {
	e, err := h.announce(x)
	if err != nil {
		return h.refuse(x.Conn, x.Path, err)
	}
	x.Session.SetUserData(e)
	h.encoders.Add(1)
	return ok(), nil
}

func (h *handler) announce(x *gortsplib.ServerHandlerOnAnnounceCtx) (*encoder, error) {
	name, err := nameOf(x.Path)
	if err != nil {
		return nil, err
	}
	token := tokenOf(x.Request, x.Query)
	if token == "" {
		return nil, errNoToken
	}
	if h.cfg.Publish == nil {
		return nil, errBadName
	}
	ctx, cancel := context.WithTimeout(h.ctx, authPatience)
	defer cancel()
	subject, err := h.cfg.Publish(ctx, token, name)
	if err != nil {
		return nil, err
	}
	enter(x.Conn.NetConn(), known)
	e := &encoder{
		server: h.server(), name: stream.Push(name.Segments()[1]), session: x.Session, over: make(chan struct{}),
		who: push.Encoder{Protocol: "rtsp", Subject: subject, Remote: x.Conn.NetConn().RemoteAddr().String()},
	}
	if len(x.Description.Medias) > maxAnnounced {
		return nil, errNothingKnown.Because(fmt.Errorf("%d media sections", len(x.Description.Medias)))
	}
	counts := make(map[media.Kind]int)
	for _, m := range x.Description.Medias {
		for _, f := range m.Formats {
			known, ok := rtptrack.Format(f)
			if !ok {
				continue
			}
			kind := known.Codec.Kind()
			counts[kind]++
			label, ok := rtptrack.Label(kind, counts[kind])
			if !ok {
				continue
			}
			e.inputs = append(e.inputs, &input{label, known, m, f, rtptrack.NewWriter(known, &e.clocks)})
			break
		}
	}
	if len(e.inputs) == 0 {
		return nil, errNothingKnown
	}
	// Better to refuse here than after everything was set up.
	if err := h.cfg.Desk.Free(e.name, "rtsp"); err != nil {
		return nil, err
	}
	if !h.server().admit() {
		return nil, errBusy
	}
	return e, nil
}

// OnRecord answers RECORD: from here on packets come.
func (h *handler) OnRecord(x *gortsplib.ServerHandlerOnRecordCtx) (*base.Response, error) {
	e, is := x.Session.UserData().(*encoder)
	if !is || e.pub != nil {
		return &base.Response{StatusCode: base.StatusMethodNotValidInThisState}, nil
	}
	if err := e.record(); err != nil {
		return h.refuse(x.Conn, x.Path, err)
	}
	return ok(), nil
}

func (e *encoder) record() error {
	pub, err := e.server.cfg.Desk.Open(e.name, e.who)
	if err != nil {
		return err
	}
	e.pub = pub
	infos := make([]stream.TrackInfo, len(e.inputs))
	for i, in := range e.inputs {
		infos[i] = stream.TrackInfo{Label: in.label, Form: stream.Packets, Format: in.known}
	}
	for i, t := range pub.SetTracks(infos) {
		in := e.inputs[i]
		in.writer.Open(t, 0, 0)
		e.session.OnPacketRTP(in.media, in.format, func(p *rtp.Packet) { e.packet(in, p) })
		e.session.OnPacketRTCP(in.media, func(p rtcp.Packet) {
			if sr, ok := p.(*rtcp.SenderReport); ok {
				in.writer.SenderReport(sr.RTPTime, sr.NTPTime, e.server.clock.Now())
			}
		})
	}
	e.watch.Go(func() {
		select {
		case <-e.over:
		case <-pub.Done():
			e.end(endTaken)
		}
	})
	e.server.log.Info("rtsp encoder began", "stream", e.name, "from", e.who.Remote, "subject", e.who.Subject)
	return nil
}

func (e *encoder) packet(in *input, p *rtp.Packet) {
	if _, ok := in.writer.Write(p, e.server.clock.Now()); !ok {
		e.server.drops.Add(stream.DropMalformed, 1)
		if in.writer.Lies() {
			e.end(endMismatch)
		}
	}
}

// end ends the session for a reason of the server's.
func (e *encoder) end(why string) {
	e.why.CompareAndSwap(nil, &why)
	e.session.Close()
}

// close takes the session down.
func (e *encoder) close(err error) {
	close(e.over)
	e.watch.Wait()
	if e.pub != nil {
		e.pub.Close()
	}
	why := reason(err)
	if w := e.why.Load(); w != nil {
		why = *w
	}
	e.server.encoders.Add(-1)
	e.server.release()
	e.server.ended(why)
	e.server.log.Info("rtsp encoder ended", "stream", e.name, "from", e.who.Remote, "why", why, "err", err)
}

// OnDecodeError is told of packets that no track of an encoder can take.
func (h *handler) OnDecodeError(*gortsplib.ServerHandlerOnDecodeErrorCtx) {
	h.drops.Add(stream.DropMalformed, 1)
}

// OnPacketsLost is told of packets that the network lost on the way from an encoder.
func (h *handler) OnPacketsLost(x *gortsplib.ServerHandlerOnPacketsLostCtx) {
	h.lost.Add(x.Lost)
}
