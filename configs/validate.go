package configs

import (
	"cmp"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"tongxiang/internal/jobs"
	"tongxiang/internal/playout/ts"
	"tongxiang/internal/stream"
	"tongxiang/recorder/retention"
)

// schemes are the kinds of source that a channel may have.
var schemes = []string{"udp", "rtp", "srt", "http", "https", "file", "folder", "exec", "stdin", "rtsp", "rtsps", "onvif", "push"}

// Validate returns what is wrong with values, alone and together.
func (c Config) Validate() Problems {
	v := validator{}
	if c.Data == "" {
		v.add("data", "is empty, want a folder")
	}
	if !slices.Contains([]string{"debug", "info", "warn", "error"}, c.Log) {
		v.add("log", "is %q, want debug, info, warn or error", c.Log)
	}
	v.listen("tcp", "http.listen", c.HTTP.Listen, true)
	v.listen("tcp", "https.listen", c.HTTPS.Listen, true)
	v.listen("udp", "webrtc.udp", c.WebRTC.UDP, false)
	v.listen("tcp", "webrtc.tcp", c.WebRTC.TCP, true)
	v.rtsp(c.RTSP)
	v.listen("tcp", "rtmp.listen", c.RTMP.Listen, true)
	if c.RTMP.Listen != "" && c.RTMP.MaxConnections <= 0 {
		v.add("rtmp.max_connections", "is %d, want 1 or more", c.RTMP.MaxConnections)
	}
	if c.HTTP.Listen == "" && c.HTTPS.Listen == "" {
		v.add("http.listen", "and https.listen are both empty: nobody could connect")
	}
	if (c.HTTPS.Certificate == "") != (c.HTTPS.Key == "") {
		v.add("https.certificate", "and https.key go together: set both or neither")
	}
	for i, a := range c.WebRTC.Addresses {
		if ip, err := netip.ParseAddr(a); err != nil || ip.IsUnspecified() {
			v.add(fmt.Sprintf("webrtc.addresses[%d]", i), "is %q, want an IP address of this machine", a)
		}
	}
	if c.Sessions.TTL <= 0 {
		v.add("sessions.ttl", "is %v, want more than nothing", c.Sessions.TTL)
	}
	if _, err := jobs.ParseHours(c.Jobs.OffPeak); err != nil {
		v.add("jobs.off_peak", "%v", err)
	}
	if c.Transcode.Max < 0 {
		v.add("transcode.max", "is %d, want 0 (none) or more", c.Transcode.Max)
	}
	if c.Transcode.CPU < 1 || c.Transcode.CPU > 100 {
		v.add("transcode.cpu", "is %d, want a share of the machine, 1 to 100 percent", c.Transcode.CPU)
	}
	if c.Recorder.Memory < 0 || c.Recorder.Memory > 1<<20 {
		v.add("recorder.memory", "is %d MiB, want 0 (the default) to %d", c.Recorder.Memory, 1<<20)
	}
	if c.Recorder.DiskSpeed < 0 || c.Recorder.DiskSpeed > 1<<20 {
		v.add("recorder.disk_speed", "is %d MiB a second, want 0 (measured) to %d", c.Recorder.DiskSpeed, 1<<20)
	}
	v.library(c.Library)
	if c.Quality.Interval < time.Second || c.Quality.Interval > time.Minute {
		v.add("quality.interval", "is %v, want 1s to 1m", c.Quality.Interval)
	}
	if c.Quality.CPU < 0 || c.Quality.CPU > 64 {
		v.add("quality.cpu", "is %v, want 0 (nothing is decoded) or a share of one core", c.Quality.CPU)
	}
	if c.Quality.Loud < -40 || c.Quality.Loud > 0 {
		v.add("quality.loud", "is %v, want -40 to 0 LUFS", c.Quality.Loud)
	}
	if c.Quality.Keep < time.Hour {
		v.add("quality.keep", "is %v, want an hour or more", c.Quality.Keep)
	}
	v.programs(c.Ingest.Programs)
	v.channels(c.Channels, c.Ingest.Programs)
	v.outputs(c.Outputs)
	return v.problems
}

type validator struct {
	problems Problems
	taken    map[string]string // "tcp 8443" -> key
}

func (v *validator) add(key, format string, args ...any) {
	v.problems = append(v.problems, Problem{Key: key, What: fmt.Sprintf(format, args...)})
}

// listen checks an address and that no other listener of the protocol has its port.
func (v *validator) listen(proto, key, addr string, mayBeEmpty bool) {
	if addr == "" {
		if !mayBeEmpty {
			v.add(key, "is empty, want an address such as :8443")
		}
		return
	}
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		v.add(key, "is %q, want an address such as :8080 or 10.0.0.1:8080", addr)
		return
	}
	if host != "" && net.ParseIP(host) == nil && host != "localhost" {
		v.add(key, "has the host %q, want an IP address of this machine or nothing", host)
	}
	n, err := strconv.Atoi(port)
	if err != nil || n < 0 || n > 65535 {
		v.add(key, "has the port %q, want 0 to 65535", port)
		return
	}
	if n == 0 {
		return // the kernel chooses
	}
	if v.taken == nil {
		v.taken = map[string]string{}
	}
	at := proto + " " + port
	if other := v.taken[at]; other != "" {
		v.add(key, "has the same %s port %d as %s", strings.ToUpper(proto), n, other)
	}
	v.taken[at] = key
}

