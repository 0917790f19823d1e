package server

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"

	"github.com/prometheus/client_golang/prometheus"

	"tongxiang/configs"
	"tongxiang/internal/api"
	"tongxiang/internal/playout/ts"
	"tongxiang/internal/store"
	"tongxiang/internal/stream"
	"tongxiang/internal/transcode"
)

// buildOutputs makes the transport-stream outputs and what readers by HTTP get, and
// starts the outputs of the configuration and of the store.
func (s *Server) buildOutputs(ctx context.Context) (err error) {
	log := s.log.With("part", "outputs")
	s.outputs = ts.NewOutputs(ts.OutputsConfig{
		Resolve: func(ctx context.Context, name stream.Name, audio string) (stream.Name, error) {
			target := transcode.TS
			if audio == "mp2" {
				target = transcode.TSMP2
			}
			return s.changer.Resolve(ctx, name, target)
		},
	}, s.hub, s.clock, log)
	s.tsHTTP = ts.NewServer(ts.ServerConfig{
		Authorize: s.mayWatch, Resolve: s.changer.ResolveFor(transcode.TS), Describe: s.describe,
	}, s.hub, s.clock, log)
	s.outputTable, err = newOutputTable(ctx, s, s.cfg.Outputs)
	return err
}

// describe returns what tables call a stream.
func (s *Server) describe(name stream.Name) (title, provider string) {
	seg := name.Segments()
	switch seg[0] {
	case "channels":
		if c, ok := s.channels.Get(seg[1]); ok {
			return c.Name, s.cfg.Name
		}
	case "meetings":
		if m, err := s.store.Meeting(context.Background(), seg[1]); err == nil {
			return m.Title, s.cfg.Name
		}
	}
	return name.String(), s.cfg.Name
}

// outputTable is what the API sees of the outputs: those of the configuration file,
// which cannot be changed by the API, and those of the store. internal/playout/ts
// knows how they are.
type outputTable struct {
	server *Server

	mu    sync.Mutex
	rows  map[string]store.Output
	fixed map[string]bool
}

func newOutputTable(ctx context.Context, s *Server, fixed []configs.Output) (*outputTable, error) {
	t := &outputTable{server: s, rows: map[string]store.Output{}, fixed: map[string]bool{}}
	for _, o := range fixed {
		row := store.Output{ID: o.ID, Stream: o.Stream, Address: o.Address, Bitrate: int64(o.Bitrate), Service: o.ServiceID, Name: o.Name, Provider: o.Provider}
		if err := t.Add(row); err != nil {
			return nil, fmt.Errorf("output %q of the configuration: %w", o.ID, err)
		}
		t.fixed[o.ID] = true
	}
	rows, err := s.store.Outputs(ctx)
	if err != nil {
		return nil, err
	}
	for _, row := range rows {
		if t.fixed[row.ID] { // the file wins; the row stays for when it is taken out of the file
			continue
		}
		if err := t.Add(row); err != nil {
			return nil, fmt.Errorf("output %q of the store: %w", row.ID, err)
		}
	}
	return t, nil
}

// Check implements api.Outputs.
func (t *outputTable) Check(o store.Output) error {
	addr, err := ts.ParseAddress(o.Address)
	if err != nil {
		return err
	}
	return errors.Join(addr.CheckInterface(), ts.CheckBitrate(o.Bitrate))
}

// Add starts an output.
func (t *outputTable) Add(o store.Output) error {
	cfg := ts.OutputConfig{
		ID: o.ID, Stream: stream.Name(o.Stream), Address: o.Address, Bitrate: o.Bitrate,
		Service: uint16(o.Service), Name: o.Name, Provider: o.Provider,
	}
	title, provider := t.server.describe(cfg.Stream)
	if cfg.Name == "" {
		cfg.Name = title
	}
	if cfg.Provider == "" {
		cfg.Provider = provider
	}
	if err := t.server.outputs.Add(cfg); err != nil {
		return err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.rows[o.ID] = o
	return nil
}

// Remove stops an output; one that is not there is no error.
func (t *outputTable) Remove(id string) {
	// The only error is that there is none.
	_ = t.server.outputs.Remove(id)
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.rows, id)
}

