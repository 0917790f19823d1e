package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"
)

// chapter is one of a recording as the API tells it.
type chapter struct {
	AtMS  int64  `json:"at_ms"`
	Kind  string `json:"kind"`
	Title string `json:"title"`
	Who   string `json:"who"`
}

func (c chapter) at() time.Duration { return time.Duration(c.AtMS) * time.Millisecond }

// recording is one as the API tells it.
type recording struct {
	ID      string    `json:"id"`
	Started time.Time `json:"started"`
}

// chapters waits for those of a recording that has ended: they are written after it.
func (n *node) chapters(ctx context.Context, id string) ([]chapter, error) {
	var last []chapter
	for range 60 {
		var l struct{ Items []chapter }
		if err := n.get(ctx, "/api/v1/recordings/"+id+"/chapters", &l); err != nil {
			return nil, err
		}
		if len(l.Items) > 0 && len(l.Items) == len(last) {
			return l.Items, nil
		}
		last = l.Items
		if err := pause(ctx, time.Second); err != nil {
			return nil, err
		}
	}
	return last, nil
}

func (n *node) get(ctx context.Context, path string, out any) error {
	res, err := n.do(ctx, http.MethodGet, path, "", n.token, nil)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	return json.NewDecoder(res.Body).Decode(out)
}

// meeting is what the analysis has to know of how it went.
type meeting struct {
	chapters []chapter
	seats    [sites]string // the sites' participants
	began    time.Time     // of the first round
	started  time.Time     // of the recording
}

// turns compares the chapters with who spoke.
type turns struct {
	spoken int             // flashes: one in the middle of each turn
	right  int             // of them under a chapter of the site that spoke
	wrong  []time.Duration // the others
	late   []time.Duration // of each chapter that begins in a turn's first half: how long after the turn
	titles int             // chapters with a title
	atCut  float64         // dB: the most above 9 kHz within near of a chapter's beginning
	when   time.Duration
}

// near is how close to a change of speaker a click is the change's.
const near = 300 * time.Millisecond

// judge is pure.
func (m meeting) judge(r *result) turns {
	t := turns{atCut: -200}
	for _, c := range m.chapters {
		if c.Title != "" {
			t.titles++
		}
	}
	for _, flash := range r.flashes {
		in := m.started.Add(flash).Sub(m.began) % round
		who := m.seats[max(0, in)/turn]
		t.spoken++
		i := slices.IndexFunc(m.chapters, func(c chapter) bool { return c.at() > flash })
		if i < 0 {
			i = len(m.chapters)
		}
		if i == 0 || m.chapters[i-1].Who != who || m.chapters[i-1].Kind != "speaker" {
			t.wrong = append(t.wrong, flash)
			continue
		}
		t.right++
		if begin := flash - turn/2; begin > 0 {
			t.late = append(t.late, m.chapters[i-1].at()-begin)
		}
	}
	slices.Sort(t.late)
	for _, c := range m.chapters[min(1, len(m.chapters)):] {
		if db, at := r.loudestHigh(c.at()-near, c.at()+near); db > t.atCut {
			t.atCut, t.when = db, at
		}
	}
	return t
}

func (t turns) report(m meeting) string {
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	line("| turns, by their flashes / chapters / with a title | %d / %d / %d |", t.spoken, len(m.chapters), t.titles)
	line("| turns under a chapter of the site that spoke | %d |", t.right)
	if len(t.wrong) > 0 {
		line("| the others | %v |", t.wrong)
	}
	if n := len(t.late); n > 0 {
		line("| a chapter begins after its turn, median / least / most ms | %.0f / %.0f / %.0f |", ms(t.late[n/2]), ms(t.late[0]), ms(t.late[n-1]))
	}
	line("| the most above 9 kHz within %v of a change of speaker, dB of full scale | %.1f (at %v) |", near, t.atCut, t.when.Round(time.Millisecond))
	return b.String()
}
