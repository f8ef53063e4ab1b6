/**
 * Watches evidence in a run: who is told of two headers of one round keeps what shows it, and nobody who is honest is ever
 * accused, whatever crashed, was lost or was an old backup.
 */
import { NarvalError } from '../../../src/shared/errors.js'
import { decodeEvidence, encodeEvidence } from '../../../src/shared/wire/primary/evidence.js'
import { kindOf } from '../../../src/shared/wire/primary/record.js'
import { type EvidenceCommittee, verifyEvidence } from '../../../src/shared/wire/primary/verify-evidence.js'
import type { HeaderRecord, Records } from '../../../src/threads/primary/records.js'
import type { Turn } from '../../../src/threads/primary/turn.js'
import { simulatedKeys } from './keys.js'
import { SimulationFailure } from './observer.js'
import type { SimulatedStore } from './store.js'

/** Of a message that was not looked at any closer, or not to the end. */
const NOT_SEEN = new Set([
  'message-malformed',
  'sender-other',
  'epoch-other',
  'signature-invalid',
  'certificate-without-quorum',
  'round-old',
  'round-ahead',
  'header-older',
])
/** A second header is known for one if the first is not older. */
const ROUNDS_BETWEEN_MAX = 4

/** What an honest authority was told of since its last start. */
export class EvidenceCheck {
  private readonly records: Records
  private readonly headers = new Map<number, Map<number, string>>()
  /** Authors of two headers of a round, and when what shows it has to be on the disk. */
  private readonly expected: { readonly author: number; readonly durableAtMs: number }[] = []

  constructor(records: Records) {
    this.records = records
  }

  /** It has handled a message. */
  heard(bytes: Uint8Array, turn: Turn, durableAtMs: number): void {
    if (turn.refusals.some(({ reason }) => NOT_SEEN.has(reason))) return
    const header = this.headerIn(bytes)
    if (header === undefined) return
    const { author, id, round } = header
    const rounds = this.headers.get(author) ?? new Map<number, string>()
    this.headers.set(author, rounds)
    for (const old of rounds.keys()) if (Math.abs(old - round) > ROUNDS_BETWEEN_MAX) rounds.delete(old)
    if ((rounds.get(round) ?? id) !== id) this.expected.push({ author, durableAtMs })
    rounds.set(round, id)
  }

  /** What was not on the disk is gone, and what was in memory. */
  crashed(nowMs: number): void {
    this.headers.clear()
    const durable = this.expected.filter(({ durableAtMs }) => durableAtMs < nowMs)
    this.expected.splice(0, this.expected.length, ...durable)
  }

  storeLost(): void {
    this.expected.length = 0
  }

  /** At the end, or at a crash. */
  check(authority: number, { evidence }: SimulatedStore): void {
    for (const { author } of this.expected) {
      if (evidence.some(({ accused }) => accused === author)) continue
      throw new SimulationFailure(`authority ${authority} saw two headers of authority ${author}, and has no evidence`)
    }
  }

  private headerIn(bytes: Uint8Array): HeaderRecord | undefined {
    try {
      const kind = kindOf(bytes)
      if (kind === 'header') return this.records.readHeader(bytes)
      return kind === 'certificate' ? this.records.readCertificate(bytes).header : undefined
    } catch (error) {
      if (error instanceof NarvalError && error.code === 'ERR_CODEC') return undefined
      throw error
    }
  }
}

/** Each piece is valid to a stranger, and convicts liars alone. */
export function checkAccused(
  authority: number,
  store: SimulatedStore,
  committee: EvidenceCommittee,
  isLiar: (authority: number) => boolean,
): void {
  for (const evidence of store.evidence) {
    const verdict = verifyEvidence(decodeEvidence(encodeEvidence(evidence), committee.authorities), committee)
    const text = `evidence of authority ${authority} of round ${evidence.round} against ${evidence.accused}`
    if (!verdict.isValid) throw new SimulationFailure(`${text} is not valid: ${verdict.why}`)
    const honest = [evidence.accused, ...verdict.convicted].find((one) => !isLiar(one))
    if (honest !== undefined) throw new SimulationFailure(`${text} accuses authority ${honest}, which is honest`)
  }
}

export function simulatedCommittee(digest: Uint8Array, stakes: readonly number[]): EvidenceCommittee {
  const keys = simulatedKeys(0)
  const total = stakes.reduce((sum, stake) => sum + stake, 0)
  return {
    authorities: stakes.length,
    digest,
    quorum: Math.floor((2 * total) / 3) + 1,
    stakeOf: (authority) => stakes[authority]!,
    verify: (authority, message, signature) => keys.verify([{ authority, message, signature }]),
  }
}
