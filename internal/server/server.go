// Package server builds every part in order, joins them, and takes them down in
// the opposite order. It is the only package that knows all others; main and the
// end-to-end tests use it.
//
// Goroutines: the HTTP listeners and the test programme run in Run's group; all
// others belong to the parts, which are closed by Close.
package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os/exec"
	"path/filepath"
	"runtime/debug"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"tongxiang/configs"
	"tongxiang/ingest"
	"tongxiang/ingest/rtmp"
	"tongxiang/internal/api"
	"tongxiang/internal/auth"
	"tongxiang/internal/demo"
	"tongxiang/internal/epg"
	"tongxiang/internal/jobs"
	"tongxiang/internal/media"
	"tongxiang/internal/playout/hls"
	"tongxiang/internal/playout/rtsp"
	"tongxiang/internal/playout/ts"
	"tongxiang/internal/programme"
	"tongxiang/internal/push"
	"tongxiang/internal/quality"
	"tongxiang/internal/store"
	"tongxiang/internal/stream"
	"tongxiang/internal/transcode"
	"tongxiang/recorder"
	"tongxiang/recorder/library"
	"tongxiang/recorder/scheduler"
	"tongxiang/sfu"
	"tongxiang/signaling"
	"tongxiang/web"
)

// Server is one node. Create it with [New], then Run it, then Close it.
type Server struct {
	cfg     configs.Config
	version string
	log     *slog.Logger

	lock     *store.DirLock
	store    *store.Store
	auth     *auth.Service
	clock    media.Clock
	hub      *stream.Hub
	desk     *push.Desk
	channels *ingest.Channels
	table    *channelTable
	scans    *ingest.Scans
	epg      *epg.Service
	hls      *hls.Server
	rtsp     *rtsp.Server
	rtmp     *rtmp.Server
	recorder *recorder.Recorder
	library  atomic.Pointer[library.Library]
	jobs     *jobs.Service

	scheduler *scheduler.Scheduler
	room      *room
	changer   *transcode.Service
	quality   *quality.Service

	outputs     *ts.Outputs
	outputTable *outputTable
	tsHTTP      *ts.Server

	programme *programme.Service
	engine    *sfu.Engine
	rooms     *rooms
	signaling *signaling.Service

	handler http.Handler
	http    *listener
	https   *listener

	background sync.WaitGroup // see later
	laterMu    sync.Mutex     // guards laterOver
	laterOver  bool

	// First tells the first administrator's name and password when this start
	// made the account; both are empty otherwise. Set once in New.
	First struct{ Name, Password string }
}

// StoreFile is the database below the data folder.
const StoreFile = "tongxiang.db"

