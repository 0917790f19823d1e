// Package rtsp is the RTSP server (RFC 2326): players watch streams of the hub, and
// encoders send to channels.
//
//	hub ─> lane, one per track (packets from a place to start) ─> pump ─> TCP, UDP, multicast
//	encoder ─> ANNOUNCE, RECORD ─> rtptrack.Writer ─> push/{channel}
//
// Nothing is coded anew: packets are those of the hub, which derives them once for
// all readers of a track. A player that is too slow loses what it did not take, up to
// the next key frame, and is cut off when it takes nothing for ten seconds.
//
//	goroutine            owner            ends when
//	of the library       gortsplib        Close
//	pump.run, a player   player, group    the player's session ends; the group's last one
package rtsp

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strconv"
	"sync"
	"time"

	"github.com/bluenviron/gortsplib/v4"
	"github.com/bluenviron/gortsplib/v4/pkg/auth"

	"tongxiang/internal/media"
	"tongxiang/internal/push"
	"tongxiang/internal/stream"
)

// Config is set once.
type Config struct {
	// Listen is the address of the TCP port, ":8554" when empty.
	Listen string
	// UDP is the address of the RTP port, which is even; RTCP is the next one.
	// Empty: players and encoders use TCP.
	UDP string
	// Multicast is the network whose addresses are given to streams that are asked
	// for by multicast, such as 239.8.0.0/16; empty: none. One stream has one
	// address for each track, however many watch.
	Multicast string
	// MulticastPort is the RTP port of multicast, even; RTCP is the next one. 0: 8002.
	MulticastPort int
	// MaxConnections bounds connections, and sessions; 0: 500.
	MaxConnections int
	// StartTimeout is how long a player waits for a stream to begin; 0: 8 s.
	StartTimeout time.Duration

	// Watch returns nil when the holder of a token may watch a stream that exists,
	// else an apierr. Required.
	Watch func(ctx context.Context, token string, name stream.Name) error
	// Publish returns who the holder of a token is, when he may send to name, a
	// channel that takes it. The error is an apierr. Nil: nobody may.
	Publish func(ctx context.Context, token string, name stream.Name) (subject string, err error)
	// Desk gives encoders their streams; required with Publish.
	Desk *push.Desk
}

func (c *Config) setDefaults() {
	if c.Listen == "" {
		c.Listen = ":8554"
	}
	if c.MulticastPort == 0 {
		c.MulticastPort = 8002
	}
	if c.MaxConnections <= 0 {
		c.MaxConnections = 500
	}
	if c.StartTimeout == 0 {
		c.StartTimeout = 8 * time.Second
	}
}

const (
	// stall is how long a player may take nothing, or an encoder send nothing,
	// before it is cut off.
	stall = 10 * time.Second
	// queue is how many packets wait for a slow player, at most: more than a ring
	// of the hub holds, so that a player can begin with all of it.
	queue = 2048
	// maxPacket is the largest datagram that passes an Ethernet.
	maxPacket = 1472
)

// Server serves RTSP. Create it with [New]; it is safe for concurrent use.
type Server struct {
	cfg   Config
	hub   *stream.Hub
	clock media.Clock
	log   *slog.Logger

	listener *listener
	rtsp     *gortsplib.Server
	counters

	ctx context.Context // of what requests wait for; ended by Close
	end context.CancelFunc

	mu       sync.Mutex // guards what follows
	sessions int
	groups   map[stream.Name]*group
}

// New opens the ports and serves. The caller closes the server, before the hub.
func New(cfg Config, hub *stream.Hub, clock media.Clock, log *slog.Logger) (*Server, error) {
	if cfg.Watch == nil || cfg.Publish != nil && cfg.Desk == nil {
		return nil, errors.New("rtsp: Config.Watch or Config.Desk is missing")
	}
	cfg.setDefaults()
	s := &Server{cfg: cfg, hub: hub, clock: clock, log: log, groups: make(map[stream.Name]*group)}
	s.ctx, s.end = context.WithCancel(context.Background())
	s.rtsp = &gortsplib.Server{
		Handler: (*handler)(s), RTSPAddress: cfg.Listen,
		ReadTimeout: stall, WriteTimeout: stall, WriteQueueSize: queue, MaxPacketSize: maxPacket,
		// A token is sent as it is, so digests would be of no use.
		AuthMethods: []auth.VerifyMethod{auth.VerifyMethodBasic},
		// The library's reports have a wrong fraction of a second in their NTP time.
		DisableRTCPSenderReports: true,
		Listen: func(network, address string) (net.Listener, error) {
			l, err := net.Listen(network, address)
			if err != nil {
				return nil, err
			}
			s.listener = &listener{Listener: l, log: log, max: int64(cfg.MaxConnections)}
			return s.listener, nil
		},
	}
	if cfg.UDP != "" {
		next, err := following(cfg.UDP)
		if err != nil {
			return nil, err
		}
		s.rtsp.UDPRTPAddress, s.rtsp.UDPRTCPAddress = cfg.UDP, next
	}
	if cfg.Multicast != "" {
		s.rtsp.MulticastIPRange = cfg.Multicast
		s.rtsp.MulticastRTPPort, s.rtsp.MulticastRTCPPort = cfg.MulticastPort, cfg.MulticastPort+1
	}
	if err := s.rtsp.Start(); err != nil {
		s.end()
		return nil, fmt.Errorf("serve rtsp at %s: %w", cfg.Listen, err)
	}
	return s, nil
}

// following returns the address with the next port.
func following(address string) (string, error) {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return "", fmt.Errorf("rtsp udp address %q: %w", address, err)
	}
	n, err := strconv.Atoi(port)
	if err != nil || n%2 != 0 {
		return "", fmt.Errorf("rtsp udp address %q: the port must be an even number", address)
	}
	return net.JoinHostPort(host, strconv.Itoa(n+1)), nil
}

// Addr returns where the server listens.
func (s *Server) Addr() net.Addr { return s.listener.Addr() }

// Close ends all sessions, waits for them, and closes the ports.
func (s *Server) Close() {
	s.end()
	s.rtsp.Close()
}

// admit makes room for one session.
func (s *Server) admit() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.sessions >= s.cfg.MaxConnections {
		return false
	}
	s.sessions++
	return true
}

func (s *Server) release() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sessions--
}
