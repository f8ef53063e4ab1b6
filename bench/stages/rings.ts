/**
 * The hand-over between two real threads: through the product's rings, with its messages and doorbells. This thread is
 * main, with main's own ends of the rings; the other is ring-peer.ts.
 */

import { setTimeout as sleep } from 'node:timers/promises'
import { Worker } from 'node:worker_threads'
import { MainRings, type RingHandlers } from '../../src/main/thread-host/main-rings.js'
import { BATCH_SIZE_MIN } from '../../src/shared/config/limits.js'
import { DIGEST_BYTES } from '../../src/shared/constants.js'
import { START } from '../../src/shared/freshness.js'
import type { QuorumWaiterToMain } from '../../src/shared/memory/dialogue/quorum-waiter.js'
import { createLayout, ringCredits } from '../../src/shared/memory/layout.js'
import { DESCRIPTOR_BYTES } from '../../src/shared/memory/ring.js'
import { measure } from '../lib/measure.js'
import { latencyRow, type Row, type RowName, rateRow } from '../lib/row.js'
import type { Stage, StageContext } from '../lib/stage.js'
import { latencies, meanAndMargin } from '../lib/statistics.js'
import type { RingPeerData, Waits } from './ring-peer.js'

const NAME = 'rings'
/** Rings of the default size; no batches. */
const LAYOUT = { ownSlots: 32, inboundSlotsPerPeer: 8, authorities: 4, batchBytesMax: BATCH_SIZE_MIN }
const DIGEST = new Uint8Array(DIGEST_BYTES)
/** Messages that one sample moves: enough that its beginning and end do not matter. */
const MESSAGES = 20_000
const ROUND_TRIPS_MIN = 20
/** Long enough for main to fall asleep. */
const ANSWER_PAUSE_NS = 300_000n
/** A thread that takes nothing for so long will take nothing any more. */
const STUCK_MS = 10_000

export const rings: Stage = {
  name: NAME,
  about: 'messages between two threads through rings and doorbells: throughput, wake-up, round trip',
  async run(context) {
    return [...(await withPeer('blocking', context)), ...(await withPeer('event loop', context))]
  },
}

async function withPeer(waits: Waits, { timeMs }: StageContext): Promise<Row[]> {
  const peer = new Peer(waits)
  const to = waits === 'blocking' ? 'a thread that blocks' : 'a thread with an event loop'
  const message = { op: 'message', ops: MESSAGES, bytes: DESCRIPTOR_BYTES, isAsync: true } as const
  try {
    return [
      ...(await measure(
        NAME,
        [
          { ...message, name: `one way, to ${to}`, run: () => peer.sendAll(MESSAGES) },
          {
            ...message,
            name: `there and an answer back, ${to}`,
            op: 'message and answer',
            bytes: 2 * DESCRIPTOR_BYTES,
            run: () => peer.exchangeAll(MESSAGES),
          },
        ],
        timeMs,
      )),
      ...(await latencyRows(peer, to, timeMs)),
    ]
  } finally {
    await peer.close()
  }
}

/** One message at a time. */
async function latencyRows(peer: Peer, to: string, timeMs: number): Promise<Row[]> {
  const name = (what: string, op: string): RowName => ({ stage: NAME, case: what, op })
  const [there, back, both]: [number[], number[], number[]] = [[], [], []]
  const wakeUpsEndMs = performance.now() + timeMs
  while (there.length < ROUND_TRIPS_MIN || performance.now() < wakeUpsEndMs) {
    // The other thread is asleep by the end of this, and this one by the end of that one's pause.
    await sleep(1)
    const { sentNs, cameNs, answeredNs, backNs } = await peer.roundTrip(ANSWER_PAUSE_NS)
    there.push(Number(cameNs - sentNs))
    back.push(Number(backNs - answeredNs))
  }
  const roundTripsEndMs = performance.now() + timeMs
  while (both.length < ROUND_TRIPS_MIN || performance.now() < roundTripsEndMs) {
    const { sentNs, backNs } = await peer.roundTrip(0n)
    both.push(Number(backNs - sentNs))
  }
  return [
    latencyRow(name(`wake-up of ${to}`, 'message'), latencies(there)),
    latencyRow(name(`wake-up of main (event loop) by ${to}`, 'message'), latencies(back)),
    rateRow(
      name(`round trips, one after the other, ${to}`, 'round trip'),
      meanAndMargin(both).mean,
      undefined,
      latencies(both),
    ),
  ]
}

