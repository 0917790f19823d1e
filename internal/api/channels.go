package api

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"tongxiang/internal/apierr"
	"tongxiang/internal/auth"
	"tongxiang/internal/store"
	"tongxiang/internal/stream"
)

var (
	errChannelExists = apierr.New(http.StatusConflict, "channel_exists",
		"There is already a channel with this id.", "该频道编号已存在。")
	errChannelFixed = apierr.New(http.StatusConflict, "channel_fixed",
		"This channel is in the configuration file; change it there.", "该频道写在配置文件中，请在配置文件里修改。")
	errBadSource = apierr.New(http.StatusUnprocessableEntity, "bad_source",
		"The source is not an address that can be received: udp, rtp, srt, http, https, file, folder, exec, stdin, rtsp, rtsps, onvif, or push: for an encoder.",
		"信号源地址无效，可用 udp、rtp、srt、http、https、file、folder、exec、stdin、rtsp、rtsps、onvif，或 push:（编码器推流）。")
	errBadSwitch = apierr.New(http.StatusUnprocessableEntity, "bad_switch",
		"The switching rule is wrong: on and after name no_packets, no_media, no_pcr, scrambled, black, frozen, silent; after is 200ms to 1h; back is auto, manual or never.",
		"切换规则有误：on 和 after 只能写 no_packets、no_media、no_pcr、scrambled、black、frozen、silent；after 为 200ms 至 1h；back 为 auto、manual 或 never。")
	errNoSource = apierr.New(http.StatusUnprocessableEntity, "no_such_source",
		"The channel has no source with this number; 0 is the primary.", "该频道没有这个编号的信号源，0 为主用。")
)

// ErrBadSwitch is wrapped by errors of [Channels] about the switching rule, and
// ErrNoSource by those about the number of a source.
var (
	ErrBadSwitch error = errBadSwitch
	ErrNoSource  error = errNoSource
)

type channelView struct {
	ID       string    `json:"id"`
	Name     string    `json:"name"`
	Stream   string    `json:"stream"`
	Source   string    `json:"source,omitempty" doc:"Only for operators"`
	Program  int       `json:"program,omitempty"`
	Backup   []string  `json:"backup,omitempty"`
	Fixed    bool      `json:"fixed"`
	State    string    `json:"state"`
	Since    time.Time `json:"since"`
	Playable string    `json:"playable"`
	Reason   *Reason   `json:"reason,omitempty"`
	Tracks   []Track   `json:"tracks"`
	Bitrate  int64     `json:"bitrate"`
	// Service and Provider are what the stream calls itself.
	Service  string     `json:"service,omitempty"`
	Provider string     `json:"provider,omitempty"`
	OnBackup bool       `json:"on_backup"`
	Attempts int        `json:"attempts" doc:"How often a source was started"`
	Switched *time.Time `json:"switched,omitempty" doc:"When another source last went on air"`
	// SwitchedFor is the fault, or manual, back, removed.
	SwitchedFor string            `json:"switched_for,omitempty"`
	Sources     []Source          `json:"sources,omitempty" doc:"Only for operators"`
	Switch      *store.Switch     `json:"switch,omitempty" doc:"The rule in force; only for operators"`
	Errors      map[string]uint64 `json:"errors,omitempty"`

	Quality *ChannelQuality `json:"quality,omitempty"`
	// ClockOffset is the server's clock minus the broadcaster's.
	ClockOffset *int64   `json:"clock_offset_ms,omitempty" doc:"This server's clock minus the broadcaster's"`
	Warnings    []Reason `json:"warnings,omitempty" doc:"What somebody should look at, though it plays"`
	Now         *epgView `json:"now,omitempty"`
	Next        *epgView `json:"next,omitempty"`
}

// channelView shows sources, which may hold passwords, only to those who manage them.
func (s *service) channelView(c ChannelState, p auth.Principal) channelView {
	v := channelView{
		ID: c.ID, Name: c.Name, Stream: string(stream.Channel(c.ID)), Fixed: c.Fixed, State: c.State,
		Since: c.Since.UTC(), Playable: c.Playable, Tracks: c.Tracks, Bitrate: c.Bitrate,
	}
	if c.Reason.Code != "" {
		v.Reason = &c.Reason
	}
	if v.Tracks == nil {
		v.Tracks = []Track{}
	}
	v.Service, v.Provider, v.OnBackup, v.Attempts, v.Errors = c.Service, c.Provider, c.OnBackup, c.Attempts, c.Errors
	if !c.Switched.IsZero() {
		t := c.Switched.UTC()
		v.Switched, v.SwitchedFor = &t, c.SwitchedFor
	}
	if c.ClockOffset != nil {
		ms := c.ClockOffset.Milliseconds()
		v.ClockOffset = &ms
	}
	v.Warnings = c.Warnings
	if s.EPG != nil {
		now, next := s.EPG.NowNext(c.ID)
		v.Now, v.Next = maybeEPG(now), maybeEPG(next)
	}
	if p.May(auth.ManageChannels, "") {
		v.Source, v.Program, v.Backup = c.Source, c.Program, c.Backup
		v.Sources, v.Switch = c.Sources, &c.Rule
	}
	return v
}

