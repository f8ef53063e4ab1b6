/** What the routes have at hand. */
import type { LRUCache } from 'lru-cache'
import type { Counters } from '../../shared/memory/counters.js'
import type { GatewayAuthority } from '../../shared/memory/dialogue/gateway.js'
import type { LastApplied } from '../../shared/memory/last-applied.js'
import type { ProofReaders } from '../../shared/store/proof-readers.js'
import type { MainClient } from './main-client.js'
import type { Batches } from './order/batches.js'
import type { OrderedLog } from './order/ordered-log.js'
import type { Streams } from './order/streams.js'
import type { Submits } from './submits.js'

export interface GatewayContext {
  readonly authority: GatewayAuthority
  readonly readers: ProofReaders
  readonly log: OrderedLog
  readonly lastApplied: LastApplied
  readonly batches: Batches
  readonly streams: Streams
  readonly cache: LRUCache<string, Buffer[]>
  readonly main: MainClient
  readonly submits: Submits
  readonly counters: Counters<'gateway'>
}
