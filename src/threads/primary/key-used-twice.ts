/** Our own key has signed what our store does not have: the primary stops, and keeps what shows it. */
import { NarvalError } from '../../shared/errors.js'
import type { FoundEvidence } from './evidence-keeper.js'

export class KeyUsedTwiceError extends NarvalError {
  readonly evidence: FoundEvidence

  /** @param what has the signature */
  constructor(what: string, evidence: FoundEvidence) {
    super(
      'ERR_KEY_USED_TWICE',
      `${what} has a signature of ours that this store does not have: the same key runs in another process, or the store ` +
        'is an older one. Stop the other, or start this one with --recovered. What shows it is kept in the store as evidence',
    )
    this.name = 'KeyUsedTwiceError'
    this.evidence = evidence
  }
}
