package sfu

import (
	"fmt"
	"net"

	"github.com/pion/sdp/v3"
	"github.com/pion/webrtc/v4"
)

const (
	twccURI  = sdp.TransportCCURI
	midURI   = sdp.SDESMidURI
	ridURI   = sdp.SDESRTPStreamIDURI
	rridURI  = sdp.SDESRepairRTPStreamIDURI
	levelURI = sdp.AudioLevelURI
)

func isLoopback(ip net.IP) bool { return ip.IsLoopback() && ip.To4() != nil }

func pointer(r *webrtc.RTPReceiver) string { return fmt.Sprintf("%p", r) }
