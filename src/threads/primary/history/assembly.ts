/** Pieces that come in order, joined to a whole. */
import type { HistoryPiece } from '../../../shared/wire/primary/history.js'

export class Assembly {
  private readonly bytes: Uint8Array
  private filled = 0

  /** @param total within the limit of what is sent in pieces: the decoder has looked */
  constructor(total: number) {
    this.bytes = new Uint8Array(total)
  }

  get length(): number {
    return this.filled
  }

  /** Once all has come. */
  get whole(): Uint8Array | undefined {
    return this.filled === this.bytes.length ? this.bytes : undefined
  }

  /** False if it does not go on where the last one ended, or belongs to another whole. */
  add({ bytes, offset, total }: Pick<HistoryPiece, 'bytes' | 'offset' | 'total'>): boolean {
    if (total !== this.bytes.length || offset !== this.filled) return false
    this.bytes.set(bytes, offset)
    this.filled += bytes.length
    return true
  }
}
