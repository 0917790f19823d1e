package transport

import (
	"bytes"
	"crypto/rand"
	"errors"
	"testing"

	"github.com/pion/dtls/v3"
	"github.com/pion/rtcp"
	"github.com/pion/rtp"
	"github.com/pion/srtp/v3"
)

func gcmKeys(n int) Keys {
	k := Keys{
		Profile:  dtls.SRTP_AEAD_AES_128_GCM,
		LocalKey: make([]byte, n), LocalSalt: make([]byte, 12), RemoteKey: make([]byte, n), RemoteSalt: make([]byte, 12),
	}
	if n == 32 {
		k.Profile = dtls.SRTP_AEAD_AES_256_GCM
	}
	return k
}

func randomKeys(t *testing.T, p dtls.SRTPProtectionProfile) Keys {
	t.Helper()
	key, salt := 16, 14
	switch p {
	case dtls.SRTP_AEAD_AES_128_GCM:
		salt = 12
	case dtls.SRTP_AEAD_AES_256_GCM:
		key, salt = 32, 12
	}
	k := Keys{Profile: p}
	for _, b := range []struct {
		to *[]byte
		n  int
	}{{&k.LocalKey, key}, {&k.LocalSalt, salt}, {&k.RemoteKey, key}, {&k.RemoteSalt, salt}} {
		*b.to = make([]byte, b.n)
		if _, err := rand.Read(*b.to); err != nil {
			t.Fatal(err)
		}
	}
	return k
}

var profiles = map[string]dtls.SRTPProtectionProfile{
	"GCM128": dtls.SRTP_AEAD_AES_128_GCM, "GCM256": dtls.SRTP_AEAD_AES_256_GCM, "CM": dtls.SRTP_AES128_CM_HMAC_SHA1_80,
}

// pion's implementation is the second opinion on every packet, both ways.
func TestSRTPIsWhatPionSealsAndOpens(t *testing.T) {
	for name, profile := range profiles {
		t.Run(name, func(t *testing.T) {
			k := randomKeys(t, profile)
			crypt, err := newProtection(k)
			if err != nil {
				t.Fatal(err)
			}
			theirs, err := srtp.CreateContext(k.RemoteKey, k.RemoteSalt, srtp.ProtectionProfile(profile))
			if err != nil {
				t.Fatal(err)
			}
			ours, err := srtp.CreateContext(k.LocalKey, k.LocalSalt, srtp.ProtectionProfile(profile))
			if err != nil {
				t.Fatal(err)
			}
			p := &Peer{}
			p.crypt.Store(&crypt)
			var in Inbound
			var n nonce
			for i := 0; i < 200_000; i++ { // past three wraps of the sequence number
				if at := i % 65536; at > 300 && at < 65000 {
					i += 20_000 - i%20_000 // not all of it: the ends are what matters
				}
				h := rtp.Header{Version: 2, Marker: i%3 == 0, PayloadType: 96, SequenceNumber: uint16(i), Timestamp: uint32(i) * 7, SSRC: 0xdeadbeef}
				if i%2 == 0 {
					if err := h.SetExtension(3, []byte{1, 2}); err != nil {
						t.Fatal(err)
					}
				}
				payload := bytes.Repeat([]byte{byte(i)}, i%50)
				plain, err := (&rtp.Packet{Header: h, Payload: payload}).Marshal()
				if err != nil {
					t.Fatal(err)
				}
				head := plain[:len(plain)-len(payload)]
				sealed, err := crypt.sealRTP(&n, nil, head, payload, uint32(i>>16))
				if err != nil {
					t.Fatal(err)
				}
				if len(sealed) != len(plain)+crypt.overhead() {
					t.Fatalf("%d bytes sealed of %d", len(sealed), len(plain))
				}
				got, err := ours.DecryptRTP(nil, sealed, nil)
				if err != nil || !bytes.Equal(got, plain) {
					t.Fatalf("packet %d: pion opens %x, %v, want %x", i, got, err, plain)
				}
				sealed, err = theirs.EncryptRTP(nil, plain, nil)
				if err != nil {
					t.Fatal(err)
				}
				got, err = p.OpenRTP(&in, make([]byte, 1500), sealed)
				if err != nil || !bytes.Equal(got, plain) {
					t.Fatalf("packet %d: we open %x, %v, want %x", i, got, err, plain)
				}
			}
			rtcp := append([]byte{0x80, 200, 0, 6, 1, 2, 3, 4}, bytes.Repeat([]byte{9}, 20)...)
			for range 3 {
				sealed, err := crypt.sealRTCP(rtcp)
				if err != nil {
					t.Fatal(err)
				}
				if got, err := ours.DecryptRTCP(nil, sealed, nil); err != nil || !bytes.Equal(got, rtcp) {
					t.Fatalf("pion opens %x, %v", got, err)
				}
				if sealed, err = theirs.EncryptRTCP(nil, rtcp, nil); err != nil {
					t.Fatal(err)
				}
				if got, err := crypt.openRTCP(sealed); err != nil || !bytes.Equal(got, rtcp) {
					t.Fatalf("we open %x, %v", got, err)
				}
				if _, err := crypt.openRTCP(sealed); err == nil {
					t.Error("a replayed RTCP packet was taken")
				}
				sealed[len(sealed)-9] ^= 1
				if _, err := crypt.openRTCP(sealed); err == nil {
					t.Error("a forged RTCP packet was taken")
				}
			}
		})
	}
}