type newChannel struct {
	Body struct {
		ID      string   `json:"id" minLength:"1" maxLength:"64"`
		Name    string   `json:"name" minLength:"1" maxLength:"100"`
		Source  string   `json:"source" minLength:"1" maxLength:"2000"`
		Program int      `json:"program,omitempty" minimum:"0" maximum:"65535"`
		Backup  []string `json:"backup,omitempty" maxItems:"8"`
		// Switch is when the channel leaves its source and when it returns.
		Switch store.Switch `json:"switch,omitzero"`
	}
}

type channelChange struct {
	ByID
	Body struct {
		Name    *string   `json:"name,omitempty" minLength:"1" maxLength:"100"`
		Source  *string   `json:"source,omitempty" minLength:"1" maxLength:"2000"`
		Program *int      `json:"program,omitempty" minimum:"0" maximum:"65535"`
		Backup  *[]string `json:"backup,omitempty" maxItems:"8"`
		// Switch replaces the rule as a whole.
		Switch *store.Switch `json:"switch,omitempty"`
	}
}

type channelQuery struct {
	Page
	Brief bool `query:"brief" doc:"Only what a wall of channels shows: it is asked for every two seconds"`
}

// brief leaves out what makes a list of 49 channels long.
func (v channelView) brief() channelView {
	v.Source, v.Backup, v.Sources, v.Switch, v.Errors, v.Now, v.Next = "", nil, nil, nil, nil, nil, nil
	v.Tracks = []Track{}
	if v.Quality != nil {
		q := *v.Quality // the analysis goes on to use its own
		q.PIDs, q.TR101290 = nil, nil
		v.Quality = &q
	}
	return v
}

type channelSwitch struct {
	ByID
	Body struct {
		Source int `json:"source" minimum:"0" maximum:"8" doc:"0: the primary; 1 and up: the backups"`
	}
}

func (s *service) channels(a huma.API) {
	huma.Register(a, op("GET", "/channels", "list-channels", "Channels with their state", auth.SeeChannels, http.StatusOK), func(ctx context.Context, in *channelQuery) (*list[channelView], error) {
		all := s.Channels.List()
		out := make([]channelView, 0, len(all))
		for i, c := range all {
			if i >= in.Offset && len(out) < in.Limit {
				v := s.withQuality(s.channelView(c, principal(ctx)))
				if in.Brief {
					v = v.brief()
				}
				out = append(out, v)
			}
		}
		return listOf(out, len(all)), nil
	})
	huma.Register(a, op("GET", "/channels/{id}", "get-channel", "A channel with its state", auth.SeeChannels, http.StatusOK), func(ctx context.Context, in *ByID) (*body[channelView], error) {
		return s.channel(ctx, in.ID)
	})
	huma.Register(a, op("POST", "/channels", "create-channel", "Add a channel and start it", auth.ManageChannels, http.StatusCreated), s.createChannel)
	huma.Register(a, op("PATCH", "/channels/{id}", "change-channel", "Change a channel; sources that stay the same go on undisturbed", auth.ManageChannels, http.StatusOK), s.changeChannel)
	huma.Register(a, op("POST", "/channels/{id}/switch", "switch-channel", "Put a source of a channel on air as soon as it can begin", auth.ManageChannels, http.StatusAccepted), func(ctx context.Context, in *channelSwitch) (*body[channelView], error) {
		if _, ok := s.Channels.Get(in.ID); !ok {
			return nil, problem(errNotFound)
		}
		if err := s.Channels.Switch(in.ID, in.Body.Source); err != nil {
			return nil, problem(err)
		}
		if err := s.audit(ctx, "channel.switch", in.ID, strconv.Itoa(in.Body.Source)); err != nil {
			return nil, err
		}
		return s.channel(ctx, in.ID)
	})
	huma.Register(a, op("DELETE", "/channels/{id}", "delete-channel", "Stop and remove a channel", auth.ManageChannels, http.StatusNoContent), func(ctx context.Context, in *ByID) (*struct{}, error) {
		if c, ok := s.Channels.Get(in.ID); ok && c.Fixed {
			return nil, problem(errChannelFixed)
		}
		if err := s.Store.DeleteChannel(ctx, in.ID); err != nil {
			return nil, found(err)
		}
		s.Channels.Remove(in.ID)
		return nil, s.audit(ctx, "channel.delete", in.ID, "")
	})
}

