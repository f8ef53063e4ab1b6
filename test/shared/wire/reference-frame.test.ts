import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { REFERENCE_FRAME_BYTES_MAX } from '../../../src/shared/constants.js'
import { encodeFrame, FrameReader } from '../../../src/shared/wire/reference-frame.js'
import { toHex } from '../../support/reference-vectors.js'

const tooLarge = expect.objectContaining({ code: 'ERR_FRAME_TOO_LARGE' })

/** The payloads in `chunks`, copied. */
function read(reader: FrameReader, chunks: readonly Uint8Array[]): Uint8Array[] {
  const payloads: Uint8Array[] = []
  for (const chunk of chunks) reader.push(chunk, (payload) => payloads.push(new Uint8Array(payload)))
  return payloads
}

test('frames cut in any pieces come out whole and in order', () => {
  const payloads = fc.array(fc.uint8Array({ maxLength: 40 }), { maxLength: 8 })
  fc.assert(
    fc.property(payloads, fc.array(fc.integer({ min: 1, max: 30 }), { minLength: 1 }), (originals, sizes) => {
      const stream = Buffer.concat(originals.map(encodeFrame))
      const chunks: Uint8Array[] = []
      for (let offset = 0, i = 0; offset < stream.length; i++) {
        const size = sizes[i % sizes.length] as number
        chunks.push(stream.subarray(offset, offset + size))
        offset += size
      }
      const reader = new FrameReader()
      expect(read(reader, chunks).map(toHex)).toEqual(originals.map(toHex))
      expect(reader.partialBytes).toBe(0)
    }),
  )
})

test('an empty frame is legal', () => {
  expect(toHex(encodeFrame(new Uint8Array(0)))).toBe('00000000')
  expect(read(new FrameReader(), [new Uint8Array(4)])).toEqual([new Uint8Array(0)])
})

test('a frame at the limit passes; one byte more is ERR_FRAME_TOO_LARGE, reading and writing', () => {
  const largest = new Uint8Array(REFERENCE_FRAME_BYTES_MAX).fill(9)
  expect(read(new FrameReader(), [encodeFrame(largest)])[0]).toHaveLength(REFERENCE_FRAME_BYTES_MAX)
  expect(() => encodeFrame(new Uint8Array(REFERENCE_FRAME_BYTES_MAX + 1))).toThrow(tooLarge)
  const prefix = Buffer.alloc(4)
  prefix.writeUInt32BE(REFERENCE_FRAME_BYTES_MAX + 1)
  expect(() => read(new FrameReader(), [prefix])).toThrow(tooLarge)
})

test('the frames before one that is too large are handed over, and the reader stays refused', () => {
  const reader = new FrameReader(3)
  const seen: string[] = []
  const stream = Buffer.from('00000001aa00000004', 'hex')
  expect(() => reader.push(stream, (payload) => seen.push(toHex(payload)))).toThrow(tooLarge)
  expect(seen).toEqual(['aa'])
  expect(() => reader.push(Buffer.from('00000001bb', 'hex'), (payload) => seen.push(toHex(payload)))).toThrow(tooLarge)
  expect(seen).toEqual(['aa'])
})

test('an error of the receiver ends the reader: what follows is not read from a lost position', () => {
  const reader = new FrameReader()
  const fail = (): never => {
    throw new Error('receiver')
  }
  expect(() => reader.push(Buffer.from('00000001aa00000001bb', 'hex'), fail)).toThrow('receiver')
  expect(() => reader.push(new Uint8Array(4), () => undefined)).toThrow('receiver')
})

test('an announced length allocates nothing; the buffer is at most twice what arrived', () => {
  const before = process.memoryUsage().arrayBuffers
  const prefix = Buffer.alloc(5)
  prefix.writeUInt32BE(REFERENCE_FRAME_BYTES_MAX)
  const readers = Array.from({ length: 64 }, () => new FrameReader())
  for (const reader of readers) read(reader, [prefix])
  const grown = process.memoryUsage().arrayBuffers - before
  expect(readers.every((reader) => reader.partialBytes === 5)).toBe(true)
  // Announced: 512 MiB.
  expect(grown).toBeLessThan(4 * 1024 * 1024)
})

test('a large frame that comes a few bytes at a time is copied a bounded number of times', () => {
  const payload = new Uint8Array(1024 * 1024).map((_, i) => i * 7)
  const stream = encodeFrame(payload)
  const reader = new FrameReader()
  let copied = 0
  const set = Uint8Array.prototype.set
  Uint8Array.prototype.set = function (source, offset) {
    copied += source.length
    set.call(this, source, offset)
  }
  const payloads: Uint8Array[] = []
  try {
    for (let offset = 0; offset < stream.length; offset += 100) {
      reader.push(stream.subarray(offset, offset + 100), (whole) => payloads.push(whole))
    }
  } finally {
    Uint8Array.prototype.set = set
  }
  expect(Buffer.compare(payloads[0] as Uint8Array, payload)).toBe(0)
  expect(copied).toBeLessThan(3 * stream.length)
})

test('a partial frame is counted, its prefix included', () => {
  const reader = new FrameReader()
  read(reader, [Buffer.from('0000', 'hex')])
  expect(reader.partialBytes).toBe(2)
  read(reader, [Buffer.from('0003aabb', 'hex')])
  expect(reader.partialBytes).toBe(6)
  expect(read(reader, [Buffer.from('cc', 'hex')]).map(toHex)).toEqual(['aabbcc'])
  expect(reader.partialBytes).toBe(0)
})
