/**
 * Synchronizer with everything handed in: the clock, the lot, the store, the processor; its streams are libp2p's, and the
 * test answers at their other end.
 */
import type { Stream } from '@libp2p/interface'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest'
import { Router } from '../../../../src/main/network/router.js'
import {
  REQUESTS_OPEN_MAX,
  SYNC_LOOKUPS_MAX,
  SYNC_PATIENCE_DELAYS,
  SYNC_UNNAMED_MS,
} from '../../../../src/main/worker/sync/limits.js'
import { Synchronizer, type SynchronizerOptions } from '../../../../src/main/worker/sync/synchronizer.js'
import { REQUEST_DIGESTS_MAX } from '../../../../src/shared/constants.js'
import type { InboundWork } from '../../../../src/shared/memory/dialogue/processor.js'
import { createLayout } from '../../../../src/shared/memory/layout.js'
import { Arena } from '../../../../src/shared/memory/slots.js'
import { FRAME_TYPES } from '../../../../src/shared/wire/frames.js'
import { decodeDigests, encodeDigests } from '../../../../src/shared/wire/sync-messages.js'
import { RawStream } from '../../../support/raw-stream.js'
import { StreamPairs } from '../../../support/stream-pair.js'
import { until } from '../../../support/until.js'

const BATCH_BYTES_MAX = 2_000
const RETRY_MS = 1_000
const GC_DEPTH = 10
/** We are authority 0. */
const PEERS = [1, 2, 3]
const INBOUND_SLOTS = 2
const SYNC_SLOTS = 2
const FIRST_SLOT = PEERS.length * INBOUND_SLOTS
const AUTHOR = 3
const authorKey = new Uint8Array(32).fill(AUTHOR)

const digestOf = (n: number): Uint8Array => {
  const digest = Buffer.alloc(32, 0xd0)
  digest.writeUInt32BE(n)
  return new Uint8Array(digest)
}
const digestsOf = (count: number, from = 0): Uint8Array[] => Array.from({ length: count }, (_, n) => digestOf(from + n))
const numberOf = (digest: Uint8Array): number => Buffer.from(digest).readUInt32BE(0)
const batchOf = (n: number, bytes = 100): Buffer => Buffer.alloc(bytes, n)
const foundOf = (n: number, batch = batchOf(n), author = authorKey): Buffer =>
  Buffer.concat([digestOf(n), author, batch])

let pairs: StreamPairs
beforeAll(async () => {
  pairs = await StreamPairs.start()
})
afterAll(() => pairs.stop())

interface Asked {
  readonly peer: number
  readonly stream: RawStream
}

let nowMs: number
let lots: number[]
/** Numbers of the digests that the store has. */
let inStore: Set<number>
let storeFull: boolean
let connected: Set<number>
let asked: Asked[]
let work: InboundWork[]
let stored: number[]
let refused: string[]
let overruns: number[]
let freed: number[]
let arena: Arena
let synchronizer: Synchronizer

beforeEach(() => {
  nowMs = 0
  lots = []
  inStore = new Set()
  storeFull = false
  connected = new Set(PEERS)
  asked = []
  work = []
  stored = []
  refused = []
  overruns = []
  freed = []
  make()
})

function make(options: Partial<SynchronizerOptions> = {}): void {
  const layout = createLayout({
    ownSlots: 4,
    inboundSlotsPerPeer: INBOUND_SLOTS,
    authorities: PEERS.length + 1,
    batchBytesMax: BATCH_BYTES_MAX,
  })
  arena = new Arena(layout.inbound)
  const onRefused = (peer: number, refusal: string): void => void refused.push(`${peer} ${refusal}`)
  synchronizer = new Synchronizer(
    {
      batchBytesMax: BATCH_BYTES_MAX,
      syncRetryDelayMs: RETRY_MS,
      syncRetryNodes: 2,
      gcDepthRounds: GC_DEPTH,
      peers: PEERS,
      firstSlot: FIRST_SLOT,
      slotsPerPeer: SYNC_SLOTS,
      ...options,
    },
    {
      arena,
      processor: {
        ask: (async ({ digests }: { digests: Uint8Array[] }) =>
          digests.map((digest) =>
            inStore.has(numberOf(digest)) ? { author: authorKey, sequence: 1n } : undefined,
          )) as never,
      },
      router: new Router(() => expect.unreachable('no peer opens a stream'), onRefused),
      toProcessor: (inbound) => void work.push(inbound),
      indexOf: (publicKey) => (publicKey[0]! <= PEERS.length ? publicKey[0]! : -1),
      openStream,
      mayStore: () => !storeFull,
      nowMs: () => nowMs,
      random: () => lots.shift() ?? 0,
    },
    {
      onStored: ({ digest }) => void stored.push(numberOf(digest)),
      onRefused,
      onOverrun: (count) => void overruns.push(count),
      onReceived() {},
      onSlotFree: (slot) => void freed.push(slot),
    },
  )
}
afterEach(() => {
  synchronizer.close()
  for (const { stream } of asked) stream.abort()
})

