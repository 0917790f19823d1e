package rtsp

import (
	"errors"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/bluenviron/gortsplib/v4"
	"github.com/bluenviron/gortsplib/v4/pkg/base"
)

// Quirks remembers what was learned of servers, for as long as the process runs.
// The zero value is ready. It is safe for concurrent use.
type Quirks struct {
	mu         sync.Mutex
	noGetParam map[string]bool // by host
}

// New returns the source of an address; see [New].
func (q *Quirks) New(u *url.URL, program int) (*Source, error) {
	s, err := New(u, program)
	if err != nil {
		return nil, err
	}
	s.quirks = q
	return s, nil
}

func (q *Quirks) refusesGetParameter(host string) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.noGetParam[host]
}

// learn notes that a server refuses GET_PARAMETER, and reports whether that is news.
func (q *Quirks) learn(host string) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.noGetParam[host] {
		return false
	}
	if q.noGetParam == nil {
		q.noGetParam = make(map[string]bool)
	}
	q.noGetParam[host] = true
	return true
}

// errKeepAlive ends a connection that the server would end soon.
var errKeepAlive = errors.New("the server offers GET_PARAMETER and refuses it")

// keeper sees to it that a camera is kept alive in a way that it accepts. The client
// sends GET_PARAMETER when the answer to OPTIONS offers it, and looks at no answer.
// Some cameras offer it, refuse it, and end the session when nothing else came for
// 60 s. The first refusal therefore ends the connection; on the next one, and for
// good, GET_PARAMETER is taken out of the offer, so that OPTIONS is sent instead.
type keeper struct {
	quirks  *Quirks
	host    string
	end     func(error)
	playing atomic.Bool

	// owned by the client's goroutine
	asked bool // the newest request was a GET_PARAMETER
}

// attach hangs the keeper on a client that is not started yet.
func (k *keeper) attach(c *gortsplib.Client) {
	c.OnRequest = func(q *base.Request) { k.asked = q.Method == base.GetParameter }
	c.OnResponse = k.response
}

// response runs on the client's goroutine, for every answer.
func (k *keeper) response(res *base.Response) {
	if public := res.Header["Public"]; len(public) > 0 && k.quirks.refusesGetParameter(k.host) {
		res.Header["Public"] = base.HeaderValue{without(strings.Join(public, ","), string(base.GetParameter))}
	}
	if !k.playing.Load() || !k.asked {
		return
	}
	switch res.StatusCode {
	case base.StatusOK, base.StatusUnauthorized:
	default:
		if k.quirks.learn(k.host) {
			k.end(errKeepAlive)
		}
	}
}

// without returns a list of methods without one of them.
func without(list, method string) string {
	methods := strings.Split(list, ",")
	for i := range methods {
		methods[i] = strings.TrimSpace(methods[i])
	}
	methods = slices.DeleteFunc(methods, func(m string) bool { return m == method })
	return strings.Join(methods, ", ")
}
