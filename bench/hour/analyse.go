package main

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"log"
	"math"
	"os/exec"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"
)

// result is what the recording shows.
type result struct {
	length  time.Duration
	claps   []time.Duration
	flashes []time.Duration
	apart   []time.Duration // of each flash, the clap minus the flash
	at      []time.Duration // when that was
	peak    float64         // dB of full scale
	click   float64         // dB: the most above 9 kHz, where nobody sends anything, outside of claps
	clickAt time.Duration
	high    []float64     // dB above 9 kHz of each window, in claps -200
	begins  time.Duration // of the first window
}

// window is what is looked at at once: 5 ms.
const (
	window     = 240
	windowTime = 5 * time.Millisecond
)

// loudestHigh returns the most above 9 kHz between two moments, and when it was.
func (r *result) loudestHigh(from, to time.Duration) (db float64, at time.Duration) {
	db = -200
	for i := max(0, int((from-r.begins)/windowTime)); i < len(r.high) && r.begins+time.Duration(i)*windowTime < to; i++ {
		if r.high[i] > db {
			db, at = r.high[i], r.begins+time.Duration(i)*windowTime
		}
	}
	return db, at
}

// analyse decodes the recording and finds its flashes and claps.
func analyse(ctx context.Context, file string) (*result, error) {
	r := new(result)
	if err := r.pictures(ctx, file); err != nil {
		return nil, err
	}
	if err := r.sounds(ctx, file); err != nil {
		return nil, err
	}
	for _, f := range r.flashes {
		best := time.Duration(math.MaxInt64)
		for _, c := range r.claps {
			if (c - f).Abs() < best.Abs() {
				best = c - f
			}
		}
		if best.Abs() < time.Second { // the last may be cut off
			r.apart, r.at = append(r.apart, best), append(r.at, f)
		}
	}
	for i, at := range r.at {
		log.Printf("  at %v: clap %.1f ms after the flash", at.Round(10*time.Millisecond), ms(r.apart[i]))
	}
	if len(r.apart) == 0 {
		return nil, fmt.Errorf("no flash has a clap: %d flashes, %d claps", len(r.flashes), len(r.claps))
	}
	return r, nil
}

// pictures finds the moments in which the picture turns white.
func (r *result) pictures(ctx context.Context, file string) error {
	out, err := tool(ctx, "ffprobe", append(strings.Fields("-v error -select_streams v:0 -show_entries packet=pts_time -of csv=p=0"), file)...)
	if err != nil {
		return err
	}
	var times []float64
	for _, l := range strings.Fields(string(out)) {
		x, err := strconv.ParseFloat(strings.TrimSuffix(l, ","), 64)
		if err != nil {
			return fmt.Errorf("time of a picture: %w", err)
		}
		times = append(times, x)
	}
	slices.Sort(times)
	raw, err := tool(ctx, "ffmpeg", "-nostdin", "-v", "error", "-i", file, "-an", "-fps_mode", "passthrough", "-vf", "scale=8:8,format=gray", "-f", "rawvideo", "pipe:1")
	if err != nil {
		return err
	}
	white := false
	for i := 0; (i+1)*64 <= len(raw) && i < len(times); i++ {
		is := raw[i*64+36] > 200
		if is && !white {
			r.flashes = append(r.flashes, seconds(times[i]))
		}
		white = is
	}
	if len(times) > 0 {
		r.length = seconds(times[len(times)-1] - times[0])
	}
	return nil
}

func seconds(x float64) time.Duration { return time.Duration(x * float64(time.Second)) }

