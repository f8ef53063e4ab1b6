/**
 * Which certificates of one author others can still order. Only headers of the next round can link a certificate. When that
 * round has a quorum and nobody there links it, it will most likely never be ordered, and its batches are better proposed
 * again at once: a batch counts once, however often it is listed.
 */
import type { CertificatesAggregator } from './certificates-aggregator.js'
import type { AuthorityIndex, Round } from './consensus/types.js'

/**
 * Whether no other author links this author's certificate of a round, directly or by later certificates of the author.
 * Rounds from `openRound` on are not decided yet.
 */
export function isUnlinked(
  certificates: CertificatesAggregator,
  author: AuthorityIndex,
  round: Round,
  openRound: Round,
): boolean {
  for (let at = round; at < openRound; at += 1) {
    const own = certificates.of(at, author)
    const next = certificates.at(at + 1)
    // Votes for it may still be on their way, or it is older than what is kept: others decide.
    if (own === undefined || next === undefined) return false
    const linking = [...next.byAuthor.values()].filter(({ header }) => header.parents.includes(own.digest))
    if (linking.some(({ header }) => header.author !== author)) return false
    if (linking.length === 0) return true
  }
  return false
}
