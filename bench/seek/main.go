// Command seek measures how long a viewer waits after a jump in a recording of three
// hours over a thin line. docs/bench/seek.md has the results.
//
// It makes a minute of television in standard definition with ffmpeg, indexes it as
// the recorder does, has the product's own job make its low rendition, and repeats
// both to the wanted length, each copy at its time. The server is the whole product on
// a loopback socket; the client does what an HLS player does: the multivariant
// playlist, the playlist of a quality, the initialisation segment, and for each jump
// the segment in which the wanted time lies, over one connection that is throttled to
// the line's rate and delayed by its round trip. Then ffmpeg decodes the wanted
// picture. It ends by itself.
package main

import (
	"context"
	"flag"
	"fmt"
	"log"
	"math/rand/v2"
	"os"
	"os/signal"
	"slices"
	"syscall"
	"time"
)

func main() {
	log.SetFlags(log.Ltime)
	log.SetPrefix("bench-seek: ")
	length := flag.Duration("length", 3*time.Hour, "of the recording")
	rate := flag.Int("rate", 2_000_000, "of the line, bits a second")
	trip := flag.Duration("rtt", 40*time.Millisecond, "round trip of the line")
	jumps := flag.Int("jumps", 100, "in each quality")
	keep := flag.Duration("serve", 0, "only serve the recording for so long, for a browser")
	flag.Parse()
	ctx, end := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer end()
	ctx, cancel := context.WithTimeout(ctx, 30*time.Minute)
	defer cancel()
	if err := run(ctx, *length, *rate, *trip, *jumps, *keep); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context, length time.Duration, rate int, trip time.Duration, jumps int, keep time.Duration) error {
	dir, err := os.MkdirTemp("", "bench-seek-")
	if err != nil {
		return fmt.Errorf("make a folder: %w", err)
	}
	defer os.RemoveAll(dir)
	n, err := start(ctx, dir, length)
	if err != nil {
		return err
	}
	defer n.close()
	if keep > 0 {
		log.Printf("%s/recordings/%s as %s, password %s", n.url, n.id, n.name, n.password)
		select {
		case <-ctx.Done():
		case <-time.After(keep):
		}
		return nil
	}
	fmt.Println("| quality | playlists, kB | until it can play, ms | jump to segment, ms (p50 / p95 / max) | with its picture decoded, ms (p50 / p95 / max) | kB a jump |")
	fmt.Println("|---|---|---|---|---|---|")
	for _, quality := range []string{"low", "full"} {
		p, err := open(ctx, n, quality, rate, trip)
		if err != nil {
			return err
		}
		var fetched, shown []time.Duration
		bytes := 0
		for range jumps {
			f, s, size, err := p.jump(ctx, time.Duration(rand.Int64N(int64(length-time.Second))))
			if err != nil {
				return err
			}
			fetched, shown, bytes = append(fetched, f), append(shown, s), bytes+size
		}
		fmt.Printf("| %s | %d | %d | %s | %s | %d |\n", quality, p.listed/1000, p.ready.Milliseconds(), spread(fetched), spread(shown), bytes/jumps/1000)
	}
	return nil
}

func spread(l []time.Duration) string {
	slices.Sort(l)
	at := func(share float64) int64 { return l[min(int(share*float64(len(l))), len(l)-1)].Milliseconds() }
	return fmt.Sprintf("%d / %d / %d", at(0.5), at(0.95), at(1))
}
