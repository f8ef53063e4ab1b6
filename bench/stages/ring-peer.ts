/**
 * The other thread of the `rings` stage. It stands where the quorum-waiter stands, at its ends of its rings, and waits
 * as the quorum-waiter does or as the threads with an event loop do. What it is to do with a message is in its kind:
 *
 * - `ack`: count it; with status 1 answer it with a `verdict`, which gives a credit back;
 * - `own-stored`: say when it came, in the `sequence` of a `certified`, and after a pause of the message's `sequence`,
 *   when that was over, in the `sequence` of a `released`: nanoseconds of the clock that all threads share;
 * - `release`: say `released`;
 * - `close`: end.
 */

import { parentPort, workerData } from 'node:worker_threads'
import { RING_DRAIN_LIMIT } from '../../src/shared/constants.js'
import { START } from '../../src/shared/freshness.js'
import {
  type MainToQuorumWaiter,
  mainToQuorumWaiter,
  quorumWaiterToMain,
} from '../../src/shared/memory/dialogue/quorum-waiter.js'
import { Doorbell } from '../../src/shared/memory/doorbell.js'
import type { Layout } from '../../src/shared/memory/layout.js'
import { RingConsumer, RingProducer } from '../../src/shared/memory/ring.js'

export interface RingPeerData {
  readonly layout: Layout
  readonly waits: Waits
}

/** How a thread waits for its doorbell: `serveBlocking` or `serve`. */
export type Waits = 'blocking' | 'event loop'

async function run({ layout, waits }: RingPeerData): Promise<void> {
  const doorbell = new Doorbell(layout.doorbells['quorum-waiter'])
  const mainDoorbell = new Doorbell(layout.doorbells.main)
  const incoming = new RingConsumer(layout.rings.mainToQuorumWaiter, mainToQuorumWaiter)
  const outgoing = new RingProducer(layout.rings.quorumWaiterToMain, quorumWaiterToMain)
  let open = true
  let said = 0
  const handle = (message: MainToQuorumWaiter): void => {
    switch (message.kind) {
      case 'ack':
        if (message.status === 0) return
        outgoing.push({ kind: 'verdict', peer: message.peer, sequence: message.sequence, verdict: 'counted' })
        break
      case 'own-stored': {
        const came = process.hrtime.bigint()
        outgoing.push({ kind: 'certified', sequence: came, since: START })
        const answerFrom = came + message.sequence
        while (process.hrtime.bigint() < answerFrom);
        outgoing.push({ kind: 'released', sequence: process.hrtime.bigint() })
        break
      }
      case 'release':
        outgoing.push({ kind: 'released', sequence: message.sequence })
        break
      default:
        open = false
        return
    }
    said += 1
  }
  const poll = (): number => {
    const found = incoming.drain(handle, RING_DRAIN_LIMIT)
    // One wake-up for all that a pass had to say, as in the quorum-waiter.
    if (said > 0) mainDoorbell.ring()
    said = 0
    return found
  }
  const isOpen = (): boolean => open
  if (waits === 'blocking') {
    doorbell.serveBlocking(poll, isOpen, () => {})
    return
  }
  // `waitAsync` does not keep a thread alive.
  parentPort!.on('message', () => {})
  await doorbell.serve(poll, isOpen)
  parentPort!.unref()
}

void run(workerData as RingPeerData)
