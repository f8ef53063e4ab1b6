import { describe, expect, it } from 'vitest'
import {
  type BatchMakerToMain,
  batchMakerToMain,
  type MainToBatchMaker,
  mainToBatchMaker,
} from '../../../src/shared/memory/dialogue/batch-maker.js'
import {
  INBOUND_STATUSES,
  type InboundWork,
  inboundWork,
  type OwnWork,
  ownWork,
  type ProcessorToMain,
  processorToMain,
} from '../../../src/shared/memory/dialogue/processor.js'
import {
  ACK_VERDICTS,
  type MainToQuorumWaiter,
  mainToQuorumWaiter,
  type QuorumWaiterToMain,
  quorumWaiterToMain,
} from '../../../src/shared/memory/dialogue/quorum-waiter.js'
import { DOORBELL_BYTES, Doorbell } from '../../../src/shared/memory/doorbell.js'
import {
  type Codec,
  capacityFor,
  DESCRIPTOR_BYTES,
  RingConsumer,
  RingProducer,
  ringBytes,
} from '../../../src/shared/memory/ring.js'
import { answerOf, startThread } from '../../support/threads/run-worker.js'

const U16 = 0xffff
const U32 = 0xffffffff
const U64 = 2n ** 64n - 1n
const DIGEST = Uint8Array.from({ length: 32 }, (_, index) => 255 - index)
const MASK = Uint8Array.from({ length: 32 }, (_, index) => (index % 2 === 0 ? 0xff : index))

/** At least one message of every kind of a direction: a kind that is missing here does not compile. */
type EveryKind<M extends { readonly kind: string }> = {
  readonly [K in M['kind']]: readonly [Extract<M, { kind: K }>, ...Extract<M, { kind: K }>[]]
}

const BATCH_MAKER_TO_MAIN: EveryKind<BatchMakerToMain> = {
  sealed: [
    { kind: 'sealed', slot: 0, sequence: 0n, byteLength: 0, transactions: 0, transactionBytes: 0 },
    { kind: 'sealed', slot: 1, sequence: 2n, byteLength: 3, transactions: 4, transactionBytes: 5 },
    { kind: 'sealed', slot: U32, sequence: U64, byteLength: U32, transactions: U32, transactionBytes: U32 },
  ],
  'range-low': [{ kind: 'range-low' }],
}

const MAIN_TO_BATCH_MAKER: EveryKind<MainToBatchMaker> = {
  slot: [
    { kind: 'slot', slot: 0 },
    { kind: 'slot', slot: U32 },
  ],
  range: [
    { kind: 'range', start: 0n, end: 1n },
    { kind: 'range', start: U64 - 1n, end: U64 },
  ],
  'all-certified': [
    { kind: 'all-certified', through: 1n },
    { kind: 'all-certified', through: U64 },
  ],
  close: [{ kind: 'close' }],
}

const OWN_WORK: EveryKind<OwnWork> = {
  own: [
    { kind: 'own', slot: 1, sequence: 2n, byteLength: 3 },
    { kind: 'own', slot: U32, sequence: U64, byteLength: U32 },
  ],
}

const INBOUND_WORK: EveryKind<InboundWork> = {
  inbound: [
    { kind: 'inbound', slot: 1, peer: 2, author: 3, byteLength: 4, expected: null },
    { kind: 'inbound', slot: U32, peer: U16, author: U32, byteLength: U32, expected: DIGEST },
    // After one with a digest: what the descriptor held before is not read.
    { kind: 'inbound', slot: 0, peer: 0, author: 0, byteLength: 0, expected: null },
    { kind: 'inbound', slot: 0, peer: 0, author: 0, byteLength: 0, expected: new Uint8Array(32) },
  ],
}

const PROCESSOR_TO_MAIN: EveryKind<ProcessorToMain> = {
  'own-stored': [
    { kind: 'own-stored', slot: 1, byteLength: 3, sequence: 2n, digest: DIGEST },
    { kind: 'own-stored', slot: U32, byteLength: U32, sequence: U64, digest: new Uint8Array(32) },
  ],
  'inbound-done': [
    ...(INBOUND_STATUSES.flatMap((status) =>
      [false, true].map((again) => ({
        kind: 'inbound-done',
        slot: 1,
        byteLength: 5,
        peer: 2,
        author: 3,
        sequence: 4n,
        digest: DIGEST,
        status,
        used: 999,
        again,
      })),
    ) as [Extract<ProcessorToMain, { kind: 'inbound-done' }>]),
    {
      kind: 'inbound-done',
      slot: U32,
      byteLength: U32,
      peer: U16,
      author: U32,
      sequence: U64,
      digest: new Uint8Array(32).fill(255),
      status: 'not-as-asked',
      used: U32,
      again: true,
    },
  ],
}

const MAIN_TO_QUORUM_WAITER: EveryKind<MainToQuorumWaiter> = {
  tracked: [
    { kind: 'tracked', sequence: 1n, peers: MASK },
    { kind: 'tracked', sequence: U64, peers: new Uint8Array(32).fill(255) },
    { kind: 'tracked', sequence: 0n, peers: new Uint8Array(32) },
  ],
  'own-stored': [
    { kind: 'own-stored', sequence: U64, digest: DIGEST, at: { rounds: 0, awayMs: U32 } },
    { kind: 'own-stored', sequence: 0n, digest: DIGEST, at: { rounds: 2 ** 53 - 1, awayMs: 0 } },
  ],
  ack: [
    { kind: 'ack', peer: 3, sequence: 1n, digest: DIGEST, level: 1, status: 0, at: { rounds: 1.5, awayMs: 7 } },
    {
      kind: 'ack',
      peer: U16,
      sequence: U64,
      digest: new Uint8Array(32),
      level: 255,
      status: 255,
      at: { rounds: 1e300, awayMs: U32 },
    },
  ],
  resent: [{ kind: 'resent', peer: 255, sequence: U64 }],
  release: [{ kind: 'release', sequence: U64 }],
  close: [{ kind: 'close' }],
}

