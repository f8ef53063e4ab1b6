/**
 * What each authority's batches take of the store, and its share: written by the processor, read by main for metrics.
 * Float64s, two for each authority, by its index: bytes stored, bytes of its share.
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

  stored(author: number): number {
    return this.rows[2 * author]!
  }

  share(author: number): number {
    return this.rows[2 * author + 1]!
  }

  set(author: number, stored: number, share: number): void {
    this.rows[2 * author] = stored
    this.rows[2 * author + 1] = share
  }
}
