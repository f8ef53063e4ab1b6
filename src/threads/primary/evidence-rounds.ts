/** Of which rounds evidence is kept, by accused and kind: at most EVIDENCE_PER_KIND_MAX of each. */
import type { EvidenceKey } from '../../shared/store/primary/format.js'
import { EVIDENCE_PER_KIND_MAX } from '../../shared/store/primary/limits.js'
import type { EvidenceKind } from '../../shared/wire/primary/evidence.js'
import type { AuthorityIndex, Round } from './consensus/types.js'

interface Kept {
  readonly accused: AuthorityIndex
  readonly kind: EvidenceKind
  readonly rounds: Set<Round>
}

export class EvidenceRounds {
  private readonly kept = new Map<string, Kept>()

  /** @param kept all that the store has */
  constructor(kept: Iterable<EvidenceKey>) {
    for (const key of kept) this.of(key).rounds.add(key.round)
  }

  /** False if there is some of this round, or enough of this kind. */
  add(key: EvidenceKey): boolean {
    const { rounds } = this.of(key)
    if (rounds.has(key.round) || rounds.size >= EVIDENCE_PER_KIND_MAX) return false
    rounds.add(key.round)
    return true
  }

  has(key: EvidenceKey): boolean {
    return this.of(key).rounds.has(key.round)
  }

  count(key: Omit<EvidenceKey, 'round'>): number {
    return this.of(key).rounds.size
  }

  *[Symbol.iterator](): Generator<{ accused: AuthorityIndex; kind: EvidenceKind; count: number }> {
    for (const { accused, kind, rounds } of this.kept.values()) yield { accused, kind, count: rounds.size }
  }

  private of({ accused, kind }: Omit<EvidenceKey, 'round'>): Kept {
    const name = `${accused} ${kind}`
    const kept = this.kept.get(name) ?? { accused, kind, rounds: new Set() }
    this.kept.set(name, kept)
    return kept
  }
}
