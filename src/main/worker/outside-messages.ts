/** What comes from outside the process, from peers and from the primary, to the stages that it is for. */
import type { NetworkHandlers } from '../network/network.js'
import type { CommitHandlers } from './primary-link/open-ordering-primary.js'
import type { PrimaryHandlers } from './primary-link/primary-inbox.js'
import type { PrimaryLinkHandlers } from './primary-link/primary-link.js'
import { tellUncommitted } from './recovery.js'
import type { Wiring, WiringHandlers, WiringOptions } from './wiring.js'

export class OutsideMessages {
  private readonly stages: Wiring
  private readonly options: WiringOptions
  private readonly handlers: WiringHandlers

  constructor(stages: Wiring, options: WiringOptions, handlers: WiringHandlers) {
    this.stages = stages
    this.options = options
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
  ofPrimary(): PrimaryLinkHandlers & PrimaryHandlers & CommitHandlers {
    const { cleanups, gate, healer, refusals, renewer, reports, retention, synchronizer } = this.stages
    const { isOrdered, ownIndex } = this.options
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
        // Our own that a primary asks for which says what is committed are those that our store has lost.
        if (target === ownIndex && !isOrdered) healer.ask(digests, source)
        else supervisor.watch('a Synchronize', synchronizer.synchronize(digests, target))
      },
      onCleanup: (round) => cleanups.take(round),
      onRefused: (reason, from, detail) => refusals.refused('primary', reason, from, detail),
    } satisfies Omit<PrimaryLinkHandlers & PrimaryHandlers, 'isStale'>)
    return { ...guarded, ...this.ofCommits(), isStale }
  }

  private ofCommits(): CommitHandlers {
    const { commits, processor, processorCounters, reports } = this.stages
    const { committee, keys } = this.options
    const { isOpen, supervisor } = this.handlers
    return {
      commitState: async () => {
        const { applied, ...state } = await processor.ask({ type: 'commit-state' })
        return { ...state, applied: Number(applied) }
      },
      committed: async (digests, place) => {
        const of = place && ('applied' in place ? { applied: BigInt(place.applied) } : { partOf: BigInt(place.partOf) })
        await processor.ask({ type: 'committed', digests, ...of })
      },
      named: (digests, isAnew) => supervisor.watch('what is named', processor.ask({ type: 'named', digests, isAnew })),
      unnamed: (digests) => supervisor.watch('what is named', processor.ask({ type: 'unnamed', digests })),
      onRemote: (remote) => reports.attachRemote(remote),
      onCommits: () => commits.onCommitted(),
      read: (digest) => processor.ask({ type: 'get', digest }),
      firstKept: () => processorCounters.get('storeFirstKept'),
      onGap: oneAtATime(
        () => {
          const indexOf = (key: Uint8Array): number => committee.indexOf(key)
          return tellUncommitted({ ownKey: keys.publicKey }, { indexOf, isOpen, processor, reports })
        },
        (told) => supervisor.watch('telling the primary again', told),
      ),
    }
  }
}

/** Does it now; if it is under way, once more when that is over, however often it is asked for meanwhile. */
function oneAtATime(task: () => Promise<void>, watch: (running: Promise<void>) => void): () => void {
  let isRunning = false
  let isWanted = false
  const run = async (): Promise<void> => {
    isRunning = true
    try {
      for (; isWanted; await task()) isWanted = false
    } finally {
      isRunning = false
    }
  }
  return () => {
    isWanted = true
    if (!isRunning) watch(run())
  }
}
