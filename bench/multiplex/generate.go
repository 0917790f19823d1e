package multiplex

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
)

// content is what one programme shows and how it is coded.
type content struct {
	picture string // a source of ffmpeg's
	sound   string
	video   []string
	audio   []string
	samples int // of sound to code
}

// h264 is standard definition as satellites carry it: interlaced, two B-frames,
// two starts a second at most.
func h264() []string {
	return []string{"-c:v", "libx264", "-preset", "veryfast", "-flags", "+ildct+ilme+cgop", "-g", "24", "-bf", "2",
		"-b:v", "4500k", "-maxrate", "4500k", "-bufsize", "1000k", "-threads", "1"}
}

func mpeg2() []string {
	return []string{"-c:v", "mpeg2video", "-flags", "+ildct+ilme+cgop", "-sc_threshold", "1000000000", "-g", "12", "-bf", "2",
		"-b:v", "4500k", "-maxrate", "4500k", "-bufsize", "1200k", "-threads", "1"}
}

func mp2() []string { return []string{"-c:a", "mp2", "-b:a", "192k"} }

func aac() []string { return []string{"-c:a", "aac", "-b:a", "128k"} }

const (
	sampleRate = 48000
	mp2Samples = 400 * 1152
	aacSamples = 449 * 1024 // the encoder puts one frame in front
)

// Kind says how the programmes are coded.
type Kind string

// The kinds of multiplex.
const (
	Mixed  Kind = "mixed"  // H.264 and MPEG-2, MP2 and AAC, as satellites carry them
	Direct Kind = "direct" // H.264 and AAC: what a browser plays as it is
)

func (k Kind) contents() [Services]content {
	cs := contents()
	for i := range cs {
		if k == Direct {
			cs[i].video, cs[i].audio, cs[i].samples = h264(), aac(), aacSamples
		}
	}
	return cs
}

func contents() [Services]content {
	const size = "size=720x576:rate=25"
	noise := func(source string) string { return source + ",noise=alls=12:allf=t" }
	return [Services]content{
		{noise("testsrc2=" + size), "sine=sample_rate=48000:frequency=440", h264(), mp2(), mp2Samples},
		{"mandelbrot=" + size, "anoisesrc=sample_rate=48000:seed=1:color=pink", h264(), aac(), aacSamples},
		{noise("testsrc=" + size), "sine=sample_rate=48000:frequency=550", mpeg2(), mp2(), mp2Samples},
		{"cellauto=rule=110:seed=7:" + size, "anoisesrc=sample_rate=48000:seed=1:color=brown", h264(), mp2(), mp2Samples},
		{noise("smptebars=" + size), "sine=sample_rate=48000:frequency=660", mpeg2(), mp2(), mp2Samples},
		{noise("gradients=seed=7:" + size), "anoisesrc=sample_rate=48000:seed=1:color=violet", h264(), aac(), aacSamples},
		{"mandelbrot=start_scale=1:" + size, "sine=sample_rate=48000:frequency=880", mpeg2(), mp2(), mp2Samples},
	}
}

// Make returns the files of n multiplexes in a folder, making those that are not
// there: half a minute with ffmpeg, once.
func Make(ctx context.Context, dir string, kind Kind, n int) ([]string, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	var files []string
	for mux := range n {
		file := filepath.Join(dir, fmt.Sprintf("%s-%d.ts", kind, mux+1))
		files = append(files, file)
		if info, err := os.Stat(file); err == nil && info.Size() == int64(Packets*packetSize) {
			continue
		}
		data, err := make1(ctx, dir, kind, mux)
		if err != nil {
			return nil, fmt.Errorf("multiplex %d: %w", mux+1, err)
		}
		if err := write(file, data); err != nil {
			return nil, err
		}
	}
	return files, nil
}

// write puts a file there whole or not at all.
func write(file string, data []byte) error {
	part := file + ".part"
	if err := os.WriteFile(part, data, 0o644); err != nil {
		return err
	}
	return os.Rename(part, file)
}

// make1 makes one multiplex.
func make1(ctx context.Context, dir string, kind Kind, mux int) ([]byte, error) {
	var programmes [Services][]byte
	for i, c := range kind.contents() {
		coded := filepath.Join(dir, fmt.Sprintf("%s-programme-%d.nut", kind, i+1))
		if _, err := os.Stat(coded); err != nil {
			if err := c.code(ctx, coded); err != nil {
				return nil, err
			}
		}
		ts, err := wrapped(ctx, coded, mux, i)
		if err != nil {
			return nil, err
		}
		programmes[i] = ts
	}
	return interleave(mux, programmes)
}

// code encodes a programme.
func (c content) code(ctx context.Context, file string) error {
	part := file + ".part"
	args := []string{"-nostdin", "-loglevel", "error", "-y", "-f", "lavfi", "-i", c.picture + ",trim=end_frame=" + strconv.Itoa(Pictures),
		"-f", "lavfi", "-i", c.sound + ",atrim=end_sample=" + strconv.Itoa(c.samples),
		"-map", "0:v", "-map", "1:a", "-pix_fmt", "yuv420p", "-ac", "2", "-ar", strconv.Itoa(sampleRate)}
	args = append(append(args, c.video...), c.audio...)
	if err := ffmpeg(ctx, append(args, "-f", "nut", part)...); err != nil {
		return err
	}
	return os.Rename(part, file)
}

// pmtPID and the PIDs after it are those of a programme.
func pmtPID(service int) int { return 0x100 + service*0x10 }

// wrapped returns a programme as a transport stream of its own, at the constant
// rate that it has in the multiplex.
func wrapped(ctx context.Context, coded string, mux, service int) ([]byte, error) {
	out := coded + ".ts"
	defer os.Remove(out)
	// The sound goes 40 ms early: what is left of the delay of B-frames would hang
	// over the end of the round otherwise.
	err := ffmpeg(ctx, "-nostdin", "-loglevel", "error", "-y", "-i", coded, "-itsoffset", "-0.04", "-i", coded,
		"-map", "0:v", "-map", "1:a", "-c", "copy",
		"-f", "mpegts", "-muxrate", strconv.Itoa(serviceRate*packetSize*8), "-pcr_period", "30",
		"-mpegts_service_id", strconv.Itoa(ServiceID(mux, service)),
		"-mpegts_pmt_start_pid", strconv.Itoa(pmtPID(service)), "-mpegts_start_pid", strconv.Itoa(pmtPID(service)+1), out)
	if err != nil {
		return nil, err
	}
	return os.ReadFile(out)
}

func ffmpeg(ctx context.Context, args ...string) error {
	cmd := exec.CommandContext(ctx, "ffmpeg", args...)
	cmd.Stderr = os.Stderr
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("ffmpeg %q: %w", args[len(args)-1], err)
	}
	return nil
}
