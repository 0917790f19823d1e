package transcode

import (
	"strings"
	"time"

	"tongxiang/internal/media"
)

// origin is where a child's clock begins: what it is given is counted from the
// first frame, so that its 33-bit times do not wrap while it lives. Pictures may be
// shown before the first one decoded, and a decoder starts before its first sound.
const origin = 10 * time.Second

// arguments returns what the child is told: a transport stream in, one with the
// same times out, nothing held back that need not be.
func arguments(t Target, formats []media.Format) []string {
	args := strings.Fields("-hide_banner -nostdin -loglevel warning -copyts" +
		" -fflags +nobuffer -analyzeduration 300000 -probesize 500000 -f mpegts -i pipe:0")
	for _, f := range formats {
		if f.Codec.Kind() == media.Video {
			args = append(args, pictureArguments(t)...)
		} else {
			args = append(args, soundArguments(t)...)
		}
	}
	return append(args, strings.Fields("-f mpegts -mpegts_copyts 1 -muxdelay 0 -muxpreload 0 -flush_packets 1"+
		" -pat_period 0.5 pipe:1")...)
}

// pictureArguments: standard definition at most 720 lines, square pixels so that
// no player has to know better, fields made into pictures, a key frame each two
// seconds, one picture out for each in.
func pictureArguments(t Target) []string {
	args := []string{
		"-map", "0:v:0", "-fps_mode", "passthrough", "-enc_time_base", "1:90000",
		"-vf", "yadif=deint=interlaced,scale=w='trunc(min(720,ih)*dar/2)*2':h='min(720,trunc(ih/2)*2)',setsar=1,format=yuv420p",
	}
	args = append(args, strings.Fields("-c:v libx264 -preset superfast -tune zerolatency -bf 0 -g 50 -sc_threshold 0"+
		" -crf 23 -maxrate 2500k -bufsize 2500k -threads 2")...)
	if t == WebRTC {
		args = append(args, "-profile:v", "baseline")
	}
	return args
}

func soundArguments(t Target) []string {
	if t == WebRTC {
		return strings.Fields("-map 0:a:0 -c:a libopus -b:a 96k -ac 2 -ar 48000 -frame_duration 20")
	}
	if t == TSMP2 {
		return strings.Fields("-map 0:a:0 -c:a mp2 -b:a 192k -ac 2 -ar 48000")
	}
	return strings.Fields("-map 0:a:0 -c:a aac -b:a 128k -ac 2 -ar 48000")
}