async function openStream(peer: number): Promise<Stream | undefined> {
  if (!connected.has(peer)) return undefined
  // What a test does not wait for is not to be taken for a request of the next one.
  const ofThisTest = asked
  const { near, far } = await pairs.open((stream) => new RawStream(stream))
  ofThisTest.push({ peer, stream: far })
  return near
}

/** The digests of the request that came as the n-th of all. */
async function request(n: number): Promise<{ peer: number; digests: number[]; stream: RawStream }> {
  await until(`request ${n}`, () => (asked[n]?.stream.frames.length ?? 0) > 0)
  const { peer, stream } = asked[n]!
  return { peer, stream, digests: decodeDigests(stream.frames[0]!.payload).map(numberOf) }
}

/** What the processor says of a batch that it was given. */
function done(
  { slot, byteLength, peer, author, expected }: InboundWork,
  status: 'ok' | 'store-full' | 'not-as-asked' = 'ok',
): void {
  synchronizer.onDone({
    kind: 'inbound-done',
    slot,
    byteLength,
    peer,
    author,
    sequence: 0n,
    digest: expected!,
    status,
    used: 0,
    again: false,
  })
}

/** Time passes, and the Synchronizer has looked at it. */
async function later(ms: number): Promise<void> {
  nowMs += ms
  await synchronizer.synchronize([], AUTHOR)
}

describe('what the primary misses', () => {
  test('is looked up for two of the largest messages at once, however fast they come; others are counted', async () => {
    const digests = digestsOf(SYNC_LOOKUPS_MAX / 2)
    for (let n = 0; n < digests.length; n += 1) inStore.add(n)
    const messages = [1, 2, 3, 4].map(() => synchronizer.synchronize(digests, AUTHOR))
    expect(overruns).toEqual([digests.length, digests.length])
    await Promise.all(messages)
    expect(stored).toHaveLength(2 * digests.length)
    await synchronizer.synchronize(digestsOf(1), AUTHOR)
    expect(stored).toHaveLength(2 * digests.length + 1)
    expect(overruns).toHaveLength(2)
  })

  test('is reported at once if it is stored, and asked of the target if not', async () => {
    inStore = new Set([1])
    await synchronizer.synchronize(digestsOf(3), 2)
    expect(stored).toEqual([1])
    expect(await request(0)).toMatchObject({ peer: 2, digests: [0, 2] })
  })

  test('is stored under the slot, the author and the digest that it came with, reported, and looked for no more', async () => {
    await synchronizer.synchronize(digestsOf(1), 2)
    const { stream } = await request(0)
    await stream.sendFrame(FRAME_TYPES.found, foundOf(0))
    await until('it is at the processor', () => work.length === 1)
    expect(work[0]).toMatchObject({ kind: 'inbound', peer: 2, author: AUTHOR, byteLength: 100 })
    expect(synchronizer.owns(work[0]!.slot)).toBe(true)
    expect(numberOf(work[0]!.expected!)).toBe(0)
    expect(Buffer.compare(arena.batch(work[0]!.slot, 100), batchOf(0))).toBe(0)
    done(work[0]!)
    expect([stored, freed]).toEqual([[0], [work[0]!.slot]])
    expect(synchronizer.pendingCount).toBe(0)
    await later(10 * RETRY_MS)
    expect(asked).toHaveLength(1)
  })

  test('is asked in requests of so many digests as one may have, and so many at once as a peer may be asked', async () => {
    await synchronizer.synchronize(digestsOf(3 * REQUEST_DIGESTS_MAX), 2)
    const first = await request(0)
    const second = await request(1)
    expect(first.digests).toHaveLength(REQUEST_DIGESTS_MAX)
    await later(0)
    expect(asked).toHaveLength(REQUESTS_OPEN_MAX)
    // When one is over the next is made.
    await first.stream.sendFrame(FRAME_TYPES.missing, encodeDigests([]))
    await first.stream.stream.close()
    const third = await request(2)
    expect([...first.digests, ...second.digests, ...third.digests].sort((a, b) => a - b)).toEqual(
      digestsOf(3 * REQUEST_DIGESTS_MAX).map(numberOf),
    )
  })

  test('is asked once, however often the primary asks for it', async () => {
    for (let i = 0; i < 5; i += 1) await synchronizer.synchronize(digestsOf(2), 2)
    expect((await request(0)).digests).toEqual([0, 1])
    expect(asked).toHaveLength(1)
    expect(synchronizer.pendingCount).toBe(2)
  })

  test('that came by another way is not asked for', async () => {
    connected.clear()
    await synchronizer.synchronize(digestsOf(3), 2)
    synchronizer.onStoredElsewhere(digestOf(1))
    connected = new Set(PEERS)
    lots = [0, 0]
    await later(RETRY_MS)
    expect((await request(0)).digests).toEqual([0, 2])
  })
})

