import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setImmediate as nextTurn, setTimeout as sleep } from 'node:timers/promises'
import { describe, expect, it, onTestFinished } from 'vitest'
import { shortName } from '../../../src/shared/config/short-name.js'
import { SEQUENCE_PER_MS, WALK_CHUNK } from '../../../src/shared/constants.js'
import { encodeBase64 } from '../../../src/shared/crypto/public-key.js'
import { Counters } from '../../../src/shared/memory/counters.js'
import type { ProcessorToMain, StoreOptions } from '../../../src/shared/memory/dialogue/processor.js'
import { createLayout } from '../../../src/shared/memory/layout.js'
import { Arena } from '../../../src/shared/memory/slots.js'
import { checkStore } from '../../../src/shared/store/check-store.js'
import { openStoreReader } from '../../../src/shared/store/store-reader.js'
import { storedBytes } from '../../../src/shared/store/stored-bytes.js'
import { checkBatch, encodeBatch, transactions } from '../../../src/shared/wire/batch.js'
import {
  COMMIT_GROUP_INTERVAL_MS,
  DELETES_PER_PUT,
  DELETES_WHEN_IDLE,
  PUT_BYTES_MAX,
} from '../../../src/threads/processor/limits.js'
import { Processor } from '../../../src/threads/processor/processor.js'
import { Shares } from '../../../src/threads/processor/shares.js'
import { Store } from '../../../src/threads/processor/store.js'
import { writeFormat } from '../../support/damaged-stores.js'
import { seeded } from '../../support/random.js'
import { temporaryDirectory } from '../../support/temporary-directory.js'
import {
  AUTHORITIES,
  batchOf,
  digestOf,
  OWN_INDEX,
  OWN_KEY,
  type ProcessorUnderTest,
  startProcessor,
  WORKER_ID,
} from '../../support/threads/processor-under-test.js'
import { until } from '../../support/until.js'

const SILENT = {
  onFatal: () => {},
  onNotice: () => {},
  onDeleted: () => {},
  onDamaged: () => {},
  onStarved: () => {},
  onBytes: () => {},
}
const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex')

function storeOptions(directory: string, options: Partial<StoreOptions> = {}): StoreOptions {
  return { directory, authority: OWN_KEY, workerId: WORKER_ID, level: 'stored', retentionRounds: 0, ...options }
}

/** A store without its thread; closed when the test ends. */
function openStore(
  directory: string,
  options: Partial<StoreOptions> = {},
  onDeleted: (count: number) => void = () => {},
): Store & { readonly bytes: number } {
  let bytes = 0
  const store = new Store(storeOptions(directory, options), {
    onFatal: (error) => {
      throw error
    },
    onNotice: () => {},
    onDeleted,
    onDamaged: () => {},
    onStarved: () => {},
    onBytes: (_, change) => {
      bytes += change
    },
  })
  onTestFinished(() => store.close())
  return Object.defineProperty(store, 'bytes', { get: () => bytes }) as Store & { readonly bytes: number }
}

describe.each(['stored', 'durable'] as const)('at level %s', (level) => {
  it('hash_and_store: an own batch is answered with its digest, and is in the store byte for byte', async () => {
    const directory = temporaryDirectory()
    const processor = await startProcessor({ directory, level })
    const bytes = batchOf(7n, 20_000)
    const { digest, sequence } = await processor.own(bytes, 7n)
    expect(sequence).toBe(7n)
    expect(hex(digest)).toBe(hex(digestOf(bytes, OWN_KEY)))
    const read = await processor.client.ask({ type: 'get', digest })
    expect(hex(read!.bytes)).toBe(hex(bytes))
    expect(hex(read!.author)).toBe(hex(OWN_KEY))
    await processor.close()
    const reader = openStoreReader(directory)
    expect(hex(reader.get(digest)!.bytes)).toBe(hex(bytes))
    reader.close()
  })

  it("hash_and_store: another authority's batch, too; its digest is bound to its author", async () => {
    const processor = await startProcessor({ directory: temporaryDirectory(), level })
    const bytes = batchOf(9n, 33_000)
    const done = await processor.foreign({ bytes, peer: 2 })
    expect(done).toMatchObject({ peer: 2, sequence: 9n, status: 'ok', again: false })
    expect(hex(done.digest)).toBe(hex(digestOf(bytes, AUTHORITIES[2]!)))
    // The same bytes of a third author, through another peer: another batch.
    const other = await processor.foreign({ bytes, peer: 2, author: 3 })
    expect(other).toMatchObject({ peer: 2, status: 'ok', again: false })
    expect(hex(other.digest)).toBe(hex(digestOf(bytes, AUTHORITIES[3]!)))
    const [first, second] = await processor.client.ask({
      type: 'find',
      digests: [done.digest, other.digest],
      touch: false,
    })
    expect([first, second].map((found) => found && [hex(found.author), found.sequence])).toEqual([
      [hex(AUTHORITIES[2]!), 9n],
      [hex(AUTHORITIES[3]!), 9n],
    ])
  })

  it('many batches at once are each answered once, and none reads a slot after its answer', async () => {
    const processor = await startProcessor({ directory: temporaryDirectory(), level })
    const own = Array.from({ length: 60 }, (_, n) => batchOf(BigInt(n), 500 + n * 600))
    const foreign = Array.from({ length: 60 }, (_, n) => ({
      bytes: batchOf(BigInt(1_000 + n), 30_000 - n * 400),
      peer: [0, 2, 3][n % 3]!,
    }))
    const [ownDone, foreignDone] = await Promise.all([
      Promise.all(own.map((bytes, n) => processor.own(bytes, BigInt(n)))),
      Promise.all(foreign.map((work) => processor.foreign(work))),
    ])
    for (const [n, { digest }] of ownDone.entries()) await expectStored(processor, digest, OWN_KEY, own[n]!)
    for (const [n, { digest, status }] of foreignDone.entries()) {
      expect(status).toBe('ok')
      await expectStored(processor, digest, AUTHORITIES[foreign[n]!.peer]!, foreign[n]!.bytes)
    }
    expect(processor.counters.get('ownStored')).toBe(60)
    expect(processor.counters.get('inboundStored')).toBe(60)
  })

  it('more batches than LMDB is given at once wait in the rings, and each is stored in the end', async () => {
    const batchBytesMax = 500_000
    const processor = await startProcessor({ directory: temporaryDirectory(), level, batchBytesMax, ownSlots: 12 })
    const own = Array.from({ length: 12 }, (_, n) => batchOf(BigInt(n), batchBytesMax))
    const foreign = Array.from({ length: 12 }, (_, n) => ({ bytes: batchOf(BigInt(100 + n), batchBytesMax) }))
    expect(own.length * batchBytesMax).toBeGreaterThan(PUT_BYTES_MAX)
    const [ownDone, foreignDone] = await Promise.all([
      Promise.all(own.map((bytes, n) => processor.own(bytes, BigInt(n)))),
      Promise.all(foreign.map((work) => processor.foreign(work))),
    ])
    for (const [n, { digest }] of ownDone.entries()) await expectStored(processor, digest, OWN_KEY, own[n]!)
    for (const [n, { digest }] of foreignDone.entries()) {
      await expectStored(processor, digest, AUTHORITIES[0]!, foreign[n]!.bytes)
    }
  })
})

