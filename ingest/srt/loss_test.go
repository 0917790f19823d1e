package srt

import (
	"net"
	"testing"
)

// lossy passes datagrams between a caller and an address and loses each twentieth
// data packet of the caller.
func lossy(t *testing.T, to string) string {
	t.Helper()
	near, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	far, err := net.Dial("udp", to)
	if err != nil {
		t.Fatal(err)
	}
	caller := make(chan net.Addr, 1)
	ended := make(chan struct{}, 2)
	go func() {
		defer func() { ended <- struct{}{} }()
		b := make([]byte, 2000)
		known := false
		for data := 0; ; {
			n, from, err := near.ReadFrom(b)
			if err != nil {
				return
			}
			if !known {
				known = true
				caller <- from
			}
			if n > 0 && b[0]&0x80 == 0 {
				if data++; data%20 == 0 {
					continue
				}
			}
			_, _ = far.Write(b[:n])
		}
	}()
	go func() {
		defer func() { ended <- struct{}{} }()
		b := make([]byte, 2000)
		var back net.Addr
		for {
			n, err := far.Read(b)
			if err != nil {
				return
			}
			if back == nil {
				back = <-caller
			}
			_, _ = near.WriteTo(b[:n], back)
		}
	}()
	t.Cleanup(func() {
		near.Close()
		far.Close()
		<-ended
		<-ended
	})
	return near.LocalAddr().String()
}

func TestWhatTheLinkLostIsSentAgainAndCounted(t *testing.T) {
	to := freeAddress(t)
	a, err := parse(t, "srt://"+to+"?mode=listener&latency=2000")
	if err != nil {
		t.Fatal(err)
	}
	l := run(t, a)
	eventually(t, "it waits", l.see(func() bool { return l.state.Waiting }))
	conn, err := sender(t, lossy(t, to), "", "")
	if err != nil {
		t.Fatal(err)
	}
	want := make([]byte, 0, 400*1000)
	for i := range 400 {
		b := make([]byte, 1000)
		b[0], b[1] = byte(i>>8), byte(i)
		want = append(want, b...)
	}
	for at := 0; at < len(want); at += 1000 {
		if _, err := conn.Write(want[at : at+1000]); err != nil {
			t.Fatal(err)
		}
	}
	// What is lost is noticed by what comes behind it.
	eventually(t, "all of it, and the counters", func() bool {
		_, _ = conn.Write([]byte{0})
		l.mu.Lock()
		defer l.mu.Unlock()
		return len(l.bytes) > len(want) && l.state.Errors["srt_lost"] > 0 && l.state.Errors["srt_retransmitted"] > 0
	})
	if l.see(func() bool { return string(l.bytes[:len(want)]) != string(want) })() {
		t.Error("other bytes than were sent")
	}
}