describe('what did not come', () => {
  test('is asked of others after the delay, drawn by lot, and of no one before', async () => {
    await synchronizer.synchronize(digestsOf(1), 2)
    const { stream } = await request(0)
    await stream.sendFrame(FRAME_TYPES.missing, encodeDigests(digestsOf(1)))
    await stream.stream.close()
    await later(RETRY_MS - 1)
    expect(asked).toHaveLength(1)
    // The last of three, then the first of the two that are left.
    lots = [0.9, 0]
    await later(1)
    await request(2)
    expect(asked.slice(1).map(({ peer }) => peer)).toEqual([3, 1])
  })

  test('is asked of nobody else while its peer goes on sending what was asked before it, and not for ever', async () => {
    const count = REQUESTS_OPEN_MAX * REQUEST_DIGESTS_MAX + 1
    await synchronizer.synchronize(digestsOf(count), 2)
    const { digests, stream } = await request(0)
    await request(1)
    const send = async (n: number): Promise<void> => {
      await stream.sendFrame(FRAME_TYPES.found, foundOf(digests[n]!))
      await until('it is at the processor', () => work.length === n + 1)
      done(work[n]!)
    }
    for (let n = 0; n < SYNC_PATIENCE_DELAYS - 1; n += 1) {
      await later(RETRY_MS - 1)
      await send(n)
    }
    await later(RETRY_MS - 1)
    expect(asked).toHaveLength(REQUESTS_OPEN_MAX)
    await later(SYNC_PATIENCE_DELAYS)
    const [first] = [await request(REQUESTS_OPEN_MAX)]
    expect(first.peer).not.toBe(2)
    expect(first.digests).toHaveLength(REQUEST_DIGESTS_MAX)
    expect(first.digests).not.toContain(digests[0])
  })

  test('of a peer that sends nothing is asked of others after the delay, also what waits for its turn there', async () => {
    const count = REQUESTS_OPEN_MAX * REQUEST_DIGESTS_MAX + 1
    await synchronizer.synchronize(digestsOf(count), 2)
    await request(1)
    await later(RETRY_MS)
    // The first of three, and of the two that are left the peer itself, which has no place free.
    await until('another one is asked, as much as it may be', () => asked.length === 2 * REQUESTS_OPEN_MAX)
    expect(asked.slice(REQUESTS_OPEN_MAX).map(({ peer }) => peer)).toEqual([1, 1])
  })

  test('is asked of others after the delay when its peer has answered without it, though it sends other batches', async () => {
    await synchronizer.synchronize(digestsOf(2), 2)
    const { stream } = await request(0)
    await later(RETRY_MS - 1)
    await stream.sendFrame(FRAME_TYPES.found, foundOf(0))
    await until('it is at the processor', () => work.length === 1)
    done(work[0]!)
    await stream.sendFrame(FRAME_TYPES.missing, encodeDigests(digestsOf(1, 1)))
    await stream.stream.close()
    await until('the request is over', () => stream.stream.status !== 'open')
    await later(1)
    expect((await request(1)).digests).toEqual([1])
  })

  test('is given up once a primary that asks again does not ask for it, and whatever the rounds are', async () => {
    synchronizer.close()
    make({ unnamedMs: SYNC_UNNAMED_MS })
    connected.clear()
    await synchronizer.synchronize(digestsOf(2), 2)
    synchronizer.cleanup(5n + BigInt(GC_DEPTH))
    await later(SYNC_UNNAMED_MS - 1)
    await synchronizer.synchronize(digestsOf(1), 2)
    expect(synchronizer.pendingCount).toBe(2)
    await later(2)
    expect(synchronizer.pendingCount).toBe(1)
    await later(SYNC_UNNAMED_MS)
    expect(synchronizer.pendingCount).toBe(0)
  })

  test('is given up gc_depth rounds later, and not before', async () => {
    connected.clear()
    synchronizer.cleanup(5n)
    await synchronizer.synchronize(digestsOf(2), 2)
    synchronizer.cleanup(5n + BigInt(GC_DEPTH) - 1n)
    expect(synchronizer.pendingCount).toBe(2)
    // A round that is lower than one before changes nothing.
    synchronizer.cleanup(1n)
    synchronizer.cleanup(5n + BigInt(GC_DEPTH))
    expect(synchronizer.pendingCount).toBe(0)
    connected = new Set(PEERS)
    await later(RETRY_MS)
    expect(asked).toHaveLength(0)
  })

  test('is asked for again when the store refused it, but nothing is while the store is full', async () => {
    await synchronizer.synchronize(digestsOf(1), 2)
    const { stream } = await request(0)
    await stream.sendFrame(FRAME_TYPES.found, foundOf(0))
    await until('it is at the processor', () => work.length === 1)
    storeFull = true
    done(work[0]!, 'store-full')
    await stream.stream.close()
    await synchronizer.synchronize(digestsOf(1, 7), 1)
    for (let i = 0; i < 5; i += 1) await later(RETRY_MS)
    expect(asked).toHaveLength(1)
    expect([stored, refused]).toEqual([[], []])
    storeFull = false
    await later(0)
    await until('both are asked for', () => asked.length >= 3)
    expect(synchronizer.pendingCount).toBe(2)
  })
})

