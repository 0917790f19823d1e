package mpegts

// Descriptor tags (ISO/IEC 13818-1 table 2-45, ETSI EN 300 468 table 12).
const (
	descRegistration = 0x05
	descCA           = 0x09
	descLanguage     = 0x0A
	descService      = 0x48
	descTeletextVBI  = 0x46
	descTeletext     = 0x56
	descSubtitling   = 0x59
	descAC3          = 0x6A
	descEAC3         = 0x7A
	descDTS          = 0x7B
	descAAC          = 0x7C
	descExtension    = 0x7F
)

// descriptors is a descriptor loop as it lies in a section.
type descriptors []byte

// each calls f for each whole descriptor; b is valid during the call.
func (d descriptors) each(f func(tag byte, b []byte)) {
	for len(d) >= 2 {
		n := 2 + int(d[1])
		if n > len(d) {
			return
		}
		f(d[0], d[2:n])
		d = d[n:]
	}
}

// find returns the first descriptor with a tag; ok tells an empty one from none.
func (d descriptors) find(tag byte) (b []byte, ok bool) {
	for len(d) >= 2 {
		n := 2 + int(d[1])
		if n > len(d) {
			return nil, false
		}
		if d[0] == tag {
			return d[2:n], true
		}
		d = d[n:]
	}
	return nil, false
}

func (d descriptors) has(tag byte) bool {
	_, ok := d.find(tag)
	return ok
}

// registration returns the format_identifier as four characters, or "".
func (d descriptors) registration() string {
	if b, ok := d.find(descRegistration); ok && len(b) >= 4 {
		return string(b[:4])
	}
	return ""
}

// language returns the ISO 639-2 code of the language descriptor, or of the
// subtitling and teletext descriptors, or "".
func (d descriptors) language() string {
	for _, tag := range [...]byte{descLanguage, descSubtitling, descTeletext} {
		b, ok := d.find(tag)
		if !ok || len(b) < 3 {
			continue
		}
		code := make([]byte, 3)
		for i := range code {
			c := b[i] | 0x20
			if c < 'a' || c > 'z' {
				return ""
			}
			code[i] = c
		}
		return string(code)
	}
	return ""
}

// extension returns the first extension descriptor with an extended tag, without that tag.
func (d descriptors) extension(tag byte) (b []byte, ok bool) {
	d.each(func(t byte, x []byte) {
		if t == descExtension && len(x) > 0 && x[0] == tag && !ok {
			b, ok = x[1:], true
		}
	})
	return b, ok
}
