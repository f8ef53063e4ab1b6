/** Watches a run from outside: every commit of every honest authority, and everything that leaves it. */
import { createHash } from 'node:crypto'
import { decodeSignedCheckpoint } from '../../../src/shared/wire/primary/checkpoint.js'
import { CHECKPOINT_HEAD_BYTES } from '../../../src/shared/wire/primary/limits.js'
import { kindOf } from '../../../src/shared/wire/primary/record.js'
import { decodeVote } from '../../../src/shared/wire/primary/vote.js'
import type { Commit, PayloadEntry } from '../../../src/threads/primary/consensus/types.js'
import type { Records } from '../../../src/threads/primary/records.js'
import { batchName, type SimulatedStore } from './store.js'

export class SimulationFailure extends Error {}

export class Observer {
  /** The one order: what the first authority that had a commit with this index had. */
  private readonly order: string[] = []
  /** By batch: the index of its commit. */
  private readonly batches = new Map<string, number>()
  /** Of all that is ordered, in order. */
  readonly ordered: PayloadEntry[] = []
  private readonly headers = new Map<string, string>()
  private readonly votes = new Map<string, string>()
  private readonly checkpoints = new Map<string, string>()
  private readonly records: Records
  private readonly authorities: number
  private readonly isHeld: (batch: PayloadEntry) => boolean
  private readonly isBlindToDisk: boolean

  /**
   * @param isHeld whether a quorum of workers can have a batch of this name with this digest
   * @param isBlindToDisk it does not look at what is durable: to see what comes of it when something is not
   */
  constructor(records: Records, authorities: number, isHeld: (batch: PayloadEntry) => boolean, isBlindToDisk: boolean) {
    this.records = records
    this.authorities = authorities
    this.isHeld = isHeld
    this.isBlindToDisk = isBlindToDisk
  }

  get commits(): number {
    return this.order.length
  }

  indexOf(batch: string): number | undefined {
    return this.batches.get(batch)
  }

  /** An authority's log has grown. */
  committed(authority: number, index: number, commit: Commit): void {
    if (commit.index !== index)
      throw new SimulationFailure(`authority ${authority}: commit ${commit.index} at place ${index}`)
    const digest = digestOf(commit)
    const known = this.order[index - 1]
    if (known === undefined) {
      this.order.push(digest)
      for (const batch of commit.batches) {
        if (!this.isHeld(batch)) throw new SimulationFailure(`batch ${batchName(batch)} is ordered, and nobody has it`)
        this.orderedOnce(batchName(batch), index)
        this.ordered.push(batch)
      }
    } else if (known !== digest) {
      throw new SimulationFailure(`authority ${authority} has another commit ${index}: the order has forked`)
    }
  }

  /** A record leaves an honest authority, whose store has this. */
  sent(authority: number, bytes: Uint8Array, store: SimulatedStore): void {
    const kind = kindOf(bytes)
    if (kind === 'header') {
      const { author, round, id } = this.records.readHeader(bytes)
      this.once(this.headers, `header of ${author} in round ${round}`, id)
    } else if (kind === 'vote') {
      const { voter, author, round, headerId } = decodeVote(bytes, this.authorities)
      this.once(this.votes, `vote of ${voter} for ${author} in round ${round}`, Buffer.from(headerId).toString('hex'))
    } else if (kind === 'signed-checkpoint') {
      const { index } = decodeSignedCheckpoint(bytes, this.authorities)
      // What it says, without who says it: all that are honest say the same.
      const said = Buffer.from(bytes.subarray(8, CHECKPOINT_HEAD_BYTES)).toString('hex')
      this.once(this.checkpoints, `checkpoint of commit ${index}`, said)
    } else return
    if (this.isBlindToDisk) return
    if (!store.promises.has(Buffer.from(bytes).toString('hex'))) {
      throw new SimulationFailure(`a ${kind} left authority ${authority} before it was durable`)
    }
  }

  private orderedOnce(batch: string, index: number): void {
    if (this.batches.has(batch)) throw new SimulationFailure(`batch ${batch} is in the order twice`)
    this.batches.set(batch, index)
  }

  private once(seen: Map<string, string>, what: string, id: string): void {
    if ((seen.get(what) ?? id) !== id) throw new SimulationFailure(`a second ${what}`)
    seen.set(what, id)
  }
}

function digestOf({ index, timestamp, anchor, vertices, batches }: Commit): string {
  const hash = createHash('sha256').update(`${index} ${timestamp} ${anchor.round} ${anchor.author}`)
  for (const { digest } of vertices) hash.update(digest, 'latin1')
  for (const batch of batches) hash.update(batchName(batch)).update(batch.digest, 'latin1')
  return hash.digest('hex')
}
