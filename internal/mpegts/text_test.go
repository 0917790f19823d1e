package mpegts

import "testing"

func TestTextIsReadInTheTableThatItNames(t *testing.T) {
	for _, tc := range []struct {
		name string
		in   []byte
		want string
	}{
		{"nothing", nil, ""},
		{"plain", []byte("CCTV-1"), "CCTV-1"},
		{"GB 2312", []byte("\x13CCTV-1\xd7\xdb\xba\xcf"), "CCTV-1综合"},
		{"GB 18030 beyond GB 2312", []byte("\x13\x81\x39\xee\x39\xd6\xd0"), "㐀中"},
		{"UTF-8", []byte("\x15中央一套"), "中央一套"},
		{"UCS-2", []byte("\x11\x4e\x2d\x59\x2e"), "中央"},
		{"Big5", []byte("\x14\xb5\xd8\xb5\xf8"), "華視"},
		{"UTF-16 under the number of Big5", []byte("\x14\x83\xef\x89\x96"), "華視"},
		{"GB 2312 without selector", []byte("\xd6\xd0\xd1\xeb\xd2\xbb\xcc\xd7"), "中央一套"},
		{"UTF-8 without selector", []byte("中央一套"), "中央一套"},
		{"ISO 8859-5", []byte("\x01\xc0\xde\xe1\xe1\xd8\xef"), "Россия"},
		{"ISO 8859-9", []byte("\x05T\xfcrk"), "Türk"},
		{"ISO 8859-2 in the long form", []byte("\x10\x00\x02\xc8T"), "ČT"},
		{"ISO 6937 accents", []byte("T\xc2el\xc2e"), "Télé"},
		{"ISO 6937 signs", []byte("Stra\xfbe \xa4"), "Straße €"},
		{"emphasis removed, line break kept", []byte("\x86A\x87\x8aB"), "A\nB"},
		{"emphasis in two bytes", []byte("\x11\xe0\x86\x4e\x2d\xe0\x87"), "中"},
		{"a selector alone", []byte{0x13}, ""},
		{"a reserved selector", []byte("\x0cabc"), "abc"},
		{"a long form without table", []byte{0x10, 0, 12, 'a'}, "a"},
		{"half a character", []byte("\x13\xd6"), ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got := Text(tc.in); got != tc.want {
				t.Errorf("%q, want %q", got, tc.want)
			}
		})
	}
}
