/**
 * What counts in each authority's share of the store, and that share: written by the processor, read by main for metrics.
 * Float64s, two for each authority, by its index: bytes that count, bytes of its share.
 */
export interface AuthorBytesRegion {
  readonly buffer: SharedArrayBuffer
  readonly byteOffset: number
  readonly authorities: number
}

const BYTES_PER_AUTHORITY = 16

export function authorBytesBytes(authorities: number): number {
  return authorities * BYTES_PER_AUTHORITY
}

export class AuthorBytes {
  private readonly rows: Float64Array

  constructor({ authorities, buffer, byteOffset }: AuthorBytesRegion) {
    this.rows = new Float64Array(buffer, byteOffset, 2 * authorities)
  }

  counted(author: number): number {
    return this.rows[2 * author]!
  }

  share(author: number): number {
    return this.rows[2 * author + 1]!
  }

  set(author: number, counted: number, share: number): void {
    this.rows[2 * author] = counted
    this.rows[2 * author + 1] = share
  }
}
