/**
 * bincode 1.x, as the reference uses it (`bincode::serialize`, `bincode::deserialize`): little-endian integers of fixed
 * width, u64 counts before vectors and strings, u32 variant tags, nothing before a tuple, a struct or a fixed array.
 *
 * The reader takes bytes from outside: a truncated value, an unknown variant, a count that cannot fit in what remains
 * are refused with `ERR_CODEC`, before anything of their size is allocated. Bytes after the value are left alone, as the
 * reference leaves them; `consumed` says whether there were none.
 */
import assert from 'node:assert'
import { NarvalError } from '../errors.js'

export class BincodeReader {
  private readonly input: Uint8Array
  private readonly view: DataView
  private offset = 0

  constructor(bytes: Uint8Array) {
    // A plain Uint8Array over the same memory: `slice` of a Buffer would be a view, not a copy.
    this.input = new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  }

  /** Bytes not read yet. */
  get remaining(): number {
    return this.input.length - this.offset
  }

  /** Whether every byte was read. */
  get consumed(): boolean {
    return this.remaining === 0
  }

  u32(): number {
    return this.view.getUint32(this.advance(4, 'a u32'), true)
  }

  u64(): bigint {
    return this.view.getBigUint64(this.advance(8, 'a u64'), true)
  }

  /** The tag of an enum with `variants` variants, numbered from 0. */
  variant(variants: number, what: string): number {
    const tag = this.u32()
    if (tag >= variants) throw new NarvalError('ERR_CODEC', `${what}: variant ${tag}, expected less than ${variants}`)
    return tag
  }

  /** The number of items of a vector, map or set, each of at least `itemBytesMin` bytes. */
  count(itemBytesMin: number, what: string): number {
    assert(itemBytesMin > 0)
    const count = this.u64()
    const fitting = Math.floor(this.remaining / itemBytesMin)
    if (count > BigInt(fitting)) {
      throw new NarvalError('ERR_CODEC', `${what}: ${count} items, at most ${fitting} fit in ${this.remaining} bytes`)
    }
    return Number(count)
  }

  /** A fixed array of bytes, copied. */
  fixed(length: number, what: string): Uint8Array {
    const start = this.advance(length, what)
    // `slice` of a Buffer would be a view.
    return new Uint8Array(this.input.subarray(start, start + length))
  }

  /** A vector of bytes, as a view of the input. */
  bytes(what: string): Uint8Array {
    const length = this.count(1, what)
    const start = this.advance(length, what)
    return this.input.subarray(start, start + length)
  }

  /** A string of ASCII characters: the only strings of the reference are base64. */
  ascii(what: string): string {
    const bytes = this.bytes(what)
    if (bytes.some((byte) => byte > 0x7f)) throw new NarvalError('ERR_CODEC', `${what}: not ASCII`)
    return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('latin1')
  }

  private advance(length: number, what: string): number {
    const start = this.offset
    if (length > this.remaining) {
      throw new NarvalError('ERR_CODEC', `${what}: ${length} bytes expected, ${this.remaining} remain`)
    }
    this.offset = start + length
    return start
  }
}

/** Writes into one growing buffer; values out of range are our own bugs. */
export class BincodeWriter {
  private output: Buffer
  private length = 0

  constructor(sizeHint = 64) {
    this.output = Buffer.alloc(Math.max(sizeHint, 16))
  }

  u32(value: number): this {
    this.reserve(4)
    this.length = this.output.writeUInt32LE(value, this.length)
    return this
  }

  u64(value: bigint | number): this {
    this.reserve(8)
    this.length = this.output.writeBigUInt64LE(BigInt(value), this.length)
    return this
  }

  /** A fixed array: the bytes alone. */
  fixed(bytes: Uint8Array, length: number): this {
    assert.equal(bytes.length, length)
    this.reserve(length)
    this.output.set(bytes, this.length)
    this.length += length
    return this
  }

  /** A vector of bytes: their count, then they. */
  bytes(bytes: Uint8Array): this {
    return this.u64(bytes.length).fixed(bytes, bytes.length)
  }

  ascii(text: string): this {
    return this.bytes(Buffer.from(text, 'latin1'))
  }

  /** What was written, as a view of the writer's buffer. */
  finish(): Uint8Array {
    return new Uint8Array(this.output.buffer, this.output.byteOffset, this.length)
  }

  private reserve(length: number): void {
    if (this.length + length <= this.output.length) return
    const grown = Buffer.alloc(Math.max(this.output.length * 2, this.length + length))
    grown.set(this.output.subarray(0, this.length))
    this.output = grown
  }
}
