package mpegts

// ADTSHeader returns the header that stands before a frame of AAC of so many bytes in
// ADTS, for its AudioSpecificConfig; ok is false when ADTS cannot say what that says.
func ADTSHeader(config []byte, size int) (h [7]byte, ok bool) {
	head, ok := ADTSHead(config)
	n := size + len(h)
	if !ok || n >= 1<<13 {
		return h, false
	}
	return [7]byte{head[0], head[1], head[2], head[3] | byte(n>>11), byte(n >> 3), byte(n<<5) | 0x1F, 0xFC}, true
}
