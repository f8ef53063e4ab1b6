/**
 * Reads the MessagePack that comes from other workers, value by value, as the caller expects them.
 *
 * It takes any form that MessagePack has for an unsigned integer, a binary, a string, an array or a map, and nothing
 * else: no floats, no nil, no booleans, no extensions, which libraries turn into objects of their own choice. Whatever is
 * not expected is refused with `ERR_CODEC`, before anything of an announced size is allocated.
 */
import { NarvalError } from '../errors.js'

/** Formats with the count in their first byte: the bits that are fixed, and those of the count. */
const FIX_UINT = { fixed: 0x00, mask: 0x7f }
const FIX_MAP = { fixed: 0x80, mask: 0x0f }
const FIX_ARRAY = { fixed: 0x90, mask: 0x0f }
const FIX_STR = { fixed: 0xa0, mask: 0x1f }

/** Formats with the count, or the integer, behind their first byte: how many bytes it takes. */
const UINT = new Map([0xcc, 0xcd, 0xce, 0xcf].map((format, at) => [format, 1 << at]))
/** Signed forms: some libraries pack every 64-bit integer so. Negative ones are refused. */
const INT = new Map([0xd0, 0xd1, 0xd2, 0xd3].map((format, at) => [format, 1 << at]))
const BIN = new Map([0xc4, 0xc5, 0xc6].map((format, at) => [format, 1 << at]))
const STR = new Map([0xd9, 0xda, 0xdb].map((format, at) => [format, 1 << at]))
const ARRAY = new Map([0xdc, 0xdd].map((format, at) => [format, 2 << at]))
const MAP = new Map([0xde, 0xdf].map((format, at) => [format, 2 << at]))

export class MessagePackReader {
  private readonly input: Buffer
  private offset = 0

  constructor(bytes: Uint8Array) {
    this.input = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  }

  /** An integer from 0 to `max`, which is at most 2^53 - 1. */
  uint(what: string, max: number): number {
    const format = this.byte(what)
    const signedBytes = INT.get(format)
    let value: bigint
    if (signedBytes !== undefined) value = BigInt.asIntN(8 * signedBytes, this.bigEndian(signedBytes, what))
    else value = this.count(format, what, 'an unsigned integer', UINT, FIX_UINT)
    if (value >= 0n && value <= BigInt(max)) return Number(value)
    throw new NarvalError('ERR_CODEC', `${what}: expected an integer from 0 to ${max}, found ${value}`)
  }

  /** A binary of this length; any, if none is given. Copied. */
  bin(what: string, length?: number): Uint8Array {
    const found = this.count(this.byte(what), what, 'a binary', BIN)
    if (length !== undefined && found !== BigInt(length)) throw malformed(what, `${length} bytes`, `${found}`)
    return new Uint8Array(this.take(found, what))
  }

  /** A string of printable ASCII: what others say goes to logs. */
  ascii(what: string, charsMax: number): string {
    const length = this.count(this.byte(what), what, 'a string', STR, FIX_STR)
    if (length > BigInt(charsMax)) throw malformed(what, `at most ${charsMax} characters`, `${length}`)
    const text = this.take(length, what).toString('latin1')
    if (/^[\x20-\x7e]*$/.test(text)) return text
    throw malformed(what, 'printable ASCII', 'other characters')
  }

  /** The number of items of an array, which follow. */
  array(what: string): number {
    return Number(this.count(this.byte(what), what, 'an array', ARRAY, FIX_ARRAY))
  }

  /** The number of pairs of a map, which follow. */
  map(what: string): number {
    return Number(this.count(this.byte(what), what, 'a map', MAP, FIX_MAP))
  }

  /** All was read. */
  end(what: string): void {
    const left = this.input.length - this.offset
    if (left > 0) throw malformed(what, 'nothing behind it', `${left} bytes more`)
  }

  private count(
    format: number,
    what: string,
    expected: string,
    long: ReadonlyMap<number, number>,
    short?: { readonly fixed: number; readonly mask: number },
  ): bigint {
    if (short !== undefined && (format & ~short.mask) === short.fixed) return BigInt(format & short.mask)
    const bytes = long.get(format)
    if (bytes === undefined) throw malformed(what, expected, `format 0x${format.toString(16).padStart(2, '0')}`)
    return this.bigEndian(bytes, what)
  }

  private byte(what: string): number {
    return this.take(1n, what)[0]!
  }

  private bigEndian(bytes: number, what: string): bigint {
    let value = 0n
    for (const byte of this.take(BigInt(bytes), what)) value = (value << 8n) | BigInt(byte)
    return value
  }

  private take(length: bigint, what: string): Buffer {
    const left = this.input.length - this.offset
    if (length > BigInt(left)) throw malformed(what, `${length} bytes`, `${left} that are left`)
    const taken = this.input.subarray(this.offset, this.offset + Number(length))
    this.offset += Number(length)
    return taken
  }
}

function malformed(what: string, expected: string, found: string): NarvalError {
  return new NarvalError('ERR_CODEC', `${what}: expected ${expected}, found ${found}`)
}
