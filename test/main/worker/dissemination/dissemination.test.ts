/** Dissemination: what holds a slot, who is told what and in which order. Its quorum-waiter is the test. */

import type { Stream } from '@libp2p/interface'
import * as fc from 'fast-check'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { Dissemination } from '../../../../src/main/worker/dissemination/dissemination.js'
import {
  HEAL_PATIENCE_MS,
  HELD_ACK_TIMEOUTS_MAX,
  IN_FLIGHT_MIN,
  REFUSAL_BACKOFF_MAX_MS,
  REFUSAL_BACKOFF_MIN_MS,
  REFUSAL_DROP_MS,
  SLOTS_STARVED_MS,
  STRAY_ACKS_PER_SECOND,
  STUCK_MENDED_MS,
} from '../../../../src/main/worker/dissemination/limits.js'
import type { Moment } from '../../../../src/shared/freshness.js'
import type { AckVerdict, MainToQuorumWaiter } from '../../../../src/shared/memory/dialogue/quorum-waiter.js'
import { Arena, slotStride } from '../../../../src/shared/memory/slots.js'
import { peerMask } from '../../../../src/shared/wire/ack.js'
import { FRAME_TYPES } from '../../../../src/shared/wire/frames.js'
import { RawStream } from '../../../support/raw-stream.js'
import { StreamPairs } from '../../../support/stream-pair.js'
import { until } from '../../../support/until.js'

const BATCH_BYTES_MAX = 10_000
const OWN_SLOTS = 8
const RESEND_SLOTS = 4
const PEERS = [0, 2, 3]
const ACK_TIMEOUT_MS = 30_000
/** Free slots below which certified batches are dropped for laggards. */
const WANTED = OWN_SLOTS / 4

let pairs: StreamPairs
beforeAll(async () => {
  pairs = await StreamPairs.start()
})
afterAll(() => pairs.stop())

let nowMs: number
let moment: Moment
let arena: Arena
let dissemination: Dissemination
let log: string[]
let toQuorumWaiter: MainToQuorumWaiter[]
/** The messages among them that the quorum-waiter is woken for. */
let urgent: string[]
/** How often it was woken for what was not urgent. */
let woken: number
let freed: number[]
let stuck: number[]
let dropped: string[]
let owed: number[]
/** Batches that are to be reported, and since when they are certified. */
let reported: [bigint, Moment | undefined][]

function make(stakes: readonly number[] = [1, 1, 1, 1]): void {
  nowMs = 1_000
  moment = { rounds: 5, awayMs: 0 }
  log = []
  toQuorumWaiter = []
  urgent = []
  woken = 0
  freed = []
  stuck = []
  dropped = []
  owed = []
  reported = []
  const slots = OWN_SLOTS + RESEND_SLOTS
  const buffer = new SharedArrayBuffer(slots * slotStride(BATCH_BYTES_MAX))
  arena = new Arena({ buffers: [buffer], slots, batchBytesMax: BATCH_BYTES_MAX })
  dissemination = new Dissemination(
    {
      authorities: 4,
      peers: PEERS,
      stakes,
      ownIndex: 1,
      quorumThreshold: Math.floor((2 * stakes.reduce((sum, stake) => sum + stake, 0)) / 3) + 1,
      ownSlots: OWN_SLOTS,
      ackTimeoutMs: ACK_TIMEOUT_MS,
    },
    {
      arena,
      nowMs: () => nowMs,
      moment: () => moment,
      wakeQuorumWaiter: () => {
        woken += 1
      },
      toProcessor: ({ sequence }) => log.push(`processor ${sequence}`),
      toQuorumWaiter: (message, isUrgent) => {
        toQuorumWaiter.push(message)
        if (isUrgent) urgent.push('peer' in message ? `${message.kind} of ${message.peer}` : message.kind)
        log.push('sequence' in message ? `${message.kind} ${message.sequence}` : message.kind)
      },
    },
    {
      onCertified: ({ certifiedSince, report, sequence }) => {
        log.push(`on certified ${sequence}`)
        if (report) reported.push([sequence, certifiedSince])
      },
      onSlotFree: (slot) => freed.push(slot),
      onAckLatency() {},
      onSent: (peer, bytes) => log.push(`sent ${bytes} to ${peer}`),
      onAckRefused: (peer, verdict) => log.push(`ack of ${peer} refused: ${verdict}`),
      onAckExpired: (peer) => log.push(`ack of ${peer} expired`),
      onDropped: (peer, { sequence }) => dropped.push(`${sequence} for ${peer}`),
      onOwed: (peer) => owed.push(peer),
      onStuck: (peer) => stuck.push(peer),
    },
  )
}
beforeEach(() => make())

const DIGEST = new Uint8Array(32).fill(5)
/** Of a test that tells batches apart. */
const digestOf = (sequence: number): Uint8Array<ArrayBuffer> => new Uint8Array(32).fill(sequence)

/** A batch of ours in the slot of its number. */
function seal(sequence: number): void {
  const bytes = arena.batch(sequence % OWN_SLOTS, 1_000)
  new DataView(bytes.buffer, bytes.byteOffset).setBigUint64(24, BigInt(sequence), true)
  dissemination.onSealed({
    kind: 'sealed',
    slot: sequence % OWN_SLOTS,
    sequence: BigInt(sequence),
    byteLength: 1_000,
    transactions: 3,
    transactionBytes: 900,
  })
}

const stored = (sequence: number, digest = DIGEST): void => dissemination.onOwnStored(BigInt(sequence), digest)
/** A batch in each of our slots. */
function fillSlots(digest = (_: number) => DIGEST): void {
  for (let sequence = 0; sequence < OWN_SLOTS; sequence += 1) {
    seal(sequence)
    stored(sequence, digest(sequence))
  }
}
const certified = (sequence: number): void =>
  dissemination.onVerdict({ kind: 'certified', sequence: BigInt(sequence), since: moment })
const ack = (peer: number, sequence: number, status: 0 | 1 | 2 | 3 = 0) =>
  dissemination.onAck(peer, { sequence: BigInt(sequence), digest: DIGEST, level: 1, status, used: 0 })
const verdict = (peer: number, sequence: number, is: AckVerdict): void =>
  dissemination.onVerdict({ kind: 'verdict', peer, sequence: BigInt(sequence), verdict: is })
const released = (sequence: number): void => dissemination.onVerdict({ kind: 'released', sequence: BigInt(sequence) })
const said = (kind: MainToQuorumWaiter['kind']): MainToQuorumWaiter[] =>
  toQuorumWaiter.filter((message) => message.kind === kind)

