/** Where a worker's metrics are read from. */
import { AuthorBytes } from '../../shared/memory/author-bytes.js'
import { Counters } from '../../shared/memory/counters.js'
import type { Layout } from '../../shared/memory/layout.js'
import { ACK_USED_MAX } from '../../shared/wire/ack.js'
import type { Health } from '../metrics/health.js'
import type { MetricsSources } from '../metrics/sources.js'
import type { PeerTable } from '../network/peer-table.js'
import type { MainRings } from '../thread-host/main-rings.js'
import type { Dissemination } from './dissemination/dissemination.js'
import type { InboundBatches } from './inbound/inbound-batches.js'
import type { PrimaryReports } from './primary-reports.js'
import type { Helper } from './sync/helper.js'
import type { Synchronizer } from './sync/synchronizer.js'

export interface MetricStages {
  readonly layout: Layout
  /** Names of the authorities, by their index. */
  readonly authorities: readonly string[]
  readonly rings: MainRings
  readonly peers: PeerTable
  readonly dissemination: Dissemination
  readonly inbound: InboundBatches
  readonly helper: Helper
  readonly synchronizer: Synchronizer
  readonly reports: PrimaryReports
  readonly health: () => Health
}

export function metricSources(stages: MetricStages): MetricsSources {
  const { dissemination, helper, inbound, peers, reports, rings, synchronizer } = stages
  const { authorities } = stages
  const { counters } = stages.layout
  const authorBytes = new AuthorBytes(stages.layout.authorBytes)
  return {
    counters: {
      main: new Counters(counters.main, 'main'),
      'batch-maker': new Counters(counters['batch-maker'], 'batch-maker'),
      processor: new Counters(counters.processor, 'processor'),
      'quorum-waiter': new Counters(counters['quorum-waiter'], 'quorum-waiter'),
    },
    ringDepth: (ring) => rings.depth(ring),
    slotsFree: () => ({
      own: dissemination.slotsFree,
      inbound: inbound.slotsFree,
      sync: synchronizer.slotsFree,
    }),
    batchesInFlight: () => dissemination.uncertified,
    replyBatches: () => helper.batchesHeld,
    peers: () =>
      peers.peers.map(({ connections, index, name }) => {
        const sender = dissemination.senders.get(index)!
        return {
          name,
          connected: connections.length > 0,
          queued: sender.queued,
          inFlight: sender.inFlightCount,
          windowLimit: sender.window.limit,
          shareUsed: dissemination.shareUse.of(index) / ACK_USED_MAX,
        }
      }),
    authors: () =>
      authorities.map((name, index) => ({
        name,
        countedBytes: authorBytes.counted(index),
        shareBytes: authorBytes.share(index),
      })),
    primary: () => ({ queued: reports.queued, dropped: reports.dropped, connected: reports.isConnected }),
    health: stages.health,
  }
}
