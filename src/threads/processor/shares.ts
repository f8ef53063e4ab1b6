/**
 * Whose batches the store takes: each author has a share of it, so that one that floods fills its own share only.
 *
 * ```
 *  store_bytes_max
 *  ├ reserve ──────────────┼ fetched: 1/8 ┼ shares, by stake ─────────────────────────────────────┤
 *    own batches under way   by digest      author 0 │ author 1 │ ourselves │ author 3
 * ```
 *
 * Shares are by stake because faults are bounded by stake: the faulty authorities together fill less than a third of the
 * shares, however many names they go by. Nothing can be taken back from an author before Cleanup, so no share is lent.
 *
 * - A batch that its author sends is refused with `quota` beyond the author's share.
 * - A batch that was asked for by digest is taken beyond all shares: the header of another authority names it.
 * - Our own share decides when clients wait. Own batches that are under way then go into the reserve.
 *
 * Pure: it counts what it is told of (`add`), at boot from a walk over the store's index and then with every write and
 * deletion. It has nothing to lose in a crash.
 */
import assert from 'node:assert'
import { FETCH_PART, SHARE_BATCHES_MIN } from './limits.js'

export interface SharesOptions {
  /** Stake by authority index. */
  readonly stakes: readonly number[]
  readonly ownIndex: number
  readonly storeBytesMax: number
  /** What the own batches that are under way may take. */
  readonly reserveBytes: number
  /** What one batch of the largest size takes. */
  readonly batchStoredBytesMax: number
}

export class Shares {
  /** Bytes of each author's share, by authority index. */
  readonly shares: readonly number[]
  private readonly options: SharesOptions
  private readonly stored: number[]
  private totalBytes = 0

  constructor(options: SharesOptions) {
    const { batchStoredBytesMax, stakes } = options
    this.options = options
    this.stored = stakes.map(() => 0)
    const forShares = this.budget * (1 - 1 / FETCH_PART)
    const stakeTotal = stakes.reduce((sum, stake) => sum + stake, 0)
    this.shares = stakes.map((stake) =>
      Math.max(Math.floor((forShares * stake) / stakeTotal), SHARE_BATCHES_MIN * batchStoredBytesMax),
    )
  }

  /** Bytes of all stored batches, those of authors included that are not in the committee any more. */
  get total(): number {
    return this.totalBytes
  }

  of(author: number): number {
    return this.stored[author]!
  }

  /** So many bytes of an author's are stored, or gone if they are negative; -1 is an author that is not in the committee. */
  add(author: number, bytes: number): void {
    this.totalBytes += bytes
    assert(this.totalBytes >= 0, 'no more is deleted than was stored')
    if (author !== -1) this.stored[author]! += bytes
  }

  /** Whether a batch of another author is taken, and why not. */
  admit(author: number, bytes: number, fetched: boolean): 'ok' | 'quota' | 'store-full' {
    if (!fetched && this.of(author) + bytes > this.shares[author]!) return 'quota'
    return bytes > this.room ? 'store-full' : 'ok'
  }

  /** Bytes that batches which were asked for may still take. */
  get room(): number {
    return Math.max(0, this.budget - this.totalBytes + this.ownInReserve)
  }

  /** No more own batches are to be begun: clients wait. Those under way have room. */
  get isFullForOwn(): boolean {
    const { batchStoredBytesMax, ownIndex } = this.options
    return this.of(ownIndex) + batchStoredBytesMax > this.shares[ownIndex]! || this.room === 0
  }

  /** Why the shares are smaller than they should be; undefined if they are not. */
  get problem(): string | undefined {
    const { reserveBytes, storeBytesMax } = this.options
    const sum = this.shares.reduce((bytes, share) => bytes + share, 0)
    if (sum <= this.budget) return undefined
    return `store_bytes_max is ${storeBytesMax}: too small for ${SHARE_BATCHES_MIN} batches of each authority, so one can keep others out; raise it to ${sum + reserveBytes}`
  }

  private get budget(): number {
    return this.options.storeBytesMax - this.options.reserveBytes
  }

  /** Of the own batches, what is beyond our share: it was under way when that was full. */
  private get ownInReserve(): number {
    const { ownIndex, reserveBytes } = this.options
    return Math.min(reserveBytes, Math.max(0, this.of(ownIndex) - this.shares[ownIndex]!))
  }
}
