// Command crash kills the server at random moments while it records eight channels
// and a meeting, starts it again, and looks at what is left: nothing may be lost of
// more than two seconds before the kill, every file must play, and the library must
// be complete. docs/bench/crash.md has the results.
//
//	go run ./bench/crash -server bench-out/tongxiang [-kills 30]
//
// The server is the ordinary binary in a process of its own. The channels are real
// multiplexes (bench/multiplex) on loopback UDP, six recorded as fragmented MP4, two
// as transport streams; the meeting has two sites that publish by WHIP, and its own
// setting has it recorded with every site's tracks. Linux only.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log"
	"math/rand/v2"
	"os"
	"os/signal"
	"slices"
	"syscall"
	"time"

	"tongxiang/bench/site"
)

type options struct {
	server string
	commit string
	out    string
	dir    string
	kills  int
	least  time.Duration
	most   time.Duration
	port   int
}

func main() {
	log.SetFlags(log.Ltime)
	log.SetPrefix("bench-crash: ")
	var o options
	flag.StringVar(&o.server, "server", "bench-out/tongxiang", "the server's binary")
	flag.StringVar(&o.commit, "commit", "none", "what is measured, for the report")
	flag.StringVar(&o.out, "out", "", "file to append the report to")
	flag.StringVar(&o.dir, "dir", "bench-out/multiplex", "where the generated multiplexes are kept")
	flag.IntVar(&o.kills, "kills", 30, "how often the server is killed")
	flag.DurationVar(&o.least, "least", 4*time.Second, "the least that is recorded before a kill")
	flag.DurationVar(&o.most, "most", 14*time.Second, "the most")
	flag.IntVar(&o.port, "port", 16100, "where the first multiplex is sent, the second one port higher")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	ctx, cancel := context.WithTimeout(ctx, time.Hour)
	defer cancel()
	if err := o.run(ctx); err != nil {
		log.Fatal(err)
	}
}

// file is one recording after a kill.
type file struct {
	stream, format string
	lost           time.Duration
	gaps           int
}

func (o options) run(ctx context.Context) error {
	s, err := newServer(o)
	if err != nil {
		return err
	}
	defer s.close()
	sending, err := o.send(ctx)
	if err != nil {
		return err
	}
	defer sending()
	clip, err := site.Encode(ctx)
	if err != nil {
		return err
	}
	var all []file
	var wrong []string
	for k := range o.kills {
		files, bad, err := o.round(ctx, s, clip, k)
		if err != nil {
			return fmt.Errorf("kill %d: %w", k+1, err)
		}
		all, wrong = append(all, files...), append(wrong, bad...)
	}
	played, err := s.chromium(ctx)
	if err != nil {
		wrong = append(wrong, "Chromium: "+err.Error())
	}
	total, missing, err := s.library(ctx, len(all))
	if err != nil {
		return err
	}
	if missing > 0 {
		wrong = append(wrong, fmt.Sprintf("%d recordings are not in the library", missing))
	}
	text := o.report(all, wrong, played, total)
	fmt.Print(text)
	if o.out != "" {
		f, err := os.OpenFile(o.out, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
		if err != nil {
			return err
		}
		_, err = f.WriteString("\n" + text)
		if err := errors.Join(err, f.Close()); err != nil {
			return err
		}
	}
	if len(wrong) > 0 {
		return fmt.Errorf("%d things are not as they must be", len(wrong))
	}
	return nil
}

// round records, kills, starts again and looks.
func (o options) round(ctx context.Context, s *server, c site.Clip, k int) ([]file, []string, error) {
	if err := s.start(ctx); err != nil {
		return nil, nil, err
	}
	if err := s.live(ctx); err != nil {
		return nil, nil, err
	}
	meeting := fmt.Sprintf("crash-%d", k)
	if err := s.post(ctx, "/api/v1/meetings", map[string]any{"id": meeting, "title": "会议", "record": true, "tracks": "all"}, nil); err != nil {
		return nil, nil, err
	}
	ids := make(map[string]string) // stream by id
	for i := range channels {
		format := "fmp4"
		if i >= channels-2 {
			format = "ts"
		}
		var view struct{ ID string }
		if err := s.post(ctx, "/api/v1/recordings", map[string]string{"stream": "channels/" + channelID(i), "format": format}, &view); err != nil {
			return nil, nil, err
		}
		ids[view.ID] = "channels/" + channelID(i)
	}
	sites, end := context.WithCancel(ctx)
	defer end()
	for i := range 2 {
		if err := (site.Server{URL: s.url, Bearer: s.bearer, HTTP: s.http}).Sit(sites, meeting, i, c); err != nil {
			return nil, nil, err
		}
	}
	id, err := s.recordingOf(ctx, "meetings/"+meeting+"/programme")
	if err != nil {
		return nil, nil, err
	}
	ids[id] = "meetings/" + meeting + "/programme"
	for id := range ids { // each has begun its file
		if err := s.begun(ctx, id); err != nil {
			return nil, nil, err
		}
	}
	wait := o.least + rand.N(o.most-o.least)
	if err := sleep(ctx, wait); err != nil {
		return nil, nil, err
	}
	killed := time.Now()
	if err := s.kill(); err != nil {
		return nil, nil, err
	}
	end()
	if err := s.start(ctx); err != nil {
		return nil, nil, err
	}
	files, wrong := s.look(ctx, ids, killed)
	worst := time.Duration(0)
	for _, f := range files {
		worst = max(worst, f.lost)
	}
	log.Printf("kill %d of %d after %v: %d recordings, at most %v lost, %d wrong", k+1, o.kills, wait.Round(time.Millisecond), len(files), worst.Round(time.Millisecond), len(wrong))
	for _, w := range wrong {
		log.Print(w)
	}
	return files, wrong, s.kill()
}

func (o options) report(all []file, wrong []string, played string, total int) string {
	out := fmt.Sprintf("## %s, %s\n\n%d kills, %d recordings of 8 channels and a meeting; the library has %d.\n\n",
		time.Now().UTC().Format(time.DateOnly), o.commit, o.kills, len(all), total)
	out += "| what | recordings | lost: median | p95 | most | gaps |\n|---|---|---|---|---|---|\n"
	for _, kind := range []string{"fmp4", "ts", "meeting"} {
		var lost []time.Duration
		gaps := 0
		for _, f := range all {
			if f.format == kind {
				lost = append(lost, f.lost)
				gaps += f.gaps
			}
		}
		if len(lost) == 0 {
			continue
		}
		slices.Sort(lost)
		at := func(p float64) time.Duration { return lost[int(p*float64(len(lost)-1))].Round(10 * time.Millisecond) }
		out += fmt.Sprintf("| %s | %d | %v | %v | **%v** | %d |\n", kind, len(lost), at(0.5), at(0.95), at(1), gaps)
	}
	out += fmt.Sprintf("\nEvery file read by ffmpeg; in Chromium: %s. Wrong: %d.\n", played, len(wrong))
	for _, w := range wrong {
		out += "* " + w + "\n"
	}
	return out
}

func sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-time.After(d):
		return nil
	}
}
