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

// TestCapturesHoldWhatTheirIndexSays compares with figures found by other programs.
func TestCapturesHoldWhatTheirIndexSays(t *testing.T) {
	dir := captures(t)
	type want struct {
		file     string
		packets  uint64
		services int
		service  uint16
		name     string
		codecs   string // of the service's streams
		ok       func(*Report) bool
	}
	for _, w := range []want{
		{"tsduck__tsduck-test/reference_test-206_test-206.1.ts", 10790, 1, 4352, "BBC NEWS", "MPEG-2 MP2 DVB subtitles DSM-CC DSM-CC private sections private sections", func(r *Report) bool {
			return r.TR101290.ContinuityCountError == 0 && r.SI.SDTSections == 39 && r.SI.TDT == 10
		}},
		{"synthetic/bbc_dup_2pct.ts", 11005, 1, 4352, "BBC NEWS", "", func(r *Report) bool {
			return r.Duplicates == 215 && r.TR101290.ContinuityCountError == 0 && r.Services[0].Streams[0].AccessUnits == 82 && r.Services[0].Streams[1].AccessUnits == 197
		}},
		{"synthetic/bbc_loss_0.5pct.ts", 10722, 1, 4352, "BBC NEWS", "", func(r *Report) bool {
			return r.TR101290.ContinuityCountError == 67 && r.Services[0].Streams[0].AccessUnits >= 80
		}},
		{"synthetic/bbc_garbage_bytes.ts", 10783, 1, 4352, "BBC NEWS", "", func(r *Report) bool { return r.TR101290.SyncLoss == 18 && r.TR101290.ContinuityCountError == 8 }},
		{"synthetic/bbc_tei_1pct.ts", 10790, 1, 4352, "BBC NEWS", "", func(r *Report) bool {
			return r.TR101290.TransportError == 114 && r.TR101290.ContinuityCountError == 111
		}},
		{"synthetic/bbc_192.m2ts", 4000, 1, 4352, "BBC NEWS", "", nil},
		{"synthetic/bbc_204.ts", 4000, 1, 4352, "BBC NEWS", "", nil},
		{"synthetic/bbc_pcr_pts_wrap_at_2.5s.ts", 10790, 1, 4352, "BBC NEWS", "", func(r *Report) bool {
			return r.TR101290.PCRDiscontinuity == 0 && r.Duration > 4.8 && r.Duration < 5
		}},
		{"synthetic/si_gb2312_0x13.ts", 1934, 49, 101, "CCTV-1综合", "", manyEvents},
		{"synthetic/si_gb18030_0x13_rare.ts", 1936, 49, 101, "CCTV-1综合䶮喆堃", "", manyEvents},
		{"synthetic/si_utf8_0x15.ts", 2530, 49, 101, "CCTV-1综合", "", manyEvents},
		{"synthetic/si_ucs2_0x11.ts", 1994, 49, 101, "CCTV-1综合", "", manyEvents},
		{"tsduck__tsduck-test/input_test-030.ts", 1145, 11, 8801, "", "", func(r *Report) bool {
			return r.SI.EITSections == 361 && r.SI.EITEvents == 324 && r.TR101290.TransportError == 9
		}},
		{"tsduck__tsduck-test/reference_test-038_test-038.ts", 1698, 0, 0, "", "", func(r *Report) bool { return r.SI.EITSections == 327 && r.SI.EITEvents == 573 }},
		{"petrj__MPEGTS/MPEGTSAnalyzator_TestData.China_stream-2021-10-05-06-36-43.ts", 1566, 5, 501, "華視CTS", "H264 AAC AAC", func(r *Report) bool {
			return r.SI.EITSections == 459 && r.SI.EITEvents == 520 && r.SI.NITSections == 19
		}},
		{"petrj__MPEGTS/MPEGTSAnalyzator_TestData.Crete_DIGEA_stream-2023-07-28-16-59-49.ts", 14509, 17, 9, "Vouli", "", func(r *Report) bool {
			return r.TR101290.ContinuityCountError == 120 && r.TR101290.TransportError == 360
		}},
		{"tsduck__tsduck-test/reference_test-093_test-093.1.ts", 7333, 1, 262, "franceinfo:", "H264 E-AC-3 DVB subtitles", func(r *Report) bool {
			s := r.Services[0].Streams
			return s[0].AccessUnits == 162 && s[0].Width == 720 && s[0].Height == 576 && s[0].Interlaced && s[1].Rate == 48000
		}},
		{"tsduck__tsduck-test/reference_test-202_test-202.ts", 4615, 1, 560, "ABC NEWS", "MPEG-2 MP2 AAC teletext private sections", func(r *Report) bool {
			s := r.Services[0].Streams
			return s[0].Interlaced && s[1].Language == "eng" && s[2].AccessUnits > 20
		}},
		{"tsduck__tsduck-test/reference_test-132_test-132.ts", 5320, 1, 8801, "CANAL+", "H264 AC-3 DVB subtitles", func(r *Report) bool { return r.Services[0].Scrambled && r.Scrambled == 5209 }},
		{"moq-dev__moq/rs_moq-mux_src_container_ts_test_data_opus.ts", 63, 1, 1, "Service01", "Opus", func(r *Report) bool { return r.Services[0].Streams[0].AccessUnits == 26 }},
		{"moq-dev__moq/rs_moq-mux_src_container_ts_test_data_scte35_bbb5s.ts", 774, 1, 1, "Service01", "", func(r *Report) bool {
			return r.Services[0].Streams[0].Codec == "H265" && r.Services[0].Streams[1].Codec == "Opus"
		}},
		{"androidx__media/libraries_test_data_src_test_assets_media_ts_sample_eac3.ts", 1233, 1, 1, "", "E-AC-3", func(r *Report) bool { return r.Services[0].Streams[0].Channels >= 5 }},
		{"androidx__media/libraries_test_data_src_test_assets_media_ts_bbb_2500ms.ts", 10190, 1, 1, "Service01", "MPEG-2 MP2", func(r *Report) bool {
			s := r.Services[0].Streams[0]
			return s.Width == 1920 && s.Height == 1080 && s.FPS == 24 && s.Reordered && !s.Interlaced
		}},
		{"small-teton__mpeg-ts-analyzer/sample_data_sample_192byte_video_mpeg2_320x240_25fps_audio_mp2_48000Hz.ts", 672, 1, 1, "Service01", "", func(r *Report) bool { return r.Services[0].Streams[0].AccessUnits == 50 }},
		{"tsduck__tsduck-test/input_test-171.11_192.168.233.10_5555.ts", 329, 2, 23608, "", "", nil},
	} {
		t.Run(filepath.Base(w.file), func(t *testing.T) {
			r := probeFile(t, filepath.Join(dir, w.file))
			if r.Packets != w.packets || len(r.Services) != w.services {
				t.Errorf("%d packets and %d services, want %d and %d", r.Packets, len(r.Services), w.packets, w.services)
			}
			if len(r.Services) > 0 && w.services > 0 {
				s := r.Services[0]
				if s.ID != w.service || s.Name != w.name {
					t.Errorf("service %d %q, want %d %q", s.ID, s.Name, w.service, w.name)
				}
				var codecs []string
				for _, e := range s.Streams {
					codecs = append(codecs, e.Codec)
				}
				if got := strings.Join(codecs, " "); w.codecs != "" && got != w.codecs {
					t.Errorf("streams %q, want %q", got, w.codecs)
				}
			}
			if w.ok != nil && !w.ok(r) {
				t.Errorf("%+v", r)
			}
		})
	}
}

// manyEvents: 49 services with two present/following and eight schedule sections
// each, sent twice; 50 events each.
func manyEvents(r *Report) bool {
	return r.SI.EITSections == 49*10*2 && r.SI.EITEvents == 49*50 && r.TR101290.CRCError == 0
}

// TestPicturesWithoutIDRHavePlacesToStart: French broadcasts have no IDR at all.
func TestPicturesWithoutIDRHavePlacesToStart(t *testing.T) {
	b, err := os.ReadFile(filepath.Join(captures(t), "tsduck__tsduck-test/reference_test-093_test-093.1.ts"))
	if err != nil {
		t.Fatal(err)
	}
	h := listen()
	h.d.Feed(b, 1)
	h.d.Flush()
	syncs, idrs, since, longest := 0, 0, 0, 0
	for _, f := range h.of(h.d.Services()[0].Streams[0].PID) {
		since++
		if f.frame.Sync {
			syncs++
			longest = max(longest, since)
			since = 0
		}
		if f.frame.IDR {
			idrs++
		}
	}
	if idrs != 0 || syncs < 4 || longest > 50 {
		t.Errorf("%d starts, %d IDR, at most %d pictures apart", syncs, idrs, longest)
	}
}
