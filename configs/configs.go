// Package configs is the server's configuration: nested structs with defaults,
// read from strict YAML and the environment, checked before anything starts.
// A Config is immutable after [Load].
package configs

import "time"

// Config is everything that an operator may set. Lists of values say their default.
type Config struct {
	// Name is what pages call this node. Default: 通乡.
	Name string `yaml:"name"`
	// Data is the folder of the store, the recordings and the keys. Default: ./data.
	Data string `yaml:"data"`
	// Log is the least level that is logged: debug, info, warn or error. Default: info.
	Log string `yaml:"log"`

	HTTP      HTTP      `yaml:"http"`
	HTTPS     HTTPS     `yaml:"https"`
	WebRTC    WebRTC    `yaml:"webrtc"`
	RTSP      RTSP      `yaml:"rtsp"`
	RTMP      RTMP      `yaml:"rtmp"`
	Sessions  Sessions  `yaml:"sessions"`
	Recorder  Recorder  `yaml:"recorder"`
	Library   Library   `yaml:"library"`
	Jobs      Jobs      `yaml:"jobs"`
	Transcode Transcode `yaml:"transcode"`
	Quality   Quality   `yaml:"quality"`
	Demo      Demo      `yaml:"demo"`
	Ingest    Ingest    `yaml:"ingest"`
	Channels  []Channel `yaml:"channels"`
	Outputs   []Output  `yaml:"outputs"`
}

// HTTP is the plain listener, for localhost and for kiosks on a closed LAN.
type HTTP struct {
	// Listen is the address; empty: none. Default: :8080.
	Listen string `yaml:"listen"`
}

// HTTPS is the listener that browsers with cameras need.
type HTTPS struct {
	// Listen is the address; empty: none. Default: :8443.
	Listen string `yaml:"listen"`
	// Certificate and Key are PEM files; both empty: from the built-in authority.
	Certificate string `yaml:"certificate"`
	Key         string `yaml:"key"`
	// Hosts are further names and addresses under which the node is reached.
	Hosts []string `yaml:"hosts"`
}

// WebRTC is where all media between browsers and the server goes.
type WebRTC struct {
	// UDP is the one port of all media. Default: :8443.
	UDP string `yaml:"udp"`
	// TCP is the port for lines on which UDP is blocked; empty: none. Default: :8444.
	TCP string `yaml:"tcp"`
	// Addresses are announced to browsers; empty: those of the interfaces.
	Addresses []string `yaml:"addresses"`
}

// RTSP is where players pull streams and encoders push to channels.
type RTSP struct {
	// Listen is the TCP address; empty: no RTSP. Default: :8554, which needs no
	// privilege, unlike RTSP's own 554.
	Listen string `yaml:"listen"`
	// UDP is the address of the RTP port, an even number; RTCP uses the next one.
	// Empty: media go over TCP only. Default: :8000, where most cameras have it.
	UDP string `yaml:"udp"`
	// Multicast is the network whose addresses players get that ask for multicast,
	// such as 239.8.0.0/16; empty: none. Default: none, because switches without
	// IGMP snooping send multicast to every port.
	Multicast string `yaml:"multicast"`
	// MulticastPort is its RTP port, an even number; RTCP uses the next one. Default: 8002.
	MulticastPort int `yaml:"multicast_port"`
	// MaxConnections bounds players and encoders together. Default: 500.
	MaxConnections int `yaml:"max_connections"`
}

// RTMP is where OBS Studio and the like push to channels.
type RTMP struct {
	// Listen is the TCP address, usually :1935; empty: none. Default: none, because
	// RTMP sends the token in clear.
	Listen string `yaml:"listen"`
	// MaxConnections bounds encoders. Default: 100.
	MaxConnections int `yaml:"max_connections"`
}

// Sessions is how long people stay signed in.
type Sessions struct {
	// TTL ends a session after its login. Default: 12h, a working day.
	TTL time.Duration `yaml:"ttl"`
}

// Recorder is where recordings go.
type Recorder struct {
	// Dir is the folder; empty: recordings below Data.
	Dir string `yaml:"dir"`
	// Memory is how many MiB may wait for disks that are slow or full, in all. Default:
	// 384, which is 12 s of 250 Mbit/s; one recording may have an eighth of it.
	Memory int64 `yaml:"memory"`
	// DiskSpeed is how many MiB a second recordings may write together; schedules that
	// would need more are shown as conflicts. Default: 0, measured at each start, and
	// seven tenths of that. Set it for a disk that is shared or that slows down when
	// it is full.
	DiskSpeed int `yaml:"disk_speed"`
	// HoldPackets keeps the last six seconds of every channel's transport packets in
	// memory, so that recordings as received (format ts) have a pre-roll; others have
	// one of ten seconds always. Default: false, because it takes 0.9 MB of memory and
	// 0.009 % of a core for each Mbit/s that comes in, and most recordings are fragmented
	// MP4.
	HoldPackets bool `yaml:"hold_packets"`
}

