/** Messages between a worker and its own primary: what is written is read, and nothing else is. */
import { describe, expect, test } from 'vitest'
import { LINK_DIGESTS_MAX } from '../../../../src/shared/wire/link/limits.js'
import {
  decodeFromPrimary,
  decodeFromWorker,
  encodeFromPrimary,
  encodeFromWorker,
  type FromPrimary,
  type FromWorker,
  LINK_VERSION,
  LinkVersionError,
} from '../../../../src/shared/wire/link/messages.js'

const digest = (byte: number): Uint8Array => new Uint8Array(32).fill(byte)
const AUTHORITIES = 4

const OPEN: FromWorker = {
  type: 'open',
  version: LINK_VERSION,
  workerId: 7,
  committeeDigest: digest(1),
  storeId: new Uint8Array(16).fill(2),
  applied: 2 ** 40 + 3,
  isSettled: true,
}
const REPORT = {
  type: 'report',
  isOwn: false,
  isDelivered: true,
  author: 3,
  sequence: 2n ** 63n + 5n,
  digest: digest(9),
} as const
const FROM_WORKER: readonly FromWorker[] = [
  OPEN,
  REPORT,
  { ...REPORT, isDelivered: false },
  { ...REPORT, isOwn: true, isDelivered: false },
  { type: 'applied', count: 3 },
  { type: 'found', id: 2 ** 32 - 1, author: 0, bytes: new Uint8Array([1, 2, 3]) },
  { type: 'absent', firstKept: 2 ** 41 + 7, id: 0 },
  { type: 'ping' },
]
const FROM_PRIMARY: readonly FromPrimary[] = [
  { type: 'opened', version: LINK_VERSION, isFull: true, sequencesAfter: 2n ** 60n },
  { type: 'refused', detail: 'another committee file' },
  { type: 'taken', count: 1024 },
  { type: 'committed', digests: [digest(1), digest(2)], place: { applied: 12 } },
  { type: 'committed', digests: [digest(1)], place: { partOf: 13 } },
  { type: 'committed', digests: [], place: undefined },
  { type: 'commits' },
  { type: 'gap' },
  { type: 'replayed' },
  { type: 'synchronize', author: 2, digests: [digest(5)] },
  { type: 'room', isFull: false },
  { type: 'read', id: 5, digest: digest(6) },
  { type: 'named', isAnew: true, digests: [] },
  { type: 'named', isAnew: false, digests: [digest(3), digest(4)] },
  { type: 'unnamed', digests: [digest(3)] },
  { type: 'ping' },
]

const code = (problem: () => unknown): string | undefined => {
  try {
    problem()
    return undefined
  } catch (error) {
    return (error as { code?: string }).code ?? String(error)
  }
}

