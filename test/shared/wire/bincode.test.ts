import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { BincodeReader, BincodeWriter } from '../../../src/shared/wire/bincode.js'
import {
  decodePrimaryWorkerMessage,
  decodeWorkerPrimaryMessage,
  encodePrimaryWorkerMessage,
  encodeWorkerPrimaryMessage,
  type PrimaryWorkerMessage,
  readPrimaryWorkerMessage,
} from '../../../src/shared/wire/primary-messages.js'
import { fromHex, toHex, vectors } from '../../support/reference-vectors.js'

const codec = expect.objectContaining({ code: 'ERR_CODEC' })
const digest = fc.uint8Array({ minLength: 32, maxLength: 32 })
const message: fc.Arbitrary<PrimaryWorkerMessage> = fc.oneof(
  fc.record({ type: fc.constant('Cleanup' as const), round: fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }) }),
  fc.record({ type: fc.constant('Synchronize' as const), digests: fc.array(digest, { maxLength: 5 }), target: digest }),
)

describe('the writer and the reader', () => {
  test('agree on every primitive, and the reader knows when nothing is left', () => {
    const written = new BincodeWriter(1)
      .u32(0xfffffffe)
      .u64(2n ** 64n - 1n)
      .fixed(fromHex('0102'), 2)
      .bytes(new Uint8Array(100).fill(7))
      .ascii('abc')
      .finish()
    const reader = new BincodeReader(written)
    expect(reader.u32()).toBe(0xfffffffe)
    expect(reader.u64()).toBe(2n ** 64n - 1n)
    expect(toHex(reader.fixed(2, 'x'))).toBe('0102')
    expect(reader.bytes('x')).toEqual(new Uint8Array(100).fill(7))
    expect(reader.consumed).toBe(false)
    expect(reader.ascii('x')).toBe('abc')
    expect(reader.consumed).toBe(true)
  })

  test('a fixed array read from a Buffer is a copy: it outlives the buffer’s next use', () => {
    const buffer = Buffer.from('0102', 'hex')
    const fixed = new BincodeReader(buffer).fixed(2, 'x')
    buffer.fill(0)
    expect(toHex(fixed)).toBe('0102')
  })

  test('a value over its integer’s range is our own bug', () => {
    expect(() => new BincodeWriter().u32(2 ** 32)).toThrow(RangeError)
    expect(() => new BincodeWriter().u64(-1)).toThrow(RangeError)
    expect(() => new BincodeWriter().fixed(new Uint8Array(31), 32)).toThrow(/31/)
  })

  test('a count that cannot fit is refused before anything of its size is allocated', () => {
    const bytes = new BincodeWriter()
      .u64(2n ** 64n - 1n)
      .fixed(new Uint8Array(64), 64)
      .finish()
    expect(() => new BincodeReader(bytes).count(1, 'x')).toThrow(codec)
    expect(() => new BincodeReader(bytes).bytes('x')).toThrow(codec)
    const three = new BincodeWriter().u64(3).fixed(new Uint8Array(64), 64).finish()
    expect(() => new BincodeReader(three).count(32, 'x')).toThrow(codec)
    expect(new BincodeReader(three).count(21, 'x')).toBe(3)
  })

  test('a string that is not ASCII is refused with ERR_CODEC', () => {
    expect(() => new BincodeReader(new BincodeWriter().bytes(fromHex('c3a9')).finish()).ascii('x')).toThrow(codec)
  })
})

describe('messages of the primary link', () => {
  test('survive a round trip', () => {
    fc.assert(
      fc.property(message, (original) => {
        expect(decodePrimaryWorkerMessage(encodePrimaryWorkerMessage(original))).toEqual(original)
      }),
    )
    fc.assert(
      fc.property(
        fc.constantFrom('OurBatch' as const, 'OthersBatch' as const),
        digest,
        fc.nat(),
        (type, of, workerId) => {
          const original = { type, digest: of, workerId }
          expect(decodeWorkerPrimaryMessage(encodeWorkerPrimaryMessage(original))).toEqual(original)
        },
      ),
    )
  })

  const encodings = [
    [vectors.worker_primary.our_batch.encoded, decodeWorkerPrimaryMessage],
    [vectors.primary_worker.synchronize.encoded, decodePrimaryWorkerMessage],
    [vectors.primary_worker.cleanup.encoded, decodePrimaryWorkerMessage],
  ] as const

  test('truncated anywhere are refused with ERR_CODEC', () => {
    for (const [encoded, decode] of encodings) {
      const bytes = fromHex(encoded)
      for (let length = 0; length < bytes.length; length++) {
        expect(() => decode(bytes.subarray(0, length))).toThrow(codec)
      }
    }
  })

  test('with trailing bytes are accepted, as the reference does, and the reader tells', () => {
    const bytes = fromHex(`${vectors.primary_worker.cleanup.encoded}00`)
    expect(decodePrimaryWorkerMessage(bytes)).toEqual({ type: 'Cleanup', round: 50n })
    const reader = new BincodeReader(bytes)
    readPrimaryWorkerMessage(reader)
    expect(reader.consumed).toBe(false)
    expect(reader.remaining).toBe(1)
  })

  test('of an unknown variant are refused with ERR_CODEC', () => {
    for (const [encoded, decode] of encodings) {
      expect(() => decode(fromHex(`02000000${encoded.slice(8)}`))).toThrow(codec)
      expect(() => decode(fromHex(`00000001${encoded.slice(8)}`))).toThrow(codec)
    }
  })

  test('with a public key that is another spelling, or of another length, are refused with ERR_CODEC', () => {
    const withKey = (text: string): Uint8Array => new BincodeWriter().u32(0).u64(0).ascii(text).finish()
    const name = 'gTl3Dqh9F19Wo1Rmw0x+zMuNipG07jeiXfYPW4/Js5Q='
    expect(vectors.keys[1]!.name_base64).toBe(name)
    expect(decodePrimaryWorkerMessage(withKey(name))).toMatchObject({ type: 'Synchronize', digests: [] })
    const unpadded = name.slice(0, 43)
    const urlSafe = [name.replace('/', '_'), name.replace('+', '-')]
    const spareBits = name.replace('Q=', 'R=')
    const lengths = ['', `${name}AAAA`, name.slice(0, 40), 'A'.repeat(44), ' '.repeat(44)]
    for (const text of [unpadded, ...urlSafe, spareBits, ...lengths]) {
      expect(() => decodePrimaryWorkerMessage(withKey(text)), text).toThrow(codec)
    }
  })

  test('made of any bytes whatever are decoded or refused with ERR_CODEC, and nothing else happens', () => {
    const check = (bytes: Uint8Array): void => {
      try {
        decodePrimaryWorkerMessage(bytes)
      } catch (error) {
        expect(error).toEqual(codec)
      }
    }
    const tagged = fc.tuple(fc.constantFrom('00000000', '01000000'), fc.uint8Array({ maxLength: 100 }))
    fc.assert(fc.property(fc.uint8Array({ maxLength: 100 }), check))
    fc.assert(fc.property(tagged, ([tag, rest]) => check(Buffer.concat([fromHex(tag), rest]))))
  })
})
