/** The state of the node at the time of the scrape, as metrics: memory, rings, peers, the primary, the process. */

import type { Registry } from 'prom-client'
import { shortName } from '../../shared/config/short-name.js'
import { PROTOCOL_VERSION } from '../../shared/constants.js'
import type { RingName } from '../../shared/memory/layout.js'
import { addGauge, addLevel, addSum } from './families.js'
import type { AuthorSource, MetricsSources, PeerSource } from './sources.js'

const RING_LABELS: Readonly<Record<RingName, string>> = {
  batchMakerToMain: 'batch-maker-to-main',
  mainToBatchMaker: 'main-to-batch-maker',
  ownWork: 'own-work',
  inboundWork: 'inbound-work',
  processorToMain: 'processor-to-main',
  mainToQuorumWaiter: 'main-to-quorum-waiter',
  quorumWaiterToMain: 'quorum-waiter-to-main',
}
const RINGS = Object.entries(RING_LABELS) as readonly [RingName, string][]

export function addNodeMetrics(registry: Registry, sources: MetricsSources, version: string): void {
  addMemory(registry, sources)
  addPeers(registry, sources)
  addAuthors(registry, sources)
  addState(registry, sources)
  addProcessMetrics(registry, version)
}

function addMemory(registry: Registry, sources: MetricsSources): void {
  addGauge(registry, {
    name: 'narval_slots_free',
    help: "Free slots: the batch-maker's own, those of all peers, those for batches that were asked for.",
    labels: ['arena'],
    read: () => Object.entries(sources.slotsFree()).map(([arena, free]) => [{ arena }, free] as const),
  })
  addGauge(registry, {
    name: 'narval_ring_depth',
    help: 'Messages in a ring between two threads.',
    labels: ['ring'],
    read: () => RINGS.map(([name, ring]) => [{ ring }, sources.ringDepth(name)] as const),
  })
}

function addPeers(registry: Registry, sources: MetricsSources): void {
  const add = (name: string, help: string, value: (peer: PeerSource) => number): void =>
    addGauge(registry, {
      name,
      help,
      labels: ['peer'],
      read: () => Array.from(sources.peers(), (peer) => [{ peer: shortName(peer.name) }, value(peer)] as const),
    })
  add('narval_peer_connected', '1 while there is a verified connection with the peer.', (peer) =>
    Number(peer.connected),
  )
  add('narval_peer_window', 'Batches that may be in flight to the peer.', (peer) => peer.windowLimit)
  add(
    'narval_peer_share_used',
    "Part of our share of the peer's store that is used, 0 to 1, as its last ACK said.",
    (peer) => peer.shareUsed,
  )
  add('narval_peer_queue', 'Batches that wait to be sent to the peer.', (peer) => peer.queued)
  add('narval_peer_in_flight', 'Batches sent to the peer without an ACK yet.', (peer) => peer.inFlight)
}

function addAuthors(registry: Registry, sources: MetricsSources): void {
  const add = (name: string, help: string, value: (author: AuthorSource) => number): void =>
    addGauge(registry, {
      name,
      help,
      labels: ['author'],
      read: () =>
        Array.from(sources.authors(), (author) => [{ author: shortName(author.name) }, value(author)] as const),
    })
  add('narval_store_author_bytes', "Bytes that count in the author's share of the store.", (it) => it.countedBytes)
  add('narval_store_author_share_bytes', 'Bytes beyond which the author is answered `quota`.', (it) => it.shareBytes)
}

function addState(registry: Registry, sources: MetricsSources): void {
  addLevel(registry, 'narval_batches_in_flight', 'Own batches sealed and not certified.', () =>
    sources.batchesInFlight(),
  )
  addLevel(
    registry,
    'narval_reply_batches',
    'Batches read from the store for peers that asked for them, and not sent yet.',
    () => sources.replyBatches(),
  )
  addLevel(registry, 'narval_primary_queue', 'Messages that wait for the primary.', () => sources.primary().queued)
  addSum(
    registry,
    'narval_primary_reports_dropped_total',
    "Reports of others' batches dropped to make room; made again when the primary asks for them.",
    () => sources.primary().dropped,
  )
  addLevel(registry, 'narval_primary_connected', '1 while the primary is connected.', () =>
    Number(sources.primary().connected),
  )
  addLevel(
    registry,
    'narval_primary_committing',
    '0 while a connected primary sends no Cleanup, though batches are certified.',
    () => Number(sources.health().primaryCommitting),
  )
  addLevel(
    registry,
    'narval_healthy',
    '1 while the worker is ready: /readyz answers 200 while all parts of a node are.',
    () => Number(sources.health().ok),
  )
  addLevel(registry, 'narval_quorum_connected', '1 while the stake of the connected peers and ours is a quorum.', () =>
    Number(sources.health().quorumConnected),
  )
}

/** Of the process, whatever runs in it: `merged-metrics.ts` has them once. */
export function addProcessMetrics(registry: Registry, version: string): void {
  addGauge(registry, {
    name: 'narval_build_info',
    help: 'Always 1; the labels say what runs.',
    labels: ['version', 'protocol', 'node'],
    read: () => [[{ version, protocol: String(PROTOCOL_VERSION), node: process.versions.node }, 1]],
  })
  addSum(
    registry,
    'process_cpu_user_seconds_total',
    'User CPU time of the process.',
    () => process.cpuUsage().user / 1e6,
  )
  addSum(
    registry,
    'process_cpu_system_seconds_total',
    'System CPU time of the process.',
    () => process.cpuUsage().system / 1e6,
  )
  addLevel(
    registry,
    'process_resident_memory_bytes',
    'Resident memory, shared memory and the mapped store included.',
    () => process.memoryUsage.rss(),
  )
  addLevel(
    registry,
    'narval_rss_bytes_max',
    'The most resident memory that the process has had.',
    // Node gives kilobytes on every system.
    () => process.resourceUsage().maxRSS * 1024,
  )
}
