import { readFileSync } from 'node:fs'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { ACK_BYTES } from '../../../src/shared/constants.js'
import {
  ACK_LEVELS,
  ACK_STATUSES,
  type AckLevelCode,
  type AckStatusCode,
  isInMask,
  peerMask,
  readAck,
  writeAck,
} from '../../../src/shared/wire/ack.js'

const digest = new Uint8Array(32).map((_, i) => 200 - i)
const u64 = fc.bigInt({ min: 0n, max: 2n ** 64n - 1n })
const level = fc.constantFrom(...Object.values(ACK_LEVELS))
const status = fc.constantFrom(...Object.values(ACK_STATUSES))

function record(of: AckStatusCode = ACK_STATUSES.ok): Uint8Array {
  const bytes = new Uint8Array(ACK_BYTES)
  writeAck(bytes, 0, 0x0807060504030201n, digest, ACK_LEVELS.durable, of)
  return bytes
}

describe('an ACK record', () => {
  it('has every field where the drawing says', () => {
    const hex = Buffer.from(digest).toString('hex')
    expect(Buffer.from(record()).toString('hex')).toBe(`0102030405060708${hex}0200${'00'.repeat(6)}`)
    const used = new Uint8Array(ACK_BYTES)
    writeAck(used, 0, 0x0807060504030201n, digest, ACK_LEVELS.durable, ACK_STATUSES.ok, 1000)
    expect(Buffer.from(used).toString('hex')).toBe(`0102030405060708${hex}0200e803${'00'.repeat(4)}`)
  })

  it('is read as it was written, anywhere in a larger buffer', () => {
    const bytes32 = fc.uint8Array({ minLength: 32, maxLength: 32 })
    fc.assert(
      fc.property(u64, bytes32, level, status, fc.nat(60), fc.boolean(), (sequence, of, at, code, offset, shared) => {
        const length = offset + ACK_BYTES + 9
        const bytes = new Uint8Array(shared ? new SharedArrayBuffer(length) : new ArrayBuffer(length)).fill(0xee)
        writeAck(bytes, offset, sequence, of, at, code)
        const read = readAck(bytes, offset)
        expect(read.ok && read.ack.sequence).toBe(sequence)
        expect(read.ok && [...read.ack.digest]).toEqual(code === ACK_STATUSES.ok ? [...of] : new Array(32).fill(0))
        expect(read.ok && read.ack.level).toBe(at)
        expect(read.ok && read.ack.status).toBe(code)
        // Nothing beside the record is touched.
        expect(bytes.subarray(0, offset).every((byte) => byte === 0xee)).toBe(true)
        expect(bytes.subarray(offset + ACK_BYTES).every((byte) => byte === 0xee)).toBe(true)
      }),
    )
  })

  it('with an unknown level is refused', () => {
    for (let code = 0; code < 256; code += 1) {
      const bytes = record()
      bytes[40] = code
      const read = readAck(bytes, 0)
      expect(read.ok ? read.ack.level : read.reason).toBe(code === 1 || code === 2 ? code : 'unknown-level')
    }
  })

  it('with an unknown status is refused', () => {
    for (let code = 0; code < 256; code += 1) {
      const bytes = record()
      bytes[41] = code
      const read = readAck(bytes, 0)
      expect(read.ok ? read.ack.status : read.reason).toBe(code <= 3 ? code : 'unknown-status')
    }
  })

  it('with anything in the reserved bytes is refused', () => {
    for (let at = 44; at < 48; at += 1) {
      const bytes = record()
      bytes[at] = 1
      expect(readAck(bytes, 0)).toEqual({ ok: false, reason: 'reserved' })
    }
  })

  it('that says more of a share than there is of it is refused', () => {
    for (const [low, high, used] of [
      [0xe8, 3, 1000],
      [0xe9, 3, undefined],
      [0, 0xff, undefined],
    ] as const) {
      const bytes = record()
      bytes[42] = low
      bytes[43] = high
      const read = readAck(bytes, 0)
      expect(read.ok ? read.ack.used : read.reason).toBe(used ?? 'used-beyond-all')
    }
  })

  it('that is cut is refused', () => {
    expect(readAck(record().subarray(0, 47), 0)).toEqual({ ok: false, reason: 'truncated' })
    expect(readAck(record(), 1)).toEqual({ ok: false, reason: 'truncated' })
    expect(readAck(new Uint8Array(), 0)).toEqual({ ok: false, reason: 'truncated' })
  })

  it('that we would write wrongly is our own bug', () => {
    const out = new Uint8Array(ACK_BYTES)
    expect(() => writeAck(out, 1, 1n, digest, 1, 0)).toThrow(/room/)
    expect(() => writeAck(out, 0, 1n, digest.subarray(1), 1, 0)).toThrow(/32 bytes/)
    expect(() => writeAck(out, 0, 1n, digest, 0 as AckLevelCode, 0)).toThrow(/known/)
    expect(() => writeAck(out, 0, 1n, digest, 1, 4 as AckStatusCode)).toThrow(/known/)
  })

  interface Vector {
    name: string
    sequence: string
    digest: string
    level: AckLevelCode
    status: AckStatusCode
    record: string
  }
  const vectors = JSON.parse(readFileSync(new URL('../../vectors/batch.json', import.meta.url), 'utf8')) as {
    acks: Vector[]
  }

  it.each(vectors.acks)('$name is the recorded one', (vector) => {
    const bytes = new Uint8Array(ACK_BYTES)
    writeAck(bytes, 0, BigInt(vector.sequence), Buffer.from(vector.digest, 'hex'), vector.level, vector.status)
    expect(Buffer.from(bytes).toString('hex')).toBe(vector.record)
    expect(readAck(Buffer.from(vector.record, 'hex'), 0).ok).toBe(true)
  })
})

describe('a peer mask', () => {
  it('holds exactly the authorities that were put in', () => {
    fc.assert(
      fc.property(fc.uniqueArray(fc.nat(255)), (peers) => {
        const mask = peerMask(peers)
        expect(mask.length).toBe(32)
        for (let peer = 0; peer < 256; peer += 1) expect(isInMask(mask, peer)).toBe(peers.includes(peer))
      }),
    )
  })

  it('has bit i % 8 of byte i / 8 for authority i', () => {
    expect([...peerMask([0, 9, 255])].map((byte, at) => [at, byte]).filter(([, byte]) => byte !== 0)).toEqual([
      [0, 1],
      [1, 2],
      [31, 128],
    ])
  })

  it('of somebody outside any committee is our own bug', () => {
    for (const peer of [-1, 256, 1.5]) expect(() => peerMask([peer])).toThrow(/authority index/)
  })
})
