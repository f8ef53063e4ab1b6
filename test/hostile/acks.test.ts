/** What a peer may answer to our batches: every ACK that is wrong, early, late or not there, against a real worker. */

import { setImmediate as nextTurn } from 'node:timers/promises'
import type { Connection } from '@libp2p/interface'
import { afterAll, beforeAll, beforeEach, describe, expect, onTestFinished, test } from 'vitest'
import {
  IN_FLIGHT_MIN,
  IN_FLIGHT_SLOTS_SHARE,
  STRAY_ACKS_PER_SECOND,
} from '../../src/main/worker/dissemination/limits.js'
import type { AckVerdict } from '../../src/shared/memory/dialogue/quorum-waiter.js'
import type { PeerRefusal } from '../../src/shared/refusals.js'
import { FRAME_TYPES } from '../../src/shared/wire/frames.js'
import type { Libp2pPeer, ReceivedBatch } from '../support/libp2p-peer.js'
import { ackRecord, frame, type RawAck, type RawStream } from '../support/raw-stream.js'
import { until } from '../support/until.js'
import { WorkerUnderTest } from '../support/worker-under-test.js'

const OWN_SLOTS = 16

let node: WorkerUnderTest
/** Acknowledge only while `serving`, so that a test can keep a batch from being certified. */
let honest: Libp2pPeer[]
let mallory: Libp2pPeer
let connection: Connection
let serving = true
const heldBack: (() => void)[] = []

beforeAll(async () => {
  node = await WorkerUnderTest.start({ parameters: { ownSlots: OWN_SLOTS } })
  honest = await node.honest(1, 2)
  for (const peer of honest) {
    peer.behaviour.onBatch = (batch) => {
      const acknowledge = () => void peer.acknowledge(batch)
      if (serving) acknowledge()
      else heldBack.push(acknowledge)
    }
  }
  mallory = await node.peer(3)
})
afterAll(() => node.close())

beforeEach(async () => {
  serve()
  mallory.behaviour.onBatch = (batch) => void mallory.acknowledge(batch)
  if (connection?.status !== 'open') connection = await mallory.connect(node.address)
  await stream()
  await node.certifiesOne()
})

function serve(): void {
  serving = true
  for (const acknowledge of heldBack.splice(0)) acknowledge()
}

/** The stream that the worker has opened to mallory, and again a second after one was closed. */
async function stream(): Promise<RawStream> {
  await until('the worker has a batch stream to mallory', () => mallory.batchStreams.at(-1)?.isOpen ?? false)
  return mallory.batchStreams.at(-1)!
}

/** A batch that mallory has received and nobody else will acknowledge. */
async function uncertified(): Promise<ReceivedBatch> {
  const got = new Promise<ReceivedBatch>((resolve) => {
    mallory.behaviour.onBatch = resolve
  })
  serving = false
  await node.worker.submit(new Uint8Array(64).fill(1))
  return got
}

async function allServed(): Promise<void> {
  serve()
  mallory.behaviour.onBatch = (batch) => void mallory.acknowledge(batch)
  await node.certifiesOne()
  await until('nothing is in flight', async () => (await node.metric('narval_batches_in_flight')) === 0)
}

/** A lack of room passes, and is no offence. */
const SAYS_LATER = /^refused-(quota|store-full)$/

