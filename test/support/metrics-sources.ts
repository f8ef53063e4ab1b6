import { type HealthState, healthOf } from '../../src/main/metrics/health.js'
import type { MetricsSources } from '../../src/main/metrics/sources.js'
import { COUNTERS_BYTES, Counters, type ThreadName } from '../../src/shared/memory/counters.js'

/** Two authorities' names, whose first 16 characters are their labels. */
export const PEER_A = 'aaaaaaaaaaaaaaaaAAAAAAAAAAAAAAAAAAAAAAAAAAA='
export const PEER_B = 'bbbb+bbbb/bbbbbbBBBBBBBBBBBBBBBBBBBBBBBBBBB='
export const LABEL_A = 'aaaaaaaaaaaaaaaa'
export const LABEL_B = 'bbbb+bbbb/bbbbbb'

export const HEALTHY: HealthState = {
  ownStake: 1,
  connectedStake: 2,
  peerProblems: [],
  streamProblems: [],
  uncertifiedMs: 0,
  quorumThreshold: 3,
  storeOpen: true,
  storeFull: false,
  ownShareUsed: 0,
  shareUsedAtQuorum: 0,
  keepsAll: false,
  isOrdered: false,
  primaryConnected: true,
  primaryStill: undefined,
}

export function rowOf<T extends ThreadName>(thread: T): Counters<T> {
  return new Counters({ buffer: new SharedArrayBuffer(COUNTERS_BYTES), byteOffset: 0 }, thread)
}

/** A node with two peers, of which the second is away. */
export function sources(overrides: Partial<MetricsSources> = {}): MetricsSources {
  return {
    counters: {
      main: rowOf('main'),
      'batch-maker': rowOf('batch-maker'),
      processor: rowOf('processor'),
      'quorum-waiter': rowOf('quorum-waiter'),
    },
    ringDepth: (ring) => (ring === 'ownWork' ? 4 : 0),
    slotsFree: () => ({ own: 13, inbound: 7, sync: 3 }),
    batchesInFlight: () => 5,
    replyBatches: () => 6,
    peers: () => [
      { name: PEER_A, connected: true, queued: 1, inFlight: 2, windowLimit: 3, shareUsed: 0.25 },
      { name: PEER_B, connected: false, queued: 6, inFlight: 0, windowLimit: 4, shareUsed: 0 },
    ],
    authors: () => [
      { name: PEER_A, countedBytes: 315, shareBytes: 1_000 },
      { name: PEER_B, countedBytes: 0, shareBytes: 2_000 },
    ],
    primary: () => ({ queued: 9, dropped: 8, connected: true }),
    health: () => healthOf(HEALTHY),
    ...overrides,
  }
}
