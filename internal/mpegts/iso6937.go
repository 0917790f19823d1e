package mpegts

import (
	"strings"

	"golang.org/x/text/unicode/norm"
)

// upper6937 is the upper half of ISO/IEC 6937 as amended by ETSI EN 300 468
// figure A.1, from 0xA0, without the accents of row 0xC0; 0 is unassigned.
const upper6937 = "\u00A0¡¢£€¥\x00§¤‘“«←↑→↓°±²³×µ¶·÷’”»¼½¾¿" +
	"\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00" +
	"―¹®©™♪¬¦\x00\x00\x00\x00⅛⅜⅝⅞ΩÆÐªĦ\x00ĲĿŁØŒºÞŦŊŉĸæđðħıĳŀłøœßþŧŋ\u00AD"

// accents6937 are the combining forms of 0xC0 to 0xCF, which precede their letter.
const accents6937 = "\x00\u0300\u0301\u0302\u0303\u0304\u0306\u0307\u0308\x00\u030A\u0327\x00\u030B\u0328\u030C"

// iso6937 decodes the default table of DVB. What is unassigned is left out.
func iso6937(b []byte) string {
	upper, accents := []rune(upper6937), []rune(accents6937)
	var s strings.Builder
	var accent rune
	for _, c := range b {
		r := rune(c)
		switch {
		case c >= 0xC0 && c <= 0xCF:
			accent = accents[c-0xC0]
			continue
		case c >= 0xA0:
			r = upper[c-0xA0]
		}
		if r != 0 || c == 0 {
			s.WriteRune(r)
			if accent != 0 {
				s.WriteRune(accent)
			}
		}
		accent = 0
	}
	return norm.NFC.String(s.String())
}