// New builds the parts. The data folder is locked from here until Close; when
// another server has it, the error is [store.ErrInUse].
func New(ctx context.Context, cfg configs.Config, version string, log *slog.Logger) (s *Server, err error) {
	s = &Server{cfg: cfg, version: version, log: log}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.Close())
		}
	}()
	if err := cfg.CheckDataDir(); err != nil {
		return s, err
	}
	if s.lock, err = store.LockDir(cfg.Data); err != nil {
		return s, err
	}
	if s.store, err = store.Open(ctx, filepath.Join(cfg.Data, StoreFile), log.With("part", "store")); err != nil {
		return s, err
	}
	clock := media.NewClock()
	s.hub = stream.NewHub(log.With("part", "hub"))
	s.clock, s.desk = clock, push.NewDesk(s.hub, clock)
	s.changer = transcode.New(transcode.Config{FFmpeg: cfg.Transcode.FFmpeg, Max: cfg.Transcode.Max, CPU: float64(cfg.Transcode.CPU) / 100},
		s.hub, clock, log.With("part", "transcode"))
	s.engine, err = sfu.New(sfu.Config{
		UDP: cfg.WebRTC.UDP, TCP: cfg.WebRTC.TCP, Addresses: cfg.WebRTC.Addresses,
		Authorize: s.authorizeMedia, Resolve: s.changer.ResolveFor(transcode.WebRTC),
	}, s.hub, clock, log.With("part", "sfu"))
	if err != nil {
		return s, fmt.Errorf("webrtc: %w", err)
	}
	s.rooms = &rooms{engine: s.engine, open: map[string]*roomMedia{}}
	s.programme = programme.New(programme.Config{KeepLayers: s.rooms.keepLayers, FFmpeg: s.mixer(), H264: s.changer.Picture, Shot: s.shot}, s.hub, clock, log.With("part", "programme"))
	if err := s.buildAuth(ctx); err != nil {
		return s, err
	}
	if s.epg, err = epg.New(ctx, s.store, log.With("part", "epg")); err != nil {
		return s, err
	}
	s.channels = ingest.NewChannels(s.hub, clock, log.With("part", "ingest"), ingestOptions(cfg, s.epg))
	if s.table, err = newChannelTable(ctx, s.channels, cfg.Channels, s.store, s.epg.Forget); err != nil {
		return s, err
	}
	s.scans = ingest.NewScans(s.channels, s.changer.Available)
	if err := s.buildQuality(ctx, clock); err != nil {
		return s, err
	}
	s.hls = hls.New(hls.Config{Authorize: s.mayWatch, Resolve: s.changer.ResolveFor(transcode.HLS), Low: s.lowRates}, s.hub, clock, log.With("part", "hls"))
	if err := errors.Join(s.buildRTSP(), s.buildRTMP()); err != nil {
		return s, err
	}
	if err := s.buildJobs(); err != nil {
		return s, err
	}
	if err := s.buildRecorder(ctx); err != nil {
		return s, err
	}
	if err := s.jobs.Start(ctx); err != nil {
		return s, err
	}
	s.buildScheduler(ctx)
	if err := s.buildOutputs(ctx); err != nil {
		return s, err
	}
	if cfg.Demo.Enabled {
		if err := s.buildDemo(ctx); err != nil {
			return s, err
		}
	}
	if err := s.buildHandler(); err != nil {
		return s, err
	}
	if err := s.listen(); err != nil {
		return s, err
	}
	return s, s.firstAdministrator(ctx)
}

func (s *Server) buildAuth(ctx context.Context) error {
	key, err := auth.LoadKey(s.cfg.KeysDir())
	if err != nil {
		return err
	}
	s.auth, err = auth.New(s.store, key, auth.Config{SessionIdle: s.cfg.Sessions.TTL}, s.log.With("part", "auth"))
	if err != nil {
		return err
	}
	return s.buildMeetings(key)
}

// firstAdministrator makes the first account. It comes last: a start that fails, at a
// port that is taken, would make it and never show its password.
func (s *Server) firstAdministrator(ctx context.Context) error {
	name, password, created, err := s.auth.EnsureAdministrator(ctx)
	if err != nil {
		return err
	}
	if created {
		s.First.Name, s.First.Password = name, password
		debug.FreeOSMemory() // hashing took tens of megabytes, which nobody needs again soon
	}
	return nil
}

func (s *Server) buildHandler() error {
	pages, err := web.Handler()
	if err != nil {
		return fmt.Errorf("read the pages: %w", err)
	}
	mux := http.NewServeMux()
	mux.Handle("/api/", api.New(api.Config{
		Version: s.version, Name: s.cfg.Name, Store: s.store, Auth: s.auth, Log: s.log.With("part", "api"),
		Channels: s.table, Scans: scanTable{s.scans}, EPG: s.epg, Meetings: liveMeetings{s.signaling, s.programme}, Recorder: recordings{s.recorder}, Library: s.library.Load(), Schedules: schedules{s.scheduler}, Jobs: jobTable{s.jobs}, Outputs: s.outputTable, Features: s.features, Ports: map[string]int{"https": portOf(s.cfg.HTTPS.Listen), "rtsp": portOf(s.cfg.RTSP.Listen), "rtmp": portOf(s.cfg.RTMP.Listen)},
		Quality: watcher{s.quality}, Storage: storage{s},
	}))
	mux.Handle("/hls/", s.hls)
	mux.Handle("/ts/", tokenInQuery(s.tsHTTP))
	mux.Handle("/ws/", s.signaling.Handler())
	mux.Handle("/whip/", s.engine.Handler())
	mux.Handle("/whep/", s.engine.Handler())
	mux.Handle("/healthz", http.HandlerFunc(s.healthz))
	mux.Handle("/readyz", http.HandlerFunc(s.readyz))
	mux.Handle("/metrics", s.metrics())
	mux.Handle("GET /ca.crt", http.HandlerFunc(s.authority))
	mux.Handle("/", pages)
	s.handler = mux
	return nil
}

