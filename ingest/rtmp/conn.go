package rtmp

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/bluenviron/gortmplib"
	"github.com/bluenviron/gortmplib/pkg/amf0"
	"github.com/bluenviron/gortmplib/pkg/message"

	"tongxiang/internal/apierr"
	"tongxiang/internal/push"
	"tongxiang/internal/stream"
)

const (
	// handshake is how long a connection may take until it is allowed to publish,
	// and handshakeBytes what it may send until then: the library would keep 10 MB
	// for each of 62 chunk streams.
	handshake      = 10 * time.Second
	handshakeBytes = 256 << 10
	// stall is how long an encoder may send nothing.
	stall = 10 * time.Second
	// authPatience bounds a look into the store.
	authPatience = 10 * time.Second
)

var (
	errBadName = apierr.New(http.StatusNotFound, "stream_not_found",
		"There is no channel of this name.", "没有这个名称的频道。")
	errNoToken = apierr.New(http.StatusUnauthorized, "not_signed_in",
		"A token is needed: ?token= behind the stream key.", "需要令牌：在串流密钥后加 ?token=。")
	errPlay = apierr.New(http.StatusNotImplemented, "rtmp_play_unsupported",
		"RTMP is for pushing only; please play by RTSP or HLS.", "RTMP 仅支持推流，请用 RTSP 或 HLS 播放。")
)

// timed gives a connection its deadlines.
type timed struct {
	net.Conn
	until time.Time // of the handshake; zero: it is over
	bytes int       // read during the handshake
}

// Read implements [io.Reader].
func (c *timed) Read(b []byte) (int, error) {
	until := c.until
	if until.IsZero() {
		until = time.Now().Add(stall)
	} else if c.bytes > handshakeBytes {
		return 0, fmt.Errorf("more than %d bytes before it may publish", handshakeBytes)
	}
	if err := c.SetReadDeadline(until); err != nil {
		return 0, err
	}
	n, err := c.Conn.Read(b)
	c.bytes += n
	return n, err
}

// Write implements [io.Writer].
func (c *timed) Write(b []byte) (int, error) {
	if err := c.SetWriteDeadline(time.Now().Add(stall)); err != nil {
		return 0, err
	}
	return c.Conn.Write(b)
}

// serve carries one connection.
func (s *Server) serve(nc net.Conn) {
	log := s.log.With("from", nc.RemoteAddr().String())
	t := &timed{Conn: nc, until: time.Now().Add(handshake)}
	c := &gortmplib.ServerConn{RW: t}
	if err := c.Initialize(); err != nil {
		log.Debug("rtmp handshake", "err", err)
		return
	}
	if err := c.Accept(); err != nil {
		log.Debug("rtmp handshake", "err", err)
		return
	}
	pub, name, err := s.admit(c, nc.RemoteAddr().String())
	if err != nil {
		e := apierr.As(err)
		log.Info("rtmp encoder refused", "path", c.URL.Path, "code", e.Code, "err", err)
		refuse(c, e)
		return
	}
	defer pub.Close()
	t.until = time.Time{}
	s.encoders.Add(1)
	defer s.encoders.Add(-1)
	log.Info("rtmp encoder began", "stream", name)
	// A newer encoder takes the name over: the connection ends.
	over := make(chan struct{})
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		select {
		case <-over:
		case <-pub.Done():
			_ = nc.Close()
		}
	}()
	in := newInput(pub, s.clock, &s.drops)
	for err == nil {
		var msg message.Message
		if msg, err = c.Read(); err == nil {
			err = in.take(msg)
		}
	}
	close(over)
	<-ended
	select {
	case <-pub.Done():
		err = errors.New("taken over")
	default:
	}
	log.Info("rtmp encoder ended", "stream", name, "err", err)
}

// admit makes a connection that wants to publish the publisher of its stream.
func (s *Server) admit(c *gortmplib.ServerConn, remote string) (*stream.Publisher, stream.Name, error) {
	if !c.Publish {
		return nil, "", errPlay
	}
	name, token, err := target(c.URL)
	if err != nil {
		return nil, "", err
	}
	ctx, cancel := context.WithTimeout(context.Background(), authPatience)
	defer cancel()
	subject, err := s.cfg.Publish(ctx, token, name)
	if err != nil {
		return nil, "", err
	}
	pushed := stream.Push(name.Segments()[1])
	pub, err := s.cfg.Desk.Open(pushed, push.Encoder{Protocol: "rtmp", Subject: subject, Remote: remote})
	return pub, pushed, err
}

// target returns the channel and the token of an address.
func target(u *url.URL) (stream.Name, string, error) {
	name, err := stream.ParseName(strings.Trim(u.Path, "/"))
	if err != nil {
		return "", "", errBadName.Because(err)
	}
	token := u.Query().Get("token")
	if token == "" {
		return "", "", errNoToken
	}
	return name, token, nil
}

// refuse says why a connection may not publish. The library has said yes already:
// encoders take a later error as the end.
func refuse(c *gortmplib.ServerConn, e *apierr.Error) {
	code := "NetStream.Publish.BadName"
	if e.Status == http.StatusUnauthorized {
		code = "NetStream.Publish.Unauthorized"
	}
	// The connection is closed next; it may be gone already.
	_ = c.Write(&message.CommandAMF0{
		ChunkStreamID: 5, MessageStreamID: 0x1000000, Name: "onStatus",
		Arguments: []any{nil, amf0.Object{
			{Key: "level", Value: "error"}, {Key: "code", Value: code}, {Key: "description", Value: e.Code + ": " + e.EN},
		}},
	})
}
