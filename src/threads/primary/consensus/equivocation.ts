/** An authority that signed two headers of one round: what it is worth depends on whether both were certified. */
import { NarvalError } from '../../../shared/errors.js'
import type { Certificate, Header } from './types.js'

/**
 * Two verified certificates of one author and round. At most F of the stake lies, so this cannot happen; it has happened,
 * so nothing that the rules promise holds any more. Consensus stops and never guesses which of the two counts.
 */
export class CertificateEquivocationError extends NarvalError {
  readonly first: Certificate
  readonly second: Certificate

  constructor(first: Certificate, second: Certificate) {
    const { author, round } = first.header
    super(
      'ERR_EQUIVOCATION',
      `authority ${author} has two certificates of round ${round}: more than a third of the stake has voted twice. ` +
        'Ordering stops, and both are kept in the store as evidence: ask the operators of the other authorities what ' +
        'their stores have for that round',
    )
    this.name = 'CertificateEquivocationError'
    this.first = first
    this.second = second
  }
}

/** Two headers of one author and round: evidence against the author. Its headers of that round count for nothing. */
export interface HeaderEquivocation {
  readonly first: Header
  readonly second: Header
}
