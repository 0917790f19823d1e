// Package multiplex makes multiplexes as a satellite carries them, for measurements:
// seven programmes of standard definition, H.264 and MPEG-2 with B-frames, MP2 and
// AAC, at a constant bit rate with null packets, the packets of all programmes
// interleaved and service information in GB 2312.
//
// A file holds [Duration] of it and can be played for ever: [Loop] moves clock
// references, times and continuity counters on from one round to the next, so that
// whoever receives it finds no seam.
package multiplex

import "time"

const (
	// Services is how many programmes a multiplex has.
	Services = 7
	// PacketRate is how many packets a second a multiplex has: 40 µs each, so that
	// every packet begins at a whole tick of the clock of 27 MHz.
	PacketRate = 25_000
	// Rate is the bit rate of a multiplex.
	Rate = PacketRate * packetSize * 8
	// Duration is how long a round takes. It holds a whole number of pictures (240),
	// of MP2 frames (400) and of AAC frames (450), so that rounds join without a gap.
	Duration = 9600 * time.Millisecond
	// Packets is how many packets a round has.
	Packets = int(Duration/time.Millisecond) * PacketRate / 1000
	// Pictures is how many pictures of each programme a round has.
	Pictures = 240

	packetSize = 188
	pcrRate    = 27_000_000
	perPacket  = pcrRate / PacketRate // ticks of the PCR
	wrap       = 1 << 33              // of 90 kHz times
	nullPID    = 0x1FFF

	// cycle is the pattern in which packets are interleaved: seven of each
	// programme, and one for the tables.
	cycle = Services*7 + 1
	// serviceRate is the constant rate at which one programme is written, packets a second.
	serviceRate = PacketRate / cycle * 7
)

// ServiceID returns the program_number of a programme: 101 to 107 in the first
// multiplex, 201 to 207 in the second.
func ServiceID(mux, service int) int { return (mux+1)*100 + service + 1 }

// Name returns the name that the SDT gives a programme.
func Name(mux, service int) string { return names[(mux*Services+service)%len(names)] }

var names = [...]string{
	"CCTV-1综合", "CCTV-2财经", "CCTV-3综艺", "CCTV-4中文国际", "CCTV-5体育", "CCTV-6电影", "CCTV-7国防军事",
	"CCTV-8电视剧", "CCTV-9纪录", "CCTV-10科教", "CCTV-11戏曲", "CCTV-12社会与法", "CCTV-13新闻", "CCTV-14少儿",
	"CCTV-15音乐", "CCTV-16奥林匹克", "CCTV-17农业农村", "中国教育1", "中国教育2", "中国教育4", "北京卫视",
	"天津卫视", "河北卫视", "山西卫视", "内蒙古卫视", "辽宁卫视", "吉林卫视", "黑龙江卫视",
	"东方卫视", "江苏卫视", "浙江卫视", "安徽卫视", "东南卫视", "江西卫视", "山东卫视",
	"河南卫视", "湖北卫视", "湖南卫视", "广东卫视", "广西卫视", "海南卫视", "重庆卫视",
	"四川卫视", "贵州卫视", "云南卫视", "西藏卫视", "陕西卫视", "甘肃卫视", "青海卫视",
}
