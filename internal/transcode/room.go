package transcode

import (
	"errors"
	"math"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"tongxiang/internal/media"
)

// errFull ends a rendition for which there is no room.
var errFull = errors.New("as many transcoders run as may")

const (
	// soundsPerPicture is how many children for sound alone may run where one for
	// pictures may: they cost 2 % of a core each, and what is left is memory.
	soundsPerPicture = 16
	// reserve is the share of the machine that nothing may plan with.
	reserve = 0.05
	// meterEvery is how often use of the processor is looked at.
	meterEvery = 2 * time.Second
)

// What a child costs before it was measured, in cores for each million samples a
// second: decoding and deinterlacing the source, and encoding what goes out. From
// ffmpeg 5.1 on one core of a small server; a child that has run for a while is
// counted by what it really takes.
const (
	costIn    = 0.009
	costOut   = 0.020
	costSound = 0.02
)

// estimate returns the cores that a plan is expected to need for these tracks.
func estimate(p Plan, formats []media.Format) float64 {
	total := 0.0
	for _, f := range formats {
		if p.Of(f) != Encode {
			continue
		}
		if f.Codec.Kind() == media.Audio {
			total += costSound
			continue
		}
		fps, w, h := f.FPS, f.Width, f.Height
		if fps <= 0 {
			fps = 25
		}
		if w == 0 || h == 0 {
			w, h = 720, 576
		}
		total += costIn * float64(w*h) * fps / 1e6
		shape := f.Aspect
		if shape <= 0 {
			shape = float64(w) / float64(h)
		}
		lines, every := min(float64(h), 720), 1
		if r, low := p.target.rung(); low {
			lines, every = min(float64(h), float64(r.Height)), r.every(f)
		}
		total += costOut * lines * lines * shape * fps / float64(every) / 1e6
	}
	return total
}

// load is one child, as the room counts it.
type load struct {
	picture bool
	cores   float64
}

// admit says whether one more child may start beside those that run. budget is what
// children may use together, spare what the machine has left for them, both in
// cores. The first child of all is always let in: it gives way to everything else
// by its priority, and a small machine is of use too.
func admit(running []load, one load, maxPictures int, budget, spare float64) error {
	if maxPictures <= 0 {
		return errFull
	}
	same, total := 0, 0.0
	for _, l := range running {
		total += l.cores
		if l.picture == one.picture {
			same++
		}
	}
	most := maxPictures
	if !one.picture {
		most *= soundsPerPicture
	}
	switch {
	case same >= most:
		return errFull
	case len(running) == 0:
		return nil
	case total+one.cores > min(budget, spare):
		return errFull
	}
	return nil
}

// room holds the children there are. It is safe for concurrent use.
type room struct {
	max    int
	budget float64 // cores
	cores  float64 // of the machine

	mu   sync.Mutex
	jobs map[*job]struct{}
	own  meter // of this process
}

// job is one place in the room.
type job struct {
	picture  bool
	measured atomic.Uint64 // bits of a float64: cores
}

func newRoom(maxPictures int, share float64) *room {
	cores := float64(runtime.NumCPU())
	return &room{max: maxPictures, budget: share * cores, cores: cores, jobs: make(map[*job]struct{})}
}

// fits reports whether a child may start now.
func (r *room) fits(picture bool, cores float64) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.admit(load{picture, cores}) == nil
}

// enter takes a place; leave gives it back.
func (r *room) enter(picture bool, cores float64) (*job, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := r.admit(load{picture, cores}); err != nil {
		return nil, err
	}
	j := &job{picture: picture}
	j.set(cores)
	r.jobs[j] = struct{}{}
	return j, nil
}

func (r *room) leave(j *job) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.jobs, j)
}

// admit asks for one more. The caller holds mu.
func (r *room) admit(one load) error {
	running := make([]load, 0, len(r.jobs))
	for j := range r.jobs {
		running = append(running, load{j.picture, j.cores()})
	}
	used := 0.0
	if cpu, ok := ownTime(); ok {
		used = r.own.rate(time.Now(), cpu)
	}
	return admit(running, one, r.max, r.budget, r.cores*(1-reserve)-used)
}

// totals returns how many children there are and the cores they use.
func (r *room) totals() (count int, cores float64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for j := range r.jobs {
		cores += j.cores()
	}
	return len(r.jobs), cores
}

func (j *job) set(cores float64) { j.measured.Store(math.Float64bits(cores)) }
func (j *job) cores() float64    { return math.Float64frombits(j.measured.Load()) }

// meter turns readings of processor time into cores in use. The zero value is ready.
type meter struct {
	at    time.Time
	spent time.Duration
	last  float64
}

// rate takes a reading and returns the cores used since the one before; of readings
// close together the first counts.
func (m *meter) rate(now time.Time, spent time.Duration) float64 {
	switch d := now.Sub(m.at); {
	case m.at.IsZero():
		m.at, m.spent = now, spent
	case d >= meterEvery:
		m.last = max(float64(spent-m.spent)/float64(d), 0)
		m.at, m.spent = now, spent
	}
	return m.last
}
