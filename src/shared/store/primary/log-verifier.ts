/**
 * Verifies a log against the committee alone: each record's digest is recomputed, and must be what the next one says of it;
 * the range over them must have the root that a quorum has signed.
 *
 * ```
 *  1 ─── … ─── oldest ─── … ─── checkpoint ─── … ─── latest checkpoint ─── … ─── last
 *  └ peaks of the store ┘       root as it says      root as a quorum has signed  └ a chain, not attested yet
 * ```
 *
 * Somebody who changes a record and all behind it makes another chain that is whole. Then the root is another; the roots of
 * the checkpoints before and the leaves that the store keeps say where the first wrong record is.
 */
import { NarvalError } from '../../errors.js'
import { append, type MountainRange, rangeRoot } from '../../wire/primary/mountain-range.js'
import { compareBytes } from '../../wire/primary/record.js'
import { sha256 } from '../../wire/primary/sha256.js'
import {
  type CheckpointCommittee,
  type CheckpointRefusal,
  verifyCheckpoint,
} from '../../wire/primary/verify-checkpoint.js'
import { CheckpointReader, type StoredCheckpoint } from './checkpoint-reader.js'
import { CommitLogReader } from './commit-log-reader.js'

export interface Verified {
  readonly oldest: number
  readonly last: number
  /** The latest checkpoint of a commit of the log; none yet if it is missing. */
  readonly attested?: {
    readonly index: number
    readonly signers: readonly number[]
    readonly stake: number
    readonly total: number
  }
  /** The first thing that is wrong, for people. */
  readonly problem?: string
}

const REFUSALS: Readonly<Record<CheckpointRefusal, string>> = {
  malformed: 'it is no record of one',
  quorum: 'its signers have no quorum of the stake',
  signature: 'a signature is not its signer’s: is this the committee file of this log?',
}

export class LogVerifier {
  private readonly committee: CheckpointCommittee
  private readonly log: CommitLogReader
  private readonly checkpoints: CheckpointReader
  /** The last commit whose checkpoint has the root that we have found. */
  private lastGood = 0
  /** The first record whose leaf is another in the store. */
  private firstOther: number | undefined

  /** @throws NarvalError ERR_FILE_MISSING, ERR_STORE_*; ERR_STORE_SETTINGS if the log is another committee's */
  constructor(directory: string, committee: CheckpointCommittee) {
    this.committee = committee
    this.log = new CommitLogReader(directory)
    this.checkpoints = new CheckpointReader(directory, this.log.settings)
    const [found, expected] = [this.log.settings.committeeDigest, Buffer.from(committee.digest).toString('hex')]
    if (found === expected) return
    this.close()
    throw new NarvalError(
      'ERR_STORE_SETTINGS',
      `the log in ${directory} is of the committee ${found}, this committee file is of ${expected}: keys, stakes and worker ids must be those that it was made with`,
    )
  }

  close(): void {
    this.checkpoints.close()
    this.log.close()
  }

  /**
   * @param onProgress is told of each commit
   * @throws NarvalError ERR_STORE_DAMAGED, which names the first record that is not what the next one says; ERR_COMMITS_PRUNED
   */
  run(onProgress: (index: number, last: number) => void): Verified {
    const latest = this.checkpoints.latest()
    const { last, oldest } = this.log.bounds()
    const bounds = { oldest, last }
    const problem = latest && this.problemOf(latest)
    if (problem !== undefined) return { ...bounds, problem }
    const other = this.walk(oldest, last, latest, onProgress)
    if (other !== undefined) return { ...bounds, problem: other }
    return { ...bounds, ...(latest && { attested: this.attestedBy(latest) }) }
  }

  /** Returns what is wrong. */
  private walk(
    oldest: number,
    last: number,
    latest: StoredCheckpoint | undefined,
    onProgress: (index: number, last: number) => void,
  ): string | undefined {
    let range: MountainRange | undefined = latest && this.checkpoints.range(oldest - 1)
    if (latest?.checkpoint.index === oldest - 1) {
      const problem = this.compare(range!, latest)
      if (problem !== undefined) return problem
    }
    for (const commit of this.log.commits(oldest - 1)) {
      const { index } = commit
      if (index > last) return undefined
      onProgress(index, last)
      if (range === undefined || latest === undefined || index > latest.checkpoint.index) continue
      const next = append(sha256, range, commit.digest())
      range = next.range
      this.noteLeaf(index, next.nodes[0]!)
      const checkpoint = index === latest.checkpoint.index ? latest : this.checkpoints.at(index)
      const problem = checkpoint && this.compare(range, checkpoint)
      if (problem !== undefined) return problem
    }
    return undefined
  }

  private noteLeaf(index: number, leaf: Uint8Array): void {
    if (this.firstOther !== undefined) return
    const stored = this.checkpoints.leaf(index)
    if (stored !== undefined && compareBytes(stored, leaf) !== 0) this.firstOther = index
  }

  /** What is wrong if the root is not the signed one. */
  private compare(range: MountainRange, stored: StoredCheckpoint): string | undefined {
    const { checkpoint } = stored
    const { index, root } = checkpoint
    if (compareBytes(rangeRoot(sha256, range), root) === 0) {
      this.lastGood = index
      return undefined
    }
    const problem = this.problemOf(stored)
    if (problem !== undefined) return problem
    const from = Math.max(this.lastGood + 1, this.log.bounds().oldest)
    // The leaves of the store say which record it is, if they are those that were signed.
    const isStoreRight = compareBytes(rangeRoot(sha256, this.checkpoints.range(index)), root) === 0
    if (isStoreRight && this.firstOther !== undefined) {
      return `commit ${this.firstOther} is another than the one that a quorum has signed with the checkpoint of commit ${index}`
    }
    return `of the commits ${from} to ${index} one is another than a quorum has signed with the checkpoint of commit ${index}${this.lastGood > 0 ? `; those up to ${this.lastGood} are what was signed` : ''}`
  }

  private problemOf({ bytes, checkpoint }: StoredCheckpoint): string | undefined {
    const check = verifyCheckpoint(bytes, this.committee)
    return check.ok ? undefined : `the checkpoint of commit ${checkpoint.index}: ${REFUSALS[check.reason]}`
  }

  private attestedBy({ checkpoint }: StoredCheckpoint): NonNullable<Verified['attested']> {
    const { stakes } = this.committee
    const signers = checkpoint.signatures.map(({ signer }) => signer)
    return {
      index: checkpoint.index,
      signers,
      stake: signers.reduce((sum, signer) => sum + stakes[signer]!, 0),
      total: stakes.reduce((sum, stake) => sum + stake, 0),
    }
  }
}
