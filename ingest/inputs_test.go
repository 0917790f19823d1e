package ingest

import (
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"tongxiang/ingest/source"
	"tongxiang/internal/media"
	"tongxiang/internal/stream"
)

// newHouseWith is newHouse with other options.
func newHouseWith(t *testing.T, o Options) *house {
	h := newHouse(t)
	h.channels.Close()
	h.channels = NewChannels(h.hub, media.NewClock(), slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelWarn})), o)
	return h
}

// programme makes a file of some seconds; the name of its service tells it from others.
func programme(t *testing.T, file, name string, seconds int, format ...string) {
	t.Helper()
	args := args([]string{
		"-nostdin", "-loglevel", "error", "-y", "-f", "lavfi", "-i", "testsrc2=size=160x120:rate=25",
		"-f", "lavfi", "-i", "sine=sample_rate=48000", "-t", fmt.Sprint(seconds),
		"-c:v", "libx264", "-preset", "ultrafast", "-bf", "2", "-g", "25", "-c:a", "aac",
		"-metadata", "service_name=" + name,
	}, format, []string{file})
	if out, err := exec.CommandContext(t.Context(), "ffmpeg", args...).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
}

func TestAFolderPlaysWhatIsInItAndNoticesWhatComesAndGoes(t *testing.T) {
	needFFmpeg(t)
	dir := t.TempDir()
	programme(t, filepath.Join(dir, "1.ts"), "one", 1, "-f", "mpegts")
	programme(t, filepath.Join(dir, "2.mp4"), "", 1)
	for name, text := range map[string]string{"0 junk.txt": "not a stream", "0 empty.ts": "", "3 broken.mp4": "\x00\x00\x00\x18ftypmp42broken"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	path, err := exec.LookPath("ffmpeg")
	if err != nil {
		t.Fatal(err)
	}
	h := newHouseWith(t, Options{FFmpeg: path})
	h.add(ChannelConfig{ID: "c", Source: "folder://" + dir})
	h.wait("c", "the first file", func(s Status) bool { return s.State == Live && s.Service == "one" })
	// ffmpeg names the service that it makes of an MP4.
	s := h.wait("c", "the MP4, and all junk is named", func(s Status) bool {
		return s.Service == "Service01" && s.Errors["file_not_ts"] == 2
	})
	s = h.wait("c", "the broken MP4 is named", func(s Status) bool { return s.Errors["file_not_converted"] == 1 })
	programme(t, filepath.Join(dir, "4.ts"), "four", 1, "-f", "mpegts")
	h.wait("c", "a new file", func(s Status) bool { return s.Service == "four" })
	for _, name := range []string{"1.ts", "2.mp4", "4.ts"} {
		if err := os.Remove(filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	s = h.wait("c", "nothing is left", func(s Status) bool { return s.State == Lost })
	if s.Reason.Code != string(source.CauseNotFound) || !strings.Contains(s.Reason.Detail, "broken.mp4") {
		t.Errorf("%+v", s)
	}
	programme(t, filepath.Join(dir, "5.ts"), "five", 1, "-f", "mpegts")
	s = h.wait("c", "a file again", func(s Status) bool { return s.State == Live && s.Service == "five" })
	if s.Attempts != 1 {
		t.Errorf("opened %d times", s.Attempts)
	}
	frames := h.follow("c", stream.LabelVideo, atLeast(30))
	for i, f := range frames {
		if i > 0 && f.DTS <= frames[i-1].DTS {
			t.Fatalf("frame %d at %d after %d", i, f.DTS, frames[i-1].DTS)
		}
	}
}

func TestAnMP4IsPlayedInALoop(t *testing.T) {
	needFFmpeg(t)
	file := filepath.Join(t.TempDir(), "a.mp4")
	programme(t, file, "", 1)
	path, err := exec.LookPath("ffmpeg")
	if err != nil {
		t.Fatal(err)
	}
	h := newHouseWith(t, Options{FFmpeg: path})
	h.add(ChannelConfig{ID: "c", Source: "file://" + file})
	frames := h.follow("c", stream.LabelVideo, atLeast(60)) // 25 in the file
	for i, f := range frames {
		if i > 0 && f.DTS <= frames[i-1].DTS {
			t.Fatalf("frame %d at %d after %d", i, f.DTS, frames[i-1].DTS)
		}
	}
	without := &house{t, h.hub, NewChannels(stream.NewHub(slog.New(slog.DiscardHandler)), media.NewClock(), slog.New(slog.DiscardHandler), Options{})}
	defer without.channels.Close()
	without.add(ChannelConfig{ID: "c", Source: "file://" + file})
	s := without.wait("c", "refused", func(s Status) bool { return s.State == Refused })
	if s.Reason.Code != string(source.CauseUnplayable) || !strings.Contains(s.Reason.Detail, "ffmpeg") {
		t.Errorf("%+v", s)
	}
}

// tuner is a program like dvbv5-zap: two programmes at real time, and nothing but an
// error for a channel that it does not know.
const tuner = `
case "$1" in
mux) exec ffmpeg -nostdin -loglevel error -re -f lavfi -i testsrc2=size=160x120:rate=25 -re -f lavfi -i testsrc=size=160x120:rate=25 \
	-t 600 -map 0 -map 1 -c:v libx264 -preset ultrafast -g 12 \
	-program program_num=1:title=One:st=0 -program program_num=2:title=Two:st=1 -f mpegts - ;;
once) exec ffmpeg -nostdin -loglevel error -re -f lavfi -i testsrc2=size=160x120:rate=25 -t 2 -c:v libx264 -preset ultrafast -g 12 -f mpegts - ;;
*) echo "no channel $1 in the list" >&2; exit 7 ;;
esac`

func TestATunerProgramIsReadOnceForItsChannelsAndStartedAgain(t *testing.T) {
	needFFmpeg(t)
	h := newHouseWith(t, Options{Programs: map[string][]string{"zap": {"sh", "-c", tuner, "zap", "{channel}"}}})
	h.add(ChannelConfig{ID: "one", Source: "exec:zap?channel=mux", Program: 1})
	h.add(ChannelConfig{ID: "two", Source: "exec:zap?channel=mux", Program: 2})
	playing := func(name string) func(Status) bool {
		return func(s Status) bool { return s.State == Live && s.Service == name }
	}
	h.wait("one", "live", playing("One"))
	h.wait("two", "live", playing("Two"))
	if err := h.channels.Remove("one"); err != nil {
		t.Fatal(err)
	}
	h.follow("two", stream.LabelVideo, atLeast(100))
	if s, _ := h.channels.Get("two"); s.Attempts != 1 || s.Errors["continuity"] != 0 {
		t.Errorf("the other was disturbed: %+v", s)
	}

	h.add(ChannelConfig{ID: "unknown", Source: "exec:zap?channel=none"})
	s := h.wait("unknown", "its reason", func(s Status) bool { return s.Attempts >= 2 && s.Reason.Code == "source_ended" })
	if !strings.Contains(s.Reason.Detail, "no channel none in the list") {
		t.Errorf("%+v", s)
	}
	h.add(ChannelConfig{ID: "again", Source: "exec:zap?channel=once"})
	h.wait("again", "started again", func(s Status) bool { return s.Attempts >= 2 && s.State == Live })
	if err := h.channels.Add(ChannelConfig{ID: "sh", Source: "exec:sh?c=reboot"}); source.CauseOf(err) != source.CauseBadAddress {
		t.Errorf("a program that is not declared: %v", err)
	}
}
