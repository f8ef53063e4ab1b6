/** What was refused, and of whom: counted, and logged without letting anybody fill the log. */

import { shortName } from '../../shared/config/short-name.js'
import type { AckVerdict } from '../../shared/memory/dialogue/quorum-waiter.js'
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

/** ACKs that say that the peer has no room now. The batch is sent again later, and nobody has done anything wrong. */
const NO_ROOM: Partial<Record<string, string>> = {
  'refused-quota': 'our share of its store is full',
  'refused-store-full': 'its store is full',
} satisfies Partial<Record<AckVerdict, string>>

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
    const suppressed = this.limiter.admit(`${kind} ${reason} ${known ? from : ''}`, performance.now())
    if (suppressed === null) return
    const more = suppressed > 0 ? ` (and ${suppressed} more like it)` : ''
    const level = QUIET_REFUSALS.has(reason) ? 'debug' : 'warn'
    const who = known ? shortName(from) : from
    const noRoom = kind === 'ack' ? NO_ROOM[reason] : undefined
    if (noRoom === undefined) log[level](`Refused ${kind} ${who}: ${reason}: ${detail}${more}`)
    else log.info(`${who} has no room for a batch of ours now, ${noRoom}: it is sent again later (${reason})${more}`)
  }

  /** Something of a verified peer's. */
  readonly ofPeer = (peer: number, reason: PeerRefusal, detail: string): void =>
    this.refused('peer', reason, this.dependencies.nameOf(peer), detail)
}