async function expectStored(
  processor: ProcessorUnderTest,
  digest: Uint8Array,
  author: Uint8Array,
  bytes: Uint8Array,
): Promise<void> {
  expect(hex(digest)).toBe(hex(digestOf(bytes, author)))
  const read = await processor.client.ask({ type: 'get', digest })
  expect(Buffer.compare(read!.bytes, bytes)).toBe(0)
  expect(hex(read!.author)).toBe(hex(author))
}

describe('a batch that comes again', () => {
  it('is acknowledged again, and stored once', async () => {
    const processor = await startProcessor({ directory: temporaryDirectory() })
    const bytes = batchOf(1n, 10_000)
    const first = await processor.foreign({ bytes })
    const stored = processor.counters.get('storeBytes')
    const second = await processor.foreign({ bytes })
    expect(second).toMatchObject({ status: 'ok', again: true, sequence: 1n })
    expect(hex(second.digest)).toBe(hex(first.digest))
    expect(processor.counters.get('storeBytes')).toBe(stored)
    expect(processor.counters.get('inboundAgain')).toBe(1)
  })

  it('is kept from then on as long as a new one, before it is acknowledged', async () => {
    const processor = await startProcessor({ directory: temporaryDirectory(), retentionRounds: 100 })
    const [kept, left] = [batchOf(1n, 10_000), batchOf(2n, 300)]
    const { digest } = await processor.foreign({ bytes: kept })
    const other = await processor.foreign({ bytes: left })
    await processor.client.ask({ type: 'cleanup', round: 60n })
    expect(await processor.foreign({ bytes: kept })).toMatchObject({ status: 'ok', again: true })
    await processor.client.ask({ type: 'cleanup', round: 150n })
    const digests = [digest, other.digest]
    expect((await processor.client.ask({ type: 'find', digests, touch: false })).map(Boolean)).toEqual([true, false])
    await processor.client.ask({ type: 'cleanup', round: 161n })
    expect(await processor.client.ask({ type: 'find', digests, touch: false })).toEqual([undefined, undefined])
  })

  it('in the turn in which its deletion begins is kept, or is said to be gone', async () => {
    const directory = temporaryDirectory()
    const store = openStore(directory, { retentionRounds: 1 })
    const bytes = batchOf(1n, 300)
    const digest = digestOf(bytes, AUTHORITIES[0]!)
    await store.put(digest, AUTHORITIES[0]!, bytes)
    // So long that a deletion begins at once.
    await sleep(10 * COMMIT_GROUP_INTERVAL_MS)
    const deleted = store.cleanup(5n)
    const isThere = await store.touch(digest)
    await deleted
    expect(isThere).toBe(store.find(digest) !== undefined)
    expect(isThere).toBe(true)
    await expectConsistent(directory)
  })

  it.each([300, 30_000])('and was deleted before its turn comes is stored anew: %i bytes', async (length) => {
    const directory = temporaryDirectory()
    const store = openStore(directory, { retentionRounds: 1 })
    const layout = createLayout({
      ownSlots: 1,
      inboundSlotsPerPeer: 1,
      authorities: AUTHORITIES.length,
      batchBytesMax: 40_000,
    })
    const inbound = new Arena(layout.inbound)
    const counters = new Counters(layout.counters.processor, 'processor')
    const answers: ProcessorToMain[] = []
    // Between the look at the store and the new stamp it is deleted.
    const touch = async (digest: Uint8Array): Promise<boolean> => {
      expect(await store.cleanup(5n)).toBe(1)
      return store.touch(digest)
    }
    const processor = new Processor(
      {
        workerId: WORKER_ID,
        batchBytesMax: 40_000,
        authorities: AUTHORITIES,
        stakes: AUTHORITIES.map(() => 1),
        ownIndex: OWN_INDEX,
        storeBytesMax: 2 ** 40,
        benchmark: false,
      },
      {
        own: new Arena(layout.own),
        inbound,
        store: {
          holds: (...call: Parameters<Store['holds']>) => store.holds(...call),
          put: (...call: Parameters<Store['put']>) => store.put(...call),
          touch,
          isStarved: false,
        } as unknown as Store,
        shares: new Shares({
          stakes: AUTHORITIES.map(() => 1),
          ownIndex: OWN_INDEX,
          storeBytesMax: 2 ** 40,
          reserveBytes: 100_000,
          batchStoredBytesMax: 50_000,
        }),
        counters,
        send: (message) => answers.push(message),
        onRelieved: () => {},
        log: () => {},
        logRefusal: () => {},
      },
    )
    const bytes = batchOf(1n, length)
    inbound.batch(0).set(bytes)
    const work = { kind: 'inbound', slot: 0, peer: 0, author: 0, byteLength: bytes.length, expected: null } as const
    for (const again of [false, true]) {
      processor.foreign(work)
      await until('it is answered', () => answers.length === (again ? 2 : 1))
      expect(answers.at(-1)).toMatchObject({ status: 'ok', again })
    }
    const digest = digestOf(bytes, AUTHORITIES[0]!)
    expect(hex(store.get(digest)!.bytes)).toBe(hex(bytes))
    await expectConsistent(directory)
  })

  it('an own batch that is reported late is kept for the retention after its report', async () => {
    const processor = await startProcessor({ directory: temporaryDirectory(), retentionRounds: 100 })
    const { digest } = await processor.own(batchOf(1n, 10_000), 1n)
    await processor.client.ask({ type: 'cleanup', round: 150n })
    await processor.client.ask({ type: 'reported', digests: [digest] })
    await processor.client.ask({ type: 'cleanup', round: 250n })
    expect(await processor.client.ask({ type: 'get', digest })).toBeDefined()
    await processor.client.ask({ type: 'cleanup', round: 251n })
    expect(await processor.client.ask({ type: 'get', digest })).toBeUndefined()
  })

  it('while its first copy is being stored waits for that one', async () => {
    const processor = await startProcessor({ directory: temporaryDirectory(), level: 'durable' })
    const bytes = batchOf(1n, 10_000)
    const order: boolean[] = []
    const copies = await Promise.all(
      [0, 1, 2, 3].map(async () => {
        const done = await processor.foreign({ bytes })
        order.push(done.again)
        return done
      }),
    )
    expect(order).toEqual([false, true, true, true])
    expect(copies.every(({ status }) => status === 'ok')).toBe(true)
    expect(processor.counters.get('commits')).toBe(1)
  })

  it('is also known after a restart', async () => {
    const directory = temporaryDirectory()
    const bytes = batchOf(1n, 10_000)
    const processor = await startProcessor({ directory })
    await processor.foreign({ bytes })
    await processor.close()
    const again = await startProcessor({ directory })
    expect(await again.foreign({ bytes })).toMatchObject({ status: 'ok', again: true })
    expect(again.counters.get('storeBytes')).toBe(storedBytes(bytes.length))
  })
})