describe('replies', () => {
  test('of one peer have slots of their own: a third batch waits until one of two is stored, other peers go on', async () => {
    await synchronizer.synchronize(digestsOf(4), 2)
    const { stream } = await request(0)
    for (let n = 0; n < 3; n += 1) await stream.sendFrame(FRAME_TYPES.found, foundOf(n))
    await until('two are at the processor', () => work.length === SYNC_SLOTS)
    await synchronizer.synchronize(digestsOf(1, 9), 1)
    const other = await request(1)
    await other.stream.sendFrame(FRAME_TYPES.found, foundOf(9))
    await until('the other peer’s is as well', () => work.length === SYNC_SLOTS + 1)
    expect(work.map(({ peer }) => peer)).toEqual([2, 2, 1])
    done(work[0]!)
    await until('the third is', () => work.length === SYNC_SLOTS + 2)
    expect(work.at(-1)).toMatchObject({ peer: 2, slot: work[0]!.slot })
    expect(refused).toEqual([])
  })

  test('that break off in a batch give their slot back', async () => {
    await synchronizer.synchronize(digestsOf(1), 2)
    const { stream } = await request(0)
    const free = synchronizer.slotsFree
    const half = Buffer.alloc(8 + 50)
    half.writeUInt32LE(64 + 100)
    half[4] = FRAME_TYPES.found
    await stream.send(half)
    await until('a slot is taken', () => synchronizer.slotsFree === free - 1)
    stream.abort()
    await until('it is back', () => synchronizer.slotsFree === free)
    expect(freed).toHaveLength(1)
  })

  test.each([
    ['a batch that was not asked for', () => foundOf(5), 'reply-not-asked'],
    ['a batch that came before', () => foundOf(0), 'reply-not-asked'],
    ['an author that is none', () => foundOf(1, batchOf(1), new Uint8Array(32).fill(99)), 'reply-unknown-author'],
    ['less than a header of a batch', () => foundOf(1, batchOf(1, 10)), 'reply-malformed'],
    ['more than a batch may have', () => foundOf(1, batchOf(1, BATCH_BYTES_MAX + 1)), 'reply-malformed'],
  ])('with %s are refused, and their slots come back', async (_, payload, refusal) => {
    await synchronizer.synchronize(digestsOf(2), 2)
    const { stream } = await request(0)
    const free = synchronizer.slotsFree
    await stream.sendFrame(FRAME_TYPES.found, foundOf(0))
    await until('the first is at the processor', () => work.length === 1)
    done(work[0]!)
    await stream.sendFrame(FRAME_TYPES.found, payload())
    await stream.gone()
    expect(refused).toEqual([`2 ${refusal}`])
    expect(synchronizer.slotsFree).toBe(free)
    expect(work).toHaveLength(1)
  })

  test('whose batch has another digest are counted against the peer, and it is looked for on', async () => {
    await synchronizer.synchronize(digestsOf(1), 2)
    const { stream } = await request(0)
    await stream.sendFrame(FRAME_TYPES.found, foundOf(0))
    await until('it is at the processor', () => work.length === 1)
    done(work[0]!, 'not-as-asked')
    expect([stored, refused]).toEqual([[], ['2 reply-not-asked']])
    expect(synchronizer.pendingCount).toBe(1)
  })
})

test('a peer that is away, and one whose stream cannot be opened, keep no place, and are asked for all when they are there', async () => {
  connected.clear()
  const opened = vi.spyOn(pairs, 'open')
  for (let i = 0; i < 5; i += 1) await synchronizer.synchronize(digestsOf(1, i), 2)
  expect(opened).not.toHaveBeenCalled()
  opened.mockRestore()
  connected = new Set([2])
  await synchronizer.synchronize(digestsOf(1, 50), 2)
  expect((await request(0)).digests.sort((a, b) => a - b)).toEqual([0, 1, 2, 3, 4, 50])
})
