package recorder

import (
	"fmt"
	"net/http"
	"time"

	"tongxiang/internal/apierr"
	"tongxiang/internal/stream"
	"tongxiang/recorder/folder"
)

// Request asks for a recording.
type Request struct {
	// Stream is what to record: channels/ID, meetings/ID/programme, or any other name.
	Stream stream.Name
	Title  string
	// Class is one of [Classes], or empty.
	Class string
	// Format is [folder.FMP4], the default, or [folder.TS].
	Format string
	// PreRoll is how much from before the request to keep, as far as the stream's
	// ring still holds it: up to about 20 s of a channel. Transport packets are held
	// only while somebody else takes them.
	PreRoll time.Duration
	// Until ends the recording by itself; zero: when somebody stops it.
	Until time.Time
	// Schedule and Event say what began it; see [store.Recording].
	Schedule, Event string
	// Transcode records a rendition where MP4 or a browser cannot take the source's
	// codecs, see [Config.Resolve]; else everything is recorded as it comes.
	Transcode bool
	// AllTracks records every site of a meeting beside its programme, each in a file
	// of its own.
	AllTracks bool
}

// Classes are the classes of recordings: 会议, 新闻, 培训, 涉农.
func Classes() []string { return []string{"meeting", "news", "training", "agriculture"} }

// MaxPreRoll is the most that [Request.PreRoll] may ask for; no ring holds more.
const MaxPreRoll = time.Minute

var errBadRequest = apierr.New(http.StatusUnprocessableEntity, "bad_recording",
	"This cannot be recorded in the way that was asked for.", "无法按所要求的方式录制。")

// check completes a request and says what is wrong with it.
func (q *Request) check() error {
	if q.Format == "" {
		q.Format = folder.FMP4
	}
	known := q.Class == ""
	for _, c := range Classes() {
		known = known || c == q.Class
	}
	segs := q.Stream.Segments()
	switch {
	case !known:
		return errBadRequest.Because(fmt.Errorf("class %q", q.Class))
	case q.Format != folder.FMP4 && q.Format != folder.TS:
		return errBadRequest.Because(fmt.Errorf("format %q", q.Format))
	case q.PreRoll < 0 || q.PreRoll > MaxPreRoll:
		return errBadRequest.Because(fmt.Errorf("pre-roll of %v, at most %v", q.PreRoll, MaxPreRoll))
	case q.Format == folder.TS && segs[0] != "channels":
		return errBadRequest.Because(fmt.Errorf("%s is no transport stream", q.Stream))
	case q.AllTracks && (segs[0] != "meetings" || q.Format != folder.FMP4):
		return errBadRequest.Because(fmt.Errorf("%s has no sites", q.Stream))
	}
	return nil
}

// same reports whether two requests ask for the same, so that one is enough. What
// schedules ask for, their scheduler asks for once, and padding may overlap.
func (q *Request) same(o *Request) bool {
	return q.Schedule == "" && q.Stream == o.Stream && q.Format == o.Format && q.Schedule == o.Schedule && q.Event == o.Event && q.AllTracks == o.AllTracks
}
