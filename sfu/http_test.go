package sfu

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/pion/webrtc/v4"

	"tongxiang/internal/media"
)

// offerOf returns a real offer of a client that publishes or watches.
func offerOf(t *testing.T, n *node, dir webrtc.RTPTransceiverDirection) string {
	t.Helper()
	c := newClient(n, clientOptions{h264: true, vp8: true})
	for _, k := range []webrtc.RTPCodecType{webrtc.RTPCodecTypeVideo, webrtc.RTPCodecTypeAudio} {
		if _, err := c.pc.AddTransceiverFromKind(k, webrtc.RTPTransceiverInit{Direction: dir}); err != nil {
			t.Fatal(err)
		}
	}
	o, err := c.pc.CreateOffer(nil)
	if err != nil {
		t.Fatal(err)
	}
	return o.SDP
}

func TestBadRequestsAreRefusedWithAStableCode(t *testing.T) {
	n := newNode(t, nil)
	send, recv := offerOf(t, n, webrtc.RTPTransceiverDirectionSendonly), offerOf(t, n, webrtc.RTPTransceiverDirectionRecvonly)
	const head = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\n"
	unknown := strings.NewReplacer("H264/90000", "H266/90000", "VP8/90000", "XYZ/90000", "opus/48000/2", "speex/8000").Replace(send)
	mode0 := strings.NewReplacer("packetization-mode=1", "packetization-mode=0", "VP8/90000", "XYZ/90000", "opus/48000/2", "speex/8000").Replace(send)
	noICE := dropLines(send, "a=ice-ufrag", "a=ice-pwd")
	noPrint := dropLines(send, "a=fingerprint")
	cases := []struct {
		name, path, token, contentType, body string
		status                               int
		code                                 string
	}{
		{"not SDP", "/whip/meetings/1", "li", typeSDP, "hello", 400, "bad_sdp"},
		{"empty", "/whip/meetings/1", "li", typeSDP, "", 400, "bad_sdp"},
		{"no media", "/whip/meetings/1", "li", typeSDP, head, 422, "no_media"},
		{"no media to watch", "/whep/meetings/1", "li", typeSDP, head, 422, "no_media"},
		{"publishing with a watcher's offer", "/whip/meetings/1", "li", typeSDP, recv, 422, "no_media"},
		{"watching with a publisher's offer", "/whep/meetings/1", "li", typeSDP, send, 422, "no_media"},
		{"unknown codecs", "/whip/meetings/1", "li", typeSDP, unknown, 422, "no_common_codec"},
		{"H.264 of packetization-mode 0 only", "/whip/meetings/1", "li", typeSDP, mode0, 422, "no_common_codec"},
		{"no ICE credentials", "/whip/meetings/1", "li", typeSDP, noICE, 400, "bad_sdp"},
		{"no fingerprint", "/whip/meetings/1", "li", typeSDP, noPrint, 400, "bad_sdp"},
		{"1 MiB", "/whip/meetings/1", "li", typeSDP, strings.Repeat("a=x\r\n", 1<<20/5), 413, "sdp_too_large"},
		{"too many m-lines", "/whep/meetings/1", "li", typeSDP, head + strings.Repeat("m=video 9 UDP/TLS/RTP/SAVPF 96\r\n", 500), 422, "too_many_media"},
		{"no token", "/whip/meetings/1", "", typeSDP, send, 401, "unauthorized"},
		{"old token", "/whep/meetings/1", "expired", typeSDP, recv, 401, "token_expired"},
		{"no content type", "/whip/meetings/1", "li", "", send, 415, "unsupported_content_type"},
		{"JSON", "/whip/meetings/1", "li", "application/json", "{}", 415, "unsupported_content_type"},
		{"bad name", "/whip/meetings/..%2fx", "li", typeSDP, send, 404, "stream_not_found"},
		{"no name", "/whip/", "li", typeSDP, send, 404, "stream_not_found"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			resp, body := n.request(http.MethodPost, c.path, c.token, c.contentType, c.body)
			var p struct{ Code, Detail string }
			if err := json.Unmarshal([]byte(body), &p); err != nil {
				t.Fatalf("%s: body %q: %v", resp.Status, body, err)
			}
			if resp.StatusCode != c.status || p.Code != c.code || p.Detail == "" {
				t.Errorf("got %d %s (%s), want %d %s", resp.StatusCode, p.Code, p.Detail, c.status, c.code)
			}
		})
	}
	if s := n.eng.Stats(); s.Publishers != 0 || s.Viewers != 0 || len(n.hub.List("meetings/1/")) != 0 {
		t.Errorf("refused requests left something behind: %+v", s)
	}
}