// Library says how long recordings are kept. See docs/library.md.
type Library struct {
	// Meeting, News, Training and Agriculture are the classes 会议, 新闻, 培训 and 涉农;
	// Other is what has no class. Defaults: 1y, 30d, 10y, forever, forever: news come
	// again, training is used for years, and nothing goes that nobody gave a class.
	Meeting     LibraryClass `yaml:"meeting"`
	News        LibraryClass `yaml:"news"`
	Training    LibraryClass `yaml:"training"`
	Agriculture LibraryClass `yaml:"agriculture"`
	Other       LibraryClass `yaml:"other"`
	// Bin is how long the recycle bin keeps what was deleted. Default: 360h, 15 days.
	Bin time.Duration `yaml:"bin"`
	// Floor is how many GiB are to stay free on the recordings' disk: below it the bin
	// is emptied early, then what would expire next is removed. Default: 2, some
	// minutes of fifty channels; 0: none.
	Floor int64 `yaml:"floor"`
}

// LibraryClass is how recordings of one class are kept.
type LibraryClass struct {
	// Keep is for how long after their end: days (30d), years (10y) or forever.
	Keep string `yaml:"keep"`
	// Quota is how many GiB they may have together. Default: 0, any.
	Quota int64 `yaml:"quota"`
}

// Classes returns the classes by their names; Other has the empty one.
func (l Library) Classes() map[string]LibraryClass {
	return map[string]LibraryClass{"meeting": l.Meeting, "news": l.News, "training": l.Training, "agriculture": l.Agriculture, "": l.Other}
}

// Jobs says what is made of recordings by itself.
type Jobs struct {
	// OffPeak are the hours of the day, in the server's time zone, in which low
	// renditions are made that nobody waits for: "00:30-06:00". Empty: all day. Default:
	// 00:30-06:00, when nobody meets and few watch.
	OffPeak string `yaml:"off_peak"`
	// Low has a rendition of 500 kbit/s made of every recording, so that it can be
	// searched over a thin line and MPEG-2 plays in browsers. Default: true; it takes
	// 220 MB an hour of recording, and some minutes of one core.
	Low bool `yaml:"low"`
}

// Transcode bounds the ffmpeg children that make a stream playable.
type Transcode struct {
	// FFmpeg is the program's name or path. Default: ffmpeg.
	FFmpeg string `yaml:"ffmpeg"`
	// Max is how many that encode pictures run at once; of those for sound alone, which
	// need 2 % of a core, sixteen times as many may. Default: 4; a full picture in SD
	// needs about 0.4 of a core, one of 800 kbit/s 0.2, one of 350 kbit/s 0.1.
	Max int `yaml:"max"`
	// CPU is the share of the whole machine that they may use together, in percent.
	// Default: 50, so that receiving and recording always find the other half.
	CPU int `yaml:"cpu"`
}

// Quality says how channels are watched over.
type Quality struct {
	// Interval is how often the picture and the sound of each channel are sampled while
	// nothing is wrong. Default: 4s, so that what goes wrong is found within ten.
	Interval time.Duration `yaml:"interval"`
	// CPU is the share of one core that samples may use; when they need more they come
	// less often. 0: nothing is decoded, and there are no thumbnails. Default: 0.15,
	// enough for fifty channels in standard definition.
	CPU float64 `yaml:"cpu"`
	// Loud is the loudness in LUFS above which sound is too loud. Default: -14; GY/T 282
	// and EBU R 128 ask for -24 and -23 on average.
	Loud float64 `yaml:"loud"`
	// Keep is how long the log of alarms reaches back. Default: 720h, 30 days.
	Keep time.Duration `yaml:"keep"`
}

// Demo makes a test programme and a meeting for a first look.
type Demo struct {
	// Enabled turns it on. Default: false.
	Enabled bool `yaml:"enabled"`
	// Target is where the test programme is sent. Default: udp://127.0.0.1:5500.
	Target string `yaml:"target"`
}

// Ingest is how sources are received.
type Ingest struct {
	// Programs are what a source may start: exec:NAME?parameter=value. Nothing else
	// is ever run, whoever may add channels. Default: none.
	Programs []Program `yaml:"programs"`
}

// Program is a tuner program that writes a transport stream to its standard output.
type Program struct {
	// Name is what sources call it.
	Name string `yaml:"name"`
	// Command is the program and its arguments. An argument in braces, {channel},
	// is a parameter of the source's address.
	Command []string `yaml:"command"`
	// AtOnce is how many different addresses it receives at once, such as the tuners
	// of a card; schedules that would need more are shown as conflicts. Default: 0,
	// any number.
	AtOnce int `yaml:"at_once"`
}

