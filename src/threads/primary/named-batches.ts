/**
 * NamedBatches: batches that their authors' headers list which got our vote or are certified, and that are not in the order
 * yet. They are sure to be ordered, or else their rounds are collected; so our workers do not count them in their authors'
 * shares (`src/threads/processor/lifetimes.ts`).
 *
 * ```
 *  header voted for, certificate delivered ──▶ named ──▶ ordered: forgotten; our workers find it in the log
 *                                                └────▶ its round is collected: unnamed again
 * ```
 *
 * Most batches are ordered before it is worth telling anybody: workers are told of those that are still named after
 * NAMES_TOLD_MS, all together. One that starts is told all.
 *
 * What is here is bounded by the headers above `gcRound`, which the DAG keeps as well.
 */
import { assert } from '../../shared/assert.js'
import type { Digest, Header, PayloadEntry, Round } from './consensus/types.js'
import { NAMES_TOLD_MS } from './limits.js'
import { digestBytes } from './records.js'
import type { TurnBuilder } from './turn.js'

interface Name {
  readonly worker: number
  /** The highest round of a header that lists it. */
  round: Round
  /** Its worker knows. */
  isTold: boolean
}

export class NamedBatches {
  private readonly names = new Map<Digest, Name>()
  /** Those of each round, and perhaps some that were named again in a later one. */
  private readonly rounds = new Map<Round, Digest[]>()
  private collected: Round = 0
  /** Named since workers were told last. */
  private untold = new Set<Digest>()
  /** Told, and not named any more. */
  private taken: { readonly worker: number; readonly digest: Digest }[] = []
  /** Workers that are to be told all. */
  private readonly anew = new Set<number>()
  private tellAtMs = Number.POSITIVE_INFINITY

  get size(): number {
    return this.names.size
  }

  /** When workers are to be told something. */
  get wakeAtMs(): number {
    return this.tellAtMs
  }

  has(digest: Digest): boolean {
    return this.names.has(digest)
  }

  /** This header got our vote, or is our own, or its certificate is delivered. */
  named({ author, payload, round }: Header, isOrdered: (entry: PayloadEntry) => boolean, nowMs: number): void {
    if (round <= this.collected) return
    for (const entry of payload) {
      const { digest, worker } = entry
      // What others list of an author says nothing yet: they may lie.
      if (entry.author !== author || isOrdered(entry)) continue
      const name = this.names.get(digest)
      if (name !== undefined && name.round >= round) continue
      if (name === undefined) {
        this.names.set(digest, { worker, round, isTold: false })
        this.untold.add(digest)
        this.tellBy(nowMs + NAMES_TOLD_MS)
      } else name.round = round
      const list = this.rounds.get(round)
      if (list === undefined) this.rounds.set(round, [digest])
      else list.push(digest)
    }
  }

  /** It is in the order, or never will be: its worker learns that by itself. */
  ordered(digest: Digest): void {
    this.names.delete(digest)
    this.untold.delete(digest)
  }

  /** Nothing of these rounds can be ordered any more. */
  collect(gcRound: Round, nowMs: number): void {
    for (let round = this.collected + 1; round <= gcRound; round += 1) {
      for (const digest of this.rounds.get(round) ?? []) this.collectOne(digest, gcRound, nowMs)
      this.rounds.delete(round)
    }
    this.collected = Math.max(this.collected, gcRound)
  }

  /** A worker of ours begins: it knows of nothing. */
  workerStore(worker: number, nowMs: number): void {
    this.anew.add(worker)
    this.tellBy(nowMs)
  }

  /** Tells our workers, if it is time. */
  tick(turn: TurnBuilder): void {
    if (turn.now.ms < this.tellAtMs) return
    this.tellAtMs = Number.POSITIVE_INFINITY
    const gone = byWorker(this.taken)
    this.taken = []
    for (const [worker, digests] of gone) if (!this.anew.has(worker)) turn.request({ type: 'unnamed', worker, digests })
    for (const worker of this.anew) this.tellAll(worker, turn)
    this.tellUntold(turn)
    this.anew.clear()
  }

  private tellAll(worker: number, turn: TurnBuilder): void {
    const digests: Uint8Array[] = []
    for (const [digest, name] of this.names) {
      if (name.worker !== worker) continue
      digests.push(digestBytes(digest))
      name.isTold = true
      this.untold.delete(digest)
    }
    turn.request({ type: 'named', worker, digests, isAnew: true })
  }

  private tellUntold(turn: TurnBuilder): void {
    const told = [...this.untold].map((digest) => {
      const name = this.names.get(digest)
      assert(name !== undefined, 'what is to be told is named')
      name.isTold = true
      return { worker: name.worker, digest }
    })
    this.untold = new Set()
    for (const [worker, digests] of byWorker(told)) turn.request({ type: 'named', worker, digests, isAnew: false })
  }

  private collectOne(digest: Digest, gcRound: Round, nowMs: number): void {
    const name = this.names.get(digest)
    if (name === undefined || name.round > gcRound) return
    this.ordered(digest)
    if (!name.isTold) return
    this.taken.push({ worker: name.worker, digest })
    this.tellBy(nowMs + NAMES_TOLD_MS)
  }

  private tellBy(atMs: number): void {
    this.tellAtMs = Math.min(this.tellAtMs, atMs)
  }
}

function byWorker(list: readonly { readonly worker: number; readonly digest: Digest }[]): Map<number, Uint8Array[]> {
  const workers = new Map<number, Uint8Array[]>()
  for (const { digest, worker } of list) {
    const digests = workers.get(worker) ?? []
    workers.set(worker, digests)
    digests.push(digestBytes(digest))
  }
  return workers
}