func dropLines(s string, prefixes ...string) string {
	var out []string
	for l := range strings.SplitSeq(s, "\r\n") {
		keep := true
		for _, p := range prefixes {
			keep = keep && !strings.HasPrefix(l, p)
		}
		if keep {
			out = append(out, l)
		}
	}
	return strings.Join(out, "\r\n")
}

func TestAnOfferThatIsRefusedDoesNotEndTheFormerPublisher(t *testing.T) {
	n := newNode(t, nil)
	pub := newClient(n, clientOptions{h264: true})
	pub.addVideo(media.H264)[0].play(videoStep, 0)
	pub.post("whip", "channels/a", "x")
	resp, _ := n.request(http.MethodPost, "/whip/channels/a", "x", typeSDP, "hello")
	if resp.StatusCode != http.StatusBadRequest {
		t.Fatal(resp.Status)
	}
	if s := n.eng.Stats(); s.Publishers != 1 || !n.hub.Published("channels/a") {
		t.Errorf("%+v", s)
	}
}

func TestOptionsSayWhatIsTakenAndNameNoOtherServer(t *testing.T) {
	n := newNode(t, nil)
	resp, _ := n.request(http.MethodOptions, "/whip/meetings/1", "", "", "")
	if resp.StatusCode != http.StatusNoContent || resp.Header.Get("Accept-Post") != typeSDP {
		t.Errorf("%s %v", resp.Status, resp.Header)
	}
	if l := resp.Header.Get("Link"); l != "" {
		t.Errorf("Link %q: nothing outside is to be asked", l)
	}
}

func TestPeersAreBounded(t *testing.T) {
	n := newNode(t, func(c *Config) { c.MaxPeers = 2 })
	body := offerOf(t, n, webrtc.RTPTransceiverDirectionRecvonly)
	for i, want := range []int{201, 201, 503} {
		resp, text := n.request(http.MethodPost, "/whep/channels/a", "x", typeSDP, body)
		if resp.StatusCode != want {
			t.Errorf("peer %d: %s %s", i, resp.Status, text)
		}
	}
}

func TestAnswerAnnouncesOnlyOurAddresses(t *testing.T) {
	n := newNode(t, func(c *Config) { c.Addresses = []string{"192.0.2.7", "2001:db8::7"} })
	resp, answer := n.request(http.MethodPost, "/whep/channels/a", "x", typeSDP, offerOf(t, n, webrtc.RTPTransceiverDirectionRecvonly))
	if resp.StatusCode != http.StatusCreated || resp.Header.Get("Location") == "" || resp.Header.Get("ETag") == "" {
		t.Fatalf("%s %v", resp.Status, resp.Header)
	}
	var candidates []string
	for l := range strings.SplitSeq(answer, "\r\n") {
		if strings.HasPrefix(l, "a=candidate:") {
			candidates = append(candidates, l)
		}
	}
	if len(candidates) != 4 {
		t.Fatalf("candidates: %q", candidates)
	}
	for i, want := range []string{" 192.0.2.7 ", " 2001:db8::7 ", " 192.0.2.7 ", " 2001:db8::7 "} {
		if !strings.Contains(candidates[i], want) || strings.Contains(candidates[i], "tcptype passive") != (i > 1) {
			t.Errorf("candidate %d: %s", i, candidates[i])
		}
	}
	for _, want := range []string{"a=ice-lite", "a=setup:passive"} {
		if !strings.Contains(answer, want+"\r\n") {
			t.Errorf("the answer lacks %s", want)
		}
	}
}

