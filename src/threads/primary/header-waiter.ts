/**
 * HeaderWaiter: verified headers that cannot get a vote yet, because parents or batches are missing or because their time
 * has not come.
 *
 * One header of each author waits, the one of the highest round: an author that has proposed a later one has no use for
 * votes for the earlier. So an author that sends many headers takes nobody's place but its own.
 */
import type { AuthorityIndex, Digest, PayloadEntry, Round } from './consensus/types.js'
import { PAYLOAD_RETRY_MS } from './limits.js'
import type { HeaderRecord } from './records.js'
import { synchronizeRequests } from './synchronize-requests.js'
import type { TurnBuilder } from './turn.js'

export interface Missing {
  readonly parents: readonly Digest[]
  readonly payload: readonly PayloadEntry[]
  /** When its time has come, by the clock that never goes back; absent if it has. */
  readonly dueAtMs?: number
}

interface Waiting {
  readonly header: HeaderRecord
  readonly parents: Set<Digest>
  readonly payload: Map<Digest, PayloadEntry>
  readonly dueAtMs: number
  payloadAskedAtMs: number
}

export class HeaderWaiter {
  private readonly waiting = new Map<AuthorityIndex, Waiting>()

  get size(): number {
    return this.waiting.size
  }

  /** Whether a header of this author and a round as high or higher waits, other than this one. */
  hasLater(header: HeaderRecord): boolean {
    const other = this.waiting.get(header.author)?.header
    return other !== undefined && other.id !== header.id && other.round >= header.round
  }

  /** Lets a header wait, in the place of an earlier one of its author, which it returns. */
  wait(header: HeaderRecord, missing: Missing, turn: TurnBuilder): HeaderRecord | undefined {
    const before = this.waiting.get(header.author)
    const entry: Waiting = {
      header,
      parents: new Set(missing.parents),
      payload: new Map(missing.payload.map((batch) => [batch.digest, batch])),
      dueAtMs: missing.dueAtMs ?? turn.now.ms,
      payloadAskedAtMs: before?.header.id === header.id ? before.payloadAskedAtMs : Number.NEGATIVE_INFINITY,
    }
    this.waiting.set(header.author, entry)
    this.askForPayload(entry, turn)
    return before === undefined || before.header.id === header.id ? undefined : before.header
  }

  /** Whether the header itself waits. */
  has({ author, id }: HeaderRecord): boolean {
    return this.waiting.get(author)?.header.id === id
  }

  waitsFor(parent: Digest): boolean {
    for (const { parents } of this.waiting.values()) if (parents.has(parent)) return true
    return false
  }

  /** Parents that are not here. */
  *missingParents(): Generator<Digest> {
    for (const { parents } of this.waiting.values()) yield* parents
  }

  /** A certificate is delivered: the headers that have all parents now. Whether these are a quorum is to be looked at. */
  delivered(parent: Digest): HeaderRecord[] {
    const ready: HeaderRecord[] = []
    for (const [author, { header, parents }] of this.waiting) {
      if (!parents.delete(parent) || parents.size > 0) continue
      this.waiting.delete(author)
      ready.push(header)
    }
    return ready
  }

  /** A batch is stored. */
  stored(batch: Digest, nowMs: number): HeaderRecord[] {
    return this.release(nowMs, ({ payload }) => payload.delete(batch))
  }

  /** It has become known again which batches our workers have. */
  held(isHeld: (entry: PayloadEntry) => boolean, nowMs: number): HeaderRecord[] {
    return this.release(nowMs, ({ payload }) => {
      for (const [digest, entry] of payload) if (isHeld(entry)) payload.delete(digest)
      return true
    })
  }

  /** Headers whose time has come. Asks again for batches that do not come. */
  tick(turn: TurnBuilder): HeaderRecord[] {
    for (const entry of this.waiting.values()) this.askForPayload(entry, turn)
    return this.release(turn.now.ms, () => true)
  }

  collect(gcRound: Round): void {
    for (const [author, { header }] of this.waiting) if (header.round <= gcRound) this.waiting.delete(author)
  }

  /** When `tick` has something to do. */
  get wakeAtMs(): number {
    let at = Number.POSITIVE_INFINITY
    for (const { parents, payload, dueAtMs, payloadAskedAtMs } of this.waiting.values()) {
      if (parents.size > 0) continue
      if (payload.size > 0) at = Math.min(at, payloadAskedAtMs + PAYLOAD_RETRY_MS)
      else at = Math.min(at, dueAtMs)
    }
    return at
  }

  private release(nowMs: number, touch: (entry: Waiting) => boolean): HeaderRecord[] {
    const ready: HeaderRecord[] = []
    for (const [author, entry] of this.waiting) {
      if (!touch(entry) || entry.parents.size > 0 || entry.payload.size > 0 || entry.dueAtMs > nowMs) continue
      this.waiting.delete(author)
      ready.push(entry.header)
    }
    return ready
  }

  /** Our own worker with the batch's worker id gets it, from whoever has it. */
  private askForPayload(entry: Waiting, turn: TurnBuilder): void {
    // Until its parents are here and a quorum, a header can be made up, and so can what it lists.
    if (entry.parents.size > 0 || entry.payload.size === 0 || turn.now.ms < entry.payloadAskedAtMs + PAYLOAD_RETRY_MS)
      return
    entry.payloadAskedAtMs = turn.now.ms
    for (const request of synchronizeRequests(entry.payload.values())) turn.request(request)
  }
}
