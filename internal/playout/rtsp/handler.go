package rtsp

import (
	"context"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/bluenviron/gortsplib/v4"
	"github.com/bluenviron/gortsplib/v4/pkg/base"
	"github.com/bluenviron/gortsplib/v4/pkg/headers"
	"github.com/bluenviron/gortsplib/v4/pkg/liberrors"

	"tongxiang/internal/apierr"
	"tongxiang/internal/stream"
)

var (
	errBadName = apierr.New(http.StatusNotFound, "stream_not_found",
		"There is no stream of this name.", "没有这个名称的流。")
	errNoToken = apierr.New(http.StatusUnauthorized, "not_signed_in",
		"A token is needed: as ?token= in the address, or as the password.", "需要令牌：写在地址的 ?token= 中，或作为密码。")
	errBusy = apierr.New(http.StatusServiceUnavailable, "rtsp_busy",
		"The server carries as many sessions as it is allowed to. Please try again later.", "服务器会话数已达上限，请稍后再试。")
)

// handler is a server as the library sees it. Its methods run on the goroutines of
// connections and sessions, one request of a connection after the other.
type handler Server

func (h *handler) server() *Server { return (*Server)(h) }

// caller is what is known of a connection. It belongs to the connection's requests.
type caller struct {
	name   stream.Name // what was described, which this connection may watch
	layout *layout
	begin  func() // starts what a PLAY allowed, once the session is ready for it
}

func callerOf(c *gortsplib.ServerConn) *caller {
	u, _ := c.UserData().(*caller)
	if u == nil {
		u = new(caller)
		c.SetUserData(u)
	}
	return u
}

// nameOf returns the stream at a path; that of a meeting is its programme.
func nameOf(path string) (stream.Name, error) {
	name, err := stream.ParseName(strings.Trim(path, "/"))
	if err != nil {
		return "", errBadName.Because(err)
	}
	if segs := name.Segments(); segs[0] == "meetings" && len(segs) == 2 {
		return stream.Programme(segs[1]), nil
	}
	return name, nil
}

// tokenOf returns the bearer token of a request: in the address, or as the password
// of basic authentication, where the name is of no matter.
func tokenOf(q *base.Request, query string) string {
	if v, err := url.ParseQuery(query); err == nil && v.Get("token") != "" {
		return v.Get("token")
	}
	if values := q.Header["Authorization"]; len(values) == 1 {
		if token, ok := strings.CutPrefix(values[0], "Bearer "); ok {
			return strings.TrimSpace(token)
		}
	}
	var a headers.Authorization
	if a.Unmarshal(q.Header["Authorization"]) == nil && a.Method == headers.AuthMethodBasic {
		return a.BasicPass
	}
	return ""
}

// authPatience bounds a look into the store.
const authPatience = 10 * time.Second

// ok is the answer that the library completes.
func ok() *base.Response { return &base.Response{StatusCode: base.StatusOK} }

// refuse turns an error into an answer with its stable code as the reason phrase.
// Without valid credentials the library asks for them.
func (h *handler) refuse(c *gortsplib.ServerConn, path string, err error) (*base.Response, error) {
	e := apierr.As(err)
	log := h.log.Debug
	if e.Status >= http.StatusInternalServerError {
		log = h.log.Warn
	}
	log("rtsp request refused", "path", path, "from", c.NetConn().RemoteAddr(), "code", e.Code, "err", err)
	res := &base.Response{StatusCode: base.StatusCode(e.Status), StatusMessage: http.StatusText(e.Status) + " (" + e.Code + ")"}
	switch e.Status {
	case http.StatusUnauthorized:
		return res, liberrors.ErrServerAuth{}
	case http.StatusConflict: // RTSP has no such status
		res.StatusCode = base.StatusForbidden
	}
	return res, nil
}

// watchable returns the stream at a path when the request may watch it.
func (h *handler) watchable(c *gortsplib.ServerConn, q *base.Request, path, query string) (stream.Name, error) {
	name, err := nameOf(path)
	if err != nil {
		return "", err
	}
	u := callerOf(c)
	token := tokenOf(q, query)
	if token == "" && u.name == name {
		return name, nil // some players send the query and the password only once
	}
	if token == "" {
		return "", errNoToken
	}
	ctx, cancel := context.WithTimeout(h.ctx, authPatience)
	defer cancel()
	if err := h.cfg.Watch(ctx, token, name); err != nil {
		return "", err
	}
	if u.name != name {
		u.name, u.layout = name, nil
	}
	enter(c.NetConn(), known)
	return name, nil
}

