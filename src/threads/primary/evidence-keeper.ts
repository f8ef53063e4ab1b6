/**
 * EvidenceKeeper: has the store keep what convicts an authority, a few of each kind, and finds two headers of one round among
 * all that were verified, whatever became of the first: voted for, refused, or waiting for something.
 */
import type { EvidenceKey } from '../../shared/store/primary/format.js'
import { EVIDENCE_PER_KIND_MAX } from '../../shared/store/primary/limits.js'
import type { Evidence, EvidenceKind } from '../../shared/wire/primary/evidence.js'
import type { AuthorityIndex, Round } from './consensus/types.js'
import { EvidenceRounds } from './evidence-rounds.js'
import { EPOCH, WITNESSED_HEADERS_PER_AUTHORITY } from './limits.js'
import type { HeaderRecord } from './records.js'
import type { TurnBuilder } from './turn.js'

/** Evidence about this committee and epoch. */
export type FoundEvidence = Omit<Evidence, 'epoch' | 'committee'>

export class EvidenceKeeper {
  private readonly committeeDigest: Uint8Array
  private readonly kept: EvidenceRounds
  /** By author: the last header of each of a few rounds. */
  private readonly headers: Map<Round, HeaderRecord>[]

  constructor(committeeDigest: Uint8Array, authorities: number, kept: readonly EvidenceKey[]) {
    this.committeeDigest = committeeDigest
    this.headers = Array.from({ length: authorities }, () => new Map())
    this.kept = new EvidenceRounds(kept)
  }

  /** Says what the store has. */
  say(turn: TurnBuilder): void {
    for (const kept of this.kept) turn.notice({ type: 'evidence-kept', ...kept })
  }

  /** Of what is verified: kept with this turn's writes, unless it is kept already or there is enough. */
  add(found: FoundEvidence, turn: TurnBuilder): void {
    const { accused, kind, round } = found
    if (!this.kept.add(found)) return
    turn.write({ type: 'evidence', evidence: { ...found, epoch: EPOCH, committee: this.committeeDigest } })
    turn.notice({ type: 'evidence', accused, kind, round })
    turn.notice({ type: 'evidence-kept', accused, kind, count: this.kept.count(found) })
  }

  has(kind: EvidenceKind, accused: AuthorityIndex, round: Round): boolean {
    return this.kept.has({ accused, kind, round })
  }

  /** No more of this kind is kept against this authority. */
  isFull(kind: EvidenceKind, accused: AuthorityIndex): boolean {
    return this.kept.count({ accused, kind }) >= EVIDENCE_PER_KIND_MAX
  }

  /** A verified header. Returns another one of its author and round, if there was one. */
  witness(header: HeaderRecord): HeaderRecord | undefined {
    const other = this.otherThan(header)
    const known = this.headers[header.author]!
    known.set(header.round, header)
    if (known.size > WITNESSED_HEADERS_PER_AUTHORITY) known.delete(Math.min(...known.keys()))
    return other
  }

  /** Whether this header was witnessed, and another of its round was not since. */
  knows({ author, id, round }: HeaderRecord): boolean {
    return this.headers[author]!.get(round)?.id === id
  }

  /** A verified header of the author and round of this one, with another id. */
  otherThan({ author, id, round }: HeaderRecord): HeaderRecord | undefined {
    const known = this.headers[author]!.get(round)
    return known !== undefined && known.id !== id ? known : undefined
  }
}
