package ingest

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"sync"
	"time"

	"tongxiang/ingest/source"
	core "tongxiang/internal/mpegts"
)

// Errors about scans that callers decide on.
var (
	// ErrBadSource is wrapped by the error of a scan of an address that is none.
	ErrBadSource = errors.New("bad source address")
	// ErrManyScans: as many scans run as may.
	ErrManyScans = errors.New("too many scans are running")
)

const (
	// ScanTime is how long a scan lasts when nothing else is said: a NIT comes every
	// 10 s (ETSI TS 101 211 4.4).
	ScanTime = 12 * time.Second
	// MaxScanTime bounds what may be asked for.
	MaxScanTime = 2 * time.Minute
	maxScans    = 4 // at once
	keepScan    = 10 * time.Minute
	maxKept     = 64
)

// ScanState is how a scan is.
type ScanState string

// The states.
const (
	ScanRunning   ScanState = "running"
	ScanDone      ScanState = "done"
	ScanFailed    ScanState = "failed" // see the reason
	ScanCancelled ScanState = "cancelled"
)

// Scan is one look at what a source carries.
type Scan struct {
	ID       string
	Source   string // the address as it was given
	State    ScanState
	Progress float64 // 0 to 1
	Reason   Reason  // of a failure
	Began    time.Time
	Ended    time.Time // zero while it runs
	Services []ScannedService
}

// ScannedService is one programme of a source.
type ScannedService struct {
	core.ServiceReport
	Kind     string // tv, radio or data
	Playable Playable
	Reason   Reason
	Channel  string // the id of a channel that has it already, when Get was asked
}

// Scans runs scans beside the channels: a multiplex that a channel reads is not
// opened twice. It is safe for concurrent use; it owns a goroutine for each scan.
type Scans struct {
	channels *Channels
	// transcodes reports whether this node can change what browsers do not play.
	transcodes func() bool
	ctx        context.Context // of the scans; ended by Close
	stop       context.CancelFunc
	running    sync.WaitGroup

	mu   sync.Mutex // guards what follows
	list []*scan    // the oldest first
}

type scan struct {
	Scan
	cancel context.CancelFunc
}

// NewScans returns what runs scans for channels. transcodes reports whether what
// browsers do not play can be transcoded here.
func NewScans(channels *Channels, transcodes func() bool) *Scans {
	ctx, stop := context.WithCancel(context.Background())
	return &Scans{channels: channels, transcodes: transcodes, ctx: ctx, stop: stop}
}

