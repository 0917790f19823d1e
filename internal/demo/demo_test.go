package demo

import (
	"context"
	"log/slog"
	"net"
	"os/exec"
	"testing"
	"time"
)

func TestProgrammeArrivesAsTransportStream(t *testing.T) {
	if _, err := exec.LookPath("ffmpeg"); err != nil {
		t.Skip("ffmpeg is not installed: it makes the media of this test")
	}
	sock, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer sock.Close()
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		ended <- Run(ctx, Config{FFmpeg: "ffmpeg", Target: "udp://" + sock.LocalAddr().String(), Name: "通乡测试节目", Caption: "通乡 测试节目: 100%"}, slog.New(slog.DiscardHandler))
	}()
	buf := make([]byte, 2048)
	if err := sock.SetReadDeadline(time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	for range 200 {
		n, err := sock.Read(buf)
		if err != nil {
			t.Fatalf("no programme: %v", err)
		}
		for i := 0; i < n; i += 188 {
			if buf[i] != 0x47 {
				t.Fatalf("byte %d of a datagram is %#x, want the sync byte of a transport packet", i, buf[i])
			}
		}
	}
	cancel()
	if err := <-ended; err != nil {
		t.Fatalf("Run: %v", err)
	}
}

func TestWithoutFFmpegThereIsAClearError(t *testing.T) {
	if err := Run(t.Context(), Config{FFmpeg: "no-such-ffmpeg"}, slog.New(slog.DiscardHandler)); err == nil {
		t.Fatal("no error without ffmpeg")
	}
}
