package hls

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"tongxiang/internal/playout/feed"
	"tongxiang/internal/stream"
)

// session is one stream being segmented, from its first request until nobody has
// asked for a while. Its goroutine owns the muxer; mu guards what requests read.
type session struct {
	server *Server
	name   stream.Name
	cancel context.CancelFunc
	ended  chan struct{}
	asked  atomic.Int64 // the process's clock when somebody last asked
	drops  stream.Drops

	mu      sync.RWMutex
	mux     *muxer
	lists   map[*output]*listing // made anew with each change
	changed chan struct{}        // closed when a part is finished
	err     error                // why the session ended or cannot begin
	live    bool                 // the source was published when last looked
	caught  bool                 // what the rings held has been segmented

	old oldSegments // has a lock of its own
}

// firstEpoch returns where a server's discontinuity numbers begin: with a number that
// players of its last run have most likely not seen, and a small one, because players
// keep arrays by it (hls.js walks 28 million holes for a number that counts seconds).
func firstEpoch(now time.Time) uint64 {
	const step, span = 10, 4096
	return uint64(now.Unix()/step) % span
}

func newSession(s *Server, name stream.Name, line *timeline) *session {
	now := time.Now()
	// Numbers rise by at most one a second, so those of a later session, even
	// of a restarted server, are above all that a player has seen.
	first := uint64(max(now.Sub(time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC))/time.Second, 0))
	x := &session{
		server: s, name: name, ended: make(chan struct{}), changed: make(chan struct{}),
		mux: newMuxer(strconv.FormatInt(now.UnixMilli(), 36), first, line.epoch, line, s.clock.Wall),
	}
	x.touch()
	return x
}

// lastEpoch returns the discontinuity number of the newest segment.
func (x *session) lastEpoch() uint64 {
	x.mu.RLock()
	defer x.mu.RUnlock()
	return x.mux.lastEpoch()
}

func (x *session) touch() { x.asked.Store(x.server.clock.Now()) }

var (
	// errMoved says that another rendition of the stream is to be followed.
	errMoved = errors.New("tracks need another rendition")
	// errLayout ends a session whose playlists are no longer those that the
	// stream needs: players begin anew with the multivariant playlist.
	errLayout = errors.New("the stream has other sounds now")
)

// maxSounds bounds the sounds of a stream that players may choose from.
const maxSounds = 8

// run segments the stream until ctx ends or nobody asks any more.
func (x *session) run(ctx context.Context) error {
	for {
		name, err := x.server.resolve(ctx, x.name)
		if err != nil {
			return fmt.Errorf("resolve %s: %w", x.name, err)
		}
		if err := x.follow(ctx, name); !errors.Is(err, errMoved) {
			return err
		}
	}
}

// follow segments one rendition.
func (x *session) follow(ctx context.Context, name stream.Name) error {
	f := feed.Open(x.server.hub, name, feed.Options{
		Accept: Playable, Sounds: maxSounds, From: stream.AtOldest, Drops: &x.drops,
	})
	defer f.Close()
	began := time.Now()
	for {
		x.seen(f.Published())
		patience := idleCheck
		if !x.caughtUp(time.Since(began) > catchUpAtMost) {
			patience = lull
		}
		wait, cancel := context.WithTimeout(ctx, patience)
		e, err := f.Next(wait)
		cancel()
		switch {
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case x.server.clock.Now()-x.asked.Load() > int64(idleAfter):
			return errIdle
		case err != nil: // nothing came
			x.caughtUp(true)
			if len(f.Tracks()) == 0 && len(f.Refused()) > 0 {
				if err := x.moved(ctx, name); err != nil {
					return err
				}
			}
		case e.Frame == nil:
			if err := x.moved(ctx, name); err != nil {
				return err
			}
			if !x.tracks(f.Tracks()) {
				return errLayout
			}
		default:
			ask, err := x.push(e)
			if err != nil {
				return fmt.Errorf("segment %s: %w", name, err)
			}
			if ask {
				f.RequestKeyFrame()
			}
		}
	}
}

// moved returns errMoved when the tracks are such that another rendition is wanted now.
func (x *session) moved(ctx context.Context, name stream.Name) error {
	now, err := x.server.resolve(ctx, x.name)
	if err != nil {
		return fmt.Errorf("resolve %s: %w", x.name, err)
	}
	if now != name {
		return errMoved
	}
	return nil
}

// A session begins with what the rings hold, which comes without a pause. The
// first lull means that it has caught up with the source; a source without lulls
// is caught up with soon enough.
const (
	lull          = 15 * time.Millisecond
	catchUpAtMost = time.Second
)

// caughtUp reports whether the playlist has reached the present, and with now set
// says so. Before that nobody is answered: a player would begin in the past.
func (x *session) caughtUp(now bool) bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	if now && !x.caught {
		x.caught = true
		x.publish()
	}
	return x.caught
}

func (x *session) seen(live bool) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.live = live
}

func (x *session) tracks(tracks []feed.Track) (ok bool) {
	list := make([]track, len(tracks))
	for i, t := range tracks {
		list[i] = track{string(t.Label), t.Format}
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	ok = x.mux.tracks(list)
	x.publish()
	return ok
}

func (x *session) push(e feed.Event) (askKeyFrame bool, err error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	news, err := x.mux.push(e.Track, e.Frame, e.Lost)
	if news {
		x.publish()
	}
	return x.mux.wantKeyFrame(), err
}

// publish shows the window to those who wait. The caller holds mu.
func (x *session) publish() {
	x.lists = make(map[*output]*listing, len(x.mux.outs))
	for _, o := range x.mux.outs {
		x.lists[o] = new(listing)
	}
	close(x.changed)
	x.changed = make(chan struct{})
}

// end wakes all who wait and leaves err for them.
func (x *session) end(err error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.err = err
	close(x.changed)
	x.changed = make(chan struct{})
	close(x.ended)
}

// wait returns when ready holds, under the read lock, or the context or the session ended.
func (x *session) wait(ctx context.Context, ready func() bool) error {
	for {
		x.mu.RLock()
		ok, changed, err := ready(), x.changed, x.err
		x.mu.RUnlock()
		if ok {
			return nil
		}
		if err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-changed:
		}
	}
}

// started reports whether a player can begin. The caller holds mu.
func (x *session) started() bool { return x.caught && x.mux.started() }

// master describes the session as it is now.
func (x *session) master(low []Low) string {
	x.mu.RLock()
	defer x.mu.RUnlock()
	return x.mux.master(low)
}

// held returns the bytes of the segments that are kept.
func (x *session) held() int {
	x.mu.RLock()
	defer x.mu.RUnlock()
	n := 0
	for _, o := range x.mux.outs {
		for _, list := range [][]*segment{o.late, o.win.segments} {
			for _, s := range list {
				for i := range s.parts {
					n += len(s.parts[i].data)
				}
			}
		}
	}
	return n
}
