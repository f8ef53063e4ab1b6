/**
 * Whether all authorities give their applications the same commits: each record is compared, by what the application of
 * each authority has read of it.
 */
import { NarvalError } from '../../shared/errors.js'
import { LOCAL_COMMITS_APART_MAX } from './limits.js'
import { MeasuredWindow } from './measured-window.js'

/** A commit as an application has read it. */
export interface ReadCommit {
  /** From 1, without gaps. */
  readonly index: number
  /** Of its record, hex. */
  readonly digest: string
  readonly batches: number
  /** Bytes of transactions. */
  readonly bytes: number
  /** The checksum of all bytes of all its batches, hex. */
  readonly checksum: string
}

/** Two logs that differ, and the first commit in which they do. */
export interface Difference {
  readonly index: number
  readonly authorities: readonly [number, number]
  /** Of each, what it says. */
  readonly said: readonly [string, string]
}

interface Compared {
  /** What the first authority that read it has read. */
  readonly said: string
  readonly by: number
  readonly commit: ReadCommit
  readers: number
}

export class Agreement {
  /** The first difference that was found. */
  difference: Difference | undefined
  /** Bytes of transactions in the commits that all have read. */
  commonBytes = 0
  /** The same of those that the last authority read in the measured window. */
  measuredBytes = 0
  /** When the last of them that has any was read by the last authority. */
  lastCommonMs: number | undefined
  private readonly measured: MeasuredWindow
  /** The record of the last commit that all have read. */
  private lastCommon: ReadCommit | undefined
  /** By authority: its last commit, and the bytes in all of them. */
  private readonly last: number[]
  private readonly bytes: number[]
  /** Commits that some have read and some have not. */
  private readonly pending = new Map<number, Compared>()

  /** @param authorities those that run, from 0 */
  constructor(authorities: number, measured = new MeasuredWindow(0)) {
    this.measured = measured
    this.last = new Array<number>(authorities).fill(0)
    this.bytes = new Array<number>(authorities).fill(0)
  }

  get agree(): boolean {
    return this.difference === undefined
  }

  /** Commits that all have read. */
  get count(): number {
    return this.lastCommon?.index ?? 0
  }

  /** Names the last of them and, since each record has the digest of the one before, all of them. */
  get digest(): string | undefined {
    return this.lastCommon?.digest
  }

  lastOf(authority: number): number {
    return this.last[authority]!
  }

  bytesOf(authority: number): number {
    return this.bytes[authority]!
  }

  /** @throws NarvalError ERR_LOGS_APART if too many commits wait for a log that does not come */
  read(authority: number, commit: ReadCommit, timeMs: number): void {
    const { index } = commit
    const expected = this.lastOf(authority) + 1
    if (index !== expected) this.differ(expected, authority, authority, `commit ${expected}`, `commit ${index}`)
    this.last[authority] = index
    this.bytes[authority]! += commit.bytes
    const compared = this.pending.get(index) ?? this.first(authority, commit)
    if (compared === undefined) return
    const said = textOf(commit)
    if (compared.said !== said) this.differ(index, compared.by, authority, compared.said, said)
    compared.readers += 1
    if (compared.readers === this.last.length) this.common(compared.commit, timeMs)
  }

  private first(authority: number, commit: ReadCommit): Compared | undefined {
    // All have read it: somebody reads it again, and that was said.
    if (commit.index <= this.count) return undefined
    const compared: Compared = { said: textOf(commit), by: authority, commit, readers: 0 }
    this.pending.set(commit.index, compared)
    if (this.pending.size > LOCAL_COMMITS_APART_MAX) {
      const behind = this.last.indexOf(Math.min(...this.last))
      throw new NarvalError(
        'ERR_LOGS_APART',
        `authority ${behind} has read up to commit ${this.last[behind]}, and authority ${authority} is at ${commit.index}: more than ${LOCAL_COMMITS_APART_MAX} commits cannot be compared`,
      )
    }
    return compared
  }

  private common(commit: ReadCommit, timeMs: number): void {
    this.pending.delete(commit.index)
    this.lastCommon = commit
    this.commonBytes += commit.bytes
    if (this.measured.has(timeMs)) this.measuredBytes += commit.bytes
    if (commit.bytes > 0) this.lastCommonMs = Math.max(this.lastCommonMs ?? timeMs, timeMs)
  }

  private differ(index: number, a: number, b: number, ofA: string, ofB: string): void {
    this.difference ??= { index, authorities: [a, b], said: [ofA, ofB] }
  }
}

function textOf({ batches, bytes, checksum, digest }: ReadCommit): string {
  return `${digest}, ${batches} batches of ${bytes} B, checksum ${checksum}`
}

/** One line. */
export function describeDifference({ authorities: [a, b], index, said: [ofA, ofB] }: Difference): string {
  if (a === b) return `authority ${a} was to give ${ofA}, and gave ${ofB}`
  return `commit ${index} is ${ofA} at authority ${a}, and ${ofB} at authority ${b}`
}