/** A peer that reads what it is sent. */
async function connect(peer: number): Promise<{ near: Stream; far: RawStream }> {
  const sender = dissemination.senders.get(peer)!
  const opened = await pairs.open((stream) => new RawStream(stream))
  opened.near.addEventListener('close', () => dissemination.onStreamLost(peer))
  sender.attach(opened.near)
  return opened
}

/** A stored batch goes out once more, from the slot of its number among those for that. */
function resend(sequence: number, { report, again, peer }: { report: boolean; again: boolean; peer?: number }): void {
  dissemination.resend({
    slot: OWN_SLOTS + (sequence % RESEND_SLOTS),
    sequence: BigInt(sequence),
    byteLength: 500,
    transactions: 1,
    transactionBytes: 400,
    digest: DIGEST,
    report,
    again,
    peer,
  })
}

describe('the order of things', () => {
  test('a batch is tracked before anything else is done with it, for all peers', async () => {
    const streams = await Promise.all(PEERS.map((peer) => connect(peer)))
    seal(1)
    expect(log[0]).toBe('tracked 1')
    expect(log).toContain('processor 1')
    expect(log.filter((line) => line.startsWith('sent '))).toHaveLength(PEERS.length)
    const [tracked] = said('tracked') as Extract<MainToQuorumWaiter, { kind: 'tracked' }>[]
    expect([...tracked!.peers.subarray(0, 2)]).toEqual([0b1101, 0])
    for (const { far } of streams) {
      const [frame] = await far.framesCame(1)
      expect(frame!.type).toBe(FRAME_TYPES.batch)
      expect(frame!.payload).toHaveLength(1_000)
    }
    for (const { near } of streams) near.abort(new Error('done'))
  })

  test('one that is sent again is tracked, and its digest said, before it is sent', async () => {
    const { near } = await connect(2)
    resend(9, { report: false, again: true })
    expect(log.slice(0, 2)).toEqual(['tracked 9', 'own-stored 9'])
    expect(log[2]).toBe('sent 508 to 2')
    expect(log).not.toContain('processor 9')
    expect(dissemination.slotsFree).toBe(OWN_SLOTS)
    expect(dissemination.has(9n)).toBe(true)
    near.abort(new Error('done'))
  })

  test('a batch counts as uncertified until it is, and is told on once', () => {
    seal(1)
    seal(2)
    expect(dissemination.uncertified).toBe(2)
    certified(1)
    expect(dissemination.uncertified).toBe(1)
    expect(log.filter((line) => line === 'on certified 1')).toHaveLength(1)
  })
})

describe('the quorum-waiter is woken', () => {
  test('for the message that may complete a quorum, and for no other of a batch', async () => {
    const streams = await Promise.all(PEERS.map((peer) => connect(peer)))
    seal(1)
    stored(1)
    ack(0, 1)
    expect(urgent).toEqual([])
    ack(2, 1)
    expect(urgent).toEqual(['ack of 2'])
    certified(1)
    ack(3, 1)
    expect(said('release')).toHaveLength(1)
    expect(urgent).toEqual(['ack of 2'])

    // Where the ACKs come first, it is our own copy.
    urgent = []
    seal(2)
    for (const peer of PEERS) ack(peer, 2)
    expect(urgent).toEqual([])
    stored(2)
    expect(urgent).toEqual(['own-stored'])
    for (const { near } of streams) near.abort(new Error('done'))
  })

  test('by stake, not by heads', async () => {
    make([1, 1, 4, 1])
    const streams = await Promise.all(PEERS.map((peer) => connect(peer)))
    seal(1)
    stored(1)
    ack(2, 1)
    expect(urgent).toEqual(['ack of 2'])
    for (const { near } of streams) near.abort(new Error('done'))
  })

  test('for a refusal, and for the answer that a peer which has refused is sent more after', async () => {
    const { near } = await connect(2)
    seal(1)
    stored(1)
    ack(2, 1, 2)
    expect(urgent).toEqual(['ack of 2'])
    verdict(2, 1, 'refused-quota')
    expect(said('resent')).toHaveLength(1)
    nowMs += REFUSAL_BACKOFF_MAX_MS
    dissemination.senders.get(2)!.pump()
    ack(2, 1)
    expect(urgent).toEqual(['ack of 2', 'ack of 2'])
    near.abort(new Error('done'))
  })

  test('for the answer of a peer that has refused another batch, though it completes no quorum', async () => {
    const { near } = await connect(2)
    seal(1)
    stored(1)
    certified(1)
    ack(2, 1, 2)
    verdict(2, 1, 'refused-quota')
    seal(2)
    stored(2)
    urgent = []
    nowMs += REFUSAL_BACKOFF_MAX_MS
    dissemination.senders.get(2)!.pump()
    ack(2, 2)
    expect(said('resent')).toHaveLength(0)
    expect(urgent).toEqual(['ack of 2'])
    near.abort(new Error('done'))
  })

  test('for each ACK of a batch of which some were too old, since the tally may count others still', async () => {
    const streams = await Promise.all(PEERS.map((peer) => connect(peer)))
    seal(1)
    stored(1)
    ack(0, 1)
    ack(2, 1)
    urgent = []
    dissemination.onVerdict({ kind: 'expired', sequence: 1n, peers: peerMask([0, 2]) })
    ack(0, 1)
    expect(urgent).toEqual(['ack of 0'])
    for (const { near } of streams) near.abort(new Error('done'))
  })

  test('for a slot that is wanted back: when few are left, and when it is one for sending again', () => {
    const letGo = (sequence: number): void => {
      urgent = []
      certified(sequence)
      dissemination.letGo(digestOf(sequence))
    }
    for (let sequence = 1; sequence <= OWN_SLOTS; sequence += 1) {
      seal(sequence)
      dissemination.onOwnStored(BigInt(sequence), digestOf(sequence))
    }
    for (let held = OWN_SLOTS; held > 0; held -= 1) {
      letGo(held)
      expect(said('release')).toHaveLength(OWN_SLOTS - held + 1)
      expect(urgent).toEqual(held > OWN_SLOTS / 2 ? ['release'] : [])
      released(held)
    }
    const fields = { byteLength: 500, transactions: 1, transactionBytes: 400, report: false, again: true }
    dissemination.resend({ slot: OWN_SLOTS, sequence: 50n, digest: digestOf(50), ...fields })
    letGo(50)
    expect(urgent).toEqual(['release'])
  })
})

