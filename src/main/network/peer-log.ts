/**
 * Lines about peers that come and go, or refuse us. What happens once is said at once; a peer that does it over and over
 * cannot fill the log: from some time on its changes are counted, and said in one line with how it ended.
 */

import { TokenBucket } from '../../shared/token-bucket.js'
import type { Logger } from '../lib/log.js'
import { type Supervisor, unsupervised } from '../lib/supervisor.js'
import { PEER_LINES_BURST, PEER_LINES_INTERVAL_MS } from './limits.js'
import type { Peer } from './peer-table.js'

export interface PeerLogDependencies {
  readonly log: Logger
  readonly nowMs: () => number
  /** Takes what its timers throw. */
  readonly supervisor?: Supervisor
}

/** What is known of one peer's lines. */
interface Account {
  readonly bucket: TokenBucket
  /** Lines that were kept back. */
  held: number
  /** The last of them. */
  last: string
  timer: NodeJS.Timeout | undefined
}

export class PeerLog {
  private readonly dependencies: PeerLogDependencies
  /** By index of the authority. */
  private readonly accounts = new Map<number, Account>()

  constructor(dependencies: PeerLogDependencies) {
    this.dependencies = dependencies
  }

  /** Says a line about a peer, now or as one of many. */
  say(level: 'info' | 'warn', peer: Peer, text: string): void {
    const { log, nowMs } = this.dependencies
    const account = this.account(peer)
    if (account.timer === undefined && account.bucket.tryTake(1, nowMs())) {
      log[level](text)
      return
    }
    account.held += 1
    account.last = text
    const { supervisor = unsupervised } = this.dependencies
    const sayHeld = supervisor.guard('lines about a peer', () => this.sayHeld(account))
    account.timer ??= setTimeout(sayHeld, PEER_LINES_INTERVAL_MS).unref()
  }

  close(): void {
    for (const { timer } of this.accounts.values()) clearTimeout(timer)
  }

  private sayHeld(account: Account): void {
    const { held, last } = account
    account.timer = undefined
    account.held = 0
    const more = held > 1 ? ` (the last of ${held} lines about it in ${PEER_LINES_INTERVAL_MS / 1000} s)` : ''
    this.dependencies.log.warn(`${last}${more}`)
  }

  private account(peer: Peer): Account {
    let account = this.accounts.get(peer.index)
    if (account === undefined) {
      const perSecond = 1000 / PEER_LINES_INTERVAL_MS
      account = { bucket: new TokenBucket(perSecond, PEER_LINES_BURST), held: 0, last: '', timer: undefined }
      this.accounts.set(peer.index, account)
    }
    return account
  }
}