describe('a batch that is refused', () => {
  const good = batchOf(5n, 2_000)
  const changed = (change: (view: DataView, bytes: Uint8Array) => void): Uint8Array => {
    const bytes = good.slice()
    change(new DataView(bytes.buffer), bytes)
    return bytes
  }
  const broken: [string, Uint8Array][] = [
    ['magic', changed((view) => view.setUint32(0, 1))],
    ['version', changed((view) => view.setUint16(4, 1, true))],
    ['flags', changed((view) => view.setUint16(6, 1, true))],
    ['worker-id', changed((view) => view.setUint32(8, WORKER_ID + 1, true))],
    ['count', changed((view) => view.setUint32(12, view.getUint32(12, true) + 1, true))],
    ['length', changed((view) => view.setUint32(16, view.getUint32(16, true) - 1, true))],
    ['epoch', changed((view) => view.setUint32(32, 1, true))],
    ['reserved', changed((_, bytes) => bytes.fill(1, 63, 64))],
    ['empty-transaction', changed((view) => view.setUint32(64, 0))],
    ['transaction-overruns', changed((view) => view.setUint32(64, 0xffffffff))],
    ['length', Buffer.concat([good, Buffer.of(0)])],
    ['empty-batch', changed((view) => view.setUint32(12, 0, true))],
    ['length', good.subarray(0, 64)],
  ]

  // Each time from another peer and author, since the log says it once of each two.
  it.each([0, 1])('is not stored and answered as invalid, and the log says why: half %i', async (half) => {
    const processor = await startProcessor({ directory: temporaryDirectory() })
    const refused = (): string[] => processor.log.filter((line) => line.includes('invalid: '))
    for (const [n, [reason, bytes]] of broken.filter((_, n) => n % 2 === half).entries()) {
      const [peer, author] = [[0, 2, 3][n % 3]!, n % 4]
      const done = await processor.foreign({ bytes, peer, author })
      expect(done, reason).toMatchObject({ status: 'invalid', peer, sequence: 5n, again: false })
      expect(done.digest).toEqual(new Uint8Array(32))
      expect(processor.counters.get('inboundRefused')).toBe(n + 1)
      expect(processor.counters.get('storeBytes')).toBe(0)
      await until('the log says why', () => refused().length > n)
      expect(refused()[n]).toContain(`invalid: ${reason}`)
    }
    expect(await processor.foreign({ bytes: good, peer: 3 })).toMatchObject({ status: 'ok', again: false })
  })

  it('not as asked for: another digest than the one expected', async () => {
    const processor = await startProcessor({ directory: temporaryDirectory() })
    const expected = digestOf(good, AUTHORITIES[2]!)
    const wrongAuthor = await processor.foreign({ bytes: good, peer: 0, author: 3, expected })
    expect(wrongAuthor).toMatchObject({ status: 'not-as-asked', peer: 0, again: false })
    const wrongBytes = await processor.foreign({ bytes: batchOf(6n, 2_000), peer: 0, author: 2, expected })
    expect(wrongBytes).toMatchObject({ status: 'not-as-asked' })
    expect(await processor.client.ask({ type: 'find', digests: [expected], touch: false })).toEqual([undefined])
    expect(await processor.foreign({ bytes: good, peer: 0, author: 2, expected })).toMatchObject({ status: 'ok' })
    expect(processor.counters.get('inboundStored')).toBe(1)
  })
})

