/**
 * The committed sequences of one worker, as runs. Sequences are given out in ascending order, so all of them are one run,
 * but for what is on its way and for gaps that restarts leave.
 *
 * ```
 *  sequences   3 4 5 6 7 · · 10 11 · · 14        runs [3, 7] [10, 11] [14, 14]
 * ```
 *
 * Beyond COMMITTED_RUNS_MAX runs the two lowest become one: what lies between them counts as committed from then on. All
 * authorities do this at the same place in the order, so all drop the same.
 */
import { sha256 } from '../../../shared/wire/primary/sha256.js'
import { COMMITTED_RUNS_MAX } from './limits.js'

/** Takes each run that is another than before: its first sequence and its last one, undefined if it is gone. */
export type RunChanged = (first: bigint, last: bigint | undefined) => void

export class SequenceRuns {
  /** First and last sequence of each run, ascending. No run touches the next. */
  private readonly firsts: bigint[] = []
  private readonly lasts: bigint[] = []
  /** Until the next change. */
  private knownDigest: Uint8Array | undefined

  /** @param text as `toString` gives it */
  constructor(text = '') {
    for (const run of text === '' ? [] : text.split(' ')) {
      const [first, last = first] = run.split('-') as [string, string?]
      this.firsts.push(BigInt(`0x${first}`))
      this.lasts.push(BigInt(`0x${last}`))
    }
  }

  get size(): number {
    return this.firsts.length
  }

  /** The highest committed sequence. */
  get highest(): bigint | undefined {
    return this.lasts.at(-1)
  }

  has(sequence: bigint): boolean {
    const at = this.runsUpTo(sequence)
    return at > 0 && sequence <= this.lasts[at - 1]!
  }

  /** Adds a sequence. Returns whether it was not there. */
  add(sequence: bigint, changed: RunChanged = () => {}): boolean {
    const at = this.runsUpTo(sequence)
    if (at > 0 && sequence <= this.lasts[at - 1]!) return false
    this.knownDigest = undefined
    const joinsLower = at > 0 && this.lasts[at - 1] === sequence - 1n
    const joinsUpper = this.firsts[at] === sequence + 1n
    if (joinsLower && joinsUpper) this.join(at - 1, changed)
    else if (joinsLower) {
      this.lasts[at - 1] = sequence
      changed(this.firsts[at - 1]!, sequence)
    } else if (joinsUpper) {
      this.firsts[at] = sequence
      changed(sequence + 1n, undefined)
      changed(sequence, this.lasts[at]!)
    } else {
      this.firsts.splice(at, 0, sequence)
      this.lasts.splice(at, 0, sequence)
      changed(sequence, sequence)
      if (this.size > COMMITTED_RUNS_MAX) this.join(0, changed)
    }
    return true
  }

  /** SHA-256 of the runs, first and last sequence of each as u64 LE: a megabyte at most, and 16 bytes mostly. */
  get digest(): Uint8Array {
    if (this.knownDigest !== undefined) return this.knownDigest
    const bytes = Buffer.allocUnsafe(16 * this.size)
    for (const [at, first] of this.firsts.entries()) {
      bytes.writeBigUInt64LE(first, 16 * at)
      bytes.writeBigUInt64LE(this.lasts[at]!, 16 * at + 8)
    }
    this.knownDigest = sha256(bytes)
    return this.knownDigest
  }

  /** The runs in hexadecimal: "3-7 a-b e". */
  toString(): string {
    const run = (first: bigint, last: bigint): string =>
      first === last ? first.toString(16) : `${first.toString(16)}-${last.toString(16)}`
    return this.firsts.map((first, at) => run(first, this.lasts[at]!)).join(' ')
  }

  /** How many runs begin at or below a sequence. */
  private runsUpTo(sequence: bigint): number {
    let low = 0
    let high = this.size
    while (low < high) {
      const middle = (low + high) >>> 1
      if (this.firsts[middle]! <= sequence) low = middle + 1
      else high = middle
    }
    return low
  }

  /** Makes one run of this one and the next, with what lies between. */
  private join(at: number, changed: RunChanged): void {
    this.lasts.splice(at, 1)
    const [gone] = this.firsts.splice(at + 1, 1)
    changed(gone!, undefined)
    changed(this.firsts[at]!, this.lasts[at]!)
  }
}
