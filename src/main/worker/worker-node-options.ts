/** What a worker's life needs: options that are checked, and files that are read. */
import type { Committee } from '../../shared/config/committee.js'
import type { Keys } from '../../shared/config/keys.js'
import type { Parameters } from '../../shared/config/parameters.js'
import type { KadOptions } from '../kad/kad-options.js'
import type { GcRelief } from '../lib/gc-relief.js'
import type { Logger } from '../lib/log.js'
import type { PeerDiscovery } from '../network/peer-discovery.js'
import type { CommitHandlers } from './primary-link/open-ordering-primary.js'
import type { PrimaryHandlers } from './primary-link/primary-inbox.js'
import type { PrimaryLink, PrimaryLinkHandlers } from './primary-link/primary-link.js'

export interface WorkerNodeOptions {
  readonly keys: Keys
  readonly committee: Committee
  readonly workerId: number
  /** Directory of the store. */
  readonly store: string
  readonly parameters: Parameters
  /** Seed of the worker's libp2p key, 32 bytes. */
  readonly networkKeySeed: Uint8Array
  /** The address that listeners bind. */
  readonly bind: string
  /** Whether clients may connect. */
  readonly clients: boolean
  /** Log the lines that benchmark scripts read. */
  readonly benchmark: boolean
  readonly peerDiscovery?: PeerDiscovery
  readonly kad?: KadOptions
  /** Opens the link to the primary, both ways. It is not to go on waiting once the signal is aborted. */
  readonly openPrimary: (
    ownIndex: number,
    handlers: PrimaryLinkHandlers & PrimaryHandlers & CommitHandlers,
    signal: AbortSignal,
  ) => Promise<PrimaryLink>
  /** The primary says what is committed: that, and not age, decides what is kept. */
  readonly isOrdered: boolean
  /** That of this process. */
  readonly gcRelief: GcRelief
  readonly log: Logger
  /** Fill freed slots with rubbish: tests find a slot that is used after it was freed. */
  readonly poisonFreedSlots: boolean
}
