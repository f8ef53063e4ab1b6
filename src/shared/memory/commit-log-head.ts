/**
 * The index of the last commit that is on the disk, in shared memory: readers of the log in other threads of the process
 * wait for it to move, and look into the store then.
 *
 * ```
 *  0                    4
 *  ├─ index mod 2^32 ───┤
 *    the primary's thread
 * ```
 */
import { assert } from '../assert.js'

export const COMMIT_LOG_HEAD_BYTES = 4

/** Longer than any timer that somebody would look at: it only keeps the thread alive. */
const ALIVE_MS = 2 ** 30

export class CommitLogHead {
  private readonly word: Int32Array
  /** There is one wait at most, whoever wants to know: one that is given up could not be taken back. */
  private waiting: { readonly seen: number; readonly moved: Promise<void> } | undefined

  constructor(buffer: SharedArrayBuffer, byteOffset = 0) {
    assert(byteOffset % COMMIT_LOG_HEAD_BYTES === 0, 'a word')
    this.word = new Int32Array(buffer, byteOffset, 1)
  }

  /** Writer: the log has this many commits on the disk. */
  advance(index: number): void {
    Atomics.store(this.word, 0, index | 0)
    Atomics.notify(this.word, 0)
  }

  /** Reader: to be read before the store is, and handed to `moved` after. */
  get seen(): number {
    return Atomics.load(this.word, 0)
  }

  /** Reader: resolves when the log has moved since `seen`, or the signal is aborted. */
  async moved(seen: number, signal?: AbortSignal): Promise<void> {
    if (signal?.aborted || this.seen !== seen) return
    const alive = setInterval(() => {}, ALIVE_MS)
    let onAbort = (): void => {}
    const aborted = new Promise<void>((resolve) => {
      onAbort = resolve
    })
    signal?.addEventListener('abort', onAbort, { once: true })
    try {
      await Promise.race([this.wait(seen), aborted])
    } finally {
      clearInterval(alive)
      signal?.removeEventListener('abort', onAbort)
    }
  }

  private wait(seen: number): Promise<void> {
    if (this.waiting?.seen === seen) return this.waiting.moved
    const wait = Atomics.waitAsync(this.word, 0, seen)
    if (!wait.async) return Promise.resolve()
    const moved = wait.value.then(() => {
      if (this.waiting?.moved === moved) this.waiting = undefined
    })
    this.waiting = { seen, moved }
    return moved
  }
}
