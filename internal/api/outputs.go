package api

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"tongxiang/internal/apierr"
	"tongxiang/internal/auth"
	"tongxiang/internal/store"
	"tongxiang/internal/stream"
)

var (
	errOutputExists = apierr.New(http.StatusConflict, "output_exists",
		"There is already an output with this id.", "该输出编号已存在。")
	errOutputFixed = apierr.New(http.StatusConflict, "output_fixed",
		"This output is in the configuration file; change it there.", "该输出写在配置文件中，请在配置文件里修改。")
	errOutputStream = apierr.New(http.StatusUnprocessableEntity, "output_stream_unknown",
		"There is no such channel or meeting to send: give channels/ID or meetings/ID/programme.",
		"没有可输出的频道或会议，请填写 channels/编号 或 meetings/编号/programme。")
)

// Outputs are the running transport-stream outputs.
type Outputs interface {
	// List returns all by id; Get one.
	List() []OutputState
	Get(id string) (OutputState, bool)
	// Check returns an [apierr.Error] when an output cannot be, here and now.
	Check(store.Output) error
	// Add starts an output and Remove stops it; neither disturbs another.
	Add(store.Output) error
	Remove(id string)
}

// OutputState is an output as it is now.
type OutputState struct {
	store.Output
	Fixed   bool // from the configuration file
	State   string
	Since   time.Time
	Reason  Reason
	Rate    int64 // bits a second of the time line; 0: not known yet
	Needed  int64 // what the stream needs, about; 0: not known
	Now     int64 // bits a second sent in the last second
	Packets uint64
	Errors  map[string]uint64 // what was lost, by name
}

type outputView struct {
	ID       string            `json:"id"`
	Stream   string            `json:"stream"`
	Address  string            `json:"address,omitempty" doc:"Only for operators"`
	Bitrate  int64             `json:"bitrate" doc:"As asked for; 0: what the stream needs and a tenth"`
	Service  int               `json:"service_id"`
	Name     string            `json:"name"`
	Provider string            `json:"provider"`
	Fixed    bool              `json:"fixed"`
	State    string            `json:"state" enum:"starting,on_air,overloaded,idle,stopped,failed"`
	Since    time.Time         `json:"since"`
	Reason   *Reason           `json:"reason,omitempty"`
	Rate     int64             `json:"rate" doc:"Bits a second of the time line; 0: not known yet"`
	Needed   int64             `json:"needed" doc:"Bits a second that the stream needs, about; 0: not known"`
	Now      int64             `json:"bitrate_now" doc:"Bits a second sent in the last second"`
	Packets  uint64            `json:"packets"`
	Errors   map[string]uint64 `json:"errors"`
}

func outputViewOf(o OutputState, p auth.Principal) outputView {
	v := outputView{
		ID: o.ID, Stream: o.Stream, Bitrate: o.Bitrate, Service: max(o.Service, 1), Name: o.Name, Provider: o.Provider, Fixed: o.Fixed,
		State: o.State, Since: o.Since.UTC(), Rate: o.Rate, Needed: o.Needed, Now: o.Now, Packets: o.Packets, Errors: o.Errors,
	}
	if o.Reason.Code != "" {
		v.Reason = &o.Reason
	}
	if v.Errors == nil {
		v.Errors = map[string]uint64{}
	}
	if p.May(auth.ManageChannels, "") {
		v.Address = o.Address
	}
	return v
}

type newOutput struct {
	Body struct {
		ID       string `json:"id" minLength:"1" maxLength:"64"`
		Stream   string `json:"stream" minLength:"1" maxLength:"300"`
		Address  string `json:"address" minLength:"1" maxLength:"2000"`
		Bitrate  int64  `json:"bitrate,omitempty"`
		Service  int    `json:"service_id,omitempty" minimum:"0" maximum:"65535"`
		Name     string `json:"name,omitempty" maxLength:"100"`
		Provider string `json:"provider,omitempty" maxLength:"100"`
	}
}

type outputChange struct {
	ByID
	Body struct {
		Stream   *string `json:"stream,omitempty" minLength:"1" maxLength:"300"`
		Address  *string `json:"address,omitempty" minLength:"1" maxLength:"2000"`
		Bitrate  *int64  `json:"bitrate,omitempty"`
		Service  *int    `json:"service_id,omitempty" minimum:"0" maximum:"65535"`
		Name     *string `json:"name,omitempty" maxLength:"100"`
		Provider *string `json:"provider,omitempty" maxLength:"100"`
	}
}