func (s *service) channel(ctx context.Context, id string) (*body[channelView], error) {
	c, ok := s.Channels.Get(id)
	if !ok {
		return nil, problem(errNotFound)
	}
	return &body[channelView]{s.withQuality(s.channelView(c, principal(ctx)))}, nil
}

func (s *service) createChannel(ctx context.Context, in *newChannel) (*body[channelView], error) {
	c := store.Channel{
		ID: in.Body.ID, Name: in.Body.Name, Source: in.Body.Source, Program: in.Body.Program, Backup: in.Body.Backup, Switch: in.Body.Switch,
	}
	if err := s.addChannel(ctx, c); err != nil {
		return nil, problem(err)
	}
	return s.channel(ctx, c.ID)
}

// addChannel starts a channel and keeps it.
func (s *service) addChannel(ctx context.Context, c store.Channel) error {
	if err := stream.CheckID(c.ID); err != nil {
		return errBadID.Because(err)
	}
	if _, ok := s.Channels.Get(c.ID); ok {
		return errChannelExists
	}
	if err := s.Channels.Add(c); err != nil {
		return badChannel(err)
	}
	if err := s.Store.CreateChannel(ctx, c); err != nil {
		s.Channels.Remove(c.ID)
		if errors.Is(err, store.ErrConflict) {
			err = errChannelExists.Because(err)
		}
		return err
	}
	return s.audit(ctx, "channel.create", c.ID, c.Name)
}

// badChannel says what is wrong with a channel's settings.
func badChannel(err error) error {
	if errors.Is(err, ErrBadSwitch) {
		return errBadSwitch.Because(err)
	}
	e := errBadSource.Because(err)
	for said, f := range sourceFaults {
		if strings.Contains(err.Error(), said) {
			e = e.WithFields(f)
		}
	}
	return e
}

// sourceFaults are what addresses lack most often, by what the check says.
var sourceFaults = map[string]apierr.Field{
	"is not 1 to 65535":         {Location: "body.source", Message: "The port is missing or wrong; want an address as in udp://239.1.1.1:5000.", ZH: "端口缺失或不对，例如 udp://239.1.1.1:5000。"},
	"names no host":             {Location: "body.source", Message: "The host is missing, as in rtsp://10.0.0.9/live.", ZH: "缺少主机地址，例如 rtsp://10.0.0.9/live。"},
	"not in ingest.programs":    {Location: "body.source", Message: "The configuration has no such program (ingest.programs).", ZH: "配置的 ingest.programs 中没有这个程序。"},
	"the channel's own id says": {Location: "body.source", Message: "push: stands alone; the channel's id says who may push.", ZH: "push: 后面不要再写内容。"},
}

func (s *service) changeChannel(ctx context.Context, in *channelChange) (*body[channelView], error) {
	if c, ok := s.Channels.Get(in.ID); ok && c.Fixed {
		return nil, problem(errChannelFixed)
	}
	old, err := s.Store.Channel(ctx, in.ID)
	if err != nil {
		return nil, found(err)
	}
	c := old
	if in.Body.Name != nil {
		c.Name = *in.Body.Name
	}
	if in.Body.Source != nil {
		c.Source = *in.Body.Source
	}
	if in.Body.Program != nil {
		c.Program = *in.Body.Program
	}
	if in.Body.Backup != nil {
		c.Backup = *in.Body.Backup
	}
	if in.Body.Switch != nil {
		c.Switch = *in.Body.Switch
	}
	if err := s.Channels.Update(c); err != nil {
		return nil, problem(badChannel(err))
	}
	if err := s.Store.UpdateChannel(ctx, c); err != nil {
		return nil, found(errors.Join(err, s.Channels.Update(old)))
	}
	if err := s.audit(ctx, "channel.change", c.ID, c.Name); err != nil {
		return nil, err
	}
	return s.channel(ctx, c.ID)
}
