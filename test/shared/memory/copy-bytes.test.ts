import fc from 'fast-check'
import { expect, test } from 'vitest'
import { copyBytes } from '../../../src/shared/memory/copy-bytes.js'

const sizes = fc.oneof(fc.nat(64), fc.nat(5_000), fc.constantFrom(1023, 1024, 1025))
const memory = [ArrayBuffer, SharedArrayBuffer] as const

test('bytes are copied where they should be and nowhere else, to and from shared memory, aligned or not', () => {
  fc.assert(
    fc.property(
      fc.constantFrom(...memory),
      fc.constantFrom(...memory),
      sizes,
      fc.nat(70),
      fc.nat(70),
      (From, To, size, from, at) => {
        const source = new Uint8Array(new From(from + size), from)
        for (let i = 0; i < size; i += 1) source[i] = (i * 7 + 1) & 255
        const target = new Uint8Array(new To(at + size + 9)).fill(99)
        copyBytes(source, target, at)
        const expected = new Uint8Array(target.length).fill(99)
        expected.set(source, at)
        expect(Buffer.compare(target, expected)).toBe(0)
      },
    ),
  )
})

test.each([10, 3_000])('%i bytes that do not fit are refused, and nothing is written', (size) => {
  const target = new Uint8Array(new SharedArrayBuffer(size))
  expect(() => copyBytes(new Uint8Array(size).fill(1), target, 1)).toThrow(RangeError)
  expect(target.every((byte) => byte === 0)).toBe(true)
})