describe('a full store', () => {
  // 8 own slots and 4 for sending again.
  const batchBytesMax = 10_000
  const each = storedBytes(batchBytesMax)
  /** Shares of so many batches for each of the four, and a seventh of their sum for what is asked for. */
  const storeOf = (batches: number): number => 12 * each + Math.ceil((4 * batches * each * 8) / 7) + 8

  it('takes no more of an author whose share is full, answers what it has again, and goes on with all others', async () => {
    const processor = await startProcessor({
      directory: temporaryDirectory(),
      batchBytesMax,
      storeBytesMax: storeOf(3),
      retentionRounds: 2,
    })
    const done = []
    for (let n = 0n; n < 3n; n += 1n) done.push(await processor.foreign({ bytes: batchOf(n, batchBytesMax), peer: 2 }))
    expect(done.map(({ status }) => status)).toEqual(['ok', 'ok', 'ok'])
    expect(await processor.foreign({ bytes: batchOf(9n, batchBytesMax), peer: 2 })).toMatchObject({ status: 'quota' })
    const noRoom = (): string[] => processor.log.filter((line) => line.includes(' No room now for a batch of '))
    await until('the log says it', () => noRoom().length > 0)
    expect(noRoom()).toHaveLength(1)
    expect(noRoom()[0]).toContain(`${shortName(encodeBase64(AUTHORITIES[2]!))}: its share of the store is full, `)
    expect(noRoom()[0]).toContain('It is sent again later')
    expect(await processor.foreign({ bytes: batchOf(1n, batchBytesMax), peer: 2 })).toMatchObject({
      status: 'ok',
      again: true,
    })
    expect(processor.counters.get('storeFull')).toBe(0)
    expect([0, 1, 2, 3].map((author) => processor.authorBytes.counted(author))).toEqual([0, 0, 3 * each, 0])
    expect(processor.authorBytes.share(2)).toBeGreaterThanOrEqual(3 * each)
    expect(processor.authorBytes.share(2)).toBeLessThan(4 * each)
    // The others, and ourselves.
    for (const peer of [0, 3]) {
      for (let n = 0n; n < 3n; n += 1n) {
        expect(await processor.foreign({ bytes: batchOf(n, batchBytesMax), peer })).toMatchObject({ status: 'ok' })
      }
    }
    for (let n = 0n; n < 3n; n += 1n) await processor.own(batchOf(n, batchBytesMax), n)
    expect((await processor.client.ask({ type: 'get', digest: done[2]!.digest }))!.bytes.length).toBe(batchBytesMax)
    await processor.client.ask({ type: 'cleanup', round: 100n })
    expect(processor.authorBytes.counted(2)).toBe(0)
    expect(await processor.foreign({ bytes: batchOf(9n, batchBytesMax), peer: 2 })).toMatchObject({ status: 'ok' })
  })

  it('shares by stake', async () => {
    const stakes = [1, 1, 5, 1]
    const processor = await startProcessor({
      directory: temporaryDirectory(),
      batchBytesMax,
      storeBytesMax: storeOf(6),
      stakes,
    })
    const taken = async (peer: number): Promise<number> => {
      for (let n = 0; ; n += 1) {
        const { status } = await processor.foreign({ bytes: batchOf(BigInt(n), batchBytesMax), peer })
        if (status === 'quota') return n
      }
    }
    expect([await taken(0), await taken(2), await taken(3)]).toEqual([3, 15, 3])
  })

  it('is counted as it was after kill -9: what the file holds is walked at the next start', async () => {
    const directory = temporaryDirectory()
    const options = { directory, batchBytesMax, storeBytesMax: storeOf(3) }
    const processor = await startProcessor(options)
    for (let n = 0n; n < 2n; n += 1n) await processor.foreign({ bytes: batchOf(n, batchBytesMax), peer: 2 })
    await processor.own(batchOf(7n, 2_000), 7n)
    await processor.close()
    const again = await startProcessor(options)
    expect([0, 1, 2, 3].map((author) => again.authorBytes.counted(author))).toEqual([
      0,
      storedBytes(2_000),
      2 * each,
      0,
    ])
    expect(again.counters.get('storeBytes')).toBe(2 * each + storedBytes(2_000))
    expect(await again.foreign({ bytes: batchOf(3n, batchBytesMax), peer: 2 })).toMatchObject({ status: 'ok' })
    expect(await again.foreign({ bytes: batchOf(4n, batchBytesMax), peer: 2 })).toMatchObject({ status: 'quota' })
  })

  it('takes what was asked for by digest beyond the share, from whomever, up to the whole', async () => {
    const processor = await startProcessor({
      directory: temporaryDirectory(),
      batchBytesMax,
      storeBytesMax: storeOf(3),
    })
    const asked = (n: bigint): ReturnType<typeof processor.foreign> => {
      const bytes = batchOf(n, batchBytesMax)
      return processor.foreign({ bytes, peer: 0, author: 2, expected: digestOf(bytes, AUTHORITIES[2]!) })
    }
    for (let n = 0n; n < 3n; n += 1n) await processor.foreign({ bytes: batchOf(n, batchBytesMax), peer: 2 })
    let taken = 3
    for (; (await asked(BigInt(taken))).status === 'ok'; taken += 1);
    // All shares but our reserve: nobody else has used theirs yet.
    expect(taken).toBe(13)
    expect(await asked(100n)).toMatchObject({ status: 'store-full' })
    expect(processor.counters.get('storeRoomBytes')).toBeLessThan(each)
    expect(await processor.foreign({ bytes: batchOf(1n, batchBytesMax), peer: 3 })).toMatchObject({
      status: 'store-full',
    })
  })

  it.each([1_132, 4_072, 4_073, 10_000])(
    'has room for the own batches that are under way, of %i bytes each, when all else is full',
    async (bytes) => {
      const stored = storedBytes(bytes)
      const processor = await startProcessor({
        directory: temporaryDirectory(),
        batchBytesMax: bytes,
        storeBytesMax: 12 * stored + Math.ceil((4 * 2 * stored * 8) / 7) + 8,
      })
      for (const peer of [0, 2, 3]) {
        for (let n = 0n; n < 2n; n += 1n) {
          expect(await processor.foreign({ bytes: batchOf(100n + n, bytes), peer })).toMatchObject({ status: 'ok' })
        }
        expect(await processor.foreign({ bytes: batchOf(200n, bytes), peer })).toMatchObject({ status: 'quota' })
      }
      for (let n = 0; n < 2; n += 1) {
        expect(processor.counters.get('storeFull')).toBe(0)
        await processor.own(batchOf(BigInt(n), bytes), BigInt(n))
      }
      // Our share is full: clients wait. What they had sealed by then has room.
      expect(processor.counters.get('storeFull')).toBe(1)
      await Promise.all(Array.from({ length: 12 }, (_, n) => processor.own(batchOf(BigInt(10 + n), bytes), BigInt(n))))
      expect(processor.counters.get('ownStored')).toBe(14)
      expect(processor.died).toEqual([])
    },
  )
})

