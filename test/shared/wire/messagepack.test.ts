import * as fc from 'fast-check'
import { Packr } from 'msgpackr'
import { describe, expect, test } from 'vitest'
import { MessagePackReader } from '../../../src/shared/wire/messagepack.js'

const packr = new Packr({ useRecords: false })
const codec = expect.objectContaining({ code: 'ERR_CODEC' })
const hex = (text: string): MessagePackReader => new MessagePackReader(Buffer.from(text, 'hex'))

describe('a reader of MessagePack', () => {
  test('reads what a library packs', () => {
    const values = fc.tuple(
      fc.integer({ min: 0, max: 2 ** 32 - 1 }),
      fc.bigInt({ min: 0n, max: 2n ** 53n - 1n }),
      fc.uint8Array({ maxLength: 70_000 }),
      fc.string({ unit: 'grapheme-ascii', maxLength: 300 }),
    )
    fc.assert(
      fc.property(values, ([number, bigint, bytes, text]) => {
        const reader = new MessagePackReader(packr.pack([number, bigint, bytes, text, { text }]))
        expect(reader.array('array')).toBe(5)
        expect(reader.uint('number', 2 ** 32 - 1)).toBe(number)
        expect(reader.uint('bigint', Number.MAX_SAFE_INTEGER)).toBe(Number(bigint))
        expect(reader.bin('bytes', bytes.length)).toEqual(new Uint8Array(bytes))
        expect(reader.ascii('text', 300)).toBe(text)
        expect(reader.map('map')).toBe(1)
        expect(reader.ascii('key', 4)).toBe('text')
        expect(reader.ascii('value', 300)).toBe(text)
        reader.end('array')
      }),
    )
  })

  test.each([
    ['07', 7],
    ['7f', 127],
    ['cc80', 128],
    ['cd0007', 7],
    ['ce00000007', 7],
    ['cf0000000000000007', 7],
    ['d007', 7],
    ['d10007', 7],
    ['d200000007', 7],
    ['d300000000ffffffff', 2 ** 32 - 1],
  ])('reads the integer %s', (bytes, expected) => {
    expect(hex(bytes).uint('it', 2 ** 32 - 1)).toBe(expected)
  })

  test.each([
    ['a negative fixint', 'ff'],
    ['a negative int8', 'd0ff'],
    ['a negative int64', 'd3ffffffffffffffff'],
    ['one more than may be', 'cf0000000100000000'],
    ['the greatest u64', 'cfffffffffffffffff'],
    ['a float', 'ca40e00000'],
    ['a double', 'cb401c000000000000'],
    ['nil', 'c0'],
    ['true', 'c3'],
    ['what is never used', 'c1'],
    ['an extension', 'd40107'],
    ['an array', '9107'],
    ['a string', 'a137'],
    ['a truncated integer', 'cf00000000000000'],
    ['nothing', ''],
  ])('refuses %s where an integer is due', (_, bytes) => {
    expect(() => hex(bytes).uint('it', 2 ** 32 - 1)).toThrow(codec)
  })

  test.each([
    ['a string', 'a2aabb'],
    ['one of another length', 'c401aa'],
    ['one that says more than there is', 'c6ffffffffaabb'],
    ['a typed array of msgpackr', 'c7037401aabb'],
    ['a truncated length', 'c500'],
  ])('refuses %s where a binary of two bytes is due', (_, bytes) => {
    expect(() => hex(bytes).bin('it', 2)).toThrow(codec)
  })

  test.each([
    ['a binary', 'c4026162'],
    ['more characters than may be', 'a3616263'],
    ['four billion characters', 'dbffffffff6162'],
    ['a line break', 'a20a61'],
    ['UTF-8 that is not ASCII', 'a2c3a9'],
  ])('refuses %s where two characters are due', (_, bytes) => {
    expect(() => hex(bytes).ascii('it', 2)).toThrow(codec)
  })

  test('refuses what lies behind the end', () => {
    const reader = hex('0700')
    reader.uint('it', 7)
    expect(() => reader.end('it')).toThrow(codec)
  })

  test('throws nothing else than ERR_CODEC, whatever the bytes are', () => {
    const reads: ((reader: MessagePackReader) => unknown)[] = [
      (reader) => reader.uint('it', Number.MAX_SAFE_INTEGER),
      (reader) => reader.bin('it'),
      (reader) => reader.ascii('it', 256),
      (reader) => reader.array('it'),
      (reader) => reader.map('it'),
    ]
    fc.assert(
      fc.property(
        fc.uint8Array({ maxLength: 80 }),
        fc.array(fc.constantFrom(...reads), { maxLength: 20 }),
        (bytes, all) => {
          const reader = new MessagePackReader(bytes)
          try {
            for (const read of all) read(reader)
          } catch (error) {
            expect(error).toEqual(codec)
          }
        },
      ),
    )
  })
})
