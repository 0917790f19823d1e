package rtsp

import (
	"errors"
	"sync"
	"sync/atomic"

	"github.com/bluenviron/gortsplib/v4"
	"github.com/bluenviron/gortsplib/v4/pkg/description"

	"tongxiang/internal/stream"
)

// player is the session of one player. The library calls it from one goroutine at a
// time.
type player struct {
	server  *Server
	name    stream.Name
	from    string
	how     gortsplib.Transport
	session *gortsplib.ServerSession
	layout  *layout

	own   *gortsplib.ServerStream // of this player; nil in a group
	group *group                  // of players by multicast; nil otherwise

	pump atomic.Pointer[pump]   // while it plays
	why  atomic.Pointer[string] // why it ends, when the server ends it

	mu      sync.Mutex // guards what follows: a session may end while it begins
	playing bool
	closed  bool
}

// newPlayer prepares the first SETUP of a session.
func (s *Server) newPlayer(name stream.Name, l *layout, x *gortsplib.ServerHandlerOnSetupCtx) (*player, error) {
	if !s.admit() {
		return nil, errBusy
	}
	p := &player{
		server: s, name: name, layout: l, session: x.Session, how: x.Transport,
		from: x.Conn.NetConn().RemoteAddr().String(),
	}
	var err error
	if x.Transport == gortsplib.TransportUDPMulticast {
		p.group, err = s.join(name, l)
	} else {
		// A stream of its own for each player: it begins at a key frame of the
		// past, and has its own losses.
		p.own = &gortsplib.ServerStream{Server: s.rtsp, Desc: l.desc}
		err = p.own.Initialize()
	}
	if err != nil {
		s.release()
		return nil, err
	}
	s.players.Add(1)
	return p, nil
}

// out returns the library's stream of the session.
func (p *player) out() *gortsplib.ServerStream {
	if p.group != nil {
		return p.group.out
	}
	return p.own
}

// play begins to send. A player that plays already may say so again.
func (p *player) play(c *gortsplib.ServerConn, medias []*description.Media) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.playing || p.closed {
		return
	}
	p.playing = true
	if p.how == gortsplib.TransportTCP {
		enter(c.NetConn(), worked)
	}
	p.server.log.Info("rtsp player began", "stream", p.name, "from", p.from, "transport", p.how)
	if p.group != nil {
		return // the group sends for all
	}
	pump := newPump(p.server, p.name, p.layout, p.own, medias)
	pump.paced = p.how == gortsplib.TransportUDP
	p.pump.Store(pump)
	pump.start(func(err error) {
		p.end(pumpReason(err))
	})
}

// end ends the session for a reason of the server's.
func (p *player) end(why string) {
	p.why.CompareAndSwap(nil, &why)
	p.session.Close()
}

func pumpReason(err error) string {
	if errors.Is(err, errChanged) {
		return endChanged
	}
	return endStream
}

func (p *player) pause() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.playing = false
	if pump := p.pump.Swap(nil); pump != nil {
		pump.stop()
	}
}

// full notes that the library's queue for this player is full. It runs on the pump's
// goroutine.
func (p *player) full() {
	if pump := p.pump.Load(); pump != nil {
		pump.full.Store(true)
	}
}

// close takes the session down.
func (p *player) close(err error) {
	why := reason(err)
	if w := p.why.Load(); w != nil {
		why = *w
	}
	p.mu.Lock()
	p.closed = true
	p.mu.Unlock()
	p.pause()
	if p.group != nil {
		p.server.leave(p.group)
	} else {
		p.own.Close()
	}
	p.server.players.Add(-1)
	p.server.release()
	p.server.ended(why)
	p.server.log.Info("rtsp player ended", "stream", p.name, "from", p.from, "why", why, "err", err)
}

// group is the players of one stream by multicast.
type group struct {
	name  stream.Name
	out   *gortsplib.ServerStream
	pump  *pump
	once  sync.Once
	users int // guarded by Server.mu
}

// close ends the sessions that are left. The library does not bear a second time.
func (g *group) close() { g.once.Do(g.out.Close) }

// join adds a player to the group of a stream, which begins with the first.
func (s *Server) join(name stream.Name, l *layout) (*group, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if g := s.groups[name]; g != nil {
		g.users++
		return g, nil
	}
	g := &group{name: name, users: 1, out: &gortsplib.ServerStream{Server: s.rtsp, Desc: l.desc}}
	if err := g.out.Initialize(); err != nil {
		return nil, err
	}
	g.pump = newPump(s, name, l, g.out, nil)
	g.pump.paced = true
	g.pump.start(func(err error) {
		s.log.Info("rtsp multicast ended", "stream", name, "err", err)
		s.mu.Lock()
		if s.groups[name] == g { // who comes now begins another
			delete(s.groups, name)
		}
		s.mu.Unlock()
		g.close()
	})
	s.groups[name] = g
	return g, nil
}

// leave takes a player out. The last one ends the group.
func (s *Server) leave(g *group) {
	s.mu.Lock()
	g.users--
	last := g.users == 0
	if last && s.groups[g.name] == g {
		delete(s.groups, g.name)
	}
	s.mu.Unlock()
	if last {
		g.pump.stop()
		g.close()
	}
}