// List returns all outputs as they are.
func (t *outputTable) List() []api.OutputState {
	all := t.server.outputs.List()
	out := make([]api.OutputState, len(all))
	for i, s := range all {
		out[i] = t.state(s)
	}
	return out
}

// Get returns one output as it is.
func (t *outputTable) Get(id string) (api.OutputState, bool) {
	s, ok := t.server.outputs.Get(id)
	if !ok {
		return api.OutputState{}, false
	}
	return t.state(s), true
}

func (t *outputTable) state(s ts.Status) api.OutputState {
	t.mu.Lock()
	row, fixed := t.rows[s.ID], t.fixed[s.ID]
	t.mu.Unlock()
	row.ID, row.Stream, row.Address, row.Bitrate = s.ID, s.Stream.String(), s.Address, s.Bitrate
	row.Name, row.Provider = s.Name, s.Provider // what is sent, also where nobody said it
	return api.OutputState{
		Output: row, Fixed: fixed, State: string(s.State), Since: s.Since,
		Reason: api.Reason{Code: s.Reason.Code, EN: s.Reason.EN, ZH: s.Reason.ZH},
		Rate:   s.Rate, Needed: s.Needed, Now: s.Now, Packets: s.Packets, Errors: s.Errors,
	}
}

// tokenInQuery lets players that can set no header put their token into the address,
// and takes it out of the address before anybody logs it.
func tokenInQuery(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		query := r.URL.Query()
		token := query.Get("token")
		if token == "" {
			next.ServeHTTP(w, r)
			return
		}
		r = r.Clone(r.Context())
		query.Del("token")
		r.URL.RawQuery = query.Encode()
		r.RequestURI = r.URL.RequestURI()
		if r.Header.Get("Authorization") == "" {
			r.Header.Set("Authorization", "Bearer "+token)
		}
		next.ServeHTTP(w, r)
	})
}

// outputCollector gives /metrics the outputs and the readers by HTTP.
type outputCollector struct {
	outputs *ts.Outputs
	http    *ts.Server
}

// Describe sends nothing: what there is depends on the outputs (an unchecked collector).
func (c *outputCollector) Describe(chan<- *prometheus.Desc) {}

// Collect sends the present values.
func (c *outputCollector) Collect(out chan<- prometheus.Metric) {
	var (
		live     = desc("output_on_air", "1 when an output sends its stream.", "output", "stream", "state")
		rate     = desc("output_bits_per_second", "What an output sent in the last second.", "output")
		needed   = desc("output_needed_bits_per_second", "What an output's stream needs, about.", "output")
		packets  = desc("output_packets_total", "Transport packets that an output made.", "output")
		lost     = desc("output_errors_total", "What an output lost, by name.", "output", "reason")
		readers  = desc("ts_http_readers", "Readers of streams by HTTP.")
		sessions = desc("ts_http_sessions", "Streams that are multiplexed for them.")
		bytes    = desc("ts_http_bytes_total", "Bytes sent to them.")
		away     = desc("ts_http_sent_away_total", "Readers that were too slow.")
		dropped  = desc("ts_http_dropped_total", "Frames and chunks not sent to them, by reason.", "reason")
	)
	gauge := func(d *prometheus.Desc, v float64, labels ...string) {
		out <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	counter := func(d *prometheus.Desc, v float64, labels ...string) {
		out <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, v, labels...)
	}
	for _, o := range c.outputs.List() {
		on := 0.0
		if o.State == ts.OnAir {
			on = 1
		}
		gauge(live, on, o.ID, o.Stream.String(), string(o.State))
		gauge(rate, float64(o.Now), o.ID)
		gauge(needed, float64(o.Needed), o.ID)
		counter(packets, float64(o.Packets), o.ID)
		for reason, n := range o.Errors {
			counter(lost, float64(n), o.ID, reason)
		}
	}
	st := c.http.Stats()
	gauge(readers, float64(st.Readers))
	gauge(sessions, float64(st.Sessions))
	counter(bytes, float64(st.Bytes))
	counter(away, float64(st.SentAway))
	for reason, n := range st.Drops {
		counter(dropped, float64(n), reason)
	}
}