describe('an ACK that is not counted leaves the stream as it was', () => {
  async function notCounted(verdict: AckVerdict, ...acks: RawAck[]): Promise<void> {
    const raw = await stream()
    await node.counts(
      'ack',
      verdict,
      async () => {
        for (const ack of acks) await raw.sendAck(ack)
      },
      acks.length,
    )
    expect(node.refusalLines('ack', verdict)).toHaveLength(SAYS_LATER.test(verdict) ? 0 : 1)
    const later = node.lines.filter((line) => line.includes(`it is sent again later (${verdict})`))
    expect(later).toHaveLength(SAYS_LATER.test(verdict) ? 1 : 0)
    expect(raw.isOpen).toBe(true)
    await allServed()
    expect(raw.isOpen).toBe(true)
  }
  const nothing = { digest: new Uint8Array(32), level: 1, status: 0 }

  test('for what was never sent', () =>
    notCounted('unknown-sequence', { sequence: 1n, ...nothing }, { sequence: 2n ** 64n - 1n, ...nothing }))

  test('a second time for the same batch', async () => {
    const ack = mallory.ackOf(await uncertified())
    await (await stream()).sendAck(ack)
    await notCounted('duplicate', ack, ack, ack)
    expect(await node.refusals('ack', 'wrong-digest')).toBe(0)
  })

  test('a second time with another word', async () => {
    const ack = mallory.ackOf(await uncertified())
    await (await stream()).sendAck(ack)
    await notCounted('duplicate', { ...ack, status: 1 })
  })

  test('with another digest', async () => {
    const ack = mallory.ackOf(await uncertified())
    await notCounted('wrong-digest', { ...ack, digest: new Uint8Array(32).fill(1) })
  })

  test('of a lower level', async () => {
    // This worker asks for `stored`, below which there is nothing: one that asks for `durable` is another worker.
    const durable = await WorkerUnderTest.start({ parameters: { ackLevel: 'durable' } })
    try {
      const peers = await durable.honest(1, 2)
      await durable.counts('ack', 'level-too-low', () => durable.worker.submit(new Uint8Array(9)), 2)
      await Promise.all(peers.map((peer) => peer.batchesCame(1)))
      expect(durable.certified).toHaveLength(0)
      // On the next connection it is sent again, and may be acknowledged better.
      for (const peer of peers) {
        peer.behaviour.onBatch = (batch) => void batch.stream.sendAck({ ...peer.ackOf(batch), level: 2 })
        await Promise.all(peer.node.getConnections().map((it) => it.close()))
        await peer.connect(durable.address)
      }
      await until('it is certified', () => durable.certified.length === 1)
    } finally {
      await durable.close()
    }
  })

  test.each([
    ['refused-invalid', 1],
    ['refused-quota', 2],
    ['refused-store-full', 3],
  ] as const)('that says %s', async (verdict, status) => {
    const batch = await uncertified()
    await notCounted(verdict, { sequence: batch.sequence, digest: new Uint8Array(32), level: 1, status })
  })

  test.each([
    ['refused-invalid', 1],
    ['refused-quota', 2],
    ['refused-store-full', 3],
  ] as const)('that says %s for a while is asked again on the same stream, and certifies', async (_verdict, status) => {
    const peers = [mallory, ...honest]
    const behaviours = peers.map((peer) => peer.behaviour.onBatch)
    onTestFinished(() => {
      for (const [i, peer] of peers.entries()) peer.behaviour.onBatch = behaviours[i]!
    })
    const streams = new Set<RawStream>()
    let refusals = 0
    for (const peer of peers) {
      peer.behaviour.onBatch = (batch) => {
        streams.add(batch.stream)
        const refuses = refusals < 12
        if (refuses) refusals += 1
        const said = { sequence: batch.sequence, digest: new Uint8Array(32), level: 1, status }
        void batch.stream.sendAck(refuses ? said : peer.ackOf(batch))
      }
    }
    for (let i = 0; i < 3; i += 1) await node.certifiesOne()
    expect(refusals).toBe(12)
    expect(streams.size).toBe(peers.length)
  })

  test('and a batch that a peer refused is certified by the others', async () => {
    mallory.behaviour.onBatch = (batch) =>
      void batch.stream.sendAck({ sequence: batch.sequence, digest: new Uint8Array(32), level: 1, status: 1 })
    for (let i = 0; i < 5; i += 1) await node.certifiesOne()
    await until(
      'all slots are free',
      async () => (await node.metric('narval_slots_free', { arena: 'own' })) === OWN_SLOTS,
    )
  })
})

