package mpegts

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/korean"
	"golang.org/x/text/encoding/simplifiedchinese"
	"golang.org/x/text/encoding/traditionalchinese"
	xunicode "golang.org/x/text/encoding/unicode"
)

// Text decodes a DVB string (ETSI EN 300 468 annex A) to UTF-8: the selector byte
// names the character table. Control codes are removed, except that a line break
// becomes "\n". A string without selector is ISO 6937 by the book; where it cannot
// be that but is valid UTF-8 or GB 18030, as some networks send, it is read so.
func Text(b []byte) string {
	if len(b) == 0 {
		return ""
	}
	enc, rest := table(b)
	if enc == nil {
		return clean(unlabelled(rest), false)
	}
	wide := b[0] == 0x11 || b[0] == 0x14
	s, err := enc.NewDecoder().Bytes(rest)
	if err != nil {
		return ""
	}
	return clean(string(s), wide)
}

// table returns the character table that a string selects, and the string without
// the selector; nil when it selects none.
func table(b []byte) (encoding.Encoding, []byte) {
	switch c := b[0]; {
	case c >= 0x20:
		return nil, b
	case c >= 0x01 && c <= 0x0B: // ISO 8859-5 to 8859-15
		return latin(int(c) + 4), b[1:]
	case c == 0x10 && len(b) >= 3:
		return latin(int(b[1])<<8 | int(b[2])), b[3:]
	case c == 0x11: // the basic plane of ISO/IEC 10646
		return xunicode.UTF16(xunicode.BigEndian, xunicode.IgnoreBOM), b[1:]
	case c == 0x12:
		return korean.EUCKR, b[1:]
	case c == 0x13: // GB 2312; GB 18030 contains it and is what is really sent
		return simplifiedchinese.GB18030, b[1:]
	case c == 0x14:
		// By the book Big5 in the basic plane of ISO/IEC 10646; Taiwan sends UTF-16.
		if looksWide(b[1:]) {
			return xunicode.UTF16(xunicode.BigEndian, xunicode.IgnoreBOM), b[1:]
		}
		return traditionalchinese.Big5, b[1:]
	case c == 0x15:
		return xunicode.UTF8, b[1:]
	case c == 0x1F && len(b) >= 2: // encoding_type_id: a private table
		return nil, b[2:]
	}
	return nil, b[1:]
}

// looksWide reports whether b has the even length and the high bytes of Chinese in UTF-16.
func looksWide(b []byte) bool {
	if len(b)%2 != 0 {
		return false
	}
	plausible := 0
	for i := 0; i+1 < len(b); i += 2 {
		if r := rune(b[i])<<8 | rune(b[i+1]); r < 0x80 || r >= 0x3000 && r < 0xA000 || r >= 0xFF00 {
			plausible++
		}
	}
	return plausible*2 >= len(b)/2
}

// latin returns ISO 8859-n, or nil.
func latin(n int) encoding.Encoding {
	switch n {
	case 1:
		return charmap.ISO8859_1
	case 2:
		return charmap.ISO8859_2
	case 3:
		return charmap.ISO8859_3
	case 4:
		return charmap.ISO8859_4
	case 5:
		return charmap.ISO8859_5
	case 6:
		return charmap.ISO8859_6
	case 7:
		return charmap.ISO8859_7
	case 8:
		return charmap.ISO8859_8
	case 9:
		return charmap.ISO8859_9
	case 10:
		return charmap.ISO8859_10
	case 11: // TIS-620 with the no-break space, which Windows 874 contains
		return charmap.Windows874
	case 13:
		return charmap.ISO8859_13
	case 14:
		return charmap.ISO8859_14
	case 15:
		return charmap.ISO8859_15
	}
	return nil
}

// unlabelled decodes a string without selector byte.
func unlabelled(b []byte) string {
	ascii := true
	for _, c := range b {
		if c >= 0x80 {
			ascii = false
			break
		}
	}
	if ascii || utf8.Valid(b) {
		return string(b)
	}
	if gb, ok := asGB(b); ok {
		return gb
	}
	return iso6937(b)
}

// asGB decodes b as GB 18030 when at least two thirds of what is not ASCII are
// Chinese characters of level 1 and 2 (GB 2312's rows 16 to 87): in ISO 6937 an
// accent is followed by a letter below 0x80, never by a byte above 0xA0.
func asGB(b []byte) (string, bool) {
	pairs, han := 0, 0
	for i := 0; i < len(b); i++ {
		if b[i] < 0x80 {
			continue
		}
		if i+1 >= len(b) || b[i+1] < 0xA1 {
			return "", false
		}
		pairs++
		if b[i] >= 0xB0 && b[i] <= 0xF7 {
			han++
		}
		i++
	}
	if pairs < 2 || han*3 < pairs*2 {
		return "", false
	}
	s, err := simplifiedchinese.GB18030.NewDecoder().Bytes(b)
	if err != nil || strings.ContainsRune(string(s), utf8.RuneError) {
		return "", false
	}
	return string(s), true
}

// clean removes control codes (EN 300 468 A.1: 0x80-0x9F, and 0xE080-0xE09F in
// two-byte tables) and turns the line break into "\n".
func clean(s string, wide bool) string {
	return strings.TrimSpace(strings.Map(func(r rune) rune {
		if r >= 0xE080 && r <= 0xE09F {
			r -= 0xE000
		}
		switch {
		case r == 0x8A || r == '\n':
			return '\n'
		case r == 0 && wide, unicode.IsControl(r), r == utf8.RuneError:
			return -1
		}
		return r
	}, s))
}
