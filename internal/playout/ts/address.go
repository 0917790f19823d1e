package ts

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"tongxiang/internal/apierr"
)

// Errors of an output's address, as they reach a person.
var (
	ErrBadAddress = apierr.New(http.StatusUnprocessableEntity, "output_bad_address",
		"An output's address is udp://ADDRESS:PORT or rtp://ADDRESS:PORT with options such as ?interface=eth1&ttl=8; see errors.",
		"输出地址应为 udp://地址:端口 或 rtp://地址:端口，可带 ?interface=eth1&ttl=8 等选项，详见 errors。")
	ErrBadHost = apierr.New(http.StatusUnprocessableEntity, "output_bad_host",
		"An output goes to the IP address of one machine or to a multicast group; this is neither.",
		"输出目标必须是一台设备的 IP 地址或组播地址。")
	ErrBadPort = apierr.New(http.StatusUnprocessableEntity, "output_bad_port",
		"The port of an output is a number from 1 to 65535.", "输出端口必须是 1 到 65535 的数字。")
	ErrNoInterface = apierr.New(http.StatusUnprocessableEntity, "output_interface_unknown",
		"This machine has no network interface of that name.", "本机没有这个名称的网络接口。")
	ErrBadOption = apierr.New(http.StatusUnprocessableEntity, "output_bad_option",
		"An option of the output's address is unknown or has a value that is not possible; see errors.",
		"输出地址中有未知选项或无效的值，详见 errors。")
)

// Address is where an output goes and how, as an operator writes it:
//
//	udp://239.9.9.9:5000?interface=eth1&ttl=8&dscp=af41
type Address struct {
	To        netip.AddrPort
	RTP       bool
	Interface string // empty: the kernel's choice
	TTL       int    // of multicast: 8 unless said; of unicast: 0, the kernel's
	DSCP      int    // 0: none
	Loop      bool   // multicast is heard on this machine too; true unless said
	Packets   int    // of the stream in a datagram, at most; 7 unless said

	// Stop ends the sending while the stream is away, instead of tables and null packets.
	Stop  bool
	Delay time.Duration // 0: [DefaultDelay]
	// Audio is the codec of sound that receivers want where it must be made: "aac" or "mp2".
	Audio string
	// Service holds what concerns the tables: charset, time, network, PID, LATM, intervals.
	Service Service
}

const (
	defaultTTL = 8
	perGram    = 7 // 1316 bytes: what fits Ethernet, and what everybody sends
)

// options are the query's keys.
var options = map[string]func(a *Address, v string) error{
	"interface": func(a *Address, v string) error { a.Interface = v; return nil },
	"ttl":       func(a *Address, v string) error { return number(&a.TTL, v, 1, 255) },
	"dscp":      func(a *Address, v string) (err error) { a.DSCP, err = dscp(v); return err },
	"packets":   func(a *Address, v string) error { return number(&a.Packets, v, 1, perGram) },
	"loop":      func(a *Address, v string) (err error) { a.Loop, err = yesNo(v); return err },
	"idle":      func(a *Address, v string) error { return choice(&a.Stop, v, "null", false, "stop", true) },
	"audio": func(a *Address, v string) error {
		return choice(&a.Audio, v, "aac", "aac", "mp2", "mp2")
	},
	"delay": func(a *Address, v string) error { return span(&a.Delay, v, MinDelay, MaxDelay) },
	"tables": func(a *Address, v string) error {
		return span(&a.Service.Tables, v, minTables, maxTables)
	},
	"text": func(a *Address, v string) error {
		return choice(&a.Service.Text, v, "utf-8", UTF8, "gb2312", GB2312)
	},
	"time": func(a *Address, v string) error {
		return choice(&a.Service.Time, v, "none", NoTime, "utc", UTC, "local", Local)
	},
	"aac": func(a *Address, v string) error { return choice(&a.Service.LATM, v, "adts", false, "latm", true) },
	"pid": func(a *Address, v string) error {
		var n int
		err := number(&n, v, 0x20, 0x1FFE-2*maxLanes)
		a.Service.PID = uint16(n)
		return err
	},
	"network":    func(a *Address, v string) error { a.Service.Network = v; return nil },
	"network_id": func(a *Address, v string) error { return number16(&a.Service.NetworkID, v) },
	"stream_id":  func(a *Address, v string) error { return number16(&a.Service.StreamID, v) },
}

func number(out *int, v string, least, most int) error {
	n, err := strconv.ParseInt(v, 0, 32)
	if err != nil || int(n) < least || int(n) > most {
		return fmt.Errorf("is %q, want %d to %d", v, least, most)
	}
	*out = int(n)
	return nil
}

func number16(out *uint16, v string) error {
	var n int
	err := number(&n, v, 1, 0xFFFF)
	*out = uint16(n)
	return err
}

func span(out *time.Duration, v string, least, most time.Duration) error {
	d, err := time.ParseDuration(v)
	if err != nil || d < least || d > most {
		return fmt.Errorf("is %q, want %v to %v", v, least, most)
	}
	*out = d
	return nil
}

func yesNo(v string) (bool, error) {
	var b bool
	err := choice(&b, v, "yes", true, "no", false, "1", true, "0", false)
	return b, err
}