describe('for a slot that is on its way back without haste the quorum-waiter is woken', () => {
  const answeredByAll = async (): Promise<() => void> => {
    const streams = await Promise.all(PEERS.map((peer) => connect(peer)))
    seal(1)
    stored(1)
    for (const peer of PEERS) ack(peer, 1)
    certified(1)
    expect([said('release').length, urgent, woken]).toEqual([1, ['ack of 2', 'ack of 3'], 0])
    return () => {
      for (const { near } of streams) near.abort(new Error('done'))
    }
  }

  test('when somebody lacks its batch', async () => {
    const end = await answeredByAll()
    expect(dissemination.heal(DIGEST)).toBe('leaving')
    expect(woken).toBe(1)
    end()
  })

  test('when its batch is to be certified anew', async () => {
    const end = await answeredByAll()
    expect(dissemination.letGo(DIGEST)).toBe('leaving')
    expect(woken).toBe(1)
    end()
  })

  test('when it is let go of for that, once no peer is being sent the batch', async () => {
    const { near } = await connect(2)
    seal(1)
    stored(1)
    certified(1)
    expect(dissemination.letGo(DIGEST)).toBe('leaving')
    expect([said('release').length, woken]).toEqual([0, 0])
    ack(2, 1)
    expect([said('release').length, woken]).toEqual([1, 0])
    expect(dissemination.letGo(DIGEST)).toBe('leaving')
    expect(woken).toBe(1)
    near.abort(new Error('done'))
  })

  test('at once if nothing but peers that are away held it', () => {
    seal(1)
    stored(1)
    certified(1)
    expect(dissemination.letGo(DIGEST)).toBe('leaving')
    expect([said('release').length, woken]).toEqual([1, 1])
  })
})

describe('a slot is free again', () => {
  test('once it is stored, then certified, and every peer has answered, in whatever order, and not before', async () => {
    const streams = await Promise.all(PEERS.map((peer) => connect(peer)))
    let sequence = 100
    // Each peer answers with an ACK or with a refusal: both let go of the slot.
    const answers = fc.tuple(fc.boolean(), fc.boolean(), fc.boolean())
    const steps = ['stored', 'certified', 'ack 0', 'ack 2', 'ack 3'] as const
    await fc.assert(
      fc.asyncProperty(
        fc.shuffledSubarray([...steps], { minLength: steps.length, maxLength: steps.length }),
        answers,
        async (order, refuses) => {
          sequence += 1
          // The pause after the refusals of the last run is over.
          nowMs += REFUSAL_BACKOFF_MAX_MS
          const own = sequence
          seal(own)
          // Nothing is certified that is not stored here: of the two, `stored` comes first.
          const [a, b] = [order.indexOf('stored'), order.indexOf('certified')]
          order[Math.min(a, b)] = 'stored'
          order[Math.max(a, b)] = 'certified'
          for (const step of order) {
            expect(said('release')).toHaveLength(0)
            if (step === 'stored') stored(own)
            else if (step === 'certified') certified(own)
            else {
              const peer = Number(step.slice(4))
              expect(ack(peer, own, refuses[PEERS.indexOf(peer)] ? 1 : 0)).toBeUndefined()
            }
          }
          expect(said('release')).toEqual([{ kind: 'release', sequence: BigInt(own) }])
          expect(dissemination.slotsFree).toBe(OWN_SLOTS)
          // Its peers’ answers are judged, and it is forgotten, before it goes back.
          expect(freed).toEqual([])
          for (const [i, peer] of PEERS.entries()) verdict(peer, own, refuses[i] ? 'refused-invalid' : 'late')
          released(own)
          expect(freed).toEqual([own % OWN_SLOTS])
          expect(dissemination.has(BigInt(own))).toBe(false)
          freed.length = 0
          toQuorumWaiter.length = 0
        },
      ),
      { numRuns: 60 },
    )
    for (const { near } of streams) near.abort(new Error('done'))
  })

  test('not because a stream was lost: the batch is queued for the next', async () => {
    const { near } = await connect(2)
    seal(1)
    stored(1)
    certified(1)
    near.abort(new Error('lost'))
    expect(dissemination.senders.get(2)!.queued).toBe(1)
    expect(said('release')).toEqual([])
    dissemination.tick()
    expect(said('release')).toEqual([])
  })
})

describe('when slots run short', () => {
  test('certified batches are dropped for the one that lags the most, the oldest first, until there is room', async () => {
    const { near } = await connect(0)
    // Peer 0 answers all; 2 and 3 are away. 3 comes back for the first two.
    for (let sequence = 0; sequence < OWN_SLOTS - WANTED; sequence += 1) {
      seal(sequence)
      stored(sequence)
      ack(0, sequence)
      certified(sequence)
    }
    expect(dropped).toEqual([])
    const third = await connect(3)
    for (const sequence of [0, 1, 2]) ack(3, sequence)
    const waiting = OWN_SLOTS - WANTED - IN_FLIGHT_MIN - IN_FLIGHT_MIN
    expect(dissemination.senders.get(3)!.queued).toBe(waiting)
    expect(dissemination.senders.get(2)!.queued).toBe(OWN_SLOTS - WANTED)

    // One free slot is one too few: of the oldest batch the last holder is 2, which lags the most.
    seal(OWN_SLOTS - WANTED)
    expect(dropped).toEqual(['0 for 2'])
    expect(said('release')).toEqual([{ kind: 'release', sequence: 0n }])
    near.abort(new Error('done'))
    third.near.abort(new Error('done'))
  })

  test('what is not certified is never dropped, though nothing is free', () => {
    fillSlots()
    dissemination.tick()
    expect(dissemination.slotsFree).toBe(0)
    expect(dropped).toEqual([])
    expect(PEERS.map((peer) => dissemination.senders.get(peer)!.queued)).toEqual([OWN_SLOTS, OWN_SLOTS, OWN_SLOTS])
    // As soon as one is, it is dropped for all who lag, and goes.
    certified(3)
    expect([...dropped].sort()).toEqual(['3 for 0', '3 for 2', '3 for 3'])
    expect(said('release')).toEqual([{ kind: 'release', sequence: 3n }])
  })

  test('a peer that holds a started batch is stuck once nothing has been free for a while', async () => {
    const { near } = await connect(2)
    fillSlots()
    // The batches that were handed to 2 are certified by the others; the rest is not, and is not dropped.
    for (let sequence = 0; sequence < IN_FLIGHT_MIN - 1; sequence += 1) certified(sequence)
    expect(dissemination.slotsFree).toBe(0)
    dissemination.tick()
    nowMs += SLOTS_STARVED_MS - 1
    dissemination.tick()
    expect(stuck).toEqual([])
    nowMs += 1
    dissemination.tick()
    expect(stuck).toEqual([2])
    dissemination.tick()
    expect(stuck).toEqual([2])
    // Its connection is closed for it: what it had is queued, may be dropped now, and is.
    near.abort(new Error('closed for being stuck'))
    dissemination.tick()
    expect(dropped).toContain('0 for 2')
    expect(said('release')).toContainEqual({ kind: 'release', sequence: 0n })
    released(0)
    nowMs += 10 * SLOTS_STARVED_MS
    dissemination.tick()
    expect(stuck).toEqual([2])
  })

  test('a peer that holds a batch in another slot than those that are short is not taken for the stuck one', async () => {
    const [honest, holds] = [await connect(3), await connect(2)]
    resend(100, { report: true, again: false })
    certified(100)
    ack(2, 100)
    fillSlots()
    for (const sequence of [0, 1]) {
      certified(sequence)
      ack(3, sequence)
    }
    expect(dissemination.slotsFree).toBe(0)
    dissemination.tick()
    nowMs += SLOTS_STARVED_MS
    dissemination.tick()
    expect(stuck).toEqual([2])
    for (const { near } of [honest, holds]) near.abort(new Error('done'))
  })

  test('the slots for sending again are apart: neither takes from the other', () => {
    const again = (slot: number): void => resend(1_000 + slot, { report: true, again: false })
    for (let slot = OWN_SLOTS; slot < OWN_SLOTS + RESEND_SLOTS; slot += 1) {
      again(slot)
      certified(1_000 + slot)
    }
    expect(dissemination.slotsFree).toBe(OWN_SLOTS)
    // One of four is kept free, and nothing was dropped beyond that.
    expect(said('release')).toEqual([{ kind: 'release', sequence: BigInt(1_000 + OWN_SLOTS) }])
    expect(stuck).toEqual([])
  })
})

