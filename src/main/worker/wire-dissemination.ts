/** The part of the wiring that is for batches of ours, from the slot to the quorum. */
import type { Arena } from '../../shared/memory/slots.js'
import type { Supervisor } from '../lib/supervisor.js'
import type { PeerTable } from '../network/peer-table.js'
import type { MainRings } from '../thread-host/main-rings.js'
import { Dissemination } from './dissemination/dissemination.js'
import type { CommitWatch } from './primary-link/commit-watch.js'
import type { RetentionClock } from './primary-link/retention-clock.js'
import type { RefusalReporter } from './refusal-reporter.js'
import type { SealingGate } from './sealing-gate.js'
import type { Wiring, WiringHandlers, WiringOptions } from './wiring.js'

export interface DisseminationDependencies extends Pick<WiringHandlers, 'onStuck'> {
  /** The slots of batches of ours. */
  readonly arena: Arena
  readonly peers: PeerTable
  readonly rings: MainRings
  readonly retention: RetentionClock
  readonly commits: CommitWatch
  readonly gate: SealingGate
  readonly refusals: RefusalReporter
  readonly supervisor: Supervisor
  readonly nowMs: () => number
  readonly nameOf: (peer: number) => string
  readonly onSent: (peer: number, bytes: number) => void
}

/** @param later the stages that are made after it, since they are made of it */
export function wireDissemination(
  options: WiringOptions,
  dependencies: DisseminationDependencies,
  later: () => Pick<Wiring, 'healer' | 'metrics' | 'resender' | 'threadMessages'>,
): Dissemination {
  const { committee, ownIndex, parameters, poisonFreedSlots } = options
  const { arena, commits, gate, nameOf, nowMs, onSent, onStuck, peers, refusals, retention, rings, supervisor } =
    dependencies
  return new Dissemination(
    {
      authorities: committee.size,
      peers: peers.indices,
      stakes: committee.authorities.map(({ stake }) => stake),
      ownIndex,
      quorumThreshold: committee.quorumThreshold,
      ownSlots: parameters.ownSlots,
      ackTimeoutMs: parameters.ackTimeoutMs,
    },
    {
      arena,
      nowMs,
      moment: () => retention.now(),
      healsFirst: () => commits.isStill,
      supervisor,
      toQuorumWaiter: rings.toQuorumWaiter,
      wakeQuorumWaiter: () => rings.ringLate(),
      toProcessor: rings.toProcessorOwn,
    },
    {
      onCertified: (batch) => later().threadMessages.onCertified(batch),
      onSlotFree: (slot) => {
        if (poisonFreedSlots) arena.poison(slot)
        if (slot < parameters.ownSlots) gate.pass(slot)
        else later().resender.onSlotFree(slot)
      },
      onAckLatency: (peer, ms) => later().metrics.ackLatency(nameOf(peer), ms),
      onSent,
      onAckRefused: (peer, verdict) => refusals.refused('ack', verdict, nameOf(peer), 'an ACK'),
      onAckExpired: (peer) => later().metrics.ackExpired(nameOf(peer)),
      onDropped: (peer) => later().metrics.dropped(nameOf(peer)),
      onOwed: (peer, digest) => later().healer.owe(peer, digest),
      onStuck,
    },
  )
}
