package api

import (
	"testing"

	"tongxiang/internal/stream"
)

func TestIdsOfProgrammesAreReadableAndSafe(t *testing.T) {
	for name, want := range map[string]string{
		"CCTV-1":        "cctv-1",
		"CCTV-1综合":      "cctv-1",
		"中央一套":          "svc-101",
		"第1剧场":          "svc-101",
		"BBC ONE  HD":   "bbc-one-hd",
		"../../etc":     "etc",
		"...":           "svc-101",
		"":              "svc-101",
		"ERT 1 (Βουλή)": "ert-1",
		"a very long name that somebody wrote into an SDT for no good reason": "a-very-long-name-that-somebody-wrote-into-an-sdt",
	} {
		got := idOf(ScannedService{ServiceID: 101, Name: name})
		if got != want || stream.CheckID(got) != nil {
			t.Errorf("%q: %q, want %q", name, got, want)
		}
	}
}
