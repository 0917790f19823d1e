package server

import (
	"errors"
	"fmt"
	"time"

	"tongxiang/ingest"
	"tongxiang/internal/api"
	"tongxiang/internal/mpegts"
)

// scanTable is what the API sees of the scans.
type scanTable struct{ scans *ingest.Scans }

// Start begins a scan.
func (t scanTable) Start(source string, seconds int) (api.Scan, error) {
	x, err := t.scans.Start(source, time.Duration(seconds)*time.Second)
	switch {
	case errors.Is(err, ingest.ErrBadSource):
		return api.Scan{}, fmt.Errorf("%w: %w", api.ErrBadSource, err)
	case errors.Is(err, ingest.ErrManyScans):
		return api.Scan{}, fmt.Errorf("%w: %w", api.ErrManyScans, err)
	case err != nil:
		return api.Scan{}, err
	}
	return scanOf(x), nil
}

// Get returns a scan.
func (t scanTable) Get(id string) (api.Scan, bool) {
	x, ok := t.scans.Get(id)
	return scanOf(x), ok
}

// Cancel ends a scan.
func (t scanTable) Cancel(id string) bool { return t.scans.Cancel(id) }

func scanOf(x ingest.Scan) api.Scan {
	out := api.Scan{
		ID: x.ID, Source: x.Source, State: string(x.State), Progress: x.Progress, Reason: reasonOf(x.Reason),
		Services: []api.ScannedService{},
	}
	for _, v := range x.Services {
		s := api.ScannedService{
			ServiceID: int(v.ID), Name: v.Name, Provider: v.Provider, LCN: v.LCN, Type: v.Kind, Scrambled: v.Scrambled,
			Playable: string(v.Playable), Reason: reasonOf(v.Reason), Now: scannedEvent(v.Now), Next: scannedEvent(v.Next),
			Channel: v.Channel, Streams: []api.ScannedStream{},
		}
		for _, st := range v.Streams {
			s.Streams = append(s.Streams, api.ScannedStream{
				PID: int(st.PID), Type: int(st.Type), Codec: st.Codec, Language: st.Language, Width: st.Width, Height: st.Height,
				FPS: st.FPS, Interlaced: st.Interlaced, Rate: st.Rate, Channels: st.Channels, Scrambled: st.Scrambled,
			})
		}
		out.Services = append(out.Services, s)
	}
	return out
}

func reasonOf(r ingest.Reason) *api.Reason {
	if r.Code == "" {
		return nil
	}
	return &api.Reason{Code: r.Code, EN: r.EN, ZH: r.ZH}
}

func scannedEvent(e *mpegts.EventReport) *api.ScannedEvent {
	if e == nil {
		return nil
	}
	return &api.ScannedEvent{Title: e.Title, Start: e.Start.UTC(), End: e.Start.Add(time.Duration(e.Duration * float64(time.Second))).UTC()}
}
