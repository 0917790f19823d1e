import { expect, test } from 'vitest'
import { secureAddress } from './devices'

test('the encrypted address is the same page at the port where the server has it', () => {
  const at = { hostname: '10.1.2.3', pathname: '/meetings/42', search: '?name=li', hash: '#x' }
  expect(secureAddress(9443, at)).toBe('https://10.1.2.3:9443/meetings/42?name=li#x')
  expect(secureAddress(443, at)).toBe('https://10.1.2.3/meetings/42?name=li#x')
})
