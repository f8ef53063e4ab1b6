/**
 * Bodies of requests while they come: all together hold so many bytes at most. Who would go beyond is told to come again, so
 * a thousand that stop before their end hold no more than that. Pure, but for the stream that it reads.
 */
import type { Readable } from 'node:stream'
import { NarvalError } from '../../../shared/errors.js'

export class Bodies {
  private readonly bytesMax: number
  private held = 0

  constructor(bytesMax: number) {
    this.bytesMax = bytesMax
  }

  /** The bytes of all that are on their way. */
  get bytes(): number {
    return this.held
  }

  /** @param max bytes of this one. Rejects with ERR_REQUEST_TOO_LARGE, ERR_BUSY, and ERR_REQUEST_MALFORMED for half a body */
  async read(body: Readable, max: number): Promise<Buffer> {
    const chunks: Buffer[] = []
    let length = 0
    try {
      // The answer goes out over the same socket.
      const incoming: AsyncIterable<Buffer> = body.iterator({ destroyOnReturn: false })
      for await (const chunk of incoming) {
        length += chunk.length
        this.held += chunk.length
        if (length > max) throw new NarvalError('ERR_REQUEST_TOO_LARGE', `a body of more than ${max} bytes`)
        if (this.held > this.bytesMax) {
          throw new NarvalError('ERR_BUSY', `bodies of ${this.bytesMax} bytes are on their way: try again`)
        }
        chunks.push(chunk)
      }
      return Buffer.concat(chunks, length)
    } catch (error) {
      if (error instanceof NarvalError) throw error
      // The client is gone: nobody reads the answer, and it is no failure of ours.
      throw new NarvalError('ERR_REQUEST_MALFORMED', `the body ended before its end: ${(error as Error).message}`)
    } finally {
      this.held -= length
    }
  }
}