/** Main's side of a pair of threads. */
class Peer {
  private readonly rings: MainRings
  private readonly worker: Worker
  private readonly failed: Promise<never>
  private readonly toCapacity: number
  private readonly credits: number
  private onMessage: (message: QuorumWaiterToMain) => void = () => {}

  constructor(waits: Waits) {
    const layout = createLayout(LAYOUT)
    this.rings = new MainRings(layout)
    this.toCapacity = layout.rings.mainToQuorumWaiter.capacity
    this.credits = Math.min(ringCredits(LAYOUT).quorumWaiterToMain, ringCredits(LAYOUT).mainToQuorumWaiter)
    const workerData: RingPeerData = { layout, waits }
    this.worker = new Worker(new URL('./ring-peer.js', import.meta.url), { workerData })
    this.failed = new Promise((_, reject) => this.worker.once('error', reject))
    this.failed.catch(() => {})
  }

  /** As fast as the other thread takes them. Where the product has credits, this waits for room without sleeping. */
  async sendAll(count: number): Promise<void> {
    for (let n = 0; n < count; n += 1) {
      this.waitForRoom()
      this.ack(0)
    }
    this.rings.toQuorumWaiter({ kind: 'release', sequence: 0n })
    let released = false
    this.onMessage = ({ kind }) => {
      released = kind === 'released'
    }
    await this.serve(() => released)
  }

  /** As many on their way as there are credits; each answer is the credit for another one. */
  async exchangeAll(count: number): Promise<void> {
    let sent = 0
    let answered = 0
    const sendOne = (): void => {
      sent += 1
      this.ack(1)
    }
    this.onMessage = () => {
      answered += 1
      if (sent < count) sendOne()
    }
    while (sent < Math.min(this.credits, count)) sendOne()
    await this.serve(() => answered === count)
  }

  /** All times are of the clock that threads share. @param pauseNs how long the other thread waits with its answer */
  async roundTrip(pauseNs: bigint): Promise<{ sentNs: bigint; cameNs: bigint; answeredNs: bigint; backNs: bigint }> {
    let cameNs = 0n
    let answeredNs = 0n
    let backNs = 0n
    this.onMessage = ({ kind, sequence }) => {
      if (kind === 'certified') {
        cameNs = sequence
        return
      }
      backNs = process.hrtime.bigint()
      answeredNs = sequence
    }
    const sentNs = process.hrtime.bigint()
    this.rings.toQuorumWaiter({ kind: 'own-stored', sequence: pauseNs, digest: DIGEST, at: START })
    await this.serve(() => backNs !== 0n)
    return { sentNs, cameNs, answeredNs, backNs }
  }

  async close(): Promise<void> {
    const ended = new Promise((resolve) => this.worker.once('exit', resolve))
    this.rings.toQuorumWaiter({ kind: 'close' })
    await Promise.race([ended, this.failed])
  }

  /** Room for two: for an `ack`, and a `release` behind the last. */
  private waitForRoom(): void {
    if (this.rings.depth('mainToQuorumWaiter') < this.toCapacity - 1) return
    const endMs = performance.now() + STUCK_MS
    while (this.rings.depth('mainToQuorumWaiter') >= this.toCapacity - 1) {
      if (performance.now() > endMs) throw new Error('rings: the other thread has stopped')
    }
  }

  private ack(status: 0 | 1): void {
    this.rings.toQuorumWaiter({ kind: 'ack', peer: 1, sequence: 1n, digest: DIGEST, level: 1, status, at: START })
  }

  /** Main's loop, until something is so. */
  private serve(isDone: () => boolean): Promise<void> {
    const handlers: RingHandlers = {
      onBatchMaker: () => {},
      onProcessor: () => {},
      onQuorumWaiter: (message) => this.onMessage(message),
    }
    const served = this.rings.doorbell.serve(
      () => this.rings.drain(handlers),
      () => !isDone(),
    )
    return Promise.race([served, this.failed])
  }
}
