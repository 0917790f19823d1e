package mpegts

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"
)

// Report is what is in a transport stream, as `tongxiang probe --json` prints it.
type Report struct {
	Packets    uint64          `json:"packets"`
	Duration   float64         `json:"duration_s"` // by the first PCR, without its breaks; 0 when there is none
	Bitrate    int64           `json:"bitrate"`    // bits a second of the whole multiplex; 0 when not known
	Duplicates uint64          `json:"duplicates"`
	Nulls      uint64          `json:"null_packets"`
	Scrambled  uint64          `json:"scrambled_packets"`
	Services   []ServiceReport `json:"services"`
	SI         SIReport        `json:"si"`
	TR101290   TR101290        `json:"tr101290"`
	PIDs       []PIDMeasure    `json:"pids"`      // all that came, in order
	Jitter     int64           `json:"jitter_us"` // of the first PCR against arrival, RFC 3550; 0 for a file
}

// ServiceReport is one programme.
type ServiceReport struct {
	ID        uint16         `json:"service_id"`
	Name      string         `json:"name"`
	Provider  string         `json:"provider"`
	Type      byte           `json:"service_type,omitempty"`
	LCN       int            `json:"lcn,omitempty"` // logical channel number of the NIT
	Scrambled bool           `json:"scrambled"`
	Playable  string         `json:"playable"`
	Reason    string         `json:"reason,omitempty"`
	PMTPID    uint16         `json:"pmt_pid"`
	PCRPID    uint16         `json:"pcr_pid"`
	Bitrate   int64          `json:"bitrate"`
	TR101290  TR101290       `json:"tr101290"`
	Streams   []StreamReport `json:"streams"`
	Now       *EventReport   `json:"now,omitempty"`
	Next      *EventReport   `json:"next,omitempty"`
}

// EventReport is what the programme guide says of one event.
type EventReport struct {
	Title    string    `json:"title"`
	Start    time.Time `json:"start"`
	Duration float64   `json:"duration"` // seconds
}

func eventReport(e *Event) *EventReport {
	if e == nil {
		return nil
	}
	return &EventReport{Title: e.Title, Start: e.Start, Duration: e.Duration.Seconds()}
}

// StreamReport is one elementary stream.
type StreamReport struct {
	PID         uint16  `json:"pid"`
	Type        byte    `json:"stream_type"`
	Codec       string  `json:"codec"`
	Language    string  `json:"language"`
	AccessUnits uint64  `json:"access_units"`
	Packets     uint64  `json:"packets"`
	Bitrate     int64   `json:"bitrate"`
	Width       int     `json:"width,omitempty"`
	Height      int     `json:"height,omitempty"`
	FPS         float64 `json:"fps,omitempty"`
	Interlaced  bool    `json:"interlaced,omitempty"`
	Reordered   bool    `json:"reordered,omitempty"` // B-frames
	Rate        int     `json:"sample_rate,omitempty"`
	Channels    int     `json:"channels,omitempty"`
	Profile     string  `json:"profile,omitempty"`
	Scrambled   bool    `json:"scrambled,omitempty"`
}

// SIReport counts service information (ETSI EN 300 468), sections with a right CRC.
type SIReport struct {
	EITSections uint64 `json:"eit_sections"`
	EITEvents   uint64 `json:"eit_events"` // different ones
	SDTSections uint64 `json:"sdt_sections"`
	NITSections uint64 `json:"nit_sections"`
	TDT         uint64 `json:"tdt"` // TDT and TOT
}

// Prober collects a [Report]. It belongs to one goroutine.
type Prober struct {
	d     *Demuxer
	si    SIReport
	guide *Guide
	now   map[uint16]NowNext // by service of this transport stream
	net   network
}

// probeLanguages are those that titles are shown in where there are several.
var probeLanguages = []string{"chi", "zho"}

// NewProber returns a prober that was fed nothing.
func NewProber() *Prober {
	p := &Prober{now: make(map[uint16]NowNext)}
	p.guide = NewGuide(GuideHandler{Now: func(n NowNext) {
		if n.Actual {
			p.now[n.Service] = n
		}
	}}, probeLanguages...)
	p.d = NewDemuxer(Handler{Section: p.section})
	return p
}

