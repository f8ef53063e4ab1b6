/**
 * The quorum-waiter thread: a dedicated worker that blocks on its ring and keeps the stake tally.
 *
 * In: batches that are about to be sent, our own digests, ACKs. Out: one verdict for each ACK, `certified` once for each
 * batch, and `expired` where ACKs no longer count. It has no event loop to speak of: it runs no timers and prints nothing.
 *
 * Source: asonnino/narwhal worker/src/quorum_waiter.rs.
 */

import { workerData } from 'node:worker_threads'
import { RING_DRAIN_LIMIT } from '../../shared/constants.js'
import { Counters } from '../../shared/memory/counters.js'
import {
  type MainToQuorumWaiter,
  mainToQuorumWaiter,
  type QuorumWaiterTask,
  quorumWaiterToMain,
} from '../../shared/memory/dialogue/quorum-waiter.js'
import { Doorbell } from '../../shared/memory/doorbell.js'
import { RingConsumer, RingProducer } from '../../shared/memory/ring.js'
import { QuorumTally } from './quorum-tally.js'

const UTILISATION_PERIOD_MS = 1000

function run({ layout, tally: options }: QuorumWaiterTask): void {
  const counters = new Counters(layout.counters['quorum-waiter'], 'quorum-waiter')
  const doorbell = new Doorbell(layout.doorbells['quorum-waiter'])
  const mainDoorbell = new Doorbell(layout.doorbells.main)
  const incoming = new RingConsumer(layout.rings.mainToQuorumWaiter, mainToQuorumWaiter)
  const outgoing = new RingProducer(layout.rings.quorumWaiterToMain, quorumWaiterToMain)
  const tally = new QuorumTally(options)

  let open = true
  let said = 0
  const say = (message: Parameters<typeof outgoing.push>[0]): void => {
    outgoing.push(message)
    said += 1
  }
  const sayCertified = (sequence: bigint): void =>
    say({ kind: 'certified', sequence, since: tally.certifiedSince(sequence) })
  const sayExpired = (): void => {
    const expired = tally.takeExpired()
    if (expired !== undefined) say({ kind: 'expired', ...expired })
  }
  const handle = (message: MainToQuorumWaiter): void => {
    switch (message.kind) {
      case 'tracked':
        tally.track(message.sequence, message.peers)
        break
      case 'own-stored': {
        const wrongPeers: number[] = []
        tally.advance(message.at)
        const certified = tally.ownStored(message.sequence, message.digest, options.requiredLevel, wrongPeers)
        for (const peer of wrongPeers) {
          say({ kind: 'held-wrong', peer, sequence: message.sequence })
        }
        if (certified) sayCertified(message.sequence)
        sayExpired()
        break
      }
      case 'ack': {
        const { peer, sequence, digest, level, status } = message
        tally.advance(message.at)
        const verdict = tally.ack(peer, sequence, digest, level, status)
        say({ kind: 'verdict', peer, sequence, verdict: verdict === 'certified' ? 'counted' : verdict })
        if (verdict === 'certified') sayCertified(sequence)
        sayExpired()
        counters.add('acks')
        break
      }
      case 'resent':
        tally.addPeer(message.sequence, message.peer)
        break
      case 'release':
        tally.release(message.sequence)
        say({ kind: 'released', sequence: message.sequence })
        break
      case 'close':
        open = false
    }
  }
  const poll = (): number => {
    const found = incoming.drain(handle, RING_DRAIN_LIMIT)
    // One wake-up for all that a pass had to say.
    if (said > 0) mainDoorbell.ring()
    said = 0
    counters.set('certified', tally.counts.certified)
    counters.set('entries', tally.size)
    return found
  }

  let periodStart = performance.now()
  let waitedMs = 0
  doorbell.serveBlocking(
    poll,
    () => open,
    (ms) => {
      waitedMs += ms
      const periodMs = performance.now() - periodStart
      if (periodMs < UTILISATION_PERIOD_MS) return
      counters.set('loopUtilisation', Math.max(0, 1 - waitedMs / periodMs))
      periodStart += periodMs
      waitedMs = 0
    },
  )
}

run(workerData as QuorumWaiterTask)
