import { describe, expect, test } from 'vitest'
import { genesisDigests } from '../../../../src/shared/wire/primary/genesis.js'
import { CERTIFICATES_REQUEST_MAX, RANGE_ROUNDS_MAX } from '../../../../src/shared/wire/primary/limits.js'
import { kindOf } from '../../../../src/shared/wire/primary/record.js'
import * as requests from '../../../../src/shared/wire/primary/requests.js'

const digest = (fill: number): Uint8Array => new Uint8Array(32).fill(fill)
const changed = (bytes: Uint8Array, at: number, value: number): Uint8Array => {
  const copy = Uint8Array.from(bytes)
  copy[at] = value
  return copy
}

describe('a request by digest', () => {
  const bytes = requests.encodeCertificatesRequest([digest(2), digest(1)])

  test('is read again, its digests ascending', () => {
    expect(kindOf(bytes)).toBe('certificates-request')
    expect(requests.decodeCertificatesRequest(bytes)).toEqual([digest(1), digest(2)])
    expect(bytes).toHaveLength(16 + 64)
  })

  test.each([
    ['longer than its count says', Uint8Array.of(...bytes, 0)],
    ['shorter than its count says', bytes.subarray(0, 48)],
    ['with nothing asked for', changed(bytes.subarray(0, 16), 2, 0)],
    ['with something where zeros are', changed(bytes, 5, 1)],
    ['with a digest twice', changed(bytes, 48, 1).fill(1, 48)],
    ['with digests out of order', changed(bytes, 16, 9)],
    [
      'for more than may be asked',
      new Uint8Array(16 + 32 * (CERTIFICATES_REQUEST_MAX + 1)).fill(0).map((_, at) => [1, 4, 65][at] ?? 0),
    ],
  ])('%s is refused', (_, malformed) => {
    expect(() => requests.decodeCertificatesRequest(malformed)).toThrowError(
      expect.objectContaining({ code: 'ERR_CODEC' }),
    )
  })
})

describe('a request by range', () => {
  test('is read again', () => {
    const bytes = requests.encodeRangeRequest({ from: 7, to: 70 })
    expect(kindOf(bytes)).toBe('range-request')
    expect(requests.decodeRangeRequest(bytes)).toEqual({ from: 7, to: 70 })
  })

  test('from round 0, backwards, or of too many rounds is refused', () => {
    const bytes = requests.encodeRangeRequest({ from: 7, to: 8 })
    for (const malformed of [
      changed(bytes, 8, 0),
      changed(bytes, 16, 6),
      changed(bytes, 16, 7 + RANGE_ROUNDS_MAX),
      changed(bytes, 23, 1),
      changed(bytes, 2, 1),
    ]) {
      expect(() => requests.decodeRangeRequest(malformed)).toThrowError(expect.objectContaining({ code: 'ERR_CODEC' }))
    }
  })
})

describe('the end of an answer by range', () => {
  test('is read again, also when nothing was sent', () => {
    for (const answer of [
      { from: 7, to: 70, lowest: 1 },
      { from: 7, to: 6, lowest: 2 ** 53 - 1 },
    ]) {
      const bytes = requests.encodeRangeAnswer(answer)
      expect([kindOf(bytes), requests.decodeRangeAnswer(bytes)]).toEqual(['range-answer', answer])
    }
  })

  test('of round 0, of fewer rounds than none, or of too many is refused', () => {
    const bytes = requests.encodeRangeAnswer({ from: 7, to: 8, lowest: 1 })
    for (const malformed of [
      changed(bytes, 8, 0),
      changed(bytes, 16, 5),
      changed(bytes, 16, 7 + RANGE_ROUNDS_MAX),
      changed(bytes, 24, 0),
      changed(bytes, 2, 1),
      bytes.subarray(0, 31),
      Uint8Array.of(...bytes, 0),
    ]) {
      expect(() => requests.decodeRangeAnswer(malformed)).toThrowError(expect.objectContaining({ code: 'ERR_CODEC' }))
    }
  })
})

describe('the question how far a peer is', () => {
  test('and its answers are read again', () => {
    expect(requests.decodeHighestRequest(requests.encodeHighestRequest(2 ** 53 - 1))).toBe(2 ** 53 - 1)
    expect(requests.decodeHighest(requests.encodeHighest({ nonce: 3 }))).toEqual({ nonce: 3 })
    const certificate = Uint8Array.of(1, 3, 9)
    expect(requests.decodeHighest(requests.encodeHighest({ nonce: 3, certificate }))).toEqual({ nonce: 3, certificate })
  })

  test('with a nonce beyond 53 bits, or of another length, is refused', () => {
    const bytes = requests.encodeHighestRequest(1)
    for (const malformed of [changed(bytes, 15, 1), bytes.subarray(0, 15), Uint8Array.of(...bytes, 0)]) {
      expect(() => requests.decodeHighestRequest(malformed)).toThrowError(
        expect.objectContaining({ code: 'ERR_CODEC' }),
      )
    }
  })
})

test('genesis is another in each committee, epoch and for each author', () => {
  const all = [genesisDigests(digest(1), 0, 3), genesisDigests(digest(2), 0, 3), genesisDigests(digest(1), 1, 3)].flat()
  expect(new Set(all.map((each) => Buffer.from(each).toString('hex'))).size).toBe(9)
  expect(genesisDigests(digest(1), 0, 4).slice(0, 3)).toEqual(genesisDigests(digest(1), 0, 3))
})
