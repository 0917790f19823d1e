package main

import (
	"context"
	"fmt"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/bluenviron/gortsplib/v4"
	"github.com/bluenviron/gortsplib/v4/pkg/base"
	"github.com/bluenviron/gortsplib/v4/pkg/description"
	"github.com/bluenviron/gortsplib/v4/pkg/format"
	"github.com/pion/rtp"

	"tongxiang/internal/ffmpeg"
)

// programme is what both sources send.
const programme = "-hide_banner -loglevel error -nostdin -re -f lavfi -i testsrc2=rate=25:size=640x360" +
	" -re -f lavfi -i sine=frequency=440:sample_rate=48000 -c:v libx264 -preset ultrafast -bf 0 -g 25 -b:v 800k -pix_fmt yuv420p -c:a aac -b:a 64k"

// sender is an ffmpeg that sends the programme somewhere.
type sender struct {
	cmd  *exec.Cmd
	stop context.CancelFunc
}

func send(ctx context.Context, where ...string) (*sender, error) {
	ctx, stop := context.WithCancel(ctx)
	cmd, _ := ffmpeg.Command(ctx, "ffmpeg", append(strings.Fields(programme), where...)...)
	if err := cmd.Start(); err != nil {
		stop()
		return nil, fmt.Errorf("start ffmpeg: %w", err)
	}
	return &sender{cmd, stop}, nil
}

// kill ends the sender at once, without a goodbye on the wire.
func (s *sender) kill() {
	if s == nil {
		return
	}
	_ = s.cmd.Process.Kill() // it may have ended
	_ = s.cmd.Wait()
	s.stop()
}

// udp is a transport stream to a port of this machine.
type udp struct {
	port   int
	sender *sender
}

func newUDP() (*udp, error) {
	port, err := freePort("udp")
	return &udp{port: port}, err
}

func (u *udp) url() string { return "udp://127.0.0.1:" + strconv.Itoa(u.port) }

func (u *udp) start(ctx context.Context) (err error) {
	u.sender, err = send(ctx, "-f", "mpegts", u.url()+"?pkt_size=1316")
	return err
}

func (u *udp) kill() { u.sender.kill(); u.sender = nil }

// rtsp is an RTSP server to which ffmpeg publishes and from which the channel pulls.
type rtsp struct {
	port   int
	server *gortsplib.Server
	sender *sender

	mu     sync.Mutex
	stream *gortsplib.ServerStream
}

func newRTSP() (*rtsp, error) {
	port, err := freePort("tcp")
	return &rtsp{port: port}, err
}

func (r *rtsp) url() string { return fmt.Sprintf("rtsp://127.0.0.1:%d/camera", r.port) }

// start returns when the server has something to send, as a camera has when it answers.
func (r *rtsp) start(ctx context.Context) (err error) {
	r.server = &gortsplib.Server{Handler: r, RTSPAddress: fmt.Sprintf("127.0.0.1:%d", r.port)}
	if err := r.server.Start(); err != nil {
		return fmt.Errorf("RTSP server: %w", err)
	}
	if r.sender, err = send(ctx, "-f", "rtsp", "-rtsp_transport", "tcp", r.url()); err != nil {
		return err
	}
	for range 1000 {
		if r.published() != nil {
			return nil
		}
		if err := pause(ctx, 10*time.Millisecond); err != nil {
			return err
		}
	}
	return fmt.Errorf("ffmpeg did not publish to %s", r.url())
}

func (r *rtsp) kill() {
	if r.server == nil {
		return
	}
	r.server.Close()
	r.sender.kill()
	r.server, r.sender = nil, nil
	r.mu.Lock()
	defer r.mu.Unlock()
	r.stream = nil
}

func (r *rtsp) published() *gortsplib.ServerStream {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.stream
}

func (r *rtsp) OnAnnounce(ctx *gortsplib.ServerHandlerOnAnnounceCtx) (*base.Response, error) {
	s := &gortsplib.ServerStream{Server: r.server, Desc: ctx.Description}
	if err := s.Initialize(); err != nil {
		return &base.Response{StatusCode: base.StatusInternalServerError}, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.stream = s
	return &base.Response{StatusCode: base.StatusOK}, nil
}

func (r *rtsp) OnDescribe(*gortsplib.ServerHandlerOnDescribeCtx) (*base.Response, *gortsplib.ServerStream, error) {
	if s := r.published(); s != nil {
		return &base.Response{StatusCode: base.StatusOK}, s, nil
	}
	return &base.Response{StatusCode: base.StatusNotFound}, nil, nil
}

func (r *rtsp) OnSetup(ctx *gortsplib.ServerHandlerOnSetupCtx) (*base.Response, *gortsplib.ServerStream, error) {
	if ctx.Session.State() == gortsplib.ServerSessionStatePreRecord {
		return &base.Response{StatusCode: base.StatusOK}, nil, nil
	}
	return &base.Response{StatusCode: base.StatusOK}, r.published(), nil
}

func (r *rtsp) OnPlay(*gortsplib.ServerHandlerOnPlayCtx) (*base.Response, error) {
	return &base.Response{StatusCode: base.StatusOK}, nil
}

func (r *rtsp) OnRecord(ctx *gortsplib.ServerHandlerOnRecordCtx) (*base.Response, error) {
	s := r.published()
	ctx.Session.OnPacketRTPAny(func(m *description.Media, _ format.Format, p *rtp.Packet) {
		_ = s.WritePacketRTP(m, p) // a reader that is gone is the server's matter
	})
	return &base.Response{StatusCode: base.StatusOK}, nil
}