describe('an ACK that cannot be meant well closes the stream, which is opened again', () => {
  async function closesStream(reason: PeerRefusal, attack: (raw: RawStream) => Promise<unknown>): Promise<void> {
    const raw = await stream()
    await node.endsStream(raw, reason, () => attack(raw))
    await allServed()
    expect(await stream()).not.toBe(raw)
    await node.certifiesOne()
  }
  const good: RawAck = { sequence: 5n, digest: new Uint8Array(32), level: 1, status: 0 }

  test('of an unknown level', () => closesStream('ack-malformed', (raw) => raw.sendAck({ ...good, level: 3 })))
  test('of level zero', () => closesStream('ack-malformed', (raw) => raw.sendAck({ ...good, level: 0 })))
  test('of an unknown status', () => closesStream('ack-malformed', (raw) => raw.sendAck({ ...good, status: 4 })))
  test('with reserved bytes set', () => closesStream('ack-malformed', (raw) => raw.sendAck(good, 1)))
  test('of another length', () =>
    closesStream('ack-length', (raw) =>
      raw.sendFrame(FRAME_TYPES.ack, Buffer.concat([ackRecord(good), Buffer.alloc(1)])),
    ))
  test('of no length', () => closesStream('ack-length', (raw) => raw.sendFrame(FRAME_TYPES.ack, new Uint8Array(0))))
  test('of a gigabyte', () =>
    closesStream('ack-length', (raw) => raw.send(frame(FRAME_TYPES.ack, new Uint8Array(0), { length: 2 ** 30 }))))
  test('that is a batch', () =>
    closesStream('frame-on-wrong-stream', (raw) => raw.sendFrame(FRAME_TYPES.batch, node.batch())))
  test('that is a reply to a request', () =>
    closesStream('frame-on-wrong-stream', (raw) => raw.sendFrame(FRAME_TYPES.found, node.batch())))
  test('of an unknown type', () => closesStream('unknown-frame-type', (raw) => raw.sendFrame(200, ackRecord(good))))
  test('that is cut by the end of the stream', () =>
    closesStream('frame-truncated', async (raw) => {
      await raw.send(frame(FRAME_TYPES.ack, ackRecord(good)).subarray(0, 30))
      await raw.stream.close()
    }))

  test('for a batch that waits its turn: others have named its sequence', () =>
    closesStream('ack-early', async (raw) => {
      // Mallory answers nothing, so that after three batches the rest is queued for it.
      mallory.behaviour.onBatch = () => {}
      const queued = new Promise<bigint>((resolve) => {
        let seen = 0
        honest[0]!.behaviour.onBatch = (batch) => {
          seen += 1
          void honest[0]!.acknowledge(batch)
          if (seen === 5) resolve(batch.sequence)
        }
      })
      for (let i = 0; i < 5; i += 1) await node.certifiesOne()
      const sequence = await queued
      honest[0]!.behaviour.onBatch = (batch) => void honest[0]!.acknowledge(batch)
      await raw.sendAck({ sequence, digest: new Uint8Array(32), level: 1, status: 0 })
    }))

  test('a thousand at once: more than could be answers to anything', () =>
    closesStream('ack-flood', (raw) => {
      const acks = Array.from({ length: 1_000 }, (_, i) =>
        frame(FRAME_TYPES.ack, ackRecord({ ...good, sequence: BigInt(i) })),
      )
      return raw.send(Buffer.concat(acks))
    }))
})

test('an ACK for a batch that is being sent, before its last slice, closes the stream', async () => {
  const big = await WorkerUnderTest.start({ parameters: { batchBytesMax: 8 * 1024 * 1024, ownSlots: 4 } })
  try {
    await big.honest(1, 2)
    const peer = await big.peer(3)
    // The batch is larger than the window: as long as nothing more is read, the worker cannot hand it over whole.
    const reset = new Promise<void>((resolve) => {
      peer.behaviour.onBatchStream = (taken) => {
        peer.behaviour.onBatchStream = undefined
        taken.addEventListener('close', () => resolve())
        let header = Buffer.alloc(0)
        taken.addEventListener('message', ({ data }) => {
          if (header.length >= 72) return
          header = Buffer.concat([header, data.subarray()])
          if (header.length < 72) return
          taken.pause()
          const sequence = header.readBigUInt64LE(8 + 24)
          taken.send(frame(FRAME_TYPES.ack, ackRecord({ sequence, digest: new Uint8Array(32), level: 1, status: 0 })))
        })
      }
    })
    await peer.connect(big.address)
    await until('the worker has three streams', async () => {
      return (await big.metric('narval_peer_connected')) === 3
    })
    await big.counts(
      'peer',
      'ack-early',
      async () => {
        await big.worker.submit(new Uint8Array(8 * 1024 * 1024 - 68).fill(3))
        await reset
      },
      1,
    )
    // The slot was not freed by it: the same batch arrives whole on the next stream, and is what the others got.
    const [again] = await peer.batchesCame(1)
    await until('it is certified', () => big.certified.length === 1)
    expect(Buffer.from(peer.ackOf(again!).digest).equals(big.certified[0]!.digest)).toBe(true)
    await until('all slots are free', async () => (await big.metric('narval_slots_free', { arena: 'own' })) === 4)
  } finally {
    await big.close()
  }
})