describe('a batch that somebody lacks', () => {
  const bytes = 1_000

  test('goes again from the slot that is held for one that is away, to all others, and the tally hears nothing of it', async () => {
    const [quick, lacks] = [await connect(0), await connect(2)]
    seal(1)
    stored(1)
    for (const peer of [0, 2]) {
      ack(peer, 1)
      verdict(peer, 1, 'counted')
    }
    certified(1)
    // 3 is away, so the slot is still held.
    expect(said('release')).toEqual([])
    expect(dissemination.heal(DIGEST)).toBe(bytes)
    await quick.far.framesCame(2)
    const frames = await lacks.far.framesCame(2)
    expect(frames[1]!.payload).toEqual(frames[0]!.payload)
    // It is on its way: once more changes nothing.
    expect(dissemination.heal(DIGEST)).toBe(0)
    for (const peer of [0, 2]) expect(ack(peer, 1)).toBeUndefined()
    expect(said('ack')).toHaveLength(2)
    // And again, as often as somebody asks.
    expect(dissemination.heal(DIGEST)).toBe(bytes)
    await lacks.far.framesCame(3)
    for (const peer of [0, 2]) ack(peer, 1)
    expect(said('ack')).toHaveLength(2)
    // Unasked it is a second word for the tally to refuse.
    ack(2, 1)
    expect(said('ack')).toHaveLength(3)
    for (const { near } of [quick, lacks]) near.abort(new Error('done'))
  })

  test('is not sent before a quorum has it, nor from a slot that is about to be free, nor when no slot holds it', async () => {
    const streams = await Promise.all(PEERS.map((peer) => connect(peer)))
    expect(dissemination.heal(DIGEST)).toBe('not-held')
    seal(1)
    stored(1)
    expect(dissemination.heal(DIGEST)).toBe(0)
    for (const peer of PEERS) ack(peer, 1)
    certified(1)
    expect(said('release')).toHaveLength(1)
    expect(dissemination.heal(DIGEST)).toBe('leaving')
    released(1)
    expect(dissemination.heal(DIGEST)).toBe('not-held')
    for (const { near } of streams) near.abort(new Error('done'))
  })

  test('one that was lost with the stream is sent on the next, and its answer is still not for the tally', async () => {
    const lacks = await connect(2)
    seal(1)
    stored(1)
    ack(2, 1)
    verdict(2, 1, 'counted')
    certified(1)
    dissemination.heal(DIGEST)
    await lacks.far.framesCame(2)
    lacks.near.abort(new Error('lost'))
    const next = await connect(2)
    await next.far.framesCame(1)
    expect(ack(2, 1)).toBeUndefined()
    expect(said('ack')).toHaveLength(1)
    next.near.abort(new Error('done'))
  })

  test('while it waits for one that lags it may have to make way, and is owed to it then', async () => {
    const [quick, lags] = [await connect(0), await connect(2)]
    // 2 reads, and answers nothing: its window is full, and the rest waits for it.
    for (let sequence = 0; sequence < OWN_SLOTS - WANTED; sequence += 1) {
      seal(sequence)
      stored(sequence, digestOf(sequence))
      ack(0, sequence)
      certified(sequence)
    }
    const wanted = IN_FLIGHT_MIN
    // It goes to 0 again, and waits for 2, and for 3, which is away.
    expect(dissemination.heal(digestOf(wanted))).toBe(bytes)
    expect([owed, dropped]).toEqual([[], []])
    seal(OWN_SLOTS - WANTED)
    expect(dropped).toEqual(expect.arrayContaining([`${wanted} for 2`, `${wanted} for 3`, '4 for 2', '4 for 3']))
    // Of what was dropped, this is what somebody asked for.
    expect(owed).toEqual([2, 3])
    for (const { near } of [quick, lags]) near.abort(new Error('done'))
  })

  test('while the batch-maker needs its slot, nothing more is sent from it: it is owed to all that are not being sent it', async () => {
    const [quick, lags] = [await connect(0), await connect(2)]
    fillSlots(digestOf)
    // In flight to 2, which answers nothing; 3 is away.
    ack(0, 0)
    certified(0)
    expect(dropped).toEqual(['0 for 3'])
    expect(dissemination.heal(digestOf(0))).toBe(0)
    expect(owed).toEqual([0, 3])
    for (const { near } of [quick, lags]) near.abort(new Error('done'))
  })

  test('one that is dropped for a peer that has gone is owed to it', async () => {
    const [quick, goes] = [await connect(0), await connect(2)]
    for (let sequence = 0; sequence < OWN_SLOTS - WANTED; sequence += 1) {
      seal(sequence)
      stored(sequence)
      ack(0, sequence)
      certified(sequence)
    }
    // The first of those with this digest: it is in flight to 2.
    dissemination.heal(DIGEST)
    expect(owed).toEqual([])
    goes.near.abort(new Error('gone'))
    for (const sequence of [6, 7]) seal(sequence)
    expect(dropped).toContain('0 for 2')
    expect(owed).toContain(2)
    quick.near.abort(new Error('done'))
  })

  test('is owed to a peer that is not connected, and to one that refuses it', async () => {
    const streams = await Promise.all(PEERS.map((peer) => connect(peer)))
    seal(1)
    stored(1)
    ack(0, 1)
    ack(3, 1)
    certified(1)
    streams[2]!.near.abort(new Error('gone'))
    expect(dissemination.heal(DIGEST)).toBe(bytes)
    expect(owed).toEqual([3])
    ack(2, 1, 3)
    verdict(2, 1, 'refused-store-full')
    expect(owed).toEqual([3, 2])
    for (const { near } of streams) near.abort(new Error('done'))
  })

  test('is owed anew each time that a peer refuses it, also where the tally has the first refusal', async () => {
    const { near } = await connect(2)
    seal(1)
    stored(1)
    certified(1)
    ack(2, 1, 3)
    verdict(2, 1, 'refused-store-full')
    // 0 and 3 are away, so the slot is still held.
    expect([said('release'), owed]).toEqual([[], []])
    for (const times of [1, 2]) {
      expect(dissemination.heal(DIGEST)).toBe(bytes)
      nowMs += REFUSAL_BACKOFF_MAX_MS
      dissemination.senders.get(2)!.pump()
      owed = []
      expect(ack(2, 1, 3)).toBeUndefined()
      expect([times, owed]).toEqual([times, [2]])
    }
    expect(said('ack')).toHaveLength(1)
    near.abort(new Error('done'))
  })

  test('goes to the peer that is owed it alone, from its slot, and is owed to no other', async () => {
    const [first, second] = [await connect(0), await connect(2)]
    seal(1)
    stored(1)
    for (const peer of [0, 2]) ack(peer, 1)
    certified(1)
    log = []
    // 3 is away, so the slot is still held.
    expect(dissemination.heal(DIGEST, 2)).toBe(bytes)
    expect(log.filter((line) => line.startsWith('sent'))).toEqual(['sent 1008 to 2'])
    expect(dissemination.heal(DIGEST, 2)).toBe(0)
    ack(2, 1, 3)
    expect(owed).toEqual([2])
    for (const { near } of [first, second]) near.abort(new Error('done'))
  })

  test('is owed again to that peer alone while the batch-maker needs its slot, or the peer is away', async () => {
    const [quick, lags] = [await connect(0), await connect(2)]
    fillSlots(digestOf)
    ack(0, 0)
    certified(0)
    for (const peer of [0, 3]) expect(dissemination.heal(digestOf(0), peer)).toBe(0)
    expect(owed).toEqual([0, 3])
    for (const { near } of [quick, lags]) near.abort(new Error('done'))
  })

  test('goes to the peer that is owed it alone, from the store, and its slot is free once that peer has answered', async () => {
    const streams = await Promise.all(PEERS.map((peer) => connect(peer)))
    for (const [sequence, status, owedThen] of [
      [9, 0, []],
      [10, 3, [2]],
    ] as const) {
      log = []
      resend(sequence, { report: false, again: true, peer: 2 })
      expect(log).toEqual([`tracked ${sequence}`, `own-stored ${sequence}`, 'sent 508 to 2'])
      expect(dissemination.uncertified).toBe(0)
      expect(ack(2, sequence, status)).toBeUndefined()
      expect(said('release')).toContainEqual({ kind: 'release', sequence: BigInt(sequence) })
      released(sequence)
      expect(owed).toEqual(owedThen)
    }
    // The tally has nothing to count: no quorum would come of it.
    expect([said('ack'), urgent]).toEqual([[], ['release', 'release']])
    for (const { near } of streams) near.abort(new Error('done'))
  })

  test('that one peer is being sent goes to all from the same slot, when somebody asks', async () => {
    const streams = await Promise.all(PEERS.map((peer) => connect(peer)))
    resend(9, { report: false, again: true, peer: 2 })
    expect(dissemination.heal(DIGEST)).toBe(500)
    expect(log.filter((line) => line.startsWith('sent'))).toEqual(['sent 508 to 2', 'sent 508 to 0', 'sent 508 to 3'])
    for (const peer of PEERS) expect(ack(peer, 9)).toBeUndefined()
    // The tally may find a quorum in the answers that it was told.
    certified(9)
    expect(said('release')).toEqual([{ kind: 'release', sequence: 9n }])
    expect(reported).toEqual([])
    for (const { near } of streams) near.abort(new Error('done'))
  })

  test('after long refusals of it, nothing that a quorum has is kept for the peer', async () => {
    const { near } = await connect(2)
    seal(1)
    stored(1)
    certified(1)
    ack(2, 1)
    const sender = dissemination.senders.get(2)!
    const refuseHeal = (meanwhile = (): void => {}): void => {
      dissemination.heal(DIGEST)
      nowMs += REFUSAL_BACKOFF_MAX_MS
      sender.pump()
      meanwhile()
      ack(2, 1, 3)
    }
    // The pause after one more refusal is a long one.
    for (let pauseMs = REFUSAL_BACKOFF_MIN_MS; 2 * pauseMs < REFUSAL_DROP_MS; pauseMs *= 2) refuseHeal()
    refuseHeal()
    expect(sender.isRefusing).toBe(false)
    refuseHeal(() => {
      resend(9, { report: false, again: true })
      certified(9)
      expect(dropped).not.toContain('9 for 2')
    })
    expect(sender.isRefusing).toBe(true)
    expect(dropped).toContain('9 for 2')
    near.abort(new Error('done'))
  })

  /** A batch that was certified before is sent again. */
  function heal(sequence: number): void {
    resend(sequence, { report: false, again: true })
  }

  test('one is in flight to a peer at a time, also where nothing fresh waits for the link', async () => {
    const { near } = await connect(2)
    for (let sequence = 1; sequence <= RESEND_SLOTS; sequence += 1) heal(sequence)
    const sent = (): number => log.filter((line) => line === 'sent 508 to 2').length
    for (let sequence = 1; sequence <= RESEND_SLOTS; sequence += 1) {
      expect(sent()).toBe(sequence)
      ack(2, sequence)
    }
    near.abort(new Error('done'))
  })

  test('one that had to make way for a peer that is away is owed to it', async () => {
    const { near } = await connect(0)
    for (let sequence = 1; sequence <= RESEND_SLOTS; sequence += 1) {
      heal(sequence)
      ack(0, sequence)
      certified(sequence)
    }
    expect(dropped.length).toBeGreaterThan(0)
    expect(owed).toEqual(dropped.map((line) => Number(line.at(-1))))
    near.abort(new Error('done'))
  })

  test('many go beside fresh ones: neither ahead of all of them nor behind', async () => {
    const { near } = await connect(2)
    // Fresh batches fill the window, and more of them wait.
    for (let sequence = 100; sequence < 100 + OWN_SLOTS; sequence += 1) seal(sequence)
    for (let sequence = 1; sequence <= RESEND_SLOTS; sequence += 1) heal(sequence)
    const sent = (): string[] =>
      log.filter((line) => line.endsWith(' to 2') && line.startsWith('sent')).map((line) => line.split(' ')[1]!)
    // One of those goes beside the window, and no second while it is unanswered, however old their sequences are.
    expect(sent()).toEqual(['1008', '1008', '1008', '508'])
    ack(2, 1)
    expect(sent().filter((size) => size === '508')).toHaveLength(1)
    for (const sequence of [100, 101, 102, 103]) ack(2, sequence)
    // After fresh ones of seven times its bytes the next may go, though fresh ones still wait.
    expect(dissemination.senders.get(2)!.queued).toBeGreaterThan(0)
    expect(sent().filter((size) => size === '508').length).toBe(2)
    near.abort(new Error('done'))
  })
})