describe('whose store it is', () => {
  it('a store that is open is refused to a second node, and the first goes on', async () => {
    const directory = temporaryDirectory()
    const first = await startProcessor({ directory })
    await expect(startProcessor({ directory })).rejects.toMatchObject({
      code: 'ERR_STORE_LOCKED',
      message: expect.stringContaining(`is open in another node (process ${process.pid})`),
    })
    expect(await first.foreign({ bytes: batchOf(1n) })).toMatchObject({ status: 'ok' })
    await first.close()
    const second = await startProcessor({ directory })
    expect(await second.foreign({ bytes: batchOf(1n) })).toMatchObject({ again: true })
  })

  it.each([
    ['authority', { authority: AUTHORITIES[0]! }],
    ['worker', { workerId: WORKER_ID + 1 }],
  ])('a store of another %s is refused, and is that one’s as before', async (_, other) => {
    const directory = temporaryDirectory()
    await (await startProcessor({ directory })).close()
    await expect(startProcessor({ directory, ...other })).rejects.toMatchObject({ code: 'ERR_STORE_FOREIGN' })
    await (await startProcessor({ directory })).close()
  })

  it.each([
    [99n, /has format 99; this version of narval reads 4: give this node a --store of its own/],
    [
      2n,
      /has format 2, whose batches have other digests; this version of narval reads 4: .* run the version that wrote it/,
    ],
    [1n, /has format 1, whose batches have other digests; /],
    [3n, /has format 3; this version of narval reads 4: give/],
  ])(
    'a store of format %d is refused with both numbers and what to do, and left as it is',
    async (version, message) => {
      const directory = temporaryDirectory()
      const first = await startProcessor({ directory })
      const { digest } = await first.foreign({ bytes: batchOf(1n) })
      await first.close()
      await writeFormat(directory, version)
      await expect(startProcessor({ directory })).rejects.toMatchObject({
        code: 'ERR_STORE_FORMAT',
        message: expect.stringMatching(message),
      })
      await writeFormat(directory, 4n)
      const again = await startProcessor({ directory })
      expect(await again.client.ask({ type: 'get', digest })).toBeDefined()
    },
  )

  it('a directory that cannot be one is refused with its path', async () => {
    const path = join(temporaryDirectory(), 'file')
    writeFileSync(path, 'not a directory')
    await expect(startProcessor({ directory: path })).rejects.toMatchObject({
      code: 'ERR_STORE_WRITE',
      message: expect.stringContaining(path),
    })
  })
})

