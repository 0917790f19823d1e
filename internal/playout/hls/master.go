package hls

import (
	"fmt"
	"math"
	"strings"

	"tongxiang/internal/media"
	"tongxiang/internal/playout/fmp4"
	"tongxiang/internal/stream"
)

// Low is a low-rate rendition that a playlist offers beside the stream itself. It is
// made when a player asks for it.
type Low struct {
	// Name is the stream's; its last segment is where players find it below the
	// stream that it belongs to.
	Name stream.Name
	// Rate is the most that goes out, in bits a second.
	Rate int
	// Video is the picture's name (RFC 6381). The sound is AAC.
	Video string
	// Width, Height and FPS are the picture's; 0 when not known.
	Width, Height int
	FPS           float64
	// Sounds are those that it has, in order.
	Sounds []Sound
}

// Sound is one of the sounds of a rendition.
type Sound struct {
	Label  string
	Format media.Format
}

// variant is one line of a multivariant playlist.
type variant struct {
	uri           string
	group         string // of its sounds; empty: they are inside
	bandwidth     int    // bit/s at most
	average       int    // bit/s; 0: not known
	codecs        []string
	width, height int
	fps           float64 // 0: not known
}

// group is the sounds among which a viewer of some variants may choose.
type group struct {
	id     string
	sounds []sound
	uris   []string
}

// aacCodec is AAC-LC (RFC 6381), which the transcoder makes.
const aacCodec = "mp4a.40.2"

// master returns the multivariant playlist (RFC 8216 4.3.4).
func master(variants []variant, groups []group) string {
	var b strings.Builder
	b.WriteString("#EXTM3U\n#EXT-X-VERSION:7\n#EXT-X-INDEPENDENT-SEGMENTS\n")
	for _, g := range groups {
		for i, s := range g.sounds {
			fmt.Fprintf(&b, "#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID=%q,NAME=\"%s\"", g.id, s.name)
			if s.tag != "" {
				fmt.Fprintf(&b, ",LANGUAGE=%q", s.tag)
			}
			chosen := "NO"
			if s.first {
				chosen = "YES"
			}
			fmt.Fprintf(&b, ",DEFAULT=%s,AUTOSELECT=YES", chosen)
			if s.channel > 0 {
				fmt.Fprintf(&b, ",CHANNELS=\"%d\"", s.channel)
			}
			fmt.Fprintf(&b, ",URI=%q\n", g.uris[i])
		}
	}
	for _, v := range variants {
		fmt.Fprintf(&b, "#EXT-X-STREAM-INF:BANDWIDTH=%d", v.bandwidth)
		if v.average > 0 {
			fmt.Fprintf(&b, ",AVERAGE-BANDWIDTH=%d", min(v.average, v.bandwidth))
		}
		if len(v.codecs) > 0 {
			fmt.Fprintf(&b, ",CODECS=%q", strings.Join(v.codecs, ","))
		}
		if v.width > 0 && v.height > 0 {
			fmt.Fprintf(&b, ",RESOLUTION=%dx%d", v.width, v.height)
		}
		if v.fps > 0 {
			fmt.Fprintf(&b, ",FRAME-RATE=%.3f", v.fps)
		}
		if v.group != "" {
			fmt.Fprintf(&b, ",AUDIO=%q", v.group)
		}
		fmt.Fprintf(&b, "\n%s\n", v.uri)
	}
	return b.String()
}

// minBandwidth is what a stream is said to need before anything was measured.
const minBandwidth = 64_000

// master describes what the session has and what else is offered. low are the
// renditions below it. The caller holds the session's lock.
func (m *muxer) master(low []Low) string {
	main := m.outs[0]
	v := variant{uri: main.name + listSuffix, bandwidth: max(main.peak, minBandwidth), average: main.average()}
	known := true
	add := func(f media.Format) {
		c := fmp4.CodecString(f)
		known = known && c != ""
		for _, have := range v.codecs {
			if have == c {
				return
			}
		}
		v.codecs = append(v.codecs, c)
	}
	for _, f := range main.formats {
		add(f)
		if f.Codec.Kind() == media.Video {
			v.width, v.height, v.fps = f.Width, f.Height, f.FPS
			if v.fps == 0 && m.time.step > 0 {
				v.fps = math.Round(1e12/float64(m.time.step)) / 1e3
			}
		}
	}
	var groups []group
	if len(m.outs) > 1 {
		g := group{id: videoName}
		var formats []media.Format
		loudest, average := 0, 0
		for _, o := range m.outs[1:] {
			d := o.formats
			if len(d) == 0 || len(o.win.segments) == 0 {
				continue // nothing has come of it
			}
			add(d[0])
			formats = append(formats, d[0])
			g.uris = append(g.uris, o.name+listSuffix)
			loudest, average = max(loudest, o.peak), max(average, o.average())
		}
		if g.sounds = sounds(formats); len(g.sounds) > 0 {
			v.group, v.bandwidth, v.average = g.id, v.bandwidth+loudest, v.average+average
			groups = append(groups, g)
		}
	}
	if !known {
		v.codecs = nil
	}
	variants := []variant{v}
	for _, l := range low {
		if l.Rate >= v.bandwidth {
			continue // would be more than the stream itself
		}
		lv, lg := l.describe()
		variants = append(variants, lv)
		if len(lg.sounds) > 0 {
			groups = append(groups, lg)
		}
	}
	return master(variants, groups)
}

// describe returns what a playlist says of a rendition that need not exist yet: its
// session will lay its playlists out by the same rule.
func (l Low) describe() (v variant, g group) {
	segs := l.Name.Segments()
	at := segs[len(segs)-1]
	tracks := []track{{format: media.Format{Codec: media.H264}}}
	var formats []media.Format
	for _, s := range l.Sounds {
		tracks = append(tracks, track{s.Label, s.Format})
		formats = append(formats, s.Format)
	}
	v = variant{
		uri: at + "/" + wholeName + listSuffix, bandwidth: l.Rate, codecs: []string{l.Video},
		width: l.Width, height: l.Height, fps: l.FPS,
	}
	if len(l.Sounds) > 0 {
		v.codecs = append(v.codecs, aacCodec)
	}
	if layoutOf(tracks) != wholeName {
		v.uri, v.group = at+"/"+videoName+listSuffix, at
		g = group{id: at, sounds: sounds(formats)}
		for _, s := range l.Sounds {
			g.uris = append(g.uris, at+"/"+s.Label+listSuffix)
		}
	}
	return v, g
}
