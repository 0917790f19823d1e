package mpegts

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"testing"
)

// captures returns the folder of real streams, which is no part of the repository.
func captures(t testing.TB) string {
	t.Helper()
	dir := os.Getenv("TONGXIANG_STREAMS")
	if dir == "" {
		dir = filepath.Join("..", "..", "..", "shared", "streams")
	}
	if _, err := os.Stat(dir); err != nil {
		t.Skip("no captures of real streams here: set TONGXIANG_STREAMS to their folder")
	}
	return dir
}

func probeFile(t testing.TB, file string) *Report {
	t.Helper()
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	r, err := Probe(context.Background(), f, nil)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// TestEveryCaptureIsReadWithoutPanic logs what is found in each.
func TestEveryCaptureIsReadWithoutPanic(t *testing.T) {
	dir := captures(t)
	var files []string
	for _, pattern := range []string{"*.ts", "*.m2ts", "*.bin", "*.ps", "*.pcap*", "*.aac", "*.ac3"} {
		found, err := filepath.Glob(filepath.Join(dir, "*", pattern))
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, found...)
	}
	sort.Strings(files)
	if len(files) < 100 {
		t.Fatalf("only %d captures", len(files))
	}
	for _, file := range files {
		r := probeFile(t, file)
		var services []string
		for _, s := range r.Services {
			var streams []string
			for _, e := range s.Streams {
				streams = append(streams, fmt.Sprintf("%s:%d", e.Codec, e.AccessUnits))
			}
			scrambled := ""
			if s.Scrambled {
				scrambled = " CA"
			}
			services = append(services, fmt.Sprintf("%d/%s%s[%s]", s.ID, s.Name, scrambled, strings.Join(streams, " ")))
		}
		t.Logf("%s: %d packets %.1f s, dup %d, cc %d, tei %d, crc %d, sync %d, pcr %d/%d/%d, eit %d/%d sdt %d nit %d tdt %d; %s",
			filepath.Base(file), r.Packets, r.Duration, r.Duplicates, r.TR101290.ContinuityCountError, r.TR101290.TransportError,
			r.TR101290.CRCError, r.TR101290.SyncLoss, r.TR101290.PCRRepetitionError, r.TR101290.PCRDiscontinuity, r.TR101290.PCRAccuracyError,
			r.SI.EITSections, r.SI.EITEvents, r.SI.SDTSections, r.SI.NITSections, r.SI.TDT, strings.Join(services, " "))
	}
}