// OnDescribe answers DESCRIBE.
func (h *handler) OnDescribe(x *gortsplib.ServerHandlerOnDescribeCtx) (*base.Response, *gortsplib.ServerStream, error) {
	refuse := func(err error) (*base.Response, *gortsplib.ServerStream, error) {
		res, err := h.refuse(x.Conn, x.Path, err)
		return res, nil, err
	}
	name, err := h.watchable(x.Conn, x.Request, x.Path, x.Query)
	if err != nil {
		return refuse(err)
	}
	l, err := h.server().describe(h.ctx, name)
	if err != nil {
		return refuse(err)
	}
	u := callerOf(x.Conn)
	u.layout = l
	desc := *l.desc
	desc.Multicast = h.cfg.Multicast != "" && strings.Contains(x.Query, "vlcmulticast")
	res := ok()
	if res.Body, err = desc.Marshal(false); err != nil {
		return refuse(err)
	}
	return res, nil, nil
}

// OnSetup answers SETUP of players and encoders.
func (h *handler) OnSetup(x *gortsplib.ServerHandlerOnSetupCtx) (*base.Response, *gortsplib.ServerStream, error) {
	refuse := func(err error) (*base.Response, *gortsplib.ServerStream, error) {
		res, err := h.refuse(x.Conn, x.Path, err)
		return res, nil, err
	}
	switch u := x.Session.UserData().(type) {
	case *encoder:
		return ok(), nil, nil
	case *player: // a further track
		return ok(), u.out(), nil
	}
	name, err := h.watchable(x.Conn, x.Request, x.Path, x.Query)
	if err != nil {
		return refuse(err)
	}
	u := callerOf(x.Conn)
	if u.layout == nil {
		if u.layout, err = h.server().describe(h.ctx, name); err != nil {
			return refuse(err)
		}
	}
	p, err := h.server().newPlayer(name, u.layout, x)
	if err != nil {
		return refuse(err)
	}
	x.Session.SetUserData(p)
	return ok(), p.out(), nil
}

// OnPlay answers PLAY. What it allows begins when the library has made the session
// ready, which [handler.OnResponse] sees.
func (h *handler) OnPlay(x *gortsplib.ServerHandlerOnPlayCtx) (*base.Response, error) {
	if p, is := x.Session.UserData().(*player); is {
		medias := x.Session.SetuppedMedias()
		callerOf(x.Conn).begin = func() { p.play(x.Conn, medias) }
	}
	return ok(), nil
}

// OnResponse sees every answer before it is sent.
func (h *handler) OnResponse(c *gortsplib.ServerConn, res *base.Response) {
	u, _ := c.UserData().(*caller)
	if u == nil || u.begin == nil {
		return
	}
	begin := u.begin
	u.begin = nil
	if res.StatusCode == base.StatusOK {
		begin()
	}
}

// OnPause answers PAUSE of players: what comes meanwhile is not kept for them.
func (h *handler) OnPause(x *gortsplib.ServerHandlerOnPauseCtx) (*base.Response, error) {
	p, is := x.Session.UserData().(*player)
	if !is {
		return &base.Response{StatusCode: base.StatusMethodNotValidInThisState}, nil
	}
	p.pause()
	enter(x.Conn.NetConn(), known)
	return ok(), nil
}

// OnStreamWriteError is told that a player takes no more.
func (h *handler) OnStreamWriteError(x *gortsplib.ServerHandlerOnStreamWriteErrorCtx) {
	if p, is := x.Session.UserData().(*player); is {
		p.full()
	}
}

// OnSessionClose takes a session down.
func (h *handler) OnSessionClose(x *gortsplib.ServerHandlerOnSessionCloseCtx) {
	switch u := x.Session.UserData().(type) {
	case *player:
		u.close(x.Error)
	case *encoder:
		u.close(x.Error)
	}
}
