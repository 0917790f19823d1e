package mpegts

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
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
	for {
		n, err := playFile(ctx, Path(s.url), s.muxes.FFmpeg, out, feed)
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case err != nil:
			return err
		case !loop:
			return source.Because(source.CauseEnded, errors.New("end of file"))
		case n == 0:
			return source.Because(source.CauseEnded, errors.New("empty file"))
		}
		feed.restart()
	}
}

// playFile plays a file once, from a container by way of ffmpeg, and returns how
// many bytes of transport stream it was.
func playFile(ctx context.Context, path, converter string, out *source.Output, feed feeder) (int64, error) {
	f, err := os.Open(path)
	if err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return 0, source.Because(source.CauseNotFound, err)
		}
		return 0, source.Because(source.CauseFailed, err)
	}
	defer f.Close()
	r := bufio.NewReaderSize(f, 64<<10)
	head, _ := r.Peek(12) // a shorter file is no container
	if !isContainer(head) {
		return playOnce(ctx, r, new(pacer), out, feed)
	}
	if converter == "" {
		return 0, source.Because(source.CauseUnplayable, fmt.Errorf("%s: ffmpeg is needed to play it", filepath.Base(path)))
	}
	total := int64(0)
	err = child(ctx, remux(converter, path), func(r io.Reader) error {
		n, err := playOnce(ctx, r, new(pacer), out, feed)
		total = n
		if err == nil {
			err = io.EOF
		}
		return err
	})
	if err != nil {
		return total, source.Because(source.CauseUnplayable, fmt.Errorf("%s: %w", filepath.Base(path), err))
	}
	return total, nil
}

// isContainer reports whether a file begins as MP4 or MOV (ISO/IEC 14496-12) or
// Matroska do. A transport stream never does.
func isContainer(head []byte) bool {
	return len(head) >= 12 && string(head[4:8]) == "ftyp" || bytes.HasPrefix(head, []byte{0x1A, 0x45, 0xDF, 0xA3})
}

// remux is the command that makes a transport stream of a file, its pictures and
// sounds as they are.
func remux(converter, path string) []string {
	return []string{
		converter, "-nostdin", "-hide_banner", "-loglevel", "error", "-protocol_whitelist", "file,pipe", "-i", "file:" + path,
		"-map", "0:v:0?", "-map", "0:a?", "-c", "copy", "-pat_period", "0.1", "-pcr_period", "20", "-f", "mpegts", "-",
	}
}

// playOnce plays a file from where it stands to its end, at the pace of p, and
// returns how long it is.
func playOnce(ctx context.Context, f io.Reader, p *pacer, out *source.Output, feed feeder) (int64, error) {
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
