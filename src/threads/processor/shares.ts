/**
 * Whose batches the store takes: each author has a share of it, so that one that floods fills its own share only.
 *
 * ```
 *  under a narval primary: store_bytes_max
 *  ├ reserve ──────────────┼ fetched: 1/16 ┼ shares: 1/8, by stake ─────────────────────┼ the rest ──────────────────┤
 *    own batches under way   by digest       unnamed: author 0 │ author 1 │ … │ ourselves  named, then committed
 *
 *  under another one
 *  ├ reserve ──────────────┼ fetched: 1/8 ┼ shares, by stake ─────────────────────────────────────┤
 *    own batches under way   by digest      all that is stored: author 0 │ author 1 │ … │ ourselves
 * ```
 *
 * Shares are by stake because faults are bounded by stake: the faulty authorities together fill less than a third of the
 * shares, however many names they go by. Nothing can be taken back from an author before it is named, or before Cleanup
 * where nobody names anything, so no share is lent.
 *
 * - A batch that its author sends is refused with `quota` beyond the author's share.
 * - A batch that was asked for by digest is taken beyond all shares: the header of another authority names it. That may be
 *   the header of a liar, which gets no vote: so what is unnamed has the part for what is fetched beside the shares, no more.
 * - Our own share decides when clients wait. Own batches that are under way then go into the reserve.
 * - What is committed gives way: it takes what all the others leave (kept-commits.ts).
 *
 * The sum is checked at the start (`problem`). What is named is at most what headers of `gc_depth` rounds list, since further
 * ones list nothing; so it is told here, and not counted on to be less.
 *
 * Pure: it counts what it is told of (`add`), at boot from a walk over the store's index and then with every write and
 * deletion. It has nothing to lose in a crash.
 */
import assert from 'node:assert'
import type { LifetimeOptions } from '../../shared/memory/dialogue/processor.js'
import type { Lifetime } from './lifetimes.js'
import { COMMITTED_SLACK_PART, FETCH_PART, FETCH_PART_OF_UNNAMED, SHARE_BATCHES_MIN, SHARES_PART } from './limits.js'

export interface SharesOptions {
  /** Stake by authority index. */
  readonly stakes: readonly number[]
  readonly ownIndex: number
  readonly storeBytesMax: number
  /** What the own batches that are under way may take. */
  readonly reserveBytes: number
  /** What one batch of the largest size takes. */
  readonly batchStoredBytesMax: number
  /** Given where the primary says what is named and what is committed. */
  readonly lifetime?: LifetimeOptions | undefined
}

export class Shares {
  /** Bytes of each author's share, by authority index. */
  readonly shares: readonly number[]
  private readonly options: SharesOptions
  /** By authority index: what counts in its share. */
  private readonly counted: number[]
  private readonly fetchBytes: number
  private readonly bytes: Record<Lifetime, number> = { unnamed: 0, named: 0, committed: 0 }

  constructor(options: SharesOptions) {
    const { batchStoredBytesMax, lifetime, stakes } = options
    this.options = options
    this.counted = stakes.map(() => 0)
    this.fetchBytes = Math.floor(this.budget / (lifetime === undefined ? FETCH_PART : FETCH_PART_OF_UNNAMED))
    const forShares = lifetime === undefined ? this.budget * (1 - 1 / FETCH_PART) : this.budget / SHARES_PART
    const stakeTotal = stakes.reduce((sum, stake) => sum + stake, 0)
    this.shares = stakes.map((stake) =>
      Math.max(Math.floor((forShares * stake) / stakeTotal), SHARE_BATCHES_MIN * batchStoredBytesMax),
    )
  }

  /** Bytes of all stored batches, those of authors included that are not in the committee any more. */
  get total(): number {
    const { committed, named, unnamed } = this.bytes
    return unnamed + named + committed
  }

  /** Of these, the ones in this part of their lives. */
  in(lifetime: Lifetime): number {
    return this.bytes[lifetime]
  }

  /** What counts in the author's share. */
  of(author: number): number {
    return this.counted[author]!
  }

  /**
   * So many bytes of an author's are stored, or gone if they are negative; -1 is an author that is not in the committee.
   * Where nobody says what is named and what is committed, all is unnamed.
   */
  add(author: number, bytes: number, lifetime: Lifetime = 'unnamed'): void {
    this.bytes[lifetime] += bytes
    assert(this.bytes[lifetime] >= 0, 'no more is deleted than was stored')
    if (author !== -1 && lifetime === 'unnamed') this.counted[author]! += bytes
  }