// Start begins a scan of an address that takes d at most; 0: [ScanTime]. It ends
// early when all that the tables promise was seen. The errors are [ErrBadSource] and
// [ErrManyScans].
func (s *Scans) Start(address string, d time.Duration) (Scan, error) {
	if d <= 0 {
		d = ScanTime
	}
	d = min(d, MaxScanTime)
	src, err := s.channels.open(address, 0)
	if err != nil {
		return Scan{}, fmt.Errorf("%w: %w", ErrBadSource, err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ctx.Err() != nil {
		return Scan{}, ErrClosed
	}
	s.prune(time.Now())
	active := 0
	for _, x := range s.list {
		if x.State == ScanRunning {
			active++
		}
	}
	if active >= maxScans {
		return Scan{}, ErrManyScans
	}
	ctx, cancel := context.WithCancel(s.ctx)
	x := &scan{Scan: Scan{ID: newScanID(), Source: address, State: ScanRunning, Began: time.Now()}, cancel: cancel}
	s.list = append(s.list, x)
	s.running.Go(func() {
		defer cancel()
		s.run(ctx, x, src, d)
	})
	return x.Scan, nil
}

func newScanID() string {
	var b [8]byte
	_, _ = rand.Read(b[:]) // never returns an error, see crypto/rand
	return hex.EncodeToString(b[:])
}

// run is a scan's goroutine.
func (s *Scans) run(ctx context.Context, x *scan, src source.Source, d time.Duration) {
	sv := survey{limit: d, early: true, told: func(r *core.Report, judged []judgement, progress float64) {
		services := s.services(r, judged)
		s.mu.Lock()
		defer s.mu.Unlock()
		x.Services, x.Progress = services, progress
	}}
	err := sv.run(ctx, src, s.channels.clock)
	s.mu.Lock()
	defer s.mu.Unlock()
	x.Ended = time.Now()
	switch {
	case ctx.Err() != nil:
		x.State = ScanCancelled
	case err != nil:
		x.State, x.Reason = ScanFailed, reasonFor(source.CauseOf(err))
		x.Reason.Detail = err.Error()
	default:
		x.State, x.Progress = ScanDone, 1
	}
}

// services makes the list of a report.
func (s *Scans) services(r *core.Report, judged []judgement) []ScannedService {
	out := make([]ScannedService, len(r.Services))
	transcodes := s.transcodes()
	for i, v := range r.Services {
		out[i] = ScannedService{ServiceReport: v, Kind: kindOf(v), Playable: judged[i].playable, Reason: judged[i].reason}
		if out[i].Playable == NeedsTranscoding && !transcodes {
			out[i].Playable = Unplayable
			out[i].Reason = Reason{
				Code: "no_transcoder",
				EN:   out[i].Reason.EN + " This node has no ffmpeg for it.",
				ZH:   out[i].Reason.ZH + "本机没有安装 ffmpeg。",
			}
		}
	}
	return out
}

// kindOf says what a service is to people, by its service_type (EN 300 468 table
// 89) where that is known, else by its streams.
func kindOf(v core.ServiceReport) string {
	switch v.Type {
	case 0x01, 0x04, 0x05, 0x11, 0x16, 0x17, 0x18, 0x19, 0x1A, 0x1B, 0x1C, 0x1D, 0x1E, 0x1F, 0x20:
		return "tv"
	case 0x02, 0x0A:
		return "radio"
	case 0x03, 0x0C, 0x0D, 0x0E, 0x0F, 0x10:
		return "data"
	}
	kind := "data"
	for _, st := range v.Streams {
		switch {
		case st.Width > 0 || slices.Contains(pictures, st.Codec):
			return "tv"
		case st.Rate > 0 || slices.Contains(sounds, st.Codec):
			kind = "radio"
		}
	}
	return kind
}

// What a report calls pictures and sounds.
var (
	pictures = []string{"H264", "H265", "MPEG-2", "MPEG-4", "AVS", "AVS2", "AVS3", "VVC", "JPEG 2000", "AV1"}
	sounds   = []string{"AAC", "MP2", "MP3", "AC-3", "E-AC-3", "Opus", "DTS", "AC-4", "AVS audio", "PCMA", "PCMU"}
)

// having returns the channels that have programmes of an address, by programme.
func (c *Channels) having(address string) map[int]string {
	c.mu.Lock()
	list := c.list
	c.mu.Unlock()
	have := make(map[int]string)
	for _, ch := range list {
		ch.mu.Lock()
		for i, a := range ch.cfg.addresses() {
			if i >= len(ch.places) || !sameAddress(a, address) {
				continue
			}
			program := ch.cfg.Program
			if program == 0 { // whichever it found to be the first that plays
				p := ch.places[i]
				p.mu.Lock()
				program = p.report.Program
				p.mu.Unlock()
			}
			if _, taken := have[program]; !taken {
				have[program] = ch.id
			}
		}
		ch.mu.Unlock()
	}
	return have
}

func sameAddress(a, b string) bool {
	if a == b {
		return true
	}
	u, err1 := url.Parse(a)
	v, err2 := url.Parse(b)
	return err1 == nil && err2 == nil && u.String() == v.String()
}

// Get returns how a scan is; ok is false when there is none, or no longer.
func (s *Scans) Get(id string) (x Scan, ok bool) {
	s.mu.Lock()
	s.prune(time.Now())
	i := s.find(id)
	if i >= 0 {
		x = s.list[i].Scan
		x.Services = slices.Clone(x.Services)
	}
	s.mu.Unlock()
	if i < 0 {
		return Scan{}, false
	}
	have := s.channels.having(x.Source)
	for i := range x.Services {
		x.Services[i].Channel = have[int(x.Services[i].ID)]
	}
	return x, true
}

// Cancel ends a scan and forgets it; ok is false when there is none.
func (s *Scans) Cancel(id string) (ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	i := s.find(id)
	if i < 0 {
		return false
	}
	s.list[i].cancel()
	s.list = slices.Delete(s.list, i, i+1)
	return true
}

// find returns the place of a scan, or -1. The caller holds s.mu.
func (s *Scans) find(id string) int {
	return slices.IndexFunc(s.list, func(x *scan) bool { return x.ID == id })
}

// prune forgets what is old, or too much. The caller holds s.mu.
func (s *Scans) prune(now time.Time) {
	ended := func(x *scan) bool { return x.State != ScanRunning }
	s.list = slices.DeleteFunc(s.list, func(x *scan) bool { return ended(x) && now.Sub(x.Ended) > keepScan })
	for len(s.list) >= maxKept {
		i := slices.IndexFunc(s.list, ended)
		if i < 0 {
			return
		}
		s.list = slices.Delete(s.list, i, i+1)
	}
}

// Close ends all scans and waits for them.
func (s *Scans) Close() {
	s.mu.Lock()
	s.stop()
	s.mu.Unlock()
	s.running.Wait()
}