describe('retention', () => {
  it('a Cleanup deletes what is older than retention_rounds, and never an own batch that was not reported', async () => {
    const processor = await startProcessor({ directory: temporaryDirectory(), retentionRounds: 10 })
    const own = await processor.own(batchOf(1n), 1n)
    const reported = await processor.own(batchOf(2n), 2n)
    const old = await processor.foreign({ bytes: batchOf(3n) })
    await processor.client.ask({ type: 'reported', digests: [reported.digest] })
    await processor.client.ask({ type: 'cleanup', round: 5n })
    const young = await processor.foreign({ bytes: batchOf(4n) })
    const digests = [own, reported, old, young].map(({ digest }) => digest)
    const left = async (): Promise<boolean[]> =>
      (await processor.client.ask({ type: 'find', digests, touch: false })).map((author) => author !== undefined)

    expect(await processor.client.ask({ type: 'cleanup', round: 10n })).toEqual({ deleted: 0 })
    expect(await left()).toEqual([true, true, true, true])
    expect(await processor.client.ask({ type: 'cleanup', round: 11n })).toEqual({ deleted: 2 })
    expect(await left()).toEqual([true, false, false, true])
    // An old round changes nothing.
    expect(await processor.client.ask({ type: 'cleanup', round: 3n })).toEqual({ deleted: 0 })
    expect(await processor.client.ask({ type: 'cleanup', round: 1_000n })).toEqual({ deleted: 1 })
    expect(await left()).toEqual([true, false, false, false])
    await processor.client.ask({ type: 'reported', digests: [own.digest] })
    // Its retention begins with the report.
    expect(await processor.client.ask({ type: 'cleanup', round: 1_010n })).toEqual({ deleted: 0 })
    expect(await left()).toEqual([true, false, false, false])
    expect(await processor.client.ask({ type: 'cleanup', round: 1_011n })).toEqual({ deleted: 1 })
    expect(await left()).toEqual([false, false, false, false])
    expect(processor.counters.get('deletedBatches')).toBe(4)
    expect(processor.counters.get('storeBytes')).toBe(0)
  })

  it('without retention_rounds nothing is deleted', async () => {
    const processor = await startProcessor({ directory: temporaryDirectory(), retentionRounds: 0 })
    const { digest } = await processor.foreign({ bytes: batchOf(1n) })
    expect(await processor.client.ask({ type: 'cleanup', round: 10_000_000n })).toEqual({ deleted: 0 })
    expect(await processor.client.ask({ type: 'get', digest })).toBeDefined()
  })

  it('a batch that a Synchronize named is kept from then on as if it were new', async () => {
    const processor = await startProcessor({ directory: temporaryDirectory(), retentionRounds: 10 })
    const named = await processor.foreign({ bytes: batchOf(1n, 5_000) })
    const other = await processor.foreign({ bytes: batchOf(2n, 5_000) })
    await processor.client.ask({ type: 'cleanup', round: 8n })
    const [found, unknown] = await processor.client.ask({
      type: 'find',
      digests: [named.digest, new Uint8Array(32)],
      touch: true,
    })
    expect(hex(found!.author)).toBe(hex(AUTHORITIES[0]!))
    expect(unknown).toBeUndefined()
    expect(await processor.client.ask({ type: 'cleanup', round: 15n })).toEqual({ deleted: 1 })
    await expectStored(processor, named.digest, AUTHORITIES[0]!, batchOf(1n, 5_000))
    expect(await processor.client.ask({ type: 'get', digest: other.digest })).toBeUndefined()
    expect(processor.counters.get('storeBytes')).toBe(storedBytes(5_000))
    expect(await processor.client.ask({ type: 'cleanup', round: 19n })).toEqual({ deleted: 1 })
    expect(processor.counters.get('storeBytes')).toBe(0)
  })

  it('the last round is remembered over a restart: what is stored then has it as its stamp', async () => {
    const directory = temporaryDirectory()
    const processor = await startProcessor({ directory, retentionRounds: 10 })
    await processor.client.ask({ type: 'cleanup', round: 77n })
    await processor.close()
    const again = await startProcessor({ directory, retentionRounds: 10 })
    const { digest } = await again.foreign({ bytes: batchOf(1n) })
    await again.close()
    const reader = openStoreReader(directory)
    expect(reader.get(digest)!.stamp).toBe(77n)
    reader.close()
  })

  it('deletes little by little while batches are stored, and faster when none are', async () => {
    const deletions: number[] = []
    const store = openStore(temporaryDirectory(), { retentionRounds: 1 }, (count) => deletions.push(count))
    const put = (n: number): Promise<void> => {
      const bytes = batchOf(BigInt(n), 300)
      return store.put(digestOf(bytes, AUTHORITIES[0]!), AUTHORITIES[0]!, bytes)
    }
    const old = 2 * DELETES_WHEN_IDLE
    await Promise.all(Array.from({ length: old }, (_, n) => put(n)))
    const cleanup = store.cleanup(5n)
    let stored = 0
    const sum = (): number => deletions.reduce((total, count) => total + count, 0)
    while (sum() < old / 2) {
      await put(old + stored)
      stored += 1
      expect(sum()).toBeLessThanOrEqual(DELETES_PER_PUT * (stored + 1))
    }
    expect(await cleanup).toBe(old)
    expect(sum()).toBe(old)
    // The other half, but for a step or two, when nothing was stored any more.
    expect(Math.max(...deletions)).toBeGreaterThan(DELETES_WHEN_IDLE / 2)
    expect(store.bytes).toBe(stored * storedBytes(300))
  })

  it('two Cleanups at once: what the second puts beyond retention is deleted with it', async () => {
    const store = openStore(temporaryDirectory(), { retentionRounds: 10 })
    const bytes = batchOf(1n, 300)
    await store.put(digestOf(bytes, AUTHORITIES[0]!), AUTHORITIES[0]!, bytes)
    expect(await Promise.all([store.cleanup(10n), store.cleanup(11n)])).toEqual([0, 1])
    expect(store.bytes).toBe(0)
  })

  it('a store that is closed in the middle of a deletion leaves the rest to the next Cleanup', async () => {
    const directory = temporaryDirectory()
    let closed: Promise<void> | undefined
    // With the first step of the deletion.
    const onDeleted = (): void => {
      closed ??= first.close()
    }
    const first: Store = new Store(storeOptions(directory, { retentionRounds: 1 }), { ...SILENT, onDeleted })
    const count = 5 * DELETES_WHEN_IDLE
    await Promise.all(
      Array.from({ length: count }, (_, n) => {
        const bytes = batchOf(BigInt(n), 300)
        return first.put(digestOf(bytes, AUTHORITIES[0]!), AUTHORITIES[0]!, bytes)
      }),
    )
    first.cleanup(5n).catch(() => {})
    await until('the deletion has begun', () => closed !== undefined)
    await closed
    await expectConsistent(directory)
    const again = await startProcessor({ directory, retentionRounds: 1 })
    const left = again.counters.get('storeBytes') / storedBytes(300)
    expect(left).toBeGreaterThan(0)
    expect(left).toBeLessThan(count)
    expect(await again.client.ask({ type: 'cleanup', round: 6n })).toEqual({ deleted: left })
    expect(again.counters.get('storeBytes')).toBe(0)
  })

  it('batches named by a Synchronize while they are being deleted are there or gone, never half', async () => {
    const directory = temporaryDirectory()
    const store = openStore(directory, { retentionRounds: 1 })
    const count = 10 * DELETES_WHEN_IDLE
    const random = seeded(5)
    const digests: Uint8Array[] = []
    for (let n = 0; n < count; n += 1) {
      const bytes = batchOf(BigInt(n), 300)
      const digest = digestOf(bytes, AUTHORITIES[0]!)
      digests.push(digest)
      void store.put(digest, AUTHORITIES[0]!, bytes)
    }
    await store.put(digestOf(batchOf(99_999n), OWN_KEY), OWN_KEY, batchOf(99_999n), {
      sequence: 99_999n,
      transactions: 1,
      transactionBytes: 900,
    })
    let deleted: number | undefined
    const cleanup = store.cleanup(5n).then((amount) => {
      deleted = amount
    })
    const touches: Promise<boolean>[] = []
    // In every step of the deletion some that are about to go, some that are going and some that are gone.
    while (deleted === undefined) {
      for (let n = 0; n < 2; n += 1) touches.push(store.touch(digests[Math.floor(random() * count)]!))
      await sleep(1)
    }
    await cleanup
    await Promise.all(touches)
    const kept = digests.filter((digest) => store.find(digest) !== undefined)
    expect(kept.length).toBe(count - deleted!)
    expect(kept.length).toBeGreaterThan(0)
    expect(deleted).toBeGreaterThan(0)
    for (const digest of digests) {
      const read = store.get(digest)
      expect(read === undefined).toBe(store.find(digest) === undefined)
      if (read !== undefined) expect(hex(digestOf(read.bytes, read.author))).toBe(hex(digest))
    }
    expect(store.bytes).toBe(kept.length * storedBytes(300) + storedBytes(1_000))
    await expectConsistent(directory)
  })
})

describe('sequences', () => {
  it('are never reserved twice, whatever the clock says, also not by the next run', async () => {
    const directory = temporaryDirectory()
    let end = 0n
    for (const clocks of [
      [1_000, 1_000, 900],
      [0, 2_000],
      [2_000, 1_999],
    ]) {
      const store = new Store(storeOptions(directory), SILENT)
      for (const nowMs of clocks) {
        const range = await store.reserveSequences(nowMs)
        expect(range.start).toBeGreaterThanOrEqual(end)
        expect(range.start).toBeGreaterThanOrEqual(BigInt(nowMs) * SEQUENCE_PER_MS)
        expect(range.end).toBeGreaterThan(range.start)
        end = range.end
      }
      await store.close()
    }
  })

  it('of a new store are beyond those that an old one of some time ago had used', async () => {
    const old = openStore(temporaryDirectory())
    const used = await old.reserveSequences(1_000_000)
    const fresh = openStore(temporaryDirectory())
    expect((await fresh.reserveSequences(1_000_000 + 1_000)).start).toBeGreaterThanOrEqual(used.end)
  })
})