  /** Whether a batch of another author is taken, and why not. */
  admit(author: number, bytes: number, fetched: boolean): 'ok' | 'quota' | 'store-full' {
    const beyond = this.beyond(author, bytes)
    if (beyond > 0 && !(fetched && this.mayFetch(author, beyond))) return 'quota'
    return bytes > this.room ? 'store-full' : 'ok'
  }

  /** Bytes that batches which were asked for may still take. */
  get room(): number {
    return Math.max(0, this.budget - this.total + this.ownInReserve)
  }

  /** No more own batches are to be begun: clients wait. Those under way have room. */
  get isFullForOwn(): boolean {
    const { batchStoredBytesMax, ownIndex } = this.options
    return this.of(ownIndex) + batchStoredBytesMax > this.shares[ownIndex]! || this.room === 0
  }

  /**
   * How much of its share an author has used, in thousandths, and 1,000 when another batch would not fit; 0 where a share is
   * nothing that an author could keep clear of.
   */
  usedOf(author: number): number {
    if (this.options.lifetime === undefined) return 0
    const room = this.shares[author]! - this.options.batchStoredBytesMax
    return Math.min(1000, Math.ceil((1000 * this.of(author)) / room))
  }

  /**
   * What committed batches may take: what the others leave, but for a part that is kept clear for what comes, since deletion
   * takes its time; and no more than was set.
   */
  get committedBytesMax(): number {
    const { lifetime } = this.options
    const left = this.budget * (1 - 1 / COMMITTED_SLACK_PART) - this.bytes.unnamed - this.bytes.named
    return Math.min(lifetime?.retentionBytes || Number.POSITIVE_INFINITY, Math.max(0, left))
  }

  /** Why what may be stored does not fit, and what to change; undefined if it does. */
  get problem(): string | undefined {
    const { lifetime, reserveBytes, storeBytesMax } = this.options
    const shares = this.shares.reduce((bytes, share) => bytes + share, 0)
    if (lifetime !== undefined) return this.problemOfSum(shares, lifetime)
    if (shares <= this.budget) return undefined
    return `store_bytes_max is ${storeBytesMax}: too small for ${SHARE_BATCHES_MIN} batches of each authority, so one can keep others out; raise it to ${shares + reserveBytes}`
  }

  private problemOfSum(shares: number, { namedBytesMax, retentionBytes }: LifetimeOptions): string | undefined {
    const { reserveBytes, storeBytesMax } = this.options
    const sum = shares + this.fetchBytes + namedBytesMax + retentionBytes
    if (sum <= this.budget) return undefined
    const least = Math.ceil((namedBytesMax + retentionBytes) / (1 - 1 / SHARES_PART - 1 / FETCH_PART_OF_UNNAMED))
    const parts = [
      `authors' shares ${shares}`,
      `what is fetched ${this.fetchBytes}`,
      `what headers name and no commit has, at most, ${namedBytesMax}`,
      ...(retentionBytes === 0 ? [] : [`retention_bytes ${retentionBytes}`]),
      `own batches under way ${reserveBytes}`,
    ]
    const lower = retentionBytes === 0 ? 'batch_size or gc_depth' : 'retention_bytes, batch_size or gc_depth'
    return `store_bytes_max is ${storeBytesMax}, and there may be ${sum + reserveBytes} bytes of batches while nothing is ordered: ${parts.join(', ')}. Raise it to ${Math.max(least, sum) + reserveBytes}, or lower ${lower}`
  }

  private get budget(): number {
    return this.options.storeBytesMax - this.options.reserveBytes
  }

  /** What an author's batches take beyond its share, with so many bytes more. */
  private beyond(author: number, more = 0): number {
    return Math.max(0, this.of(author) + more - this.shares[author]!)
  }

  /** Own batches beyond our share lie in the reserve. */
  private mayFetch(author: number, beyond: number): boolean {
    const { lifetime, ownIndex, stakes } = this.options
    if (lifetime === undefined) return true
    let used = beyond
    for (let other = 0; other < stakes.length; other += 1) {
      if (other !== author && other !== ownIndex) used += this.beyond(other)
    }
    return used <= this.fetchBytes
  }

  /** Of the own batches, what is beyond our share: it was under way when that was full. */
  private get ownInReserve(): number {
    const { ownIndex, reserveBytes } = this.options
    return Math.min(reserveBytes, this.beyond(ownIndex))
  }
}
