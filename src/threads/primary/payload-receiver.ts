/**
 * PayloadReceiver: which batches of others our own workers have. A worker says of each batch that it has stored who made
 * it, as the batch's own bytes say; a header that says otherwise gets no vote, ever.
 *
 * Each author has the same share of the marks. The oldest give way to newer ones; a mark that is asked for and gone is
 * asked of the worker again, so this costs a message and never a vote.
 *
 * A worker's store can be lost, and with it what the marks say. So those of an earlier run count for nothing until their
 * worker has said which store it has (`workerStore`). If that is another one they are gone.
 */
import { digestKey } from '../../shared/wire/digest-key.js'
import type { BatchEntry } from '../../shared/wire/primary/header.js'
import type { AuthorityIndex, Digest, PayloadEntry } from './consensus/types.js'
import { PAYLOAD_MARKS_MAX, PAYLOAD_MARKS_PER_AUTHORITY } from './limits.js'
import type { TurnBuilder } from './turn.js'

type Marks = Map<Digest, BatchEntry>

export class PayloadReceiver {
  private readonly marksMax: number
  /** By author, oldest first. */
  private readonly marks: Marks[]
  /** By worker of ours: marks of an earlier run, until that worker says which store it has. */
  private readonly unconfirmed = new Map<number, Marks>()

  /** @param stored marks in the store */
  constructor(authorities: number, stored: readonly BatchEntry[], marksMax = shareOfMarks(authorities)) {
    this.marksMax = marksMax
    this.marks = Array.from({ length: authorities }, () => new Map())
    for (const batch of stored) {
      const marks: Marks = this.unconfirmed.get(batch.worker) ?? new Map()
      this.unconfirmed.set(batch.worker, marks.set(digestKey(batch.digest), batch))
    }
  }

  /**
   * A worker says which store it has.
   *
   * @param isKnown whether it is the one of which we have marks
   * @returns how many batches it does not have any more
   */
  workerStore(worker: number, isKnown: boolean, turn: TurnBuilder): number {
    const unconfirmed = this.unconfirmed.get(worker) ?? new Map<Digest, BatchEntry>()
    this.unconfirmed.delete(worker)
    if (isKnown) {
      for (const [key, batch] of unconfirmed) this.marks[batch.author]?.set(key, batch)
      return 0
    }
    const gone = new Map(unconfirmed)
    for (const marks of this.marks) {
      for (const [key, batch] of marks) {
        if (batch.worker !== worker) continue
        gone.set(key, batch)
        marks.delete(key)
      }
    }
    for (const batch of gone.values()) turn.write({ type: 'payload-done', batch })
    return gone.size
  }

  /** Returns whether it is new. */
  store(batch: BatchEntry, turn: TurnBuilder): boolean {
    const marks = this.marks[batch.author]!
    const key = digestKey(batch.digest)
    if (marks.has(key)) return false
    marks.set(key, batch)
    turn.write({ type: 'payload', batch })
    while (marks.size > this.marksMax) {
      const [oldest] = marks.keys()
      this.done(batch.author, oldest!, turn)
      marks.delete(oldest!)
    }
    return true
  }

  /** Whether we hold this batch, and it is what the entry says. */
  check(entry: PayloadEntry): 'held' | 'missing' | 'untrue' {
    const batch = this.marks[entry.author]!.get(entry.digest)
    if (batch !== undefined) {
      return batch.worker === entry.worker && batch.sequence === entry.sequence ? 'held' : 'untrue'
    }
    // The same bytes under another author: what they say themselves is known.
    return this.marks.some((marks) => marks.has(entry.digest)) ? 'untrue' : 'missing'
  }

  /**
   * It is in the order. The mark stays in memory: the batch may be listed again by who has not seen the commit. Returns the
   * batch, if a worker of ours has it.
   */
  done(author: AuthorityIndex, digest: Digest, turn: TurnBuilder): BatchEntry | undefined {
    let batch = this.marks[author]!.get(digest)
    for (const marks of this.unconfirmed.values()) batch ??= marks.get(digest)
    if (batch !== undefined) turn.write({ type: 'payload-done', batch })
    return batch
  }
}

/** How many batches of each authority are remembered as held. */
export function shareOfMarks(authorities: number): number {
  return Math.min(PAYLOAD_MARKS_PER_AUTHORITY, Math.floor(PAYLOAD_MARKS_MAX / authorities))
}
