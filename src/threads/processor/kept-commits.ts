/**
 * How far back committed batches are kept: no more commits than `commits`, no more bytes than may be taken now. Whole commits
 * go, the oldest first, so that there is always a first one that can be read whole. The last commit stays, whatever it takes.
 *
 * ```
 *  stamps:  ─── being deleted ───┤ first ─── kept: `bytes` ─────────────────── last applied ┤ uncommitted: no stamp
 *                                └─▶ moves on when there are too many commits, or bytes
 * ```
 *
 * What kill -9 leaves: `first-kept` is written before anything below it is deleted. A start counts the bytes behind it anew.
 */
import { setImmediate as nextTurn } from 'node:timers/promises'
import { decodeIndexEntry, digestOfKey, leastKey, numberOfKey, type StoreDatabases } from '../../shared/store/format.js'
import { storedBytes } from '../../shared/store/stored-bytes.js'
import { KEPT_KEYS_PER_TURN } from './limits.js'
import { encodeNumber, META_FIRST_KEPT } from './store-meta.js'
import type { StoreWrites } from './store-writes.js'

export interface KeptCommitsOptions {
  /** 0 for any number. */
  readonly commits: bigint
}

export interface KeptCommitsDependencies {
  readonly databases: Pick<StoreDatabases, 'index' | 'meta' | 'stamps'>
  readonly writes: Pick<StoreWrites, 'write'>
  /** What committed batches may take now. */
  readonly bytesMax: () => number
  /** The last commit that was applied; and the first whose batches are kept, which is moved here. */
  readonly retention: { readonly round: bigint; firstCommit: bigint }
  /** The first commit that is kept whole is another one. */
  readonly onFirst: (first: bigint) => void
}

export class KeptCommits {
  private readonly options: KeptCommitsOptions
  private readonly dependencies: KeptCommitsDependencies
  private bytesKept = 0
  /** `applied` when each write of marks began that is under way: it may stamp batches with that commit or a later one. */
  private readonly writing: bigint[] = []
  private isStopping = false
  private moving: Promise<boolean> | undefined

  constructor(options: KeptCommitsOptions, dependencies: KeptCommitsDependencies) {
    this.options = options
    this.dependencies = dependencies
  }

  /** Batches of commits below this one are deleted, or about to be. */
  get first(): bigint {
    return this.dependencies.retention.firstCommit
  }

  /** What the batches of the kept commits take. */
  get bytes(): number {
    return this.bytesKept
  }

  /** A batch of a commit, at the start. */
  restore(stamp: bigint, byteLength: number): void {
    if (stamp >= this.first) this.bytesKept += storedBytes(byteLength)
  }

  /** Batches are given a later stamp: they are kept from now on, whatever they had before. */
  renewed(stampBefore: bigint, byteLength: number): void {
    if (stampBefore < this.first) this.bytesKept += storedBytes(byteLength)
  }

  /** Batches are about to get their stamps. Returns what to call when they have them: with their bytes. */
  begin(): (bytes: number) => void {
    const at = this.dependencies.retention.round
    this.writing.push(at)
    return (bytes) => {
      this.writing.splice(this.writing.indexOf(at), 1)
      this.bytesKept += bytes
    }
  }

  /** Lets go of the oldest commits while there are too many. Resolves to whether it did; cheap if there are not. */
  async move(): Promise<boolean> {
    if (this.moving !== undefined || this.isStopping || !this.isOver) return false
    this.moving = this.moveAll()
    try {
      return await this.moving
    } finally {
      this.moving = undefined
    }
  }

  /** Leaves what is still to be done to the next run. */
  stop(): void {
    this.isStopping = true
  }

  async ended(): Promise<void> {
    await this.moving
  }

  private get isOver(): boolean {
    return this.bytesKept > this.dependencies.bytesMax() || this.firstByCommits > this.first
  }

  private async moveAll(): Promise<boolean> {
    const { databases, onFirst, writes } = this.dependencies
    const before = this.first
    while (!this.isStopping) {
      const from = this.first
      this.moveSome()
      if (this.first === from) break
      // Before the deletion of anything below it: writes come true in their order.
      const first = encodeNumber(this.first)
      void writes.write(() => databases.meta.put(META_FIRST_KEPT, first), 'stored')
      await nextTurn()
    }
    if (this.first === before) return false
    onFirst(this.first)
    return true
  }

  private get firstByCommits(): bigint {
    const { commits } = this.options
    const applied = this.dependencies.retention.round
    return commits === 0n || applied < commits ? 0n : applied - commits
  }

  /** Some commits: whole ones, since a stamp is of one, or of several that were applied together. */
  private moveSome(): void {
    const { bytesMax, databases, retention } = this.dependencies
    const byCommits = this.firstByCommits
    const end = this.writing.reduce((least, at) => (at < least ? at : least), retention.round)
    let stamp: bigint | undefined
    let [bytes, keys] = [0, 0]
    const letGo = (): void => {
      if (stamp === undefined) return
      this.bytesKept -= bytes
      bytes = 0
      retention.firstCommit = stamp + 1n
    }
    for (const key of databases.stamps.getKeys({ start: leastKey(this.first), end: leastKey(end) })) {
      const found = numberOfKey(key)
      if (found !== stamp) {
        letGo()
        if (keys >= KEPT_KEYS_PER_TURN) return
        if (this.bytesKept <= bytesMax() && found >= byCommits) break
        stamp = found
      }
      keys += 1
      const value = databases.index.getBinary(digestOfKey(key))
      if (value !== undefined) bytes += storedBytes(decodeIndexEntry(value).byteLength)
    }
    if (bytes > 0) letGo()
    const first = byCommits < end ? byCommits : end
    if (first > this.first) retention.firstCommit = first
  }
}
