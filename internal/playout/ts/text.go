package ts

import (
	"unicode/utf8"

	"golang.org/x/text/encoding/simplifiedchinese"
)

// Charset is how names are written into the tables (ETSI EN 300 468 annex A).
type Charset uint8

// The charsets. What is plain ASCII needs none.
const (
	UTF8   Charset = iota // selector 0x15
	GB2312                // selector 0x13, what Chinese set-top boxes know
)

// text encodes s in at most limit bytes, selector included, cut between characters.
func text(s string, c Charset, limit int) []byte {
	if ascii(s) {
		return []byte(s[:min(len(s), limit)])
	}
	out := make([]byte, 1, limit)
	out[0] = 0x15
	enc := simplifiedchinese.GBK.NewEncoder()
	if c == GB2312 {
		out[0] = 0x13
	}
	for _, r := range s {
		var piece []byte
		if c == GB2312 {
			// GBK contains GB 2312; what it does not have is shown as a question mark.
			b, err := enc.Bytes(utf8.AppendRune(nil, r))
			if err != nil {
				b = []byte{'?'}
			}
			piece = b
		} else {
			piece = utf8.AppendRune(nil, r)
		}
		if len(out)+len(piece) > limit {
			break
		}
		out = append(out, piece...)
	}
	return out
}

func ascii(s string) bool {
	for i := range len(s) {
		if s[i] >= 0x80 || s[i] < 0x20 {
			return false
		}
	}
	return true
}