func TestReplayedAndForgedPacketsAreRefused(t *testing.T) {
	k := randomKeys(t, dtls.SRTP_AEAD_AES_128_GCM)
	crypt, err := newProtection(k)
	if err != nil {
		t.Fatal(err)
	}
	theirs, err := srtp.CreateContext(k.RemoteKey, k.RemoteSalt, srtp.ProtectionProfileAeadAes128Gcm)
	if err != nil {
		t.Fatal(err)
	}
	p := &Peer{}
	p.crypt.Store(&crypt)
	seal := func(seq uint16) []byte {
		b, err := (&rtp.Packet{Header: rtp.Header{Version: 2, SSRC: 5, SequenceNumber: seq}, Payload: []byte("hello")}).Marshal()
		if err != nil {
			t.Fatal(err)
		}
		if b, err = theirs.EncryptRTP(nil, b, nil); err != nil {
			t.Fatal(err)
		}
		return b
	}
	var in Inbound
	dst := make([]byte, 1500)
	old := seal(1)
	packets := map[uint16][]byte{}
	for seq := uint16(2); seq < 1000; seq++ {
		packets[seq] = seal(seq)
	}
	open := func(b []byte) error {
		_, err := p.OpenRTP(&in, dst, b)
		return err
	}
	if err := open(packets[999]); err != nil {
		t.Fatal(err)
	}
	for seq := uint16(998); seq > 999-replayWindow; seq-- { // backwards, each once
		if err := open(packets[seq]); err != nil {
			t.Fatalf("packet %d, late: %v", seq, err)
		}
		if err := open(packets[seq]); !errors.Is(err, ErrReplay) {
			t.Fatalf("packet %d again: %v", seq, err)
		}
	}
	if err := open(old); !errors.Is(err, ErrReplay) {
		t.Errorf("a packet from before the window: %v", err)
	}
	forged := append([]byte{}, seal(1001)...)
	forged[3] = 0xff // another sequence number: far ahead
	if err := open(forged); !errors.Is(err, ErrForged) {
		t.Errorf("a forged packet: %v", err)
	}
	if err := open(seal(1002)); err != nil {
		t.Errorf("after the forgery: %v", err)
	}
	for _, b := range [][]byte{nil, {0x80}, old[:12], {0x9f, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}} {
		if err := open(b); err == nil {
			t.Errorf("%x was taken", b)
		}
	}
}

// FuzzOpen feeds bytes to everything that reads them before they are known to be
// authentic.
// The sender reports of a page's sound and picture have the same indices.
func TestReportsOfTwoTracksAreNoReplaysOfOneAnother(t *testing.T) {
	for _, profile := range []dtls.SRTPProtectionProfile{dtls.SRTP_AEAD_AES_128_GCM, dtls.SRTP_AES128_CM_HMAC_SHA1_80} {
		k := randomKeys(t, profile)
		crypt, err := newProtection(k)
		if err != nil {
			t.Fatal(err)
		}
		theirs, err := srtp.CreateContext(k.RemoteKey, k.RemoteSalt, srtp.ProtectionProfile(profile))
		if err != nil {
			t.Fatal(err)
		}
		seal := func(ssrc uint32) []byte {
			b, err := (&rtcp.SenderReport{SSRC: ssrc, NTPTime: 1, RTPTime: 2}).Marshal()
			if err != nil {
				t.Fatal(err)
			}
			sealed, err := theirs.EncryptRTCP(nil, b, nil)
			if err != nil {
				t.Fatal(err)
			}
			return sealed
		}
		// The sound has reported for long when the picture begins.
		for range 2 * replayWindow {
			if _, err := crypt.openRTCP(seal(1)); err != nil {
				t.Fatalf("%v: a report of the sound: %v", profile, err)
			}
		}
		for range 10 {
			for _, ssrc := range []uint32{1, 2, 3} {
				b := seal(ssrc)
				if _, err := crypt.openRTCP(b); err != nil {
					t.Fatalf("%v: a report of %d: %v", profile, ssrc, err)
				}
				if _, err := crypt.openRTCP(b); err == nil {
					t.Fatalf("%v: a report of %d was taken twice", profile, ssrc)
				}
			}
		}
	}
}

func TestSendersOfRTCPAreBounded(t *testing.T) {
	var w windows
	for ssrc := range uint32(10 * maxReporters) {
		w.mark(7, int64(ssrc)) // goes on reporting
		w.mark(1000+ssrc, 1)
		if w.fresh(1000+ssrc, 1) || w.fresh(7, int64(ssrc)) {
			t.Fatal("what was just seen is taken for new")
		}
	}
	if len(w.of) != maxReporters {
		t.Errorf("%d senders are remembered", len(w.of))
	}
	if w.fresh(7, 0) {
		t.Error("a sender that goes on was forgotten")
	}
}

func FuzzOpen(f *testing.F) {
	f.Add([]byte{0x90, 96, 0, 1, 0, 0, 0, 0, 0, 0, 0, 1, 0xbe, 0xde, 0, 1, 1, 2, 3, 4}, 20)
	f.Add(append([]byte{0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42}, make([]byte, 12)...), 0)
	f.Add(append([]byte{0x80, 200, 0, 6}, make([]byte, 40)...), 1400)
	crypt, err := newProtection(gcmKeys(16))
	if err != nil {
		f.Fatal(err)
	}
	p := &Peer{}
	p.crypt.Store(&crypt)
	f.Fuzz(func(t *testing.T, b []byte, room int) {
		if room < 0 || room > maxDatagram {
			return
		}
		var in Inbound
		if _, err := p.OpenRTP(&in, make([]byte, room), b); err == nil {
			t.Fatalf("%x is not sealed by anybody", b)
		}
		if _, err := crypt.openRTCP(b); err == nil {
			t.Fatalf("%x is not sealed by anybody", b)
		}
		var c check
		if c.parse(b) == nil {
			if _, err := c.answer("a password that nobody knows", addrOf(t)); err == nil {
				t.Fatalf("%x was answered", b)
			}
		}
		_ = kindOf(b)
	})
}