describe('messages of the link', () => {
  test('are read as they were written', () => {
    for (const message of FROM_WORKER) expect(decodeFromWorker(encodeFromWorker(message), AUTHORITIES)).toEqual(message)
    for (const message of FROM_PRIMARY) {
      expect(decodeFromPrimary(encodeFromPrimary(message), AUTHORITIES)).toEqual(message)
    }
  })

  test('are drawn as the protocol draws them', () => {
    const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex')
    expect(hex(encodeFromWorker(REPORT))).toBe(`02${'02'}${'03000000'}${'0500000000000080'}${'09'.repeat(32)}`)
    expect(hex(encodeFromWorker(OPEN))).toBe(
      `01${'02'}${'07000000'}${'01'.repeat(32)}${'02'.repeat(16)}${'0300000000010000'}${'01'}`,
    )
    expect(hex(encodeFromPrimary(FROM_PRIMARY[3]!))).toBe(
      `24${'01'}${'0c00000000000000'}${'01'.repeat(32)}${'02'.repeat(32)}`,
    )
  })

  test('that are cut off or have something behind them are refused, at each length', () => {
    const open: readonly string[] = ['found', 'committed', 'refused']
    for (const message of FROM_WORKER) {
      const bytes = encodeFromWorker(message)
      const least = message.type === 'found' ? 9 : bytes.length
      for (let length = 0; length < least; length += 1) {
        expect(code(() => decodeFromWorker(bytes.subarray(0, length), AUTHORITIES))).toBe('ERR_CODEC')
      }
      if (open.includes(message.type)) continue
      expect(code(() => decodeFromWorker(new Uint8Array([...bytes, 0]), AUTHORITIES))).toBe('ERR_CODEC')
    }
    for (const message of FROM_PRIMARY) {
      const bytes = encodeFromPrimary(message)
      if (message.type === 'refused') continue
      for (let length = 0; length < bytes.length; length += 1) {
        // A list of digests may be shorter by whole ones.
        const head = { committed: 10, named: 2, unnamed: 33 }[message.type as string]
        if (head !== undefined && length >= head && (length - head) % 32 === 0) continue
        expect(
          code(() => decodeFromPrimary(bytes.subarray(0, length), AUTHORITIES)),
          `${message.type} ${length}`,
        ).toBe('ERR_CODEC')
      }
      expect(code(() => decodeFromPrimary(new Uint8Array([...bytes, 0]), AUTHORITIES))).toBe('ERR_CODEC')
    }
  })

  test('of the other direction, or of no kind, are refused', () => {
    for (const message of FROM_PRIMARY) {
      expect(code(() => decodeFromWorker(encodeFromPrimary(message), AUTHORITIES))).toBe('ERR_CODEC')
    }
    for (const message of FROM_WORKER) {
      expect(code(() => decodeFromPrimary(encodeFromWorker(message), AUTHORITIES))).toBe('ERR_CODEC')
    }
    expect(code(() => decodeFromWorker(new Uint8Array([255]), AUTHORITIES))).toBe('ERR_CODEC')
  })

  test('that name an author, a flag or an index that there is not are refused', () => {
    const changed = (message: FromWorker, at: number, value: number): Uint8Array => {
      const bytes = encodeFromWorker(message)
      bytes[at] = value
      return bytes
    }
    expect(code(() => decodeFromWorker(changed(REPORT, 2, AUTHORITIES), AUTHORITIES))).toBe('ERR_CODEC')
    expect(code(() => decodeFromWorker(changed(REPORT, 1, 3), AUTHORITIES))).toBe('ERR_CODEC')
    // An index of a commit above 2^53.
    expect(code(() => decodeFromWorker(changed(OPEN, 1 + 1 + 4 + 32 + 16 + 7, 0xff), AUTHORITIES))).toBe('ERR_CODEC')
    const none = encodeFromWorker({ type: 'applied', count: 0 })
    expect(code(() => decodeFromWorker(none, AUTHORITIES))).toBe('ERR_CODEC')
    const place = encodeFromPrimary({ type: 'committed', digests: [], place: undefined })
    place[1] = 3
    expect(code(() => decodeFromPrimary(place, AUTHORITIES))).toBe('ERR_CODEC')
    const control = encodeFromPrimary({ type: 'refused', detail: 'x' })
    control[1] = 10
    expect(code(() => decodeFromPrimary(control, AUTHORITIES))).toBe('ERR_CODEC')
  })

  test('with more digests than a message may have are refused, and never made', () => {
    const digests = Array.from({ length: LINK_DIGESTS_MAX }, () => digest(1))
    const bytes = encodeFromPrimary({ type: 'synchronize', author: 0, digests })
    expect(decodeFromPrimary(bytes, AUTHORITIES)).toEqual({ type: 'synchronize', author: 0, digests })
    expect(code(() => decodeFromPrimary(new Uint8Array([...bytes, ...digest(1)]), AUTHORITIES))).toBe('ERR_CODEC')
    expect(() => encodeFromPrimary({ type: 'synchronize', author: 0, digests: [...digests, digest(1)] })).toThrow(
      'no more in one message',
    )
    const empty = encodeFromPrimary({ type: 'synchronize', author: 0, digests: [] })
    expect(code(() => decodeFromPrimary(empty, AUTHORITIES))).toBe('ERR_CODEC')
  })

  test('of another version are told from those that are malformed, whatever stands behind the version', () => {
    const bytes = encodeFromWorker(OPEN)
    bytes[1] = LINK_VERSION + 1
    for (const length of [2, 20, bytes.length]) {
      expect(() => decodeFromWorker(bytes.subarray(0, length), AUTHORITIES)).toThrow(LinkVersionError)
    }
    expect(() => decodeFromPrimary(new Uint8Array([33, LINK_VERSION + 1]), AUTHORITIES)).toThrow(LinkVersionError)
  })
})