func (s *service) outputs(a huma.API) {
	huma.Register(a, op("GET", "/outputs", "list-outputs", "Transport-stream outputs with their state", auth.SeeChannels, http.StatusOK), func(ctx context.Context, in *Page) (*list[outputView], error) {
		all := s.Outputs.List()
		out := make([]outputView, 0, len(all))
		for i, o := range all {
			if i >= in.Offset && len(out) < in.Limit {
				out = append(out, outputViewOf(o, principal(ctx)))
			}
		}
		return listOf(out, len(all)), nil
	})
	huma.Register(a, op("GET", "/outputs/{id}", "get-output", "An output with its state", auth.SeeChannels, http.StatusOK), func(ctx context.Context, in *ByID) (*body[outputView], error) {
		return s.output(ctx, in.ID)
	})
	huma.Register(a, op("POST", "/outputs", "create-output", "Add an output and start it", auth.ManageChannels, http.StatusCreated), s.createOutput)
	huma.Register(a, op("PATCH", "/outputs/{id}", "change-output", "Change an output and start it anew", auth.ManageChannels, http.StatusOK), s.changeOutput)
	huma.Register(a, op("DELETE", "/outputs/{id}", "delete-output", "Stop and remove an output", auth.ManageChannels, http.StatusNoContent), func(ctx context.Context, in *ByID) (*struct{}, error) {
		if o, ok := s.Outputs.Get(in.ID); ok && o.Fixed {
			return nil, problem(errOutputFixed)
		}
		if err := s.Store.DeleteOutput(ctx, in.ID); err != nil {
			return nil, found(err)
		}
		s.Outputs.Remove(in.ID)
		return nil, s.audit(ctx, "output.delete", in.ID, "")
	})
}

func (s *service) output(ctx context.Context, id string) (*body[outputView], error) {
	o, ok := s.Outputs.Get(id)
	if !ok {
		return nil, problem(errNotFound)
	}
	return &body[outputView]{outputViewOf(o, principal(ctx))}, nil
}

// checkOutput refuses what can be known to be wrong before anything is started.
func (s *service) checkOutput(ctx context.Context, o store.Output) error {
	name, err := stream.ParseName(o.Stream)
	if err != nil {
		return problem(errOutputStream.Because(err))
	}
	seg := name.Segments()
	known := false
	switch seg[0] {
	case "channels":
		_, known = s.Channels.Get(seg[1])
	case "meetings":
		_, err := s.Store.Meeting(ctx, seg[1])
		if err != nil && !errors.Is(err, store.ErrNotFound) {
			return problem(err)
		}
		known = err == nil && len(seg) > 2
	}
	if !known {
		return problem(errOutputStream)
	}
	if err := s.Outputs.Check(o); err != nil {
		return problem(err)
	}
	return nil
}

func (s *service) createOutput(ctx context.Context, in *newOutput) (*body[outputView], error) {
	b := in.Body
	if err := stream.CheckID(b.ID); err != nil {
		return nil, problem(errBadID.Because(err))
	}
	if _, ok := s.Outputs.Get(b.ID); ok {
		return nil, problem(errOutputExists)
	}
	o := store.Output{ID: b.ID, Stream: b.Stream, Address: b.Address, Bitrate: b.Bitrate, Service: b.Service, Name: b.Name, Provider: b.Provider}
	if err := s.checkOutput(ctx, o); err != nil {
		return nil, err
	}
	// The row first: of two requests with one id, one gets it.
	if err := s.Store.CreateOutput(ctx, o); err != nil {
		if errors.Is(err, store.ErrConflict) {
			err = errOutputExists.Because(err)
		}
		return nil, problem(err)
	}
	if err := s.Outputs.Add(o); err != nil {
		return nil, problem(errors.Join(err, s.Store.DeleteOutput(ctx, o.ID)))
	}
	if err := s.audit(ctx, "output.create", o.ID, o.Stream); err != nil {
		return nil, err
	}
	return s.output(ctx, o.ID)
}

func (s *service) changeOutput(ctx context.Context, in *outputChange) (*body[outputView], error) {
	if o, ok := s.Outputs.Get(in.ID); ok && o.Fixed {
		return nil, problem(errOutputFixed)
	}
	o, err := s.Store.Output(ctx, in.ID)
	if err != nil {
		return nil, found(err)
	}
	b := in.Body
	for _, f := range []struct{ to, from *string }{{&o.Stream, b.Stream}, {&o.Address, b.Address}, {&o.Name, b.Name}, {&o.Provider, b.Provider}} {
		if f.from != nil {
			*f.to = *f.from
		}
	}
	if b.Bitrate != nil {
		o.Bitrate = *b.Bitrate
	}
	if b.Service != nil {
		o.Service = *b.Service
	}
	if err := s.checkOutput(ctx, o); err != nil {
		return nil, err
	}
	if err := s.Store.UpdateOutput(ctx, o); err != nil {
		return nil, found(err)
	}
	s.Outputs.Remove(o.ID)
	if err := s.Outputs.Add(o); err != nil {
		return nil, problem(err)
	}
	if err := s.audit(ctx, "output.change", o.ID, o.Stream); err != nil {
		return nil, err
	}
	return s.output(ctx, o.ID)
}
