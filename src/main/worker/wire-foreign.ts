/** The part of the wiring that is for batches of others: they come in, are served to peers, and are fetched from them. */
import { shortName } from '../../shared/config/short-name.js'
import type { Counters } from '../../shared/memory/counters.js'
import { syncSlotsPerPeer } from '../../shared/memory/layout.js'
import type { Arena } from '../../shared/memory/slots.js'
import type { Supervisor } from '../lib/supervisor.js'
import type { PeerTable } from '../network/peer-table.js'
import { SYNC_PROTOCOL } from '../network/protocols.js'
import type { Router } from '../network/router.js'
import type { MainRings } from '../thread-host/main-rings.js'
import type { ProcessorClient } from '../thread-host/processor-client.js'
import { InboundBatches } from './inbound/inbound-batches.js'
import type { PrimaryReports } from './primary-reports.js'
import type { RefusalReporter } from './refusal-reporter.js'
import { Helper } from './sync/helper.js'
import { SYNC_LOOKUPS_MAX, SYNC_UNNAMED_MS } from './sync/limits.js'
import { Synchronizer } from './sync/synchronizer.js'
import type { WiringOptions } from './wiring.js'

export interface ForeignDependencies {
  readonly arena: Arena
  readonly supervisor: Supervisor
  readonly rings: MainRings
  readonly peers: PeerTable
  readonly processor: ProcessorClient
  readonly processorCounters: Counters<'processor'>
  readonly router: Router
  readonly refusals: RefusalReporter
  readonly reports: PrimaryReports
  readonly nowMs: () => number
  readonly nameOf: (peer: number) => string
  readonly onReceived: (peer: number, bytes: number) => void
}

export interface ForeignStages {
  readonly inbound: InboundBatches
  readonly helper: Helper
  readonly synchronizer: Synchronizer
}

export function wireForeign(options: WiringOptions, dependencies: ForeignDependencies): ForeignStages {
  const { arena } = dependencies
  const onSlotFree = (slot: number): void => {
    if (options.poisonFreedSlots) arena.poison(slot)
  }
  return {
    inbound: wireInbound(options, dependencies, arena, onSlotFree),
    helper: wireHelper(options, dependencies),
    synchronizer: wireSynchronizer(options, dependencies, arena, onSlotFree),
  }
}

type OnSlotFree = (slot: number) => void

function wireInbound(
  { parameters }: WiringOptions,
  { onReceived, peers, refusals, rings, supervisor }: ForeignDependencies,
  arena: Arena,
  onSlotFree: OnSlotFree,
): InboundBatches {
  return new InboundBatches(
    {
      batchBytesMax: parameters.batchBytesMax,
      ackLevel: parameters.ackLevel,
      peers: peers.indices,
      slotsPerPeer: parameters.inboundSlotsPerPeer,
    },
    { arena, supervisor, toProcessor: rings.toProcessorInbound },
    { onReceived, onRefused: refusals.ofPeer, onSlotFree },
  )
}

function wireHelper(
  { log, parameters }: WiringOptions,
  { nameOf, processor, refusals, supervisor }: ForeignDependencies,
): Helper {
  return new Helper(
    { batchBytesMax: parameters.batchBytesMax },
    { processor, supervisor },
    {
      onServed: (peer, found, missing) =>
        log.debug(`Sent ${found} batches that ${shortName(nameOf(peer))} asked for, ${missing} are not here`),
      onRefused: refusals.ofPeer,
    },
  )
}

function wireSynchronizer(
  { committee, isOrdered, layout, parameters }: WiringOptions,
  dependencies: ForeignDependencies,
  arena: Arena,
  onSlotFree: OnSlotFree,
): Synchronizer {
  const { nowMs, onReceived, peers, processor, processorCounters, refusals, reports, rings, router, supervisor } =
    dependencies
  return new Synchronizer(
    {
      batchBytesMax: parameters.batchBytesMax,
      syncRetryDelayMs: parameters.syncRetryDelayMs,
      syncRetryNodes: parameters.syncRetryNodes,
      gcDepthRounds: parameters.gcDepthRounds,
      unnamedMs: isOrdered ? SYNC_UNNAMED_MS : undefined,
      peers: peers.indices,
      firstSlot: peers.peers.length * parameters.inboundSlotsPerPeer,
      slotsPerPeer: syncSlotsPerPeer(layout.options),
    },
    {
      arena,
      processor,
      supervisor,
      router,
      toProcessor: rings.toProcessorInbound,
      indexOf: (publicKey) => committee.indexOf(publicKey),
      openStream: async (peer) => peers.at(peer)!.connections.at(-1)?.newStream([SYNC_PROTOCOL]),
      mayStore: () => processorCounters.get('storeFull') === 0,
      nowMs,
      random: Math.random,
    },
    {
      // A batch of ours that the primary asks for is reported as `OthersBatch` too: this says that it is stored.
      // `OurBatch` would say that it is certified.
      onStored: (batch) => reports.othersStored(batch),
      onRefused: refusals.ofPeer,
      onOverrun: (count) =>
        refusals.refused(
          'primary',
          'synchronize-rate',
          'our primary',
          `${count} digests, while so many are looked up that it would be more than ${SYNC_LOOKUPS_MAX}`,
        ),
      onReceived,
      onSlotFree,
    },
  )
}
