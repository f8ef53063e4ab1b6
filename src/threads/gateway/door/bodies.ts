/**
 * Bodies of requests while they come: all together hold so many bytes at most, and when they would hold more, the source that
 * holds the most loses its newest one. So a thousand that stop before their end hold no more than that, and take nothing
 * from others. Pure, but for the streams that it reads.
 */
import type { Readable } from 'node:stream'
import { NarvalError } from '../../../shared/errors.js'

/** A body on its way. */
interface Coming {
  readonly body: Readable
  bytes: number
  isEvicted: boolean
}

export class Bodies {
  private readonly bytesMax: number
  /** In the order in which they began. */
  private readonly bySource = new Map<string, Set<Coming>>()
  private held = 0

  constructor(bytesMax: number) {
    this.bytesMax = bytesMax
  }

  /** The bytes of all that are on their way. */
  get bytes(): number {
    return this.held
  }

  /**
   * @param max bytes of this one. Rejects with ERR_REQUEST_TOO_LARGE, ERR_BUSY, and ERR_REQUEST_MALFORMED for half a body
   * @param source whose it is: one that loses its body loses the connection
   */
  async read(body: Readable, max: number, source: string): Promise<Buffer> {
    const coming: Coming = { body, bytes: 0, isEvicted: false }
    const ofSource = this.bySource.get(source) ?? new Set()
    this.bySource.set(source, ofSource.add(coming))
    const chunks: Buffer[] = []
    try {
      // The answer goes out over the same socket.
      const incoming: AsyncIterable<Buffer> = body.iterator({ destroyOnReturn: false })
      for await (const chunk of incoming) {
        coming.bytes += chunk.length
        this.held += chunk.length
        if (coming.bytes > max) throw new NarvalError('ERR_REQUEST_TOO_LARGE', `a body of more than ${max} bytes`)
        this.makeRoom(coming)
        chunks.push(chunk)
      }
      return Buffer.concat(chunks, coming.bytes)
    } catch (error) {
      if (coming.isEvicted) throw this.busy()
      if (error instanceof NarvalError) throw error
      // The client is gone: nobody reads the answer, and it is no failure of ours.
      throw new NarvalError('ERR_REQUEST_MALFORMED', `the body ended before its end: ${(error as Error).message}`)
    } finally {
      this.release(coming)
      ofSource.delete(coming)
      if (ofSource.size === 0) this.bySource.delete(source)
    }
  }

  /** @throws NarvalError ERR_BUSY if it is this one that has to go */
  private makeRoom(newest: Coming): void {
    while (this.held > this.bytesMax) {
      const victim = this.ofHoarder()
      if (victim === newest) throw this.busy()
      this.release(victim)
      victim.isEvicted = true
      victim.body.destroy()
    }
  }

  /** The newest of the source that holds the most, of those that hold anything. */
  private ofHoarder(): Coming {
    let [victim, most] = [undefined as Coming | undefined, 0]
    for (const bodies of this.bySource.values()) {
      const holding = [...bodies].filter(({ bytes }) => bytes > 0)
      const bytes = holding.reduce((sum, each) => sum + each.bytes, 0)
      if (bytes > most) [victim, most] = [holding.at(-1), bytes]
    }
    return victim!
  }

  private release(coming: Coming): void {
    this.held -= coming.bytes
    coming.bytes = 0
  }

  private busy(): NarvalError {
    return new NarvalError('ERR_BUSY', `bodies of ${this.bytesMax} bytes are on their way: try again`)
  }
}
