/** What comes from outside the process, from peers and from the primary, to the stages that it is for. */
import type { NetworkHandlers } from '../network/network.js'
import type { PrimaryHandlers } from './primary-link/primary-inbox.js'
import type { PrimaryLinkHandlers } from './primary-link/primary-link.js'
import type { Wiring, WiringHandlers } from './wiring.js'

export class OutsideMessages {
  private readonly stages: Wiring
  private readonly ownIndex: number
  private readonly handlers: WiringHandlers

  constructor(stages: Wiring, ownIndex: number, handlers: WiringHandlers) {
    this.stages = stages
    this.ownIndex = ownIndex
    this.handlers = handlers
  }

  /** What the network hands over. */
  ofNetwork(): NetworkHandlers {
    const { batchStreams, refusals, router } = this.stages
    return this.handlers.supervisor.guardAll('the network', {
      onPeerConnected: (peer) => batchStreams.onPeerConnected(peer),
      onPeerLost: () => {},
      onStream: (protocol, peer, stream) => router.accept(protocol, peer.index, stream),
      onRefused: (reason, from, detail) => refusals.refused('peer', reason, from, detail),
    })
  }

  /** What the link to the primary hands over. */
  ofPrimary(): PrimaryLinkHandlers & PrimaryHandlers {
    const { cleanups, gate, healer, refusals, renewer, reports, retention, synchronizer } = this.stages
    const { onFailed, supervisor } = this.handlers
    // It answers, so it is not guarded: a guarded handler returns nothing.
    const isStale: PrimaryLinkHandlers['isStale'] = (since) => retention.isStale(since)
    const guarded = supervisor.guardAll('the link to the primary', {
      onConnection: () => retention.look(),
      onStale: (digests, wereDelivered) => renewer.add(digests, wereDelivered),
      onReported: (digests) => reports.onDelivered(digests),
      onRoom: () => gate.recheck(),
      onFailed,
      onSynchronize: (digests, target, source) => {
        if (target === this.ownIndex) healer.ask(digests, source)
        else supervisor.watch('a Synchronize', synchronizer.synchronize(digests, target))
      },
      onCleanup: (round) => cleanups.take(round),
      onRefused: (reason, from, detail) => refusals.refused('primary', reason, from, detail),
    } satisfies Omit<PrimaryLinkHandlers & PrimaryHandlers, 'isStale'>)
    return { ...guarded, isStale }
  }
}