describe('walks over the store', () => {
  it('over own batches that were not reported: all of them, each once, also after a restart', async () => {
    const directory = temporaryDirectory()
    const processor = await startProcessor({ directory })
    const count = WALK_CHUNK + 50
    const own = await Promise.all(
      Array.from({ length: count }, (_, n) => processor.own(batchOf(BigInt(n), 200), BigInt(n))),
    )
    await processor.foreign({ bytes: batchOf(7_000n) })
    const reported = own.slice(0, 20).map(({ digest }) => digest)
    // As main does at its end: what was said last is done before the store is closed.
    void processor.client.ask({ type: 'reported', digests: reported }).catch(() => {})
    await processor.close()
    const again = await startProcessor({ directory })
    const seen: string[] = []
    let from = 0n
    let steps = 0
    for (;;) {
      const found = await again.client.ask({ type: 'unreported', from, before: BigInt(count) - 5n })
      expect(found.length).toBeLessThanOrEqual(WALK_CHUNK)
      if (found.length === 0) break
      seen.push(...found.map(({ digest, sequence }) => `${sequence} ${hex(digest)}`))
      from = found.at(-1)!.sequence + 1n
      steps += 1
    }
    expect(steps).toBe(2)
    expect(seen).toEqual(own.slice(20, -5).map(({ digest, sequence }) => `${sequence} ${hex(digest)}`))
  })

  it('over own batches by their sequences: each once and in order, with what is in them, also after a restart', async () => {
    const directory = temporaryDirectory()
    const processor = await startProcessor({ directory })
    const count = WALK_CHUNK + 50
    // Stored in another order than that of their sequences.
    const own = await Promise.all(
      Array.from({ length: count }, (_, n) => BigInt((n * 7) % count)).map((n) => processor.own(batchOf(n, 200), n)),
    )
    await processor.foreign({ bytes: batchOf(100n, 300) })
    await processor.close()
    const again = await startProcessor({ directory })
    const seen: bigint[] = []
    let from = 10n
    do {
      const { deleted, found, next } = await again.client.ask({ type: 'own', from, before: BigInt(count) })
      expect(deleted).toBe(0n)
      expect(found.length).toBeLessThanOrEqual(WALK_CHUNK)
      for (const { digest, sequence, transactions: counted, transactionBytes } of found) {
        seen.push(sequence)
        expect(hex(digest)).toBe(hex(own.find((batch) => batch.sequence === sequence)!.digest))
        const list = [...transactions(batchOf(sequence, 200))]
        expect([counted, transactionBytes]).toEqual([list.length, list.reduce((sum, { length }) => sum + length, 0)])
      }
      from = next
    } while (from < BigInt(count))
    expect(seen).toEqual(Array.from({ length: count - 10 }, (_, n) => BigInt(n + 10)))
    expect(await again.client.ask({ type: 'own', from: 5n, before: 5n })).toMatchObject({ found: [], next: 5n })
    expect(await again.client.ask({ type: 'own', from: 2n ** 64n, before: 9n })).toMatchObject({ found: [] })
  })

  it('over own batches: a deletion takes them out, and says up to which sequence', async () => {
    const directory = temporaryDirectory()
    const processor = await startProcessor({ directory, retentionRounds: 5 })
    const own = async (sequence: bigint): Promise<Uint8Array> =>
      (await processor.own(batchOf(sequence), sequence)).digest
    const digests = [await own(1n), await own(2n), await own(4n)]
    await processor.client.ask({ type: 'reported', digests: [digests[0]!, digests[2]!] })
    await processor.client.ask({ type: 'cleanup', round: 4n })
    await own(5n)
    expect(await processor.client.ask({ type: 'cleanup', round: 6n })).toEqual({ deleted: 2 })
    const all = { type: 'own', from: 0n, before: 100n } as const
    const sequences = async (from: typeof processor): Promise<unknown> => {
      const { deleted, found } = await from.client.ask(all)
      return { deleted, found: found.map(({ sequence }) => sequence) }
    }
    // Batch 2 was not reported.
    const expected = { deleted: 4n, found: [2n, 5n] }
    expect(await sequences(processor)).toEqual(expected)
    await processor.close()
    const again = await startProcessor({ directory, retentionRounds: 5 })
    expect(await sequences(again)).toEqual(expected)
    await expectConsistent(directory)
  })

  it('over the batches of the last rounds: all of those, with their authors, and none of before', async () => {
    const processor = await startProcessor({ directory: temporaryDirectory() })
    await processor.client.ask({ type: 'cleanup', round: 10n })
    await processor.foreign({ bytes: batchOf(1n) })
    await processor.client.ask({ type: 'cleanup', round: 20n })
    const count = WALK_CHUNK + 10
    const batches = await Promise.all(
      Array.from({ length: count }, (_, n) =>
        processor.foreign({ bytes: batchOf(BigInt(n + 10), 200), peer: [0, 2, 3][n % 3]! }),
      ),
    )
    const own = await processor.own(batchOf(5_000n), 5_000n)
    await processor.client.ask({ type: 'cleanup', round: 25n })
    const expected = new Map([
      // Each came from its author.
      ...batches.map(({ digest, peer }) => [hex(digest), hex(AUTHORITIES[peer]!)] as const),
      [hex(own.digest), hex(OWN_KEY)] as const,
    ])
    const seen = new Map<string, string>()
    let after: Uint8Array | undefined
    do {
      const { found, next } = await processor.client.ask({ type: 'recent', rounds: 5n, after })
      expect(found.length).toBeLessThanOrEqual(WALK_CHUNK)
      for (const { digest, author } of found) {
        expect(seen.has(hex(digest))).toBe(false)
        seen.set(hex(digest), hex(author))
      }
      after = next
    } while (after !== undefined)
    expect(seen).toEqual(expected)
    const all = await processor.client.ask({ type: 'recent', rounds: 1_000n, after: undefined })
    expect(all.found.length).toBe(WALK_CHUNK)
  })
})

