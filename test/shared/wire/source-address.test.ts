import { expect, test } from 'vitest'
import { sourceOf } from '../../../src/shared/wire/source-address.js'

test.each([
  ['127.0.0.1', '127.0.0.1'],
  ['::ffff:127.0.0.1', '127.0.0.1'],
  ['::FFFF:10.1.2.3', '10.1.2.3'],
  ['::1', '0:0:0:0::/64'],
  ['2001:db8:1:2:3:4:5:6', '2001:db8:1:2::/64'],
  ['2001:0db8:0001:0002::', '2001:db8:1:2::/64'],
  ['2001:db8::5', '2001:db8:0:0::/64'],
  ['2001:db8:0:1::', '2001:db8:0:1::/64'],
  ['fe80::1%eth0', 'fe80:0:0:0::/64'],
  ['1:2:3::4:5:6:7', '1:2:3:0::/64'],
  ['1::2:3:4:5:6:7', '1:0:2:3::/64'],
  ['64:ff9b::192.0.2.1', '64:ff9b:0:0::/64'],
  [undefined, 'unknown'],
])('the source of %s is %s', (address, source) => {
  expect(sourceOf(address)).toBe(source)
})

test('all addresses of a /64 are one source, and those of two are not', () => {
  const of = (prefix: string, host: number): string => sourceOf(`${prefix}:${host.toString(16)}`)
  const hosts = Array.from({ length: 100 }, (_, host) => of('2001:db8:7:1:', host * 601))
  expect(new Set(hosts).size).toBe(1)
  expect(of('2001:db8:7:2:', 1)).not.toBe(hosts[1])
})
