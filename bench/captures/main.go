// Command captures puts every file of a folder of real streams through the ingest,
// as a channel that loops it, and prints a table of what became of each.
//
//	go run ./bench/captures FOLDER
package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/url"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"tongxiang/ingest"
	"tongxiang/internal/media"
	"tongxiang/internal/stream"
)

// verdictTime is how long a file may take to play or to be given up with its reason.
const verdictTime = 8 * time.Second

// together is how many are played at once.
const together = 16

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: captures FOLDER")
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, "captures:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, dir string) error {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return err
	}
	var files []string
	err = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() && filepath.Ext(path) != ".md" {
			files = append(files, path)
		}
		return err
	})
	if err != nil {
		return err
	}
	slices.Sort(files)
	log := slog.New(slog.DiscardHandler)
	hub := stream.NewHub(log)
	defer hub.Close()
	channels := ingest.NewChannels(hub, media.NewClock(), log, ingest.Options{})
	defer channels.Close()
	rows := make([]string, len(files))
	counts := map[string]int{}
	for group := range slices.Chunk(files, together) {
		began := time.Now()
		for _, file := range group {
			i := slices.Index(files, file)
			source := url.URL{Scheme: "file", Path: file}
			if err := channels.Add(ingest.ChannelConfig{ID: id(i), Name: file, Source: source.String()}); err != nil {
				return fmt.Errorf("%s: %w", file, err)
			}
		}
		for _, file := range group {
			i := slices.Index(files, file)
			s, err := verdict(ctx, channels, id(i), began)
			if err != nil {
				return err
			}
			rows[i] = row(strings.TrimPrefix(file, dir+string(filepath.Separator)), s)
			counts[outcome(s)]++
			if err := channels.Remove(id(i)); err != nil {
				return err
			}
		}
	}
	fmt.Printf("%d files, %s: ", len(files), time.Now().Format(time.DateOnly))
	for _, o := range []string{"plays directly", "plays after transcoding", "refused", "no outcome"} {
		fmt.Printf("%d %s; ", counts[o], o)
	}
	fmt.Print("nothing panicked.\n\n| file | state | service | codecs | reason |\n|---|---|---|---|---|\n")
	fmt.Println(strings.Join(rows, "\n"))
	return nil
}

func id(i int) string { return fmt.Sprintf("capture-%d", i) }

// verdict waits until a channel plays or says why not, and then a little for the
// headers of all its streams.
func verdict(ctx context.Context, channels *ingest.Channels, id string, began time.Time) (ingest.Status, error) {
	for {
		s, ok := channels.Get(id)
		if !ok {
			return s, errors.New("the channel is gone")
		}
		if time.Since(began) > verdictTime || time.Since(began) > verdictTime/2 && (s.State == ingest.Refused || s.State == ingest.Live) {
			return s, nil
		}
		select {
		case <-ctx.Done():
			return s, context.Cause(ctx)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

func outcome(s ingest.Status) string {
	switch {
	case s.Playable == ingest.PlayableDirect && s.State == ingest.Live:
		return "plays directly"
	case s.Playable == ingest.NeedsTranscoding && s.State == ingest.Live:
		return "plays after transcoding"
	case s.Reason.Code != "" || s.PlayReason.Code != "":
		return "refused"
	}
	return "no outcome"
}

func row(file string, s ingest.Status) string {
	var codecs []string
	for _, f := range s.Formats {
		text := f.Codec
		if f.Width > 0 {
			text += fmt.Sprintf(" %d×%d", f.Width, f.Height)
		}
		codecs = append(codecs, text)
	}
	reason := s.Reason
	if reason.Code == "" {
		reason = s.PlayReason
	}
	text := reason.Code
	if reason.EN != "" {
		text += ": " + reason.EN
	}
	cell := func(t string) string { return strings.NewReplacer("|", `\|`, "\n", " ").Replace(t) }
	return fmt.Sprintf("| %s | %s | %s | %s | %s |", cell(file), s.State, cell(s.Service), strings.Join(codecs, ", "), cell(text))
}