describe('ACKs', () => {
  test('for what was not handed over whole are early, end the stream, and are not judged', () => {
    seal(1)
    expect(ack(2, 1)).toMatchObject({ refused: 'ack-early' })
    expect(said('ack')).toEqual([])
    stored(1)
    certified(1)
    expect(said('release')).toEqual([])
  })

  test('are judged by the quorum-waiter, known or not, and what it does not count is told on', async () => {
    const { near } = await connect(2)
    seal(1)
    expect(ack(2, 1)).toBeUndefined()
    expect(ack(2, 1)).toBeUndefined()
    expect(ack(2, 77)).toBeUndefined()
    expect(said('ack').map((message) => 'sequence' in message && message.sequence)).toEqual([1n, 1n, 77n])
    const told = (): string[] => log.filter((line) => line.startsWith('ack of'))
    for (const counted of ['counted', 'held', 'late'] as const) verdict(2, 1, counted)
    expect(told()).toEqual([])
    verdict(2, 1, 'duplicate')
    verdict(2, 77, 'unknown-sequence')
    expect(told()).toEqual(['ack of 2 refused: duplicate', 'ack of 2 refused: unknown-sequence'])
    near.abort(new Error('done'))
  })

  test('may be under judgement as many as there are slots, for each peer, and come back as credits', () => {
    const slots = OWN_SLOTS + RESEND_SLOTS
    for (let i = 0; i < slots; i += 1) expect(ack(2, 1_000 + i)).toBeUndefined()
    expect(ack(2, 1)).toMatchObject({ refused: 'ack-flood' })
    // Another peer has its own.
    expect(ack(3, 1)).toBeUndefined()
    verdict(2, 1_000, 'unknown-sequence')
    expect(ack(2, 1)).toBeUndefined()
    expect(ack(2, 1)).toMatchObject({ refused: 'ack-flood' })
    expect(said('ack')).toHaveLength(slots + 2)
  })

  test('that refuse free the window at once, and are asked again on the same stream while no quorum has it', async () => {
    const { near, far } = await connect(2)
    for (const sequence of [1, 2, 3, 4]) seal(sequence)
    expect(dissemination.senders.get(2)!.inFlightCount).toBe(IN_FLIGHT_MIN)
    for (const sequence of [1, 2, 3]) ack(2, sequence, sequence === 3 ? 0 : 3)
    // It refuses: the fourth is not started.
    expect(dissemination.senders.get(2)!.inFlightCount).toBe(0)
    certified(2)
    verdict(2, 1, 'refused-store-full')
    verdict(2, 2, 'refused-store-full')
    verdict(2, 3, 'counted')
    // 2 is certified without this peer; 1 is not, and is awaited again before it is sent.
    expect(said('resent')).toEqual([{ kind: 'resent', peer: 2, sequence: 1n }])
    nowMs += REFUSAL_BACKOFF_MIN_MS - 1
    dissemination.tick()
    expect(dissemination.senders.get(2)!.inFlightCount).toBe(0)
    nowMs += 1
    const sequences = (): bigint[] =>
      far.frames.map(({ payload }) => new DataView(payload.buffer, payload.byteOffset).getBigUint64(24, true))
    await far.framesCame(IN_FLIGHT_MIN + 1)
    expect(dissemination.senders.get(2)!.inFlightCount).toBe(1)
    expect(ack(2, 4)).toBeUndefined()
    verdict(2, 4, 'counted')
    await far.framesCame(IN_FLIGHT_MIN + 2)
    expect(sequences()).toEqual([1n, 2n, 3n, 4n, 1n])
    expect(ack(2, 1)).toBeUndefined()
    expect(near.status).toBe('open')
    expect(stuck).toEqual([])
    near.abort(new Error('done'))
  })

  test('that refuse again and again hold no slots of what the others certify', async () => {
    const { near } = await connect(2)
    for (let sequence = 0; sequence < 6 * OWN_SLOTS; sequence += 1) {
      seal(sequence)
      stored(sequence)
      if (dissemination.senders.get(2)!.inFlightCount > 0) {
        ack(2, sequence, 3)
        verdict(2, sequence, 'refused-quota')
      }
      certified(sequence)
      for (const { sequence: gone } of said('release') as { sequence: bigint }[]) released(Number(gone))
      toQuorumWaiter.length = 0
      expect(dissemination.slotsFree).toBeGreaterThanOrEqual(1)
      nowMs += 10
    }
    expect(stuck).toEqual([])
    expect(dropped.length).toBeGreaterThan(0)
    near.abort(new Error('done'))
  })

  test('that refuse for long leave nothing certified in the queue, though slots are free', async () => {
    const { near, far } = await connect(2)
    seal(1)
    stored(1)
    // Four refusals: the next pause is beyond a second.
    for (let i = 1; i <= 5; i += 1) {
      await far.framesCame(i)
      ack(2, 1, 2)
      verdict(2, 1, 'refused-quota')
      if (i < 5) nowMs += REFUSAL_BACKOFF_MAX_MS
    }
    seal(2)
    stored(2)
    expect(dissemination.senders.get(2)!.queued).toBe(2)
    // What no quorum has stays.
    certified(2)
    expect(dissemination.senders.get(2)!.queued).toBe(1)
    expect(dropped).toEqual(['2 for 2'])
    certified(1)
    expect(dissemination.senders.get(2)!.queued).toBe(0)
    near.abort(new Error('done'))
  })

  test('that were held and turn out wrong are refusals as well', async () => {
    const { near, far } = await connect(2)
    seal(1)
    await far.framesCame(1)
    ack(2, 1)
    verdict(2, 1, 'held')
    dissemination.onVerdict({ kind: 'held-wrong', peer: 2, sequence: 1n })
    expect(log.at(-1)).toBe('ack of 2 refused: wrong-digest')
    expect(said('resent')).toEqual([{ kind: 'resent', peer: 2, sequence: 1n }])
    nowMs += REFUSAL_BACKOFF_MIN_MS
    await far.framesCame(2)
    near.abort(new Error('done'))
  })

  test('that do not come for too long close the connection of the silent one, and of no other', async () => {
    const [quick, silent] = [await connect(0), await connect(2)]
    seal(1)
    seal(2)
    nowMs += ACK_TIMEOUT_MS
    ack(0, 1)
    dissemination.tick()
    expect(stuck).toEqual([])
    nowMs += 1
    dissemination.tick()
    expect(stuck).toEqual([2])
    // One that is away is dialled, not silent.
    silent.near.abort(new Error('closed for being silent'))
    await until('it is detached', () => !dissemination.senders.get(2)!.isOpen)
    stuck.length = 0
    nowMs += 10
    dissemination.tick()
    expect(stuck).toEqual([])
    quick.near.abort(new Error('done'))
  })
})