// portOf returns the port of an address to listen at; 0 when there is none.
func portOf(listen string) int {
	_, port, err := net.SplitHostPort(listen)
	if err != nil {
		return 0
	}
	n, _ := strconv.Atoi(port) // the configuration was checked
	return n
}

// features says what this node can do, for pages and scripts.
func (s *Server) features() map[string]bool {
	return map[string]bool{"ffmpeg": s.changer.Available(), "https": s.https != nil, "mixer": s.mixer() != ""}
}

// mixer returns the program that encodes the sound of programmes; empty when it is
// not installed, and a programme has the dominant speaker's sound.
func (s *Server) mixer() string {
	path, err := exec.LookPath(s.cfg.Transcode.FFmpeg)
	if err != nil {
		return ""
	}
	return path
}

// shutdownPatience is how long requests may take after the end was asked for. The
// whole must be over in five seconds, recordings closed.
const shutdownPatience = 2 * time.Second

// Run serves until ctx ends or a listener fails.
func (s *Server) Run(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error {
		<-ctx.Done()
		s.tsHTTP.Close() // endless answers would hold up the listeners' end
		return nil
	})
	for _, l := range []*listener{s.http, s.https} {
		if l == nil {
			continue
		}
		g.Go(l.serve)
		g.Go(func() error {
			<-ctx.Done()
			return l.shutdown(shutdownPatience)
		})
	}
	g.Go(func() error {
		s.resumeMeetings(ctx)
		return nil
	})
	g.Go(func() error {
		s.pruneAlarms(ctx)
		return nil
	})
	if s.cfg.Recorder.HoldPackets {
		g.Go(func() error {
			s.holdPackets(ctx)
			return nil
		})
	}
	if s.cfg.Demo.Enabled {
		g.Go(func() error {
			err := demo.Run(ctx, demo.Config{
				FFmpeg: s.cfg.Transcode.FFmpeg, Target: s.cfg.Demo.Target,
				Name: "通乡测试节目", Caption: "通乡 测试节目",
			}, s.log.With("part", "demo"))
			if err != nil { // the server is of use without it
				s.log.Warn("no test programme", "err", err)
			}
			return nil
		})
	}
	return g.Wait()
}

// Addresses returns where the listeners are: the port is known when it was 0.
func (s *Server) Addresses() (plain, tls net.Addr) {
	if s.http != nil {
		plain = s.http.Addr()
	}
	if s.https != nil {
		tls = s.https.Addr()
	}
	return plain, tls
}

// Close takes the parts down, outputs before the hub, the hub before the store. It
// is safe to call on a half-built server.
func (s *Server) Close() error {
	for _, l := range []*listener{s.http, s.https} {
		if l != nil {
			l.close()
		}
	}
	if s.signaling != nil {
		s.signaling.Close()
	}
	var errs []error
	if s.scheduler != nil { // what it records is continued by the next start
		s.scheduler.Close()
	}
	if s.jobs != nil { // what runs is queued again
		s.jobs.Close()
	}
	if s.recorder != nil { // first of the outputs: what people said last is still in the hub
		errs = append(errs, s.recorder.Close())
		s.awaitLater()
	}
	if l := s.library.Load(); l != nil {
		l.Close()
	}
	if s.engine != nil {
		s.rooms.close()
		errs = append(errs, s.engine.Close())
		s.rooms.running.Wait()
	}
	if s.hls != nil {
		s.hls.Close()
	}
	if s.quality != nil { // before the channels: that they go is no alarm
		s.quality.Close()
	}
	if s.rtsp != nil {
		s.rtsp.Close()
	}
	if s.rtmp != nil {
		s.rtmp.Close()
	}
	if s.outputs != nil {
		s.outputs.Close()
		s.tsHTTP.Close()
	}
	if s.scans != nil {
		s.scans.Close()
	}
	if s.channels != nil {
		s.channels.Close()
	}
	if s.hub != nil {
		s.hub.Close()
	}
	if s.epg != nil {
		s.epg.Close()
	}
	if s.store != nil {
		errs = append(errs, s.store.Close())
	}
	if s.lock != nil {
		errs = append(errs, s.lock.Unlock())
	}
	return errors.Join(errs...)
}
