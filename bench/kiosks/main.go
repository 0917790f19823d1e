// Command kiosks measures many kiosks on one channel while HLS of every other channel
// is watched too.
//
//	go run ./bench/kiosks -channels 49 -kiosks 300 -for 60s
//	go run ./bench/kiosks -server http://host:8080 -token TOKEN -stream channels/cctv1
//
// Without -server it builds the server, starts it with channels that play a generated
// programme over and over from the page cache, and ends it. Its clients do what hls.js
// does in low latency: the multivariant playlist once, then a media playlist that
// blocks until there is a new part, and each part as soon as it is listed. They check
// that parts follow without a hole, and compare when each segment was complete with
// the time that it carries.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"sync"
	"time"
)

// options are the command's flags.
type options struct {
	server, token, stream string
	channels, kiosks      int
	length                time.Duration
}

func main() {
	var o options
	flag.StringVar(&o.server, "server", "", "a running server's address; empty: start one")
	flag.StringVar(&o.token, "token", "", "the token with which -server lets kiosks watch")
	flag.StringVar(&o.stream, "stream", "channels/c0", "the stream that the kiosks watch")
	flag.IntVar(&o.channels, "channels", 49, "channels of the server that is started; one client watches each")
	flag.IntVar(&o.kiosks, "kiosks", 300, "kiosks on one channel")
	flag.DurationVar(&o.length, "for", 60*time.Second, "how long to measure")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, o); err != nil && !errors.Is(err, context.Canceled) {
		fmt.Fprintln(os.Stderr, "kiosks:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, o options) error {
	var node *node
	if o.server == "" {
		var err error
		if node, err = startNode(ctx, o.channels, o.length); err != nil {
			return err
		}
		defer node.close()
		o.server, o.token = node.base, node.token
	}
	fmt.Print("| clients | on one channel | segments | late | holes | refused | behind, ms (p50 / p99 / max) | sessions | held, MB" +
		" | server, MB | cores | cores per kiosk, ‰ | sent, Mbit/s |\n|---|---|---|---|---|---|---|---|---|---|---|---|---|\n")
	for _, kiosks := range []int{1, o.kiosks} {
		r, err := measure(ctx, o, kiosks, node)
		if err != nil {
			return err
		}
		fmt.Println(r.row())
	}
	return nil
}

// measure lets clients watch for a while and adds up what they saw.
func measure(ctx context.Context, o options, kiosks int, node *node) (result, error) {
	// One watcher of each other channel; then the kiosks, who do not all come at once.
	var streams []string
	if node != nil {
		for i := 1; i < o.channels; i++ {
			streams = append(streams, fmt.Sprintf("channels/c%d", i))
		}
	}
	for range kiosks {
		streams = append(streams, o.stream)
	}
	const arriving, settling = 10 * time.Second, 10 * time.Second
	watch, cancel := context.WithTimeout(ctx, arriving+settling+o.length)
	defer cancel()
	from := time.Now().Add(arriving + settling)
	clients := make([]*client, len(streams))
	var all sync.WaitGroup
	for i, s := range streams {
		c := newClient(o.server, o.token, s, from)
		clients[i] = c
		wait := arriving * time.Duration(i) / time.Duration(len(streams))
		all.Go(func() {
			select {
			case <-watch.Done():
			case <-time.After(wait):
				c.run(watch)
			}
		})
	}
	select {
	case <-ctx.Done():
		all.Wait()
		return result{}, context.Cause(ctx)
	case <-time.After(time.Until(from)):
	}
	before := node.sample(ctx)
	<-time.After(o.length - time.Second)
	after := node.sample(ctx)
	cancel()
	all.Wait()
	return summarise(clients, kiosks, before, after), ctx.Err()
}