describe('the end of the thread', () => {
  it.each([20_000, 500_000])(
    'what main had handed over is stored before the store is closed: batches of %i bytes',
    async (batchBytesMax) => {
      const directory = temporaryDirectory()
      const processor = await startProcessor({ directory, batchBytesMax, ownSlots: 12 })
      const batches = Array.from({ length: 12 }, (_, n) => batchOf(BigInt(n), batchBytesMax))
      for (const [n, bytes] of batches.entries()) void processor.own(bytes, BigInt(n))
      // The slots are filled in the microtasks of this turn.
      await nextTurn()
      await processor.close()
      const reader = openStoreReader(directory)
      for (const bytes of batches) expect(Buffer.compare(reader.get(digestOf(bytes, OWN_KEY))!.bytes, bytes)).toBe(0)
      reader.close()
    },
  )

  it('a question that comes after it is refused as closed', async () => {
    const processor = await startProcessor({ directory: temporaryDirectory() })
    await processor.close()
    await expect(processor.client.ask({ type: 'reserve-sequences' })).rejects.toMatchObject({ code: 'ERR_CLOSED' })
  })
})

it('with benchmark: the lines that the reference’s scripts read', async () => {
  const processor = await startProcessor({ directory: temporaryDirectory(), benchmark: true })
  const sample = Buffer.alloc(100)
  sample.writeBigUInt64BE(77n, 1)
  const standard = Buffer.alloc(50, 1)
  const bytes = encodeBatch([sample, standard, Buffer.alloc(8)], { workerId: WORKER_ID, sequence: 1n })
  const name = encodeBase64((await processor.own(bytes, 1n)).digest)
  await until('both lines', () => processor.log.length === 2)
  expect(processor.log).toEqual([`info Batch ${name} contains sample tx 77`, `info Batch ${name} contains 158 B`])
})

describe('kill -9', () => {
  it('in the middle of deletions: own batches that were not reported are there, and all is whole', async () => {
    const directory = temporaryDirectory()
    let own = 0
    let gone = 0
    for (let run = 0; run < 4; run += 1) {
      const lines = await runUntilKilled(directory, 'stored', 300 + 90 * run, { retentionRounds: 1, roundMs: 10 })
      const store = new Store(storeOptions(directory), SILENT)
      for (const line of lines.slice(1)) {
        const [kind, digestHex] = line.split(' ')
        const read = store.get(Buffer.from(digestHex!, 'hex'))
        if (kind === 'own-stored') {
          expect(read, `${kind} ${digestHex} of run ${run}`).toBeDefined()
          own += 1
        } else if (read === undefined) gone += 1
        if (read !== undefined) expect(hex(digestOf(read.bytes, read.author))).toBe(digestHex)
      }
      await store.close()
      await expectConsistent(directory)
    }
    expect(own).toBeGreaterThan(20)
    expect(gone).toBeGreaterThan(20)
  })

  it.each(['stored', 'durable'] as const)(
    'in the middle of writes: what was answered is there and whole, at level %s',
    async (level) => {
      const directory = temporaryDirectory()
      let rangeEnd = 0n
      let answered = 0
      for (let run = 0; run < 5; run += 1) {
        const lines = await runUntilKilled(directory, level, 100 + 90 * run)
        const [, start, end] = lines[0]!.split(' ')
        expect(BigInt(start!)).toBeGreaterThanOrEqual(rangeEnd)
        rangeEnd = BigInt(end!)
        const store = new Store(storeOptions(directory), SILENT)
        let found = 0
        for (const line of lines.slice(1)) {
          const [kind, digestHex, author, sequence] = line.split(' ')
          expect(kind).toMatch(/^(own-stored|inbound-done)$/)
          const digest = Buffer.from(digestHex!, 'hex')
          const read = store.get(digest)
          expect(read, `${kind} ${digestHex} of run ${run}`).toBeDefined()
          expect(hex(read!.author)).toBe(hex(AUTHORITIES[Number(author)]!))
          expect(checkBatch(read!.bytes, { workerId: WORKER_ID, batchBytesMax: 60_000 })).toMatchObject({
            ok: true,
            sequence: BigInt(sequence!),
          })
          expect(hex(digestOf(read!.bytes, read!.author))).toBe(digestHex)
          if (kind === 'own-stored') expect(store.isReported(digest)).toBe(false)
          found += 1
        }
        answered += found
        await store.close()
        await expectConsistent(directory)
      }
      expect(answered).toBeGreaterThan(50)
    },
  )
})

/** Starts a process that stores batches, kills it `ms` after its first answer, and returns the whole lines it wrote. */
async function runUntilKilled(
  directory: string,
  level: string,
  ms: number,
  cleanups: { readonly retentionRounds: number; readonly roundMs: number } | null = null,
): Promise<string[]> {
  const options = {
    directory,
    level,
    authorities: AUTHORITIES.map(hex),
    ownIndex: OWN_INDEX,
    workerId: WORKER_ID,
    batchBytesMax: 60_000,
    inboundSlotsPerPeer: 4,
    cleanups,
  }
  const writer = new URL('../../support/threads/store-writer.mjs', import.meta.url).pathname
  const child = spawn(process.execPath, [writer, JSON.stringify(options)], { stdio: ['ignore', 'pipe', 'pipe'] })
  onTestFinished(() => void child.kill('SIGKILL'))
  let output = ''
  let errors = ''
  child.stdout.on('data', (data: Buffer) => {
    output += data
  })
  child.stderr.on('data', (data: Buffer) => {
    errors += data
  })
  const closed = once(child, 'close')
  await until(
    () => `an answer of the process: ${errors}`,
    () => output.split('\n').length > 2,
  )
  await sleep(ms)
  child.kill('SIGKILL')
  const [code, signal] = await closed
  expect([code, signal, errors]).toEqual([null, 'SIGKILL', ''])
  return output.split('\n').slice(0, -1)
}

/** Every index entry leads to a batch with its digest, every batch has its entry, every mark its batch. */
async function expectConsistent(directory: string): Promise<void> {
  const damaged: string[] = []
  checkStore(directory, { onDamaged: (name, why) => damaged.push(`${name}: ${why}`), onProgress: () => {} })
  expect(damaged).toEqual([])
}