func TestPublisherThatOffersBothIsTakenInH264(t *testing.T) {
	n := newNode(t, nil)
	_, answer := n.request(http.MethodPost, "/whip/channels/a", "x", typeSDP, offerOf(t, n, webrtc.RTPTransceiverDirectionSendonly))
	if strings.Contains(answer, "VP8") || !strings.Contains(answer, "H264/90000") {
		t.Errorf("answer:\n%s", answer)
	}
}

func TestPatchFollowsRFC9725(t *testing.T) {
	n := newNode(t, nil)
	c := newClient(n, clientOptions{h264: true})
	c.receive(1, 1)
	c.post("whep", "channels/a", "x")
	ufrag := between(c.pc.LocalDescription().SDP, "a=ice-ufrag:", "\r\n")
	pwd := between(c.pc.LocalDescription().SDP, "a=ice-pwd:", "\r\n")
	same := "a=ice-ufrag:" + ufrag + "\r\na=ice-pwd:" + pwd + "\r\nm=audio 9 UDP/TLS/RTP/SAVPF 0\r\na=mid:0\r\na=candidate:1 1 udp 1 10.0.0.1 5000 typ host\r\n"
	other := "a=ice-ufrag:abcd\r\na=ice-pwd:abcdefghijklmnopqrstuvwx\r\n"
	for _, x := range []struct {
		name, path, contentType, match, body string
		status                               int
	}{
		{"trickle", c.location, typeFragment, c.etag, same, 204},
		{"no If-Match", c.location, typeFragment, "", same, 428},
		{"stale ETag", c.location, typeFragment, `"old"`, same, 412},
		{"not a fragment", c.location, typeFragment, "*", "hello", 400},
		{"bad credentials", c.location, typeFragment, "*", "a=ice-ufrag:x\r\na=ice-pwd:y\r\n", 400},
		{"wrong type", c.location, typeSDP, "*", other, 415},
		{"unknown session", "/whep/sessions/none", typeFragment, "*", other, 404},
		{"restart", c.location, typeFragment, "*", other, 200},
		{"ETag from before the restart", c.location, typeFragment, c.etag, same, 412},
	} {
		h := []string{}
		if x.match != "" {
			h = append(h, "If-Match", x.match)
		}
		resp, body := n.request(http.MethodPatch, x.path, "", x.contentType, x.body, h...)
		if resp.StatusCode != x.status {
			t.Errorf("%s: %s %s", x.name, resp.Status, body)
		}
		if x.name == "restart" && (!strings.Contains(body, "a=ice-ufrag:") || resp.Header.Get("ETag") == c.etag) {
			t.Errorf("restart: %q %v", body, resp.Header)
		}
	}
}

func between(s, from, to string) string {
	_, s, _ = strings.Cut(s, from)
	s, _, _ = strings.Cut(s, to)
	return s
}

func TestDeleteEndsTheSession(t *testing.T) {
	n := newNode(t, nil)
	pub := newClient(n, clientOptions{h264: true})
	pub.addVideo(media.H264)[0].play(videoStep, 0)
	pub.post("whip", "channels/a", "x")
	resp, _ := n.request(http.MethodDelete, pub.location, "", "", "")
	if resp.StatusCode != http.StatusOK || n.hub.Published("channels/a") || n.eng.Stats().Publishers != 0 {
		t.Errorf("%s, published %v", resp.Status, n.hub.Published("channels/a"))
	}
	if resp, _ := n.request(http.MethodDelete, pub.location, "", "", ""); resp.StatusCode != http.StatusNotFound {
		t.Errorf("again: %s", resp.Status)
	}
}