test('a peer that sends ACKs for what it was not sent, as many as it can, has a few taken in a second, and the others are served', async () => {
  const beganMs = performance.now()
  const before = await node.refusals('ack', 'unknown-sequence')
  const endMs = performance.now() + 3_000
  let sequence = 1n
  let sent = 0
  const flood = async (): Promise<void> => {
    while (performance.now() < endMs) {
      const raw = mallory.batchStreams.at(-1)!
      // Fewer at once than may be under judgement: the piece costs its connection little.
      const acks = Array.from({ length: OWN_SLOTS }, () => {
        sequence += 1n
        return frame(FRAME_TYPES.ack, ackRecord({ sequence, digest: new Uint8Array(32), level: 1, status: 0 }))
      })
      if (raw.isOpen) await raw.send(Buffer.concat(acks)).catch(() => {})
      sent += acks.length
      await nextTurn()
    }
  }
  await node.counts('peer', 'ack-flood', async () => {
    await Promise.all([flood(), node.certifiesOne(), node.certifiesOne()])
  })
  expect(sent).toBeGreaterThan(10 * STRAY_ACKS_PER_SECOND)
  const refused = (await node.refusals('ack', 'unknown-sequence')) - before
  // A second more, for what had been saved up.
  const seconds = 1 + (performance.now() - beganMs) / 1_000
  expect(refused).toBeLessThanOrEqual(seconds * STRAY_ACKS_PER_SECOND)
  await until('mallory has a stream again', () => mallory.batchStreams.at(-1)!.isOpen)
  await node.certifiesOne()
})

test('a peer that resets each batch stream as it is opened costs the others nothing', async () => {
  let resets = 0
  mallory.behaviour.onBatchStream = (taken) => {
    resets += 1
    taken.abort(new Error('no'))
  }
  ;(await stream()).abort()
  for (let i = 0; i < 10; i += 1) await node.certifiesOne()
  await until('it was tried again', () => resets >= 3)
  mallory.behaviour.onBatchStream = undefined
  await until('mallory gets batches again', () => mallory.batchStreams.at(-1)!.isOpen)
  await node.certifiesOne()
})

test('a peer that ends its side of the batch stream gets a new one, and what it had not acknowledged', async () => {
  const raw = await stream()
  mallory.behaviour.onBatch = () => {}
  const before = mallory.batches.length
  await node.certifiesOne()
  const [missed] = (await mallory.batchesCame(before + 1)).slice(before)
  mallory.behaviour.onBatch = (batch) => void mallory.acknowledge(batch)
  await raw.stream.close()
  await raw.gone()
  await until('it comes again', () =>
    mallory.batches.slice(before + 1).some(({ sequence }) => sequence === missed!.sequence),
  )
  await until(
    'all slots are free',
    async () => (await node.metric('narval_slots_free', { arena: 'own' })) === OWN_SLOTS,
  )
})

test('a peer that never acknowledges holds up nobody, and what it holds is bounded', async () => {
  mallory.behaviour.onBatch = () => {}
  for (let i = 0; i < 3 * OWN_SLOTS; i += 1) await node.certifiesOne()
  expect(await node.metric('narval_batches_dropped_total')).toBeGreaterThan(0)
  const peer = node.keys[3]!.name.slice(0, 16)
  const inFlight = await node.metric('narval_peer_in_flight', { peer })
  expect(inFlight).toBeGreaterThanOrEqual(IN_FLIGHT_MIN)
  expect(inFlight).toBeLessThanOrEqual(OWN_SLOTS * IN_FLIGHT_SLOTS_SHARE)
  expect(inFlight + (await node.metric('narval_peer_queue', { peer }))).toBeLessThan(OWN_SLOTS)
})

test('a peer that withholds the ACKs of batches that others lack, and gives all others, holds up nobody who lacks some', async () => {
  const one = await WorkerUnderTest.start({ parameters: { ackTimeoutMs: 1_000 } })
  try {
    const [lacks] = await one.honest(1, 2)
    const peer = await one.peer(3)
    await peer.connect(one.address)
    await until('all are connected', async () => (await one.metric('narval_peer_connected')) === 3)
    const before: { digest: Uint8Array; sequence: bigint }[] = []
    for (let i = 0; i < 12; i += 1) before.push(await one.certifiesOne())
    await until('nothing is in flight', async () => (await one.metric('narval_batches_in_flight')) === 0)

    const lacking = new Set(before.map(({ sequence }) => sequence))
    peer.behaviour.onBatch = (batch) => {
      if (!lacking.has(batch.sequence)) void peer.acknowledge(batch)
    }
    const healed = new Set<bigint>()
    lacks!.behaviour.onBatch = (batch) => {
      healed.add(batch.sequence)
      void lacks!.acknowledge(batch)
    }
    const digests = before.map(({ digest }) => digest)
    one.worker.toWorker({ type: 'Synchronize', digests, target: one.keys[0]!.publicKey })
    await until('all were sent again', async () => {
      await one.certifiesOne()
      if (peer.node.getConnections().length === 0) await peer.connect(one.address)
      return [...lacking].every((sequence) => healed.has(sequence))
    })
    expect(one.lines.some((line) => /^Closing .*: (an ACK is missing|no ACK of batch)/.test(line))).toBe(true)
  } finally {
    await one.close()
  }
})