// Write feeds the next bytes. It never fails.
func (p *Prober) Write(b []byte) (int, error) { return p.d.Write(b) }

// Flush ends the input.
func (p *Prober) Flush() { p.d.Flush() }

// Stats returns the counters so far.
func (p *Prober) Stats() Stats { return p.d.Stats() }

// Services returns the services found so far, in the order of a report.
func (p *Prober) Services() []*Service { return p.d.Services() }

func (p *Prober) section(id uint16, b []byte) {
	table := b[0]
	p.net.section(id, b)
	switch {
	case id == pidEIT && table >= tableEITFirst && table <= tableEITLast && long(b):
		p.si.EITSections++
		p.guide.Section(id, b)
		events, _ := p.guide.Len()
		p.si.EITEvents = uint64(events)
	case id == pidSDT && (table == tableSDTActual || table == tableSDTOther):
		p.si.SDTSections++
	case id == pidNIT && (table == tableNITActual || table == tableNITOther):
		p.si.NITSections++
	case id == pidTDT && (table == tableTDT || table == tableTOT):
		p.si.TDT++
	}
}

// Report returns what was found so far. judge says of a service whether a browser
// can play it and why not; nil: nothing is said.
func (p *Prober) Report(judge func(*Service) (playable, reason string)) *Report {
	s := p.d.Stats()
	m := p.d.Measure()
	r := &Report{
		Packets: s.Packets, Duplicates: s.Duplicates, Nulls: s.Nulls, Scrambled: s.Scrambled,
		Services: []ServiceReport{}, SI: p.si, TR101290: m.Errors, PIDs: m.PIDs, Jitter: m.Jitter,
	}
	if o := p.d.monitor; o.elapsed > 0 {
		r.Duration = float64(o.elapsed) / pcrRate
		r.Bitrate = bitrate(o.packets, o.elapsed)
	}
	// A file has one rate for each PID, over the whole of it, and not that of its last second.
	share := func(packets uint64) int64 {
		return int64(float64(packets) / float64(max(s.Packets, 1)) * float64(r.Bitrate))
	}
	for i := range r.PIDs {
		r.PIDs[i].Bitrate = share(r.PIDs[i].Packets)
	}
	for _, v := range p.d.order {
		sr := ServiceReport{
			ID: v.ID, Name: v.Name, Provider: v.Provider, Type: v.Type, LCN: p.net.number(v.ID), Scrambled: v.Scrambled(),
			PMTPID: v.PMTPID, PCRPID: v.PCRPID, Streams: []StreamReport{},
			Now: eventReport(p.now[v.ID].Present), Next: eventReport(p.now[v.ID].Following),
		}
		of := p.d.MeasureService(v)
		sr.TR101290, sr.Bitrate = of.Errors, share(of.Packets)
		if judge != nil {
			sr.Playable, sr.Reason = judge(v)
		}
		for _, st := range v.Streams {
			f := st.Format
			sr.Streams = append(sr.Streams, StreamReport{
				PID: st.PID, Type: st.Type, Codec: st.CodecName(), Language: st.Language,
				AccessUnits: st.AccessUnits, Packets: st.pid.packets, Bitrate: share(st.pid.packets),
				Width: f.Width, Height: f.Height, FPS: f.FPS, Interlaced: f.Interlaced, Reordered: f.Reordered,
				Rate: f.Rate, Channels: f.Channels, Profile: f.Profile, Scrambled: st.Scrambled(),
			})
		}
		r.Services = append(r.Services, sr)
	}
	return r
}

// CodecName returns what a person calls the stream: "H264", "MP2", "teletext".
func (s *Stream) CodecName() string {
	if s.Note != "" {
		return s.Note
	}
	return s.Codec.String()
}

// Probe reads r to its end, or until ctx ends, which is no error, and reports what
// it found; judge as for [Prober.Report]. The error is that of r.
func Probe(ctx context.Context, r io.Reader, judge func(*Service) (playable, reason string)) (*Report, error) {
	p := NewProber()
	buf := make([]byte, 64<<10)
	for ctx.Err() == nil {
		n, err := r.Read(buf)
		_, _ = p.Write(buf[:n])
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, fmt.Errorf("probe: %w", err)
		}
	}
	p.Flush()
	return p.Report(judge), nil
}