describe('a peer that withholds ACKs', () => {
  const isReleased = (sequence: number): boolean =>
    said('release').some((message) => 'sequence' in message && message.sequence === BigInt(sequence))
  const isSentTo = (peer: number): number => log.filter((line) => line === `sent 508 to ${peer}`).length

  test('is found by the one that it withholds, whatever else it answers', async () => {
    const opened = await Promise.all(PEERS.map((peer) => connect(peer)))
    let sequence = 8
    const certify = (withheldBy?: number): void => {
      sequence += 1
      seal(sequence)
      stored(sequence)
      for (const peer of PEERS.filter((each) => each !== withheldBy)) {
        ack(peer, sequence)
        verdict(peer, sequence, 'counted')
      }
      certified(sequence)
      if (withheldBy === undefined) released(sequence)
      // The slot of the first stays held.
      if (sequence % OWN_SLOTS === 0) sequence += 1
    }
    certify(2)
    for (let seconds = 0; seconds <= ACK_TIMEOUT_MS / 1_000; seconds += 1) {
      certify()
      dissemination.tick()
      expect(stuck).toEqual([])
      nowMs += 1_000
    }
    certify()
    dissemination.tick()
    expect(stuck).toEqual([2])
    // It does not get the batch a second time: the others have it.
    expect(isReleased(9)).toBe(false)
    opened[1]!.near.abort(new Error('closed for being stuck'))
    expect(isReleased(9)).toBe(true)
    expect(dropped).toEqual(['9 for 2'])
    for (const { near } of opened) near.abort(new Error('done'))
  })

  test('and comes back on a new stream each time before it is found holds a slot no longer than its due', async () => {
    resend(1, { report: true, again: false })
    certified(1)
    const others = await Promise.all([0, 3].map((peer) => connect(peer)))
    for (const peer of [0, 3]) ack(peer, 1)
    const perStreamMs = ACK_TIMEOUT_MS - 1_000
    for (let heldMs = 0; heldMs <= HELD_ACK_TIMEOUTS_MAX * ACK_TIMEOUT_MS; heldMs += perStreamMs) {
      const { near, far } = await connect(2)
      await far.framesCame(1)
      nowMs += perStreamMs
      dissemination.tick()
      expect(isReleased(1)).toBe(false)
      near.abort(new Error('it comes back'))
    }
    expect(stuck).toEqual([])
    expect(dropped).toEqual(['1 for 2'])
    expect(isReleased(1)).toBe(true)
    for (const { near } of others) near.abort(new Error('done'))
  })

  test('has what is not certified on each of its streams, for ever', async () => {
    seal(1)
    stored(1)
    for (let stream = 2; stream < 7; stream += 1) {
      const { near, far } = await connect(2)
      await far.framesCame(1)
      seal(stream)
      ack(2, stream)
      nowMs += ACK_TIMEOUT_MS + 1
      near.abort(new Error('it comes back'))
    }
    expect(dropped).toEqual([])
    expect(dissemination.senders.get(2)!.queued).toBe(1)
  })

  test('does not get what is to be certified anew on its next stream', async () => {
    const { near } = await connect(2)
    seal(1)
    stored(1)
    certified(1)
    expect(dissemination.letGo(DIGEST)).toBe('leaving')
    nowMs += ACK_TIMEOUT_MS
    dissemination.tick()
    expect([stuck, isReleased(1)]).toEqual([[], false])
    near.abort(new Error('it comes back'))
    expect(isReleased(1)).toBe(true)
  })

  test('of what is to be certified anew is closed though it answers now and then', async () => {
    const { near } = await connect(2)
    seal(1)
    seal(2)
    stored(2)
    certified(2)
    dissemination.letGo(DIGEST)
    nowMs += ACK_TIMEOUT_MS - 1
    ack(2, 1)
    nowMs += 1
    dissemination.tick()
    expect(stuck).toEqual([])
    nowMs += 1
    dissemination.tick()
    expect(stuck).toEqual([2])
    near.abort(new Error('closed for being stuck'))
    expect(isReleased(2)).toBe(true)
  })

  test('in all slots for sending again is closed though it answers now and then, and has one at a time from then on', async () => {
    const { near } = await connect(2)
    const others = await Promise.all([0, 3].map((peer) => connect(peer)))
    const send = (sequence: number, again: boolean): void => {
      resend(sequence, { report: true, again })
      for (const peer of [0, 3]) ack(peer, sequence)
      certified(sequence)
    }
    for (const sequence of [1, 2, 3]) send(sequence, false)
    send(4, true)
    expect(isSentTo(2)).toBe(RESEND_SLOTS)
    nowMs += ACK_TIMEOUT_MS - 1_000
    ack(2, 1)
    released(1)
    send(5, false)
    nowMs += 1_001
    dissemination.tick()
    expect(stuck).toEqual([2])
    near.abort(new Error('closed for being stuck'))
    for (const sequence of [2, 3, 4]) expect(isReleased(sequence)).toBe(true)
    for (const sequence of [2, 3, 4]) released(sequence)

    const next = await connect(2)
    const before = isSentTo(2)
    for (const sequence of [6, 7]) send(sequence, false)
    expect(isSentTo(2)).toBe(before + 1)

    // Until it has answered all in time for long. What it owes for too long meanwhile sets that back.
    const pass = (ms: number): void => {
      nowMs += ms
      dissemination.tick()
    }
    const answer = (sequence: number): void => {
      ack(2, sequence)
      released(sequence)
    }
    pass(HEAL_PATIENCE_MS + 1)
    for (const sequence of [5, 6, 7]) answer(sequence)
    pass(STUCK_MENDED_MS - 1)
    for (const sequence of [8, 9]) send(sequence, false)
    expect(isSentTo(2)).toBe(before + 3)
    for (const sequence of [8, 9]) answer(sequence)
    pass(1)
    for (const sequence of [10, 11]) send(sequence, false)
    expect(isSentTo(2)).toBe(before + 6)
    for (const { near: each } of [next, ...others]) each.abort(new Error('done'))
  })

  test('of a batch that others lack sets the pace for none of them', async () => {
    const { near } = await connect(2)
    const others = await Promise.all([0, 3].map((peer) => connect(peer)))
    const heal = (sequence: number): void => {
      resend(sequence, { report: false, again: true })
      for (const peer of [0, 3]) ack(peer, sequence)
      certified(sequence)
    }
    for (let sequence = 1; sequence <= RESEND_SLOTS; sequence += 1) heal(sequence)
    expect(dissemination.senders.get(2)!.queued).toBe(RESEND_SLOTS - 1)
    nowMs += HEAL_PATIENCE_MS
    dissemination.tick()
    expect(dropped).toEqual([])
    nowMs += 1
    dissemination.tick()
    expect(dropped).toEqual(['2 for 2'])
    // From now on a slot is free as soon as the others have its batch.
    for (let count = 2; count <= 8; count += 1) {
      const { sequence } = said('release').at(-1) as { sequence: bigint }
      released(Number(sequence))
      heal(Number(sequence) + RESEND_SLOTS)
      expect(said('release')).toHaveLength(count)
    }
    expect(stuck).toEqual([])
    for (const { near: each } of [{ near }, ...others]) each.abort(new Error('done'))
  })
})

