package server

import (
	"errors"
	"net/http/httptest"
	"testing"

	"tongxiang/internal/apierr"
	"tongxiang/internal/auth"
	"tongxiang/internal/stream"
)

func TestAPlainViewerChoosesQualityAndSound(t *testing.T) {
	for query, want := range map[string]stream.Name{
		"":                      "channels/a",
		"?quality=auto":         "channels/a",
		"?quality=800":          "channels/a/webrtc-800",
		"?quality=350&audio=ug": "channels/a/webrtc-350",
	} {
		g, err := chosen(httptest.NewRequest("POST", "/whep/channels/a"+query, nil), "channels/a")
		if err != nil || g.Watch != want {
			t.Errorf("%q: %s, %v", query, g.Watch, err)
		}
		if query == "?quality=350&audio=ug" && g.Audio != "ug" {
			t.Errorf("the sound is %q", g.Audio)
		}
	}
	_, err := chosen(httptest.NewRequest("POST", "/whep/channels/a?quality=4k", nil), "channels/a")
	var coded *apierr.Error
	if !errors.As(err, &coded) || coded.Code != "quality_unknown" {
		t.Errorf("an unknown quality: %v", err)
	}
}

func TestWhoMayWatchAStreamMayWatchItsRenditions(t *testing.T) {
	for _, tc := range []struct {
		name  stream.Name
		scope string
		may   bool
	}{
		{"channels/a/hls-800", "", true},
		{"channels/a/webrtc-350", "channels/a", true},
		{"channels/ab/webrtc-350", "channels/a", false},
		{"meetings/m/programme/hls-350", "", true},
		{"meetings/m/li/hls-350", "", false}, // a kiosk sees no single participant
	} {
		p := auth.Principal{Role: auth.Kiosk, Stream: tc.scope}
		if p.May(auth.Watch, tc.name) != tc.may {
			t.Errorf("%s within %q: %v", tc.name, tc.scope, !tc.may)
		}
	}
}
