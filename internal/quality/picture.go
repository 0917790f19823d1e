package quality

import (
	"bytes"
	"fmt"
	"image"
	"image/jpeg"
)

// picture is a decoded picture of 320 by 180 samples in YCbCr 4:2:0, planes one after
// the other, black bars where the programme has another shape.
type picture []byte

func (p picture) luma() []byte { return p[:lumaSize] }

const (
	// blackLuma is what a sample of black is at most: 10 % above black in the range of
	// video, as ffmpeg's blackdetect has it.
	blackLuma = 38
	// blackBright is how many brighter samples a black picture may have: one in a
	// thousand. A subtitle has twenty times as many.
	blackBright = lumaSize / 1000

	// changedBy is how far a sample must move to count as changed; coding the same
	// picture once more moves it less.
	changedBy = 20
	// changedSamples is how many changed samples a still picture may have. A digit of a
	// clock that moves on has fifty.
	changedSamples = 6
	// stillMean is the mean difference of two codings of the same picture. A camera
	// that looks at nothing that moves has more, by its noise.
	stillMean = 0.2
)

// black reports whether there is nothing to be seen.
func (p picture) black() bool {
	bright := 0
	for _, v := range p.luma() {
		if v > blackLuma {
			bright++
		}
	}
	return bright <= blackBright
}

// mean returns the mean luma, 16 for black and 235 for white.
func (p picture) mean() float64 {
	sum := 0
	for _, v := range p.luma() {
		sum += int(v)
	}
	return float64(sum) / lumaSize
}

// difference says how far two pictures are from each other: the mean of the distances
// of their luma samples, and how many samples moved by more than changedBy.
func (p picture) difference(o picture) (mean float64, changed int) {
	a, b := p.luma(), o.luma()
	b = b[:len(a)]
	sum := 0
	for i, v := range a {
		d := int(v) - int(b[i])
		if d < 0 {
			d = -d
		}
		sum += d
		if d > changedBy {
			changed++
		}
	}
	return float64(sum) / lumaSize, changed
}

// same reports whether two pictures show the same.
func (p picture) same(o picture) bool {
	mean, changed := p.difference(o)
	return mean <= stillMean && changed <= changedSamples
}

const thumbnailQuality = 75

// encode returns the picture as JPEG.
func (p picture) encode() ([]byte, error) {
	img := &image.YCbCr{
		Y: p.luma(), Cb: p[lumaSize : lumaSize*5/4], Cr: p[lumaSize*5/4 : frameSize],
		YStride: frameWidth, CStride: frameWidth / 2,
		SubsampleRatio: image.YCbCrSubsampleRatio420, Rect: image.Rect(0, 0, frameWidth, frameHeight),
	}
	var out bytes.Buffer
	if err := jpeg.Encode(&out, fullRange(img), &jpeg.Options{Quality: thumbnailQuality}); err != nil {
		return nil, fmt.Errorf("encode thumbnail: %w", err)
	}
	return out.Bytes(), nil
}

// fullRange stretches samples from the range of video (ITU-R BT.601, 16 to 235) to
// that of JPEG.
func fullRange(in *image.YCbCr) *image.YCbCr {
	out := image.NewYCbCr(in.Rect, in.SubsampleRatio)
	stretch := func(to, from []byte, mid, half int) {
		for i, v := range from {
			to[i] = byte(min(255, max(0, mid+(int(v)-mid)*half/112)))
		}
	}
	for i, v := range in.Y {
		out.Y[i] = byte(min(255, max(0, (int(v)-16)*255/219)))
	}
	stretch(out.Cb, in.Cb, 128, 127)
	stretch(out.Cr, in.Cr, 128, 127)
	return out
}
