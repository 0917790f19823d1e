import { describe, expect, it } from 'vitest'
import { addressForms, looksLikeAddress, withoutSecrets } from './address'

describe('an address in a list', () => {
  it.each([
    ['udp://239.1.1.1:5000?interface=eth1', 'udp://239.1.1.1:5000?interface=eth1'],
    ['udp://eth1@239.1.1.1:5000', 'udp://eth1@239.1.1.1:5000'],
    ['rtsp://viewer:geheim@10.0.0.9/main', 'rtsp://viewer:•••@10.0.0.9/main'],
    ['rtsp://viewer@10.0.0.9:554/main?a=b@c', 'rtsp://viewer@10.0.0.9:554/main?a=b@c'],
    [
      'srt://10.0.0.9:9000?passphrase=0123456789&latency=200',
      'srt://10.0.0.9:9000?passphrase=•••&latency=200',
    ],
    ['rtsp://a/channels/x?token=abc.def', 'rtsp://a/channels/x?token=•••'],
    ['push:', 'push:'],
    ['', ''],
  ])('%s', (address, want) => expect(withoutSecrets(address)).toBe(want))
})

describe('the examples', () => {
  it.each(addressForms.map((form) => form.example))('%s is an address', (example) =>
    expect(looksLikeAddress(example)).toBe(true),
  )
})