// Channel is a source that kiosks and pages can watch.
type Channel struct {
	// ID is its name in addresses: letters, digits, dot, dash and underscore.
	ID string `yaml:"id"`
	// Name is what people see.
	Name string `yaml:"name"`
	// Source is a URL: udp, rtp, srt, http, https, file, folder, exec, stdin, rtsp, rtsps
	// or onvif; or "push:", when an encoder sends to this channel. See docs/sources.md.
	Source string `yaml:"source"`
	// Program is the MPEG-TS program number; 0: the first that plays.
	Program int `yaml:"program"`
	// Backup are further sources, tried in order when the one on air fails.
	Backup []string `yaml:"backup"`
	// Switch says when it counts as failed, and when to return.
	Switch Switch `yaml:"switch"`
}

// Switch is when a channel leaves its source for a backup.
type Switch struct {
	// On lists what counts: no_packets, no_media, no_pcr, scrambled, black, frozen,
	// silent. Default: the first four. A dark film and a test card are no faults.
	On []string `yaml:"on"`
	// After is how long each is borne.
	After SwitchAfter `yaml:"after"`
	// Back is how the channel returns to its source: auto, manual or never. Default: auto.
	Back string `yaml:"back"`
	// BackAfter is how long the source must have been well before. Default: 60s.
	BackAfter time.Duration `yaml:"back_after"`
	// Standby keeps the next source open, so that it takes over at once; it costs
	// its bits on the line all the time. Default: false, it is opened on suspicion.
	Standby bool `yaml:"standby"`
}

// SwitchAfter is how long each fault is borne.
type SwitchAfter struct {
	NoPackets time.Duration `yaml:"no_packets"` // nothing arrives. Default: 1s
	NoMedia   time.Duration `yaml:"no_media"`   // no picture, no sound. Default: 2s
	NoPCR     time.Duration `yaml:"no_pcr"`     // no clock references. Default: 2s
	Scrambled time.Duration `yaml:"scrambled"`  // Default: 1s
	Black     time.Duration `yaml:"black"`      // Default: 10s
	Frozen    time.Duration `yaml:"frozen"`     // Default: 10s
	Silent    time.Duration `yaml:"silent"`     // Default: 30s
}

// Map returns what was set, by the fault's name.
func (a SwitchAfter) Map() map[string]time.Duration {
	m := map[string]time.Duration{}
	for name, d := range map[string]time.Duration{
		"no_packets": a.NoPackets, "no_media": a.NoMedia, "no_pcr": a.NoPCR, "scrambled": a.Scrambled,
		"black": a.Black, "frozen": a.Frozen, "silent": a.Silent,
	} {
		if d != 0 {
			m[name] = d
		}
	}
	return m
}

// Output sends a stream as a transport stream of constant bit rate: to a modulator,
// an uplink or a multicast group. See docs/outputs.md.
type Output struct {
	// ID is its name: letters, digits, dot, dash and underscore.
	ID string `yaml:"id"`
	// Stream is what goes out: channels/ID or meetings/ID/programme.
	Stream string `yaml:"stream"`
	// Address is a URL, udp or rtp, with options: interface, ttl, dscp, idle and others.
	Address string `yaml:"address"`
	// Bitrate is that of the whole, in bits a second. Default: 0, what the stream
	// needs and a tenth; an uplink has a fixed one.
	Bitrate int `yaml:"bitrate"`
	// ServiceID is the programme's number. Default: 0, which is sent as 1.
	ServiceID int `yaml:"service_id"`
	// Name and Provider are what receivers show. Default: empty, the stream's title
	// and this node's name.
	Name     string `yaml:"name"`
	Provider string `yaml:"provider"`
}

// Default returns the built-in configuration.
func Default() Config {
	return Config{
		Name:     "通乡",
		Data:     "./data",
		Log:      "info",
		HTTP:     HTTP{Listen: ":8080"},
		HTTPS:    HTTPS{Listen: ":8443"},
		WebRTC:   WebRTC{UDP: ":8443", TCP: ":8444"},
		RTSP:     RTSP{Listen: ":8554", UDP: ":8000", MulticastPort: 8002, MaxConnections: 500},
		RTMP:     RTMP{MaxConnections: 100},
		Sessions: Sessions{TTL: 12 * time.Hour},
		Library: Library{
			Meeting: LibraryClass{Keep: "1y"}, News: LibraryClass{Keep: "30d"}, Training: LibraryClass{Keep: "10y"},
			Agriculture: LibraryClass{Keep: "forever"}, Other: LibraryClass{Keep: "forever"}, Bin: 15 * 24 * time.Hour, Floor: 2,
		},
		Jobs:      Jobs{OffPeak: "00:30-06:00", Low: true},
		Transcode: Transcode{FFmpeg: "ffmpeg", Max: 4, CPU: 50},
		Quality:   Quality{Interval: 4 * time.Second, CPU: 0.15, Loud: -14, Keep: 30 * 24 * time.Hour},
		Demo:      Demo{Target: "udp://127.0.0.1:5500"},
	}
}