func (v *validator) library(c Library) {
	for name, class := range c.Classes() {
		key := "library." + cmp.Or(name, "other")
		if _, err := retention.Parse(class.Keep); err != nil {
			v.add(key+".keep", "is %q, want days (30d), years (10y) or forever", class.Keep)
		}
		if class.Quota < 0 || class.Quota > maxGiB {
			v.add(key+".quota", "is %d GiB, want 0 (any) to %d", class.Quota, maxGiB)
		}
	}
	if c.Bin < 0 {
		v.add("library.bin", "is %v, want 0 (nothing is kept) or more", c.Bin)
	}
	if c.Floor < 0 || c.Floor > maxGiB {
		v.add("library.floor", "is %d GiB, want 0 (none) to %d", c.Floor, maxGiB)
	}
}

// maxGiB is more than any disk has, and less than what bytes in 64 bits can say.
const maxGiB = 1 << 30

func (v *validator) rtsp(c RTSP) {
	v.listen("tcp", "rtsp.listen", c.Listen, true)
	if c.Listen == "" {
		return
	}
	v.listen("udp", "rtsp.udp", c.UDP, true)
	if host, port, err := net.SplitHostPort(c.UDP); err == nil {
		if n, err := strconv.Atoi(port); err != nil || n%2 != 0 || n == 0 {
			v.add("rtsp.udp", "has the port %s, want an even number: RTCP uses the next one", port)
		} else {
			v.listen("udp", "rtsp.udp", net.JoinHostPort(host, strconv.Itoa(n+1)), true)
		}
	}
	if c.Multicast != "" {
		if p, err := netip.ParsePrefix(c.Multicast); err != nil || !p.Addr().Is4() || !p.Addr().IsMulticast() {
			v.add("rtsp.multicast", "is %q, want an IPv4 multicast network such as 239.8.0.0/16", c.Multicast)
		}
		if c.MulticastPort <= 0 || c.MulticastPort > 65534 || c.MulticastPort%2 != 0 {
			v.add("rtsp.multicast_port", "is %d, want an even number up to 65534", c.MulticastPort)
		}
	}
	if c.MaxConnections <= 0 {
		v.add("rtsp.max_connections", "is %d, want 1 or more", c.MaxConnections)
	}
}

// programs checks the tuner programs. An argument in braces stands for a parameter;
// the program itself cannot be one.
func (v *validator) programs(list []Program) {
	seen := map[string]int{}
	for i, p := range list {
		key := fmt.Sprintf("ingest.programs[%d]", i)
		if err := stream.CheckID(p.Name); err != nil {
			v.add(key+".name", "is %q, want 1 to 64 letters, digits, dots, dashes or underscores", p.Name)
		} else if first, twice := seen[p.Name]; twice {
			v.add(key+".name", "%q is also the name of ingest.programs[%d]", p.Name, first)
		} else {
			seen[p.Name] = i
		}
		if p.AtOnce < 0 {
			v.add(key+".at_once", "is %d, want 0 (any number) or more", p.AtOnce)
		}
		if len(p.Command) == 0 || p.Command[0] == "" || strings.HasPrefix(p.Command[0], "{") {
			v.add(key+".command", "wants the program first, then its arguments")
			continue
		}
		for j, arg := range p.Command[1:] {
			if strings.ContainsAny(arg, "{}") && !wholeParameter.MatchString(arg) {
				v.add(fmt.Sprintf("%s.command[%d]", key, j+1), "is %q: a parameter such as {channel} is a whole argument", arg)
			}
		}
	}
}

// wholeParameter is an argument that a channel's address fills in.
var wholeParameter = regexp.MustCompile(`^\{[A-Za-z0-9_-]+\}$`)

func (v *validator) channels(list []Channel, programs []Program) {
	seen := map[string]int{}
	for i, ch := range list {
		key := fmt.Sprintf("channels[%d]", i)
		if err := stream.CheckID(ch.ID); err != nil {
			v.add(key+".id", "is %q, want 1 to 64 letters, digits, dots, dashes or underscores", ch.ID)
		} else if first, twice := seen[ch.ID]; twice {
			v.add(key+".id", "%q is also the id of channels[%d]", ch.ID, first)
		} else {
			seen[ch.ID] = i
		}
		if strings.TrimSpace(ch.Name) == "" {
			v.add(key+".name", "is empty, want what people call the channel")
		}
		if ch.Program < 0 || ch.Program > 0xFFFF {
			v.add(key+".program", "is %d, want 0 to 65535", ch.Program)
		}
		if err := CheckSource(ch.Source, programs); err != nil {
			v.add(key+".source", "%v", err)
		}
		for j, b := range ch.Backup {
			if err := CheckSource(b, programs); err != nil {
				v.add(fmt.Sprintf("%s.backup[%d]", key, j), "%v", err)
			}
		}
		v.rule(key+".switch", ch.Switch)
	}
}

