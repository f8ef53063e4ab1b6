/** What was refused, and of whom: counted, and logged without letting anybody fill the log. */

import { shortName } from '../../shared/config/short-name.js'
import { type PeerRefusal, QUIET_REFUSALS } from '../../shared/refusals.js'
import { LogLimiter } from '../../shared/runtime/thread-control.js'
import type { Logger } from '../lib/log.js'
import type { RefusalKind, Refusals } from '../metrics/refusal-counts.js'

export interface RefusalReporterDependencies {
  readonly log: Logger
  readonly count: <K extends RefusalKind>(kind: K, reason: Refusals[K]) => void
  /** The name of the authority of an index. */
  readonly nameOf: (peer: number) => string
  /** Whether a name is an authority's. */
  readonly isAuthority: (name: string) => boolean
}

export class RefusalReporter {
  private readonly dependencies: RefusalReporterDependencies
  private readonly limiter = new LogLimiter()

  constructor(dependencies: RefusalReporterDependencies) {
    this.dependencies = dependencies
  }

  /** @param from an authority's name, or the address of somebody who has not said who it is */
  refused<K extends RefusalKind>(kind: K, reason: Refusals[K], from: string, detail: string): void {
    const { count, isAuthority, log } = this.dependencies
    count(kind, reason)
    const known = isAuthority(from)
    // All strangers share one key. If each had one of its own, they could fill the memory of what was logged.
    const suppressed = this.limiter.admit(`${kind} ${reason} ${known ? from : ''}`, Date.now())
    if (suppressed === null) return
    const more = suppressed > 0 ? ` (and ${suppressed} more like it)` : ''
    const level = QUIET_REFUSALS.has(reason) ? 'debug' : 'warn'
    log[level](`Refused ${kind} ${known ? shortName(from) : from}: ${reason}: ${detail}${more}`)
  }

  /** Something of a verified peer's. */
  readonly ofPeer = (peer: number, reason: PeerRefusal, detail: string): void =>
    this.refused('peer', reason, this.dependencies.nameOf(peer), detail)
}
