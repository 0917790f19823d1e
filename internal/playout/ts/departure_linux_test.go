package ts

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"net"
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"tongxiang/internal/media"
	"tongxiang/internal/stream"
)

// BenchmarkDeparture measures, for ten seconds, how far datagrams leave from the ideal
// line of time, by the kernel's time stamps on the loopback interface, and what an
// output costs of a processor. Datagrams leave in groups by design, up to wakeLeast
// apart.
func BenchmarkDeparture(b *testing.B) {
	for _, tc := range []struct {
		outputs int
		rate    int64
	}{{1, 4_000_000}, {1, 38_000_000}, {10, 4_000_000}} {
		b.Run(fmt.Sprintf("%d×%dMbit", tc.outputs, tc.rate/1_000_000), func(b *testing.B) {
			x := newStation(b)
			x.play(b, "channels/a", generate(rand.New(rand.NewPCG(1, 1)), 4, 2_000_000, 90000, media.AAC))
			conn, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
			if err != nil {
				b.Fatal(err)
			}
			defer conn.Close()
			_ = conn.SetReadBuffer(8 << 20)
			raw, err := conn.SyscallConn()
			if err != nil {
				b.Fatal(err)
			}
			if err := raw.Control(func(fd uintptr) {
				err = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_TIMESTAMPNS, 1)
			}); err != nil {
				b.Fatal(err)
			}
			o := outputs(b, x, OutputsConfig{})
			o.mustAdd(b, OutputConfig{ID: "measured", Stream: "channels/a", Address: "udp://" + conn.LocalAddr().String(), Bitrate: tc.rate})
			sink := listen(b, false)
			for i := 1; i < tc.outputs; i++ {
				o.mustAdd(b, OutputConfig{ID: fmt.Sprint(i), Stream: stream.Name("channels/a"), Address: "udp://" + sink.conn.LocalAddr().String(), Bitrate: tc.rate})
			}
			for b.Loop() {
				time.Sleep(2 * time.Second)
				at := stamps(b, conn, 10*time.Second)
				report(b, at, tc.rate)
			}
		})
	}
}

// stamps reads datagrams for a while and returns when the kernel saw them.
func stamps(b *testing.B, conn *net.UDPConn, d time.Duration) []int64 {
	b.Helper()
	buf, oob := make([]byte, 2048), make([]byte, 128)
	// What waits is older than the measurement.
	for until := time.Now().Add(100 * time.Millisecond); time.Now().Before(until); {
		if _, _, _, _, err := conn.ReadMsgUDP(buf, oob); err != nil {
			b.Fatal(err)
		}
	}
	var before, after unix.Rusage
	_ = unix.Getrusage(unix.RUSAGE_SELF, &before)
	var at []int64
	for until := time.Now().Add(d); time.Now().Before(until); {
		_, n, _, _, err := conn.ReadMsgUDP(buf, oob)
		if err != nil {
			b.Fatal(err)
		}
		list, err := unix.ParseSocketControlMessage(oob[:n])
		if err != nil || len(list) == 0 || len(list[0].Data) < 16 {
			b.Fatalf("no time stamp: %v", err)
		}
		data := list[0].Data
		at = append(at, int64(binary.NativeEndian.Uint64(data))*1e9+int64(binary.NativeEndian.Uint64(data[8:])))
	}
	_ = unix.Getrusage(unix.RUSAGE_SELF, &after)
	used := time.Duration(after.Utime.Nano()+after.Stime.Nano()-before.Utime.Nano()-before.Stime.Nano()) * time.Nanosecond
	b.ReportMetric(100*used.Seconds()/d.Seconds(), "%cpu") // with the source and the receiver
	return at
}

// report compares with the line that the earliest datagrams lie on.
func report(b *testing.B, at []int64, rate int64) {
	b.Helper()
	off := make([]float64, len(at))
	each := float64(perGram*packetSize*8) * 1e9 / float64(rate)
	least := 0.0
	for i, t := range at {
		off[i] = float64(t-at[0]) - float64(i)*each
		least = min(least, off[i])
	}
	for i := range off {
		off[i] = (off[i] - least) / 1e3
	}
	slices.Sort(off)
	b.ReportMetric(off[len(off)/2], "µs-p50")
	b.ReportMetric(off[len(off)*99/100], "µs-p99")
	b.ReportMetric(off[len(off)-1], "µs-max")
	b.ReportMetric(0, "ns/op")
}