// faults are what a channel may leave its source for.
var faults = []string{"no_packets", "no_media", "no_pcr", "scrambled", "black", "frozen", "silent"}

// rule checks when a channel changes its source.
func (v *validator) rule(key string, s Switch) {
	for i, f := range s.On {
		if !slices.Contains(faults, f) {
			v.add(fmt.Sprintf("%s.on[%d]", key, i), "is %q, want one of %s", f, strings.Join(faults, ", "))
		}
	}
	for _, f := range faults {
		if d, set := s.After.Map()[f]; set && (d < 200*time.Millisecond || d > time.Hour) {
			v.add(key+".after."+f, "is %v, want 200ms to 1h", d)
		}
	}
	if !slices.Contains([]string{"", "auto", "manual", "never"}, s.Back) {
		v.add(key+".back", "is %q, want auto, manual or never", s.Back)
	}
	if s.BackAfter < 0 || s.BackAfter > 24*time.Hour {
		v.add(key+".back_after", "is %v, want 0s to 24h", s.BackAfter)
	}
}

func (v *validator) outputs(list []Output) {
	seen := map[string]int{}
	for i, o := range list {
		key := fmt.Sprintf("outputs[%d]", i)
		if err := stream.CheckID(o.ID); err != nil {
			v.add(key+".id", "is %q, want 1 to 64 letters, digits, dots, dashes or underscores", o.ID)
		} else if first, twice := seen[o.ID]; twice {
			v.add(key+".id", "%q is also the id of outputs[%d]", o.ID, first)
		} else {
			seen[o.ID] = i
		}
		if _, err := stream.ParseName(o.Stream); err != nil {
			v.add(key+".stream", "is %q, want channels/ID or meetings/ID/programme", o.Stream)
		}
		if _, err := ts.ParseAddress(o.Address); err != nil {
			v.add(key+".address", "is %q: %v", o.Address, err)
		}
		if ts.CheckBitrate(int64(o.Bitrate)) != nil {
			v.add(key+".bitrate", "is %d, want 0 (from the stream) or %d to %d", o.Bitrate, ts.MinRate, ts.MaxRate)
		}
		if o.ServiceID < 0 || o.ServiceID > 0xFFFF {
			v.add(key+".service_id", "is %d, want 0 to 65535", o.ServiceID)
		}
	}
}

// CheckSource reports what is wrong with a channel's URL. The password in it, if
// any, is not in the error.
func CheckSource(source string, programs []Program) error {
	u, err := url.Parse(source)
	if err != nil {
		return fmt.Errorf("is not a URL")
	}
	if !slices.Contains(schemes, u.Scheme) {
		return fmt.Errorf("has the scheme %q, want one of %s", u.Scheme, strings.Join(schemes, ", "))
	}
	switch u.Scheme {
	case "stdin":
		return nil
	case "push":
		if source != "push:" {
			return fmt.Errorf(`has more than "push:": the channel's own id says who may push`)
		}
		return nil
	case "exec":
		if !slices.ContainsFunc(programs, func(p Program) bool { return p.Name == u.Opaque }) {
			return fmt.Errorf("names the program %q, which is not in ingest.programs", u.Opaque)
		}
		return nil
	case "file", "folder":
		if u.Path == "" && u.Opaque == "" {
			return fmt.Errorf("names no %s", u.Scheme)
		}
		return nil
	}
	switch {
	case u.Host == "":
		return fmt.Errorf("names no host")
	case (u.Scheme == "udp" || u.Scheme == "rtp" || u.Scheme == "srt") && u.Port() == "":
		return fmt.Errorf("names no port")
	}
	return nil
}

// CheckDataDir makes sure that the folder is there and can be written.
func (c Config) CheckDataDir() error {
	if err := os.MkdirAll(c.Data, 0o750); err != nil {
		return Problems{{Key: "data", What: fmt.Sprintf("cannot be made: %v", err)}}
	}
	probe, err := os.CreateTemp(c.Data, ".write-*")
	if err != nil {
		return Problems{{Key: "data", What: fmt.Sprintf("cannot be written: %v", err)}}
	}
	name := probe.Name()
	if err := probe.Close(); err != nil {
		return Problems{{Key: "data", What: fmt.Sprintf("cannot be written: %v", err)}}
	}
	if err := os.Remove(name); err != nil {
		return Problems{{Key: "data", What: fmt.Sprintf("cannot be written: %v", err)}}
	}
	return nil
}

// RecordingsDir returns where recordings go.
func (c Config) RecordingsDir() string {
	if c.Recorder.Dir != "" {
		return c.Recorder.Dir
	}
	return filepath.Join(c.Data, "recordings")
}

// KeysDir returns where keys and certificates are kept.
func (c Config) KeysDir() string { return filepath.Join(c.Data, "keys") }