describe('ACKs that have become too old', () => {
  const expired = (sequence: number, ...peers: number[]): void =>
    dissemination.onVerdict({ kind: 'expired', sequence: BigInt(sequence), peers: peerMask(peers) })

  test('the peers that gave them get the batch again, and their next answer is judged', async () => {
    const opened = await Promise.all(PEERS.map((peer) => connect(peer)))
    seal(1)
    stored(1)
    ack(0, 1)
    ack(2, 1)
    const before = said('ack').length
    moment = { rounds: 60, awayMs: 3 }
    expired(1, 0)
    expect(said('resent')).toEqual([{ kind: 'resent', peer: 0, sequence: 1n }])
    expect(log).toContain('ack of 0 expired')
    await opened[0]!.far.framesCame(2)
    expect(ack(0, 1)).toBeUndefined()
    expect(said('ack').slice(before)).toEqual([
      { kind: 'ack', peer: 0, sequence: 1n, digest: DIGEST, level: 1, status: 0, at: moment },
    ])
    // The slot is held until it is certified, and free once all have answered.
    ack(3, 1)
    expect(said('release')).toHaveLength(0)
    certified(1)
    expect(said('release')).toHaveLength(1)
    for (const { near } of opened) near.abort(new Error('done'))
  })

  test('one that is not connected gets it when it is back', async () => {
    const first = await connect(2)
    seal(1)
    stored(1)
    ack(2, 1)
    first.near.abort(new Error('gone'))
    await until('the stream is gone', () => !dissemination.senders.get(2)!.isOpen)
    expired(1, 2)
    const { near, far } = await connect(2)
    await far.framesCame(1)
    expect(ack(2, 1)).toBeUndefined()
    expect(said('ack')).toHaveLength(2)
    near.abort(new Error('done'))
  })

  test('a certified batch is let go of: its slot is free as soon as no peer is being sent it', async () => {
    const opened = await Promise.all([0, 2].map((peer) => connect(peer)))
    seal(1)
    expect(dissemination.letGo(digestOf(9))).toBe('not-held')
    stored(1)
    ack(0, 1)
    certified(1)
    // Peer 2 has not answered, and peer 3 is away.
    expect(dissemination.letGo(DIGEST)).toBe('leaving')
    expect(said('release')).toHaveLength(0)
    expect(dissemination.senders.get(3)!.queued).toBe(0)
    ack(2, 1)
    expect(said('release')).toHaveLength(1)
    expect(dissemination.letGo(DIGEST)).toBe('leaving')
    released(1)
    expect(dissemination.letGo(DIGEST)).toBe('not-held')
    expect(dropped).toEqual([])
    for (const { near } of opened) near.abort(new Error('done'))
  })

  test('one that is being certified anew for another reason is going to be reported', () => {
    resend(9, { report: false, again: true })
    expect(dissemination.letGo(DIGEST)).toBe('certifies')
    certified(9)
    expect(reported).toEqual([[9n, moment]])
  })
})

