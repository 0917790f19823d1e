package mpegts

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"testing"
	"time"

	"golang.org/x/net/ipv4"
	"golang.org/x/sys/unix"

	"tongxiang/internal/media"
)

// sendTo makes this test binary a sender of 38 Mbit/s, a satellite multiplex, to an
// address for some seconds: another process, whose work is not counted with ours.
const sendTo = "TONGXIANG_TEST_SEND_TO"

func TestMain(m *testing.M) {
	if to := os.Getenv(sendTo); to != "" {
		if err := sendMux(to, 3*time.Second); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// muxRate is bits a second.
const muxRate = 38e6

func sendMux(to string, d time.Duration) error {
	conn, err := net.Dial("udp", to)
	if err != nil {
		return err
	}
	defer conn.Close()
	data := packets(7)
	begun, sent := time.Now(), 0
	for time.Since(begun) < d {
		for due := int(time.Since(begun).Seconds() * muxRate / 8 / 1316); sent < due; sent++ {
			if _, err := conn.Write(data); err != nil {
				return err
			}
		}
		// One datagram is due every 277 µs; a sleep is as short as the kernel's
		// timer: they leave one by one, as from a multiplexer.
		var ts unix.Timespec
		ts.Nsec = 50_000
		_ = unix.Nanosleep(&ts, nil)
	}
	return nil
}

// BenchmarkReceive measures the processor time of receiving one multiplex, as the
// socket does it and as a loop over x/net's ReadBatch does: per cent of a core for
// each Mbit/s.
func BenchmarkReceive(b *testing.B) {
	self, err := os.Executable()
	if err != nil {
		b.Fatal(err)
	}
	for _, way := range []struct {
		name    string
		receive func(ctx context.Context, conn *net.UDPConn, f func([]byte, int64)) error
	}{
		{"socket", func(ctx context.Context, conn *net.UDPConn, f func([]byte, int64)) error {
			s, err := newSocket(conn)
			if err != nil {
				return err
			}
			defer s.close()
			return s.receive(ctx, media.NewClock(), f)
		}},
		{"ReadBatch", readBatch},
	} {
		b.Run(way.name, func(b *testing.B) {
			b.ReportAllocs()
			cpu, bits, count := time.Duration(0), 0, 0
			for b.Loop() {
				conn, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
				if err != nil {
					b.Fatal(err)
				}
				to := conn.LocalAddr().String()
				ctx, cancel := context.WithCancel(b.Context())
				ended := make(chan struct{})
				go func() {
					defer close(ended)
					_ = way.receive(ctx, conn, func(p []byte, _ int64) { bits, count = bits+8*len(p), count+1 })
				}()
				cmd := exec.CommandContext(ctx, self)
				cmd.Env = append(os.Environ(), sendTo+"="+to)
				before := processorTime(b)
				if out, err := cmd.CombinedOutput(); err != nil {
					b.Fatalf("%v: %s", err, out)
				}
				cpu += processorTime(b) - before
				cancel()
				_ = conn.SetReadDeadline(time.Unix(1, 0))
				<-ended
				conn.Close()
			}
			b.ReportMetric(100*cpu.Seconds()/(float64(bits)/1e6), "%core/(Mbit/s)")
			b.ReportMetric(float64(cpu.Nanoseconds())/float64(count), "ns/datagram")
			b.ReportMetric(0, "ns/op") // it lasts as long as the sender sends
		})
	}
}

func processorTime(b *testing.B) time.Duration {
	var r unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &r); err != nil {
		b.Fatal(err)
	}
	return time.Duration(r.Utime.Nano() + r.Stime.Nano())
}

// readBatch is what the socket is compared with.
func readBatch(ctx context.Context, conn *net.UDPConn, f func([]byte, int64)) error {
	clock := media.NewClock()
	reader := ipv4.NewPacketConn(conn)
	messages := make([]ipv4.Message, 32)
	for i := range messages {
		messages[i].Buffers = [][]byte{make([]byte, 2048)}
	}
	for ctx.Err() == nil {
		n, err := reader.ReadBatch(messages, 0)
		if err != nil {
			return err
		}
		now := clock.Now()
		for _, m := range messages[:n] {
			f(m.Buffers[0][:m.N], now)
		}
	}
	return ctx.Err()
}

func TestReceivingAllocatesNothingPerDatagram(t *testing.T) {
	conn, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	to := conn.LocalAddr().String()
	s, err := newSocket(conn)
	if err != nil {
		t.Fatal(err)
	}
	defer s.close()
	tx, err := net.Dial("udp", to)
	if err != nil {
		t.Fatal(err)
	}
	defer tx.Close()
	data := append(rtp(1, 0)[:12], packets(7)...)
	var c collector
	d := newDatagrams(true, s, &c)
	d.next = 1 << 62 // the counters are told once a second
	d.order.emit = func([]byte, int64) {}
	n, seq := 0, uint16(0)
	clock, take := media.NewClock(), d.take
	allocs := testing.AllocsPerRun(200, func() {
		for range 8 {
			data[2], data[3] = byte(seq>>8), byte(seq)
			seq++
			if _, err := tx.Write(data); err != nil {
				t.Fatal(err)
			}
		}
		for got := 0; got < 8; {
			k, err := s.read(clock, take)
			if err != nil {
				t.Fatal(err)
			}
			got, n = got+k, n+k
		}
	})
	if allocs > 0 {
		t.Errorf("%.0f allocations for 8 datagrams", allocs)
	}
	if d.order.bad+d.order.lost > 0 || n < 1600 {
		t.Errorf("%d datagrams, %d bad, %d lost", n, d.order.bad, d.order.lost)
	}
}