const QUORUM_WAITER_TO_MAIN: EveryKind<QuorumWaiterToMain> = {
  certified: [
    { kind: 'certified', sequence: U64, since: { rounds: 0.25, awayMs: U32 } },
    { kind: 'certified', sequence: 0n, since: { rounds: 0, awayMs: 0 } },
  ],
  expired: [{ kind: 'expired', sequence: U64, peers: MASK }],
  verdict: ACK_VERDICTS.map((verdict, index) => ({
    kind: 'verdict',
    peer: 255 - index,
    sequence: U64 - BigInt(index),
    verdict,
  })) as unknown as [Extract<QuorumWaiterToMain, { kind: 'verdict' }>],
  'held-wrong': [{ kind: 'held-wrong', peer: 7, sequence: 9n }],
  released: [{ kind: 'released', sequence: 0n }],
}

const DIRECTIONS = {
  batchMakerToMain: BATCH_MAKER_TO_MAIN,
  mainToBatchMaker: MAIN_TO_BATCH_MAKER,
  ownWork: OWN_WORK,
  inboundWork: INBOUND_WORK,
  processorToMain: PROCESSOR_TO_MAIN,
  mainToQuorumWaiter: MAIN_TO_QUORUM_WAITER,
  quorumWaiterToMain: QUORUM_WAITER_TO_MAIN,
}
type Direction = keyof typeof DIRECTIONS

const CODECS = {
  batchMakerToMain,
  mainToBatchMaker,
  ownWork,
  inboundWork,
  processorToMain,
  mainToQuorumWaiter,
  quorumWaiterToMain,
}

function messagesOf(direction: Direction): { kind: string }[] {
  return Object.values(DIRECTIONS[direction]).flat()
}

function codecOf(direction: Direction): Codec<{ kind: string }> {
  return CODECS[direction] as unknown as Codec<{ kind: string }>
}

function doorbellOf() {
  return { buffer: new SharedArrayBuffer(DOORBELL_BYTES), byteOffset: 0 }
}

describe.each(Object.keys(DIRECTIONS) as Direction[])('%s', (direction) => {
  it('every message comes back unchanged from another thread', async () => {
    const sent = messagesOf(direction)
    // A small ring, so that messages of all kinds lie where others have lain.
    const capacity = capacityFor(2)
    const ringOf = () => ({ buffer: new SharedArrayBuffer(ringBytes(capacity)), byteOffset: 0, capacity })
    const [there, back] = [ringOf(), ringOf()]
    const [doorbell, otherDoorbell] = [doorbellOf(), doorbellOf()]
    const count = 3 * sent.length
    const echo = startThread('./message-echo.mjs', { direction, there, back, doorbell, otherDoorbell, count })
    const outgoing = new RingProducer(there, codecOf(direction))
    const incoming = new RingConsumer(back, codecOf(direction))
    const echoBell = new Doorbell(doorbell)
    const received: { kind: string }[] = []
    let next = 0
    const answer = answerOf<{ echoed: number }>(echo)
    await new Doorbell(otherDoorbell).serve(
      () => {
        const found = incoming.drain((message) => received.push(message), 64)
        let published = 0
        while (next < count && next - received.length < 2) {
          outgoing.push(sent[next % sent.length]!)
          next += 1
          published += 1
        }
        if (published > 0) echoBell.ring()
        return found
      },
      () => received.length < count,
    )
    expect((await answer).echoed).toBe(count)
    expect(received).toEqual([...sent, ...sent, ...sent])
  })

  it('no message reaches beyond its descriptor', () => {
    for (const message of messagesOf(direction)) {
      const bytes = new Uint8Array(3 * DESCRIPTOR_BYTES).fill(0xa5)
      codecOf(direction).write(new DataView(bytes.buffer), DESCRIPTOR_BYTES, message)
      expect(bytes.subarray(0, DESCRIPTOR_BYTES).every((byte) => byte === 0xa5)).toBe(true)
      expect(bytes.subarray(2 * DESCRIPTOR_BYTES).every((byte) => byte === 0xa5)).toBe(true)
    }
  })

  it('what is read is a copy: the next message in the descriptor does not change it', () => {
    const view = new DataView(new ArrayBuffer(DESCRIPTOR_BYTES))
    const codec = codecOf(direction)
    for (const message of messagesOf(direction)) {
      codec.write(view, 0, message)
      const read = codec.read(view, 0)
      new Uint8Array(view.buffer).fill(0xff)
      expect(read).toEqual(message)
    }
  })
})

it.each([
  'batchMakerToMain',
  'mainToBatchMaker',
  'processorToMain',
  'mainToQuorumWaiter',
  'quorumWaiterToMain',
] as const)('a descriptor of a kind that %s does not have is our own bug', (direction) => {
  const view = new DataView(new ArrayBuffer(DESCRIPTOR_BYTES))
  for (const kind of [0, 0x7f, 0xff]) {
    view.setUint8(0, kind)
    expect(() => codecOf(direction).read(view, 0)).toThrow('a descriptor of an unknown kind')
  }
})
