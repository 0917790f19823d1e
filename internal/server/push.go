package server

import (
	"context"
	"fmt"
	"net/http"
	"slices"

	"github.com/prometheus/client_golang/prometheus"

	"tongxiang/ingest/rtmp"
	"tongxiang/internal/apierr"
	"tongxiang/internal/auth"
	"tongxiang/internal/playout/rtsp"
	"tongxiang/internal/push"
	"tongxiang/internal/stream"
	"tongxiang/sfu"
)

var errTakesNoPush = apierr.New(http.StatusForbidden, "channel_takes_no_push",
	"This channel does not take what an encoder sends. Give it the source push: first.", "该频道未设置为接收推流，请先将信号源设为 push:。")

// buildRTSP opens the RTSP port, when there is to be one.
func (s *Server) buildRTSP() (err error) {
	c := s.cfg.RTSP
	if c.Listen == "" {
		return nil
	}
	s.rtsp, err = rtsp.New(rtsp.Config{
		Listen: c.Listen, UDP: c.UDP, Multicast: c.Multicast, MulticastPort: c.MulticastPort, MaxConnections: c.MaxConnections,
		Watch: s.tokenMayWatch, Publish: s.tokenMayPush, Desk: s.desk,
	}, s.hub, s.clock, s.log.With("part", "rtsp"))
	if err != nil {
		return fmt.Errorf("rtsp.listen: %w", err)
	}
	return nil
}

// buildRTMP opens the RTMP port, when there is to be one.
func (s *Server) buildRTMP() (err error) {
	if s.cfg.RTMP.Listen == "" {
		return nil
	}
	s.rtmp, err = rtmp.New(rtmp.Config{
		Listen: s.cfg.RTMP.Listen, MaxConnections: s.cfg.RTMP.MaxConnections, Publish: s.tokenMayPush, Desk: s.desk,
	}, s.clock, s.log.With("part", "rtmp"))
	if err != nil {
		return fmt.Errorf("rtmp.listen: %w", err)
	}
	return nil
}

// tokenMayWatch says whether the holder of a token may watch a stream that exists,
// for protocols other than HTTP.
func (s *Server) tokenMayWatch(ctx context.Context, token string, name stream.Name) error {
	p, err := s.auth.AuthenticateToken(ctx, token)
	if err != nil {
		return err
	}
	if !p.May(auth.Watch, name) {
		return errWrongStream
	}
	return s.exists(ctx, name)
}

// tokenMayPush says who the holder of a token is, when he may send to a channel.
func (s *Server) tokenMayPush(ctx context.Context, token string, name stream.Name) (subject string, err error) {
	p, err := s.auth.AuthenticateToken(ctx, token)
	if err != nil {
		return "", err
	}
	return p.ID, s.mayPush(ctx, p, name)
}

func (s *Server) mayPush(ctx context.Context, p auth.Principal, name stream.Name) error {
	segs := name.Segments()
	if segs[0] != "channels" || len(segs) != 2 || !p.May(auth.Publish, name) {
		return errWrongStream
	}
	if err := s.exists(ctx, name); err != nil {
		return err
	}
	if !s.table.takesPush(segs[1]) {
		return errTakesNoPush
	}
	return nil
}

// grantPush lets a WHIP client send to a channel.
func (s *Server) grantPush(r *http.Request, p auth.Principal, path stream.Name) (sfu.Grant, error) {
	if err := s.mayPush(r.Context(), p, path); err != nil {
		return sfu.Grant{}, err
	}
	name := stream.Push(path.Segments()[1])
	who := push.Encoder{Protocol: "whip", Subject: p.ID, Remote: r.RemoteAddr}
	return sfu.Grant{Publish: name, Open: func() (*stream.Publisher, error) { return s.desk.Open(name, who) }}, nil
}

// takesPush reports whether an encoder is one of a channel's sources.
func (t *channelTable) takesPush(id string) bool {
	const address = "push:"
	t.mu.Lock()
	defer t.mu.Unlock()
	row := t.rows[id]
	return row.Source == address || slices.Contains(row.Backup, address)
}

// pushMetrics are those of RTSP and of encoders.
type pushMetrics struct {
	rtsp *rtsp.Server // nil: none
	rtmp *rtmp.Server // nil: none
	desk *push.Desk
}

// Describe sends nothing, as [collector.Describe].
func (c *pushMetrics) Describe(chan<- *prometheus.Desc) {}

// Collect sends the present values.
func (c *pushMetrics) Collect(out chan<- prometheus.Metric) {
	send := func(d *prometheus.Desc, kind prometheus.ValueType, v float64, labels ...string) {
		out <- prometheus.MustNewConstMetric(d, kind, v, labels...)
	}
	encoder := desc("push_encoder", "1 for an encoder that sends to a channel.", "stream", "protocol")
	for _, p := range c.desk.List() {
		send(encoder, prometheus.GaugeValue, 1, p.Name.String(), p.Protocol)
	}
	events := desc("push_events_total", "Encoders that began, took over from a silent one, or were refused.", "protocol", "event")
	for _, n := range c.desk.Counts() {
		send(events, prometheus.CounterValue, float64(n.N), n.Protocol, n.Event)
	}
	if c.rtmp != nil {
		st := c.rtmp.Stats()
		send(desc("rtmp_connections", "Open RTMP connections."), prometheus.GaugeValue, float64(st.Connections))
		send(desc("rtmp_encoders", "Encoders that push by RTMP."), prometheus.GaugeValue, float64(st.Encoders))
		send(desc("rtmp_connections_refused_total", "RTMP connections closed because there were too many."), prometheus.CounterValue, float64(st.Refused))
		for reason, n := range st.Drops {
			send(desc("rtmp_dropped_total", "Frames of encoders not passed on, by reason.", "reason"), prometheus.CounterValue, float64(n), reason)
		}
	}
	if c.rtsp == nil {
		return
	}
	st := c.rtsp.Stats()
	sessions := desc("rtsp_sessions", "RTSP sessions, players and encoders.", "kind")
	send(sessions, prometheus.GaugeValue, float64(st.Players), "player")
	send(sessions, prometheus.GaugeValue, float64(st.Encoders), "encoder")
	send(desc("rtsp_connections", "Open RTSP connections."), prometheus.GaugeValue, float64(st.Connections))
	send(desc("rtsp_connections_refused_total", "RTSP connections closed because there were too many."), prometheus.CounterValue, float64(st.Refused))
	send(desc("rtsp_packets_total", "RTP packets sent to players."), prometheus.CounterValue, float64(st.Packets))
	send(desc("rtsp_bytes_total", "Their payload bytes."), prometheus.CounterValue, float64(st.Bytes))
	send(desc("rtsp_packets_lost_total", "Packets of encoders that the network lost."), prometheus.CounterValue, float64(st.Lost))
	for reason, n := range st.Drops {
		send(desc("rtsp_dropped_total", "RTP packets not passed on, by reason.", "reason"), prometheus.CounterValue, float64(n), reason)
	}
	for reason, n := range st.Ends {
		send(desc("rtsp_sessions_ended_total", "RTSP sessions that ended, by reason.", "reason"), prometheus.CounterValue, float64(n), reason)
	}
}