describe('ACKs of a peer for what it was not sent', () => {
  /** Says so many of them, each judged at once; returns how many were taken. */
  function strays(peer: number, count: number): number {
    let taken = 0
    for (let n = 0; n < count; n += 1) {
      const refused = ack(peer, 1_000_000 + n)
      if (refused === undefined) {
        taken += 1
        verdict(peer, 1_000_000 + n, 'unknown-sequence')
      } else expect(refused.refused).toBe('ack-flood')
    }
    return taken
  }

  test('are taken up to a rate, each peer for itself, and answers that are due are not among them', async () => {
    expect(strays(0, 10 * STRAY_ACKS_PER_SECOND)).toBe(STRAY_ACKS_PER_SECOND)
    expect(strays(2, 10 * STRAY_ACKS_PER_SECOND)).toBe(STRAY_ACKS_PER_SECOND)
    const ackMessages = toQuorumWaiter.filter(({ kind }) => kind === 'ack')
    expect(ackMessages).toHaveLength(2 * STRAY_ACKS_PER_SECOND)
    const { near } = await pairs.open((stream) => new RawStream(stream))
    dissemination.senders.get(0)!.attach(near)
    seal(1)
    await until('it is sent', () => ack(0, 1)?.refused !== 'ack-early')
    expect(toQuorumWaiter.filter((message) => message.kind === 'ack' && message.sequence === 1n)).toHaveLength(1)
    // A second answer is one to nothing.
    expect(ack(0, 1)?.refused).toBe('ack-flood')
    nowMs += 500
    expect(strays(0, 10 * STRAY_ACKS_PER_SECOND)).toBe(STRAY_ACKS_PER_SECOND / 2)
    dissemination.senders.get(0)!.detach()
    near.abort(new Error('over'))
  })
})
