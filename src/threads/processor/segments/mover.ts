/**
 * Moves what is left in segments that are mostly free, so that these can be filled again: batches that a Synchronize
 * named late, or that the primary was not told of, while all around them was deleted. It works when cells were released,
 * in small steps, and until segments take no more than they may (segment-allocator.ts).
 *
 * A batch is moved as it lies there, damaged or not: who reads it checks it.
 */
import { BATCH_SIZE_MAX } from '../../../shared/constants.js'
import { copyBytes } from '../../../shared/memory/copy-bytes.js'
import { pageMemory, wholePages } from '../../../shared/memory/page-memory.js'
import { MOVES_PER_STEP } from '../../../shared/store/segments/limits.js'

export interface MoverDependencies {
  /** The segment whose batches are to be moved, none of `except`; undefined if there is none. */
  readonly emptiest: (except: ReadonlySet<number>) => number | undefined
  /** Digests of the first batches in it. */
  readonly listed: (segment: number, limit: number) => readonly Uint8Array[]
  /** What lies in a batch's cell; undefined if that changes now, or cannot be read. */
  readonly read: (digest: Uint8Array, segment: number) => Uint8Array | undefined
  /** Stores the same bytes in another cell; resolves when the index names that one. */
  readonly move: (digest: Uint8Array, bytes: Uint8Array) => Promise<void>
}

export class Mover {
  private readonly dependencies: MoverDependencies
  private memory: SharedArrayBuffer | undefined
  private moving: Promise<void> = Promise.resolve()
  private isMoving = false
  /** Cells were released since the last look at what there is to move. */
  private isWoken = false
  private isStopping = false

  constructor(dependencies: MoverDependencies) {
    this.dependencies = dependencies
  }

  /** Cells were released: there may be something to move. */
  wake(): void {
    this.isWoken = true
    if (this.isMoving || this.isStopping) return
    this.isMoving = true
    this.moving = this.run()
  }

  stop(): void {
    this.isStopping = true
  }

  /** Resolves when nothing is being moved any more. */
  async ended(): Promise<void> {
    await this.moving
  }

  private async run(): Promise<void> {
    while (!this.isStopping && this.isWoken) {
      this.isWoken = false
      // What was moved, or is deleted, wakes it when its cells are released; also when that is before this ends.
      // A segment of which nothing can be moved now is passed by.
      const passed = new Set<number>()
      while (!this.isStopping) {
        const segment = this.dependencies.emptiest(passed)
        if (segment === undefined) break
        if ((await this.step(segment)) === 0) passed.add(segment)
      }
    }
    this.isMoving = false
  }

  /** Moves a few batches, as many as fit its memory; returns how many. */
  private async step(segment: number): Promise<number> {
    const { listed, move, read } = this.dependencies
    this.memory ??= pageMemory(BATCH_SIZE_MAX)
    const moves: Promise<void>[] = []
    let at = 0
    for (const digest of listed(segment, MOVES_PER_STEP)) {
      const bytes = read(digest, segment)
      if (bytes === undefined) continue
      if (at + bytes.length > this.memory.byteLength) break
      const copy = new Uint8Array(this.memory, at, bytes.length)
      copyBytes(bytes, copy, 0)
      moves.push(move(digest, copy))
      at += wholePages(bytes.length)
    }
    await Promise.all(moves)
    return moves.length
  }
}
