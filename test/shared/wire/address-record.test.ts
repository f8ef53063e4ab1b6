/** Signed addresses: what is believed of a record that anybody may have handed over. */
import { describe, expect, test } from 'vitest'
import { committeeDigest, parseCommittee } from '../../../src/shared/config/committee.js'
import { keysOf } from '../../../src/shared/config/keys.js'
import {
  ADDRESS_RECORD_ADDRESSES_MAX,
  ADDRESS_RECORD_AGE_MS_MAX,
  ADDRESS_RECORD_BYTES_MAX,
  HELLO_AHEAD_MS_MAX,
  HELLO_STRING_CHARS_MAX,
} from '../../../src/shared/constants.js'
import { signer } from '../../../src/shared/crypto/ed25519.js'
import {
  type AddressRecord,
  addressKey,
  checkAddressRecord,
  decodeAddressRecord,
  encodeAddressRecord,
} from '../../../src/shared/wire/address-record.js'
import { encodeHello } from '../../../src/shared/wire/hello.js'

const keys = [1, 2, 3].map((byte) => keysOf(new Uint8Array(32).fill(byte)))
const committeeOf = (count: number) =>
  parseCommittee({
    authorities: Object.fromEntries(
      keys.slice(0, count).map(({ name }) => [name, { stake: 1, primary: {}, workers: { 0: {}, 4: {} } }]),
    ),
  })
const committee = committeeOf(2)
const digest = committeeDigest(committee)
const NOW_MS = 1_800_000_000_000
const [own] = keys as [(typeof keys)[0]]

const record: AddressRecord = {
  authority: own.publicKey,
  role: 4,
  peerId: '12D3KooWFShmq7tubCxTEG3vfwb7ZHWWk1GF3LT9hcPGr18rjdfw',
  addresses: ['/ip4/10.0.0.1/tcp/4001', '/ip6/fd00::1/tcp/4001'],
  committeeDigest: digest,
  timeMs: NOW_MS,
}
const signed = (changes: Partial<AddressRecord> = {}, by = own): Uint8Array =>
  encodeAddressRecord({ ...record, ...changes }, signer(by.seed))
const keyOf = ({ authority, committeeDigest, role }: AddressRecord): Uint8Array =>
  addressKey(committeeDigest, authority, role)
const check = (bytes: Uint8Array, key = keyOf(record)) =>
  checkAddressRecord(bytes, { committee, committeeDigest: digest, key, nowMs: NOW_MS })

test('a record is read as it was written, by a worker and by a primary', () => {
  expect(check(signed())).toEqual({ ok: true, index: committee.indexOf(own.publicKey), record })
  const primary = { ...record, role: 'primary' as const }
  expect(check(signed(primary), keyOf(primary))).toMatchObject({ ok: true, record: primary })
})

test('each node of each committee has a key of its own', () => {
  const all = [0, 4, 0xffff_ffff, 'primary' as const].flatMap((role) =>
    keys.flatMap(({ publicKey }) =>
      [digest, committeeDigest(committeeOf(3))].map((each) =>
        Buffer.from(addressKey(each, publicKey, role)).toString(),
      ),
    ),
  )
  expect(new Set(all).size).toBe(24)
  expect(all.every((key) => /^\/narval\/[\da-f]{64}$/.test(key))).toBe(true)
})

describe('refused is', () => {
  const changed = (at: number): Uint8Array => signed().map((byte, index) => (index === at ? byte ^ 1 : byte))
  const other = committeeDigest(committeeOf(3))
  test.each([
    ['a record of somebody else’s key', signed({}, keys[1]!), 'bad-signature'],
    [
      'one of an authority outside the committee',
      signed({ authority: keys[2]!.publicKey }, keys[2]!),
      'not-in-committee',
    ],
    ['one of a worker that there is not', signed({ role: 1 }), 'unknown-worker'],
    ['one of another committee', signed({ committeeDigest: other }), 'wrong-committee'],
    ['one under the key of another node', signed({ role: 0 }), 'wrong-key'],
    ['one that is too old', signed({ timeMs: NOW_MS - ADDRESS_RECORD_AGE_MS_MAX - 1 }), 'too-old'],
    ['one from the future', signed({ timeMs: NOW_MS + HELLO_AHEAD_MS_MAX + 1 }), 'time-ahead'],
    ['one that is cut off', signed().subarray(0, -1), 'malformed'],
    ['nothing', new Uint8Array(0), 'malformed'],
    ['one with a changed signature', changed(signed().length - 1), 'bad-signature'],
    ['one that is too large', new Uint8Array(ADDRESS_RECORD_BYTES_MAX + 1), 'malformed'],
  ])('%s', (_, bytes, reason) => {
    expect(check(bytes)).toMatchObject({ ok: false, reason })
  })

  test('a hello, which the authority has signed as well', () => {
    const hello = encodeHello(
      { ...record, workerId: 4, protocolVersion: 1, nodeVersion: 'v', batchBytesMax: 1, ackLevel: 1 },
      signer(own.seed),
    )
    expect(check(hello)).toMatchObject({ ok: false, reason: 'malformed' })
  })

  test('no byte of a record may be changed', () => {
    const whole = signed()
    for (let at = 0; at < whole.length; at += 1) {
      const bytes = whole.map((byte, index) => (index === at ? byte ^ 1 : byte))
      expect(check(bytes).ok, `byte ${at}`).toBe(false)
    }
  })
})

test('the largest record fits, and one address more does not', () => {
  const address = '/'.padEnd(HELLO_STRING_CHARS_MAX, 'a')
  const addresses = (count: number): string[] => Array.from({ length: count }, () => address)
  const largest = signed({ peerId: address, addresses: addresses(ADDRESS_RECORD_ADDRESSES_MAX) })
  expect(decodeAddressRecord(largest).record.addresses).toHaveLength(ADDRESS_RECORD_ADDRESSES_MAX)
  expect(() => signed({ addresses: addresses(ADDRESS_RECORD_ADDRESSES_MAX + 1) })).toThrow(
    'addresses: expected at most',
  )
})