// sounds finds the claps and whatever clicks.
func (r *result) sounds(ctx context.Context, file string) error {
	first, err := tool(ctx, "ffprobe", append(strings.Fields("-v error -select_streams a:0 -show_entries stream=start_time -of csv=p=0"), file)...)
	if err != nil {
		return err
	}
	start, err := strconv.ParseFloat(strings.TrimRight(string(first), ",\n"), 64)
	if err != nil {
		return fmt.Errorf("time of the first sound: %w", err)
	}
	raw, err := tool(ctx, "ffmpeg", "-nostdin", "-v", "error", "-i", file, "-vn", "-af", "aresample=async=1000", "-ac", "1", "-ar", "48000", "-f", "s16le", "pipe:1")
	if err != nil {
		return err
	}
	high := newHighPass()
	r.peak, r.click, r.begins = -200, -200, seconds(start)
	last := -time.Second
	pcm := make([]float64, window)
	for i := 0; (i+1)*window*2 <= len(raw); i++ {
		at := r.begins + time.Duration(i)*windowTime
		above := 0.0
		for k := range pcm {
			pcm[k] = float64(int16(binary.LittleEndian.Uint16(raw[2*(i*window+k):]))) / 32768
			r.peak = max(r.peak, decibel(math.Abs(pcm[k])))
			above = max(above, math.Abs(high.step(pcm[k])))
		}
		if tone(pcm) > 0.05 {
			if at-last > time.Second {
				r.claps = append(r.claps, at)
			}
			last = at
		}
		r.high = append(r.high, -200)
		if at-last > 300*time.Millisecond {
			r.high[i] = decibel(above)
			if r.high[i] > r.click {
				r.click, r.clickAt = r.high[i], at
			}
		}
	}
	return nil
}

// tone is the amplitude of the claps' frequency in a window (Goertzel).
func tone(pcm []float64) float64 {
	w := 2 * math.Pi * clapFrequency / 48000
	a, b := 0.0, 0.0
	for _, x := range pcm {
		a, b = x+2*math.Cos(w)*a-b, a
	}
	return 2 * math.Sqrt(a*a+b*b-2*math.Cos(w)*a*b) / float64(len(pcm))
}

// highPass is two Butterworth sections at 9 kHz.
type highPass [2]struct{ x1, x2, y1, y2 float64 }

func newHighPass() *highPass { return new(highPass) }

func (h *highPass) step(x float64) float64 {
	w := 2 * math.Pi * 9000 / 48000
	alpha, cos := math.Sin(w)/math.Sqrt2, math.Cos(w)
	for i := range h {
		s := &h[i]
		y := ((1+cos)/2*x - (1+cos)*s.x1 + (1+cos)/2*s.x2 + 2*cos*s.y1 - (1-alpha)*s.y2) / (1 + alpha)
		s.x2, s.x1, s.y2, s.y1 = s.x1, x, s.y1, y
		x = y
	}
	return x
}

func decibel(x float64) float64 { return 20 * math.Log10(max(x, 1e-10)) }

func tool(ctx context.Context, name string, args ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, name, args...)
	var out, said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &said
	if err := cmd.Run(); err != nil {
		return nil, fmt.Errorf("%s: %w: %s", name, err, said.String())
	}
	return out.Bytes(), nil
}

// report is the table of a run.
func (r *result) report(commit string, length time.Duration) string {
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	part := func(from, to float64) (n int, mean, worst time.Duration) {
		for i, at := range r.at {
			if x := float64(at) / float64(r.length); x < from || x > to {
				continue
			}
			n++
			mean += r.apart[i]
			if r.apart[i].Abs() > worst.Abs() {
				worst = r.apart[i]
			}
		}
		return n, mean / time.Duration(max(n, 1)), worst
	}
	line("## %s, %s", commit, time.Now().UTC().Format("2006-01-02 15:04 UTC"))
	line("")
	line("%s, a meeting of %v, four sites with clocks %v ppm off; recording of %v.", runtime.Version(), length, drifts, r.length.Round(time.Second))
	line("")
	line("| part of the meeting | flashes with a clap | clap after flash, mean ms | worst ms | target |")
	line("|---|---|---|---|---|")
	for _, p := range []struct {
		name     string
		from, to float64
	}{{"first tenth", 0, 0.1}, {"middle", 0.45, 0.55}, {"last tenth", 0.9, 1}, {"whole", 0, 1}} {
		n, mean, worst := part(p.from, p.to)
		line("| %s | %d | %.1f | %.1f | within 40 |", p.name, n, ms(mean), ms(worst))
	}
	line("")
	line("| | |")
	line("|---|---|")
	line("| flashes seen / claps heard | %d / %d |", len(r.flashes), len(r.claps))
	line("| peak, dB of full scale | %.1f |", r.peak)
	line("| the most above 9 kHz outside of claps, dB of full scale | %.1f (at %v) |", r.click, r.clickAt.Round(time.Millisecond))
	return b.String()
}

func ms(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
