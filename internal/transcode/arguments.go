package transcode

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"tongxiang/internal/media"
)

// origin is where a child's clock begins: what it is given is counted from the
// first frame, so that its 33-bit times do not wrap while it lives. Pictures may be
// shown before the first one decoded, and a decoder starts before its first sound.
const origin = 10 * time.Second

// keySeconds is how far key frames of low-rate renditions lie apart. A key frame
// costs as much as ten others, and a player begins at one.
const keySeconds = 2

// arguments returns what the child is told: a transport stream in, one with the
// same times out, nothing held back that need not be. The outputs stand in the order
// of formats, and the child numbers their PIDs from [firstPID].
func arguments(t Target, formats []media.Format) []string {
	args := strings.Fields("-hide_banner -nostdin -loglevel warning -copyts")
	r, low := t.rung()
	if low {
		// One core at most, whatever the machine has: a step of the ladder needs a fifth.
		args = append(args, strings.Fields("-filter_threads 1 -threads 1")...)
	}
	if !low {
		// Threads that each decode a picture of their own hold back as many pictures.
		args = append(args, "-thread_type", "slice")
	}
	// What goes in is whole frames, one to a packet: a parser would wait for the next
	// to be sure. Opus needs one to be unpacked, E-AC-3 because its length is not known here.
	flags := "+nobuffer+noparse"
	if slices.ContainsFunc(formats, func(f media.Format) bool { return f.Codec == media.Opus || f.Codec == media.EAC3 }) {
		flags = "+nobuffer"
	}
	args = append(args, strings.Fields("-fflags "+flags+" -analyzeduration 300000 -probesize 500000 -f mpegts -i pipe:0")...)
	sounds := 0
	for _, f := range formats {
		switch {
		case f.Codec.Kind() == media.Audio:
			args = append(args, "-map", fmt.Sprintf("0:a:%d", sounds))
			sounds++
		case low:
			args = append(args, lowArguments(t, r, f)...)
		default:
			args = append(args, pictureArguments(t, f)...)
		}
	}
	if sounds > 0 {
		args = append(args, soundArguments(t)...)
	}
	return append(args, strings.Fields("-f mpegts -mpegts_copyts 1 -muxdelay 0 -muxpreload 0 -flush_packets 1"+
		" -omit_video_pes_length 0 -pat_period 0.5 pipe:1")...)
}

// firstPID is where ffmpeg's multiplexer begins to number its streams (-mpegts_start_pid).
const firstPID = 0x100

// pictureArguments: standard definition at most 720 lines, square pixels so that
// no player has to know better, fields made into pictures, a key frame each two
// seconds, one picture out for each in.
func pictureArguments(t Target, f media.Format) []string {
	args := []string{
		"-map", "0:v:0", "-fps_mode", "passthrough", "-enc_time_base", "1:90000",
		"-vf", fields(f) + "scale=w='trunc(min(720,ih)*dar/2)*2':h='min(720,trunc(ih/2)*2)',setsar=1,format=yuv420p",
	}
	args = append(args, strings.Fields("-c:v libx264 -preset superfast -tune zerolatency -bf 0 -g 50 -sc_threshold 0"+
		" -crf 23 -maxrate 2500k -bufsize 2500k -threads 2")...)
	if t == WebRTC {
		args = append(args, "-profile:v", "baseline")
	}
	return args
}

// fields returns the filter that makes pictures of fields, with its comma. It holds a
// picture back, so it is left out where there are none.
func fields(f media.Format) string {
	if !f.Interlaced {
		return ""
	}
	return "yadif=deint=interlaced,"
}

// lowArguments: a step of the ladder. The quality is held where the picture is
// simple and gives way where it is not; the buffer of a third of a second is what
// keeps every two seconds within the rate. Key frames lie on a grid of the source's
// time, so that a child that was started again goes on where the former was.
func lowArguments(t Target, r Rung, f media.Format) []string {
	filters := []string{}
	if n := r.every(f); n > 1 {
		filters = append(filters, fmt.Sprintf("framestep=%d", n))
	}
	scale := fmt.Sprintf("scale=w='trunc(min(%d,ih)*dar/2)*2':h='min(%[1]d,trunc(ih/2)*2)'", r.Height)
	if w, h := r.size(f); w > 0 {
		scale = fmt.Sprintf("scale=%d:%d", w, h) // what the playlist says
	}
	filters = append(filters, fields(f)+scale, "setsar=1", "format=yuv420p")
	args := []string{
		"-map", "0:v:0", "-fps_mode", "passthrough", "-enc_time_base", "1:90000", "-vf", strings.Join(filters, ","),
		"-force_key_frames", fmt.Sprintf("expr:gte(t,n_forced*%d)", keySeconds),
	}
	args = append(args, strings.Fields(fmt.Sprintf("-c:v libx264 -preset veryfast -tune zerolatency -bf 0 -g 250 -sc_threshold 0"+
		" -level %s -crf 23 -maxrate %dk -bufsize %dk -threads 1", lowLevel, r.maxrate, r.buffer))...)
	profile := "main"
	if t.webrtc() {
		profile = "baseline"
	}
	return append(args, "-profile:v", profile)
}

// lowLevel, and with the profile lowCodec, is what low-rate pictures are declared to
// be before there are any: 640×360 at 30 a second fits in level 3.
const (
	lowLevel = "3.0"
	lowCodec = "avc1.4d401e"
)

func soundArguments(t Target) []string {
	r, low := t.rung()
	rate, channels := 128, 2
	if t.webrtc() {
		rate = 96
	}
	if low {
		rate, channels = r.sound, r.channels
		if t.webrtc() {
			rate = r.opus
		}
	}
	codec := "-c:a aac"
	if t == TSMP2 {
		codec, rate = "-c:a mp2", 192
	}
	if t.webrtc() {
		codec = "-c:a libopus -frame_duration 20"
		if low {
			codec += " -vbr constrained"
		}
	}
	return strings.Fields(fmt.Sprintf("%s -b:a %dk -ac %d -ar 48000", codec, rate, channels))
}
