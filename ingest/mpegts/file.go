package mpegts

import (
	"bufio"
	"context"
	"errors"
	"io"
	"io/fs"
	"net/url"
	"os"
	"time"

	"tongxiang/ingest/source"
	"tongxiang/internal/retry"
)

const (
	// filePiece is how much is played before the clock is looked at, as much as a
	// datagram has: 0.3 s of the slowest radio programme.
	filePiece = 7 * 188
	// fileNap is the shortest wait worth a timer.
	fileNap = 5 * time.Millisecond
	// fileJump is the greatest step of the PCR that is believed; a larger one is
	// a cut in the recording, and the pace begins anew behind it.
	fileJump = time.Second
	// fileBlind is the rate at which a file without PCR is read, in bytes a second.
	fileBlind = 1 << 20
)

// Path returns the file that an address names: file:///a/b, file:a/b.
func Path(u *url.URL) string {
	if u.Opaque != "" {
		return u.Opaque
	}
	return u.Host + u.Path
}

// runFile plays a file at the pace of its clock references.
func runFile(ctx context.Context, s *Source, out *source.Output, feed feeder) error {
	loop, err := flag(s.url, "loop", true)
	if err != nil {
		return source.Because(source.CauseBadAddress, err)
	}
	f, err := os.Open(Path(s.url))
	if err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return source.Because(source.CauseNotFound, err)
		}
		return source.Because(source.CauseFailed, err)
	}
	defer f.Close()
	for {
		n, err := playOnce(ctx, bufio.NewReaderSize(f, 64<<10), out, feed)
		if err != nil {
			return err
		}
		if !loop {
			return source.Because(source.CauseEnded, errors.New("end of file"))
		}
		if n == 0 {
			return source.Because(source.CauseEnded, errors.New("empty file"))
		}
		if _, err := f.Seek(0, io.SeekStart); err != nil {
			return source.Because(source.CauseFailed, err)
		}
		feed.restart()
	}
}

// playOnce plays a file from where it stands to its end and returns how long it is.
func playOnce(ctx context.Context, f io.Reader, out *source.Output, feed feeder) (int64, error) {
	var p pacer
	buf := make([]byte, filePiece)
	total := int64(0)
	for {
		n, err := io.ReadFull(f, buf)
		if n > 0 {
			total += int64(n)
			now := out.Clock.Now()
			feed.feed(buf[:n], now)
			pcr, ok := feed.pace()
			if wait := p.wait(now, pcr, ok, n); wait > fileNap && !retry.Sleep(ctx, wait) {
				return total, ctx.Err()
			}
		}
		if ctx.Err() != nil {
			return total, ctx.Err()
		}
		switch {
		case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
			return total, nil
		case err != nil:
			return total, source.Because(source.CauseFailed, err)
		}
	}
}

// pacer says how long to wait so that a file is read as fast as it was broadcast.
// It decides only; now is given in nanoseconds.
type pacer struct {
	begun  bool
	origin int64 // now at which the file's clock stood at zero
	last   int64 // newest PCR, 27 MHz
	played int64 // nanoseconds of the file's own time since it began
	blind  time.Duration
}

// wait takes the newest PCR after n bytes.
func (p *pacer) wait(now, pcr int64, ok bool, n int) time.Duration {
	if !ok {
		// No clock (yet): a steady rate, so that nothing spins.
		p.blind += time.Duration(n) * time.Second / fileBlind
		wait := p.blind
		if wait > fileNap {
			p.blind = 0
		}
		return wait
	}
	if !p.begun {
		p.begun, p.origin, p.last = true, now, pcr
		return 0
	}
	step := time.Duration(clockStep(p.last, pcr) * 1000 / 27)
	p.last = pcr
	if step < 0 || step > fileJump {
		return 0
	}
	p.played += int64(step)
	wait := time.Duration(p.origin + p.played - now)
	if wait < -fileJump { // the machine was asleep: no catching up
		p.origin = now - p.played
	}
	return wait
}