// choice sets out to the value of the word that v is.
func choice[T any](out *T, v string, pairs ...any) error {
	var words []string
	for i := 0; i < len(pairs); i += 2 {
		word := pairs[i].(string)
		if strings.EqualFold(v, word) {
			*out = pairs[i+1].(T)
			return nil
		}
		words = append(words, word)
	}
	return fmt.Errorf("is %q, want one of %s", v, strings.Join(words, ", "))
}

// dscp reads a differentiated services code point: a number, or a name of RFC 2474,
// RFC 2597 or RFC 3246.
func dscp(v string) (int, error) {
	v = strings.ToLower(v)
	var n int
	switch {
	case v == "ef":
		return 46, nil
	case len(v) == 3 && v[:2] == "cs" && v[2] >= '0' && v[2] <= '7':
		return int(v[2]-'0') * 8, nil
	case len(v) == 4 && v[:2] == "af" && v[2] >= '1' && v[2] <= '4' && v[3] >= '1' && v[3] <= '3':
		return int(v[2]-'0')*8 + int(v[3]-'0')*2, nil
	}
	if err := number(&n, v, 0, 63); err != nil {
		return 0, fmt.Errorf("is %q, want ef, cs0 to cs7, af11 to af43 or 0 to 63", v)
	}
	return n, nil
}

// at returns e about one place of a request, with what is wrong there.
func at(e *apierr.Error, place, format string, args ...any) *apierr.Error {
	what := fmt.Sprintf(format, args...)
	return e.WithFields(apierr.Field{Location: place, Message: what}).Because(errors.New(what))
}

const inAddress = "body.address"

// ParseAddress reads an output's address. The errors are those of this package.
func ParseAddress(s string) (Address, error) {
	a := Address{Loop: true, Packets: perGram, Audio: "aac", Service: Service{Time: NoTime}}
	u, err := url.Parse(s)
	if err != nil {
		return a, at(ErrBadAddress, inAddress, "is not a URL")
	}
	if u.Scheme != "udp" && u.Scheme != "rtp" {
		return a, at(ErrBadAddress, inAddress, "has the scheme %q, want udp or rtp", u.Scheme)
	}
	a.RTP = u.Scheme == "rtp"
	port, err := strconv.ParseUint(u.Port(), 10, 16)
	if err != nil || port == 0 {
		return a, at(ErrBadPort, inAddress, "the port is %q", u.Port())
	}
	ip, err := netip.ParseAddr(u.Hostname())
	ip = ip.Unmap()
	switch broadcast := netip.AddrFrom4([4]byte{255, 255, 255, 255}); {
	case err != nil:
		return a, at(ErrBadHost, inAddress, "%q is no IP address", u.Hostname())
	case ip.IsUnspecified(), ip == broadcast, ip.Is4() && ip.As4()[0] >= 240:
		return a, at(ErrBadHost, inAddress, "%s is the address of nobody", ip)
	case ip.Is4() && ip.IsLinkLocalMulticast():
		return a, at(ErrBadHost, inAddress, "%s is among the groups of routing protocols, 224.0.0.0 to 224.0.0.255", ip)
	}
	a.To = netip.AddrPortFrom(ip, uint16(port))
	if ip.IsMulticast() {
		a.TTL = defaultTTL
	}
	query, err := url.ParseQuery(u.RawQuery)
	if err != nil {
		return a, at(ErrBadOption, inAddress, "the options cannot be read")
	}
	if name := u.User.Username(); name != "" { // udp://eth1@239.…, as in other programs
		a.Interface = name
	}
	for key, values := range query {
		set := options[key]
		if set == nil {
			return a, at(ErrBadOption, inAddress, "unknown option %q, known: %s", key, strings.Join(optionNames(), ", "))
		}
		if err := set(&a, values[len(values)-1]); err != nil {
			return a, at(ErrBadOption, inAddress, "%s %v", key, err)
		}
	}
	return a, nil
}

func optionNames() []string {
	names := make([]string, 0, len(options))
	for k := range options {
		names = append(names, k)
	}
	slices.Sort(names)
	return names
}

// CheckInterface returns an error when this machine has no such interface now.
func (a Address) CheckInterface() error {
	_, err := a.device()
	return err
}

// device returns the interface, or nil where the kernel chooses.
func (a Address) device() (*net.Interface, error) {
	if a.Interface == "" {
		return nil, nil
	}
	i, err := net.InterfaceByName(a.Interface)
	if err != nil {
		return nil, at(ErrNoInterface, inAddress, "interface %q: %v", a.Interface, err)
	}
	return i, nil
}

// CheckBitrate returns an error for a configured rate that no output can have; 0 is
// the stream's own.
func CheckBitrate(rate int64) error {
	if rate != 0 && (rate < MinRate || rate > MaxRate) {
		return at(ErrBadBitrate, "body.bitrate", "is %d", rate)
	}
	return nil
}

// ErrBadBitrate refuses a configured bit rate.
var ErrBadBitrate = apierr.New(http.StatusUnprocessableEntity, "output_bad_bitrate",
	"The bit rate of an output is 0 (from the stream) or 100,000 to 1,000,000,000 bits a second.",
	"输出码率应为 0（随节目流）或每秒 100000 至 1000000000 比特。")
