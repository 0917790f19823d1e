package main

import (
	"context"
	"fmt"
	"net"
	"time"

	"tongxiang/bench/multiplex"
)

// send sends two multiplexes at their rate; the function that it returns ends that.
func (o options) send(ctx context.Context) (func(), error) {
	files, err := multiplex.Make(ctx, o.dir, multiplex.Direct, 2)
	if err != nil {
		return nil, err
	}
	ctx, stop := context.WithCancel(ctx)
	done := make(chan struct{}, len(files))
	for i, file := range files {
		loop, err := multiplex.Open(file)
		if err != nil {
			stop()
			return nil, err
		}
		conn, err := net.Dial("udp4", fmt.Sprintf("127.0.0.1:%d", o.port+i))
		if err != nil {
			stop()
			return nil, err
		}
		go func() {
			defer func() { done <- struct{}{} }()
			defer conn.Close()
			pump(ctx, loop, conn)
		}()
	}
	return func() {
		stop()
		for range files {
			<-done
		}
	}, nil
}

func pump(ctx context.Context, loop *multiplex.Loop, conn net.Conn) {
	b := make([]byte, 7*188)
	begin, next := time.Now(), int64(0)
	for t := time.NewTicker(2 * time.Millisecond); ctx.Err() == nil; {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		}
		for due := int64(time.Since(begin)) * multiplex.PacketRate / int64(time.Second); next+7 <= due; next += 7 {
			loop.Fill(b, next)
			_, _ = conn.Write(b) // while the server is away nobody listens
		}
	}
}
