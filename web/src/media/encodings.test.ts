import { describe, expect, it } from 'vitest'
import { applyLayers, cameraEncodings } from './encodings'

describe('cameraEncodings', () => {
  const layers = (width: number, height: number) =>
    cameraEncodings({ width, height }).map((e) => `${e.rid ?? '-'}/${e.scaleResolutionDownBy}`)

  it.each([
    [1920, 1080, ['q/4', 'h/2', 'f/1']],
    [1280, 720, ['q/4', 'h/2', 'f/1']],
    [960, 540, ['q/4', 'h/2', 'f/1']],
    [720, 1280, ['q/4', 'h/2', 'f/1']],
    [640, 480, ['q/2', 'h/1']],
    [640, 360, ['q/2', 'h/1']],
    [959, 540, ['q/2', 'h/1']],
    [320, 240, ['-/1']],
    [640, 359, ['-/1']],
  ])('%ix%i is sent as %j', (width, height, want) => {
    expect(layers(width, height)).toEqual(want)
  })

  it('prepares three layers for a camera that comes later, one for a camera that does not say', () => {
    expect(cameraEncodings(null).length).toBe(3)
    expect(cameraEncodings({}).length).toBe(1)
  })

  it('gives each larger layer more bits', () => {
    for (const size of [
      { width: 1280, height: 720 },
      { width: 640, height: 480 },
    ]) {
      const rates = cameraEncodings(size).map((e) => e.maxBitrate)
      expect([...rates].sort((a, b) => a - b)).toEqual(rates)
    }
  })
})

describe('applyLayers', () => {
  it('pauses what nobody wants and says whether it changed anything', () => {
    const encodings: { rid?: string; active?: boolean }[] = [{ rid: 'q' }, { rid: 'h' }, { rid: 'f' }]
    expect(applyLayers(encodings, ['q'])).toBe(true)
    expect(encodings.map((e) => e.active ?? true)).toEqual([true, false, false])
    expect(applyLayers(encodings, ['q'])).toBe(false)
    expect(applyLayers(encodings, ['q', 'h', 'f'])).toBe(true)
    expect(encodings.map((e) => e.active ?? true)).toEqual([true, true, true])
    applyLayers(encodings, [])
    expect(encodings.map((e) => e.active)).toEqual([false, false, false])
  })

  it('never pauses a camera that has one layer', () => {
    const encodings = [{ active: true }]
    expect(applyLayers(encodings, [])).toBe(false)
    expect(encodings[0]?.active).toBe(true)
  })
})
