/**
 * The store: batches put at both ACK levels through the product's Store, with one outstanding and with several, as a
 * busy processor has them; and read back. Beside it the same batches as values of LMDB, as the product has only small
 * ones. Each case writes to a directory of its own, on the disk that the suite is on.
 */
import { randomBytes } from 'node:crypto'
import { DIGEST_BYTES, PUBLIC_KEY_BYTES } from '../../src/shared/constants.js'
import { pageMemory, wholePages } from '../../src/shared/memory/page-memory.js'
import { encodeIndexEntry, openDatabases, roundKey } from '../../src/shared/store/format.js'
import { BATCH_SEQUENCE_AT } from '../../src/shared/wire/batch.js'
import { BatchDigester, chunkStartsOf } from '../../src/shared/wire/digest.js'
import { OwnedBuffers } from '../../src/threads/processor/owned-buffers.js'
import { Store } from '../../src/threads/processor/store.js'
import { StoreWrites } from '../../src/threads/processor/store-writes.js'
import { measure } from '../lib/measure.js'
import { type Row, rateRow } from '../lib/row.js'
import { BATCH_BYTES, type Stage, type StageContext } from '../lib/stage.js'
import { latencies } from '../lib/statistics.js'
import { sharedBatch } from '../lib/transactions.js'

const NAME = 'store'
type Put = (digest: Uint8Array, batch: Uint8Array) => Promise<void>

const AUTHOR = new Uint8Array(PUBLIC_KEY_BYTES).fill(1)
/** A case ends early at this: a fast disk would otherwise be filled by a long `--time`. */
const PUT_BYTES_MAX = 1_000_000_000
const PUTS_MIN = 8
const LEVELS = ['stored', 'durable'] as const
const OUTSTANDING = [1, 4, 16]
/** Batches that are read: more than any cache of the processor's. */
const GET_BATCHES = 128

export const store: Stage = {
  name: NAME,
  about:
    'batches put at both ACK levels, through Store into segments and as values of LMDB, and got, with 1, 4 and 16 puts outstanding (less than 4 at a time wait for the next transaction, one in 20 ms); ns/B is CPU time of all threads',
  async run(context) {
    const rows: Row[] = []
    for (const level of LEVELS) {
      for (const outstanding of OUTSTANDING) {
        const putAll = (name: string, put: Put, failed: Promise<never>): Promise<Row> =>
          measurePuts(`${name}, put, ${level}, ${outstanding} outstanding`, put, failed, outstanding, context)
        rows.push(
          await withStore(context, level, (store, failed) =>
            putAll('segments', (digest, batch) => store.put(digest, AUTHOR, batch), failed),
          ),
        )
        rows.push(await withValues(context, level, (put, failed) => putAll('LMDB values', put, failed)))
      }
    }
    rows.push(...(await withStore(context, 'stored', (store, failed) => get(store, failed, context))))
    return rows
  },
}

/** Opens a store in a fresh directory; both are gone afterwards. `failed` rejects when the store cannot go on. */
async function withStore<T>(
  { cleanup }: StageContext,
  level: 'stored' | 'durable',
  use: (store: Store, failed: Promise<never>) => Promise<T>,
): Promise<T> {
  const directory = cleanup.directory('store')
  let onFatal!: (error: Error) => void
  const failed = new Promise<never>((_, reject) => {
    onFatal = reject
  })
  // It may fail while nobody waits.
  failed.catch(() => {})
  const store = new Store(
    { directory, authority: AUTHOR, workerId: 0, level, retentionRounds: 0 },
    { onFatal, onNotice: () => {}, onDeleted: () => {}, onDamaged: () => {}, onBytes: () => {}, onStarved: () => {} },
  )
  try {
    await Promise.race([store.open(), failed])
    return await use(store, failed)
  } finally {
    await store.close()
    cleanup.remove(directory)
  }
}

/** The same for batches as values of LMDB: each is copied, and keeps its place in the order of its arrival. */
async function withValues<T>(
  { cleanup }: StageContext,
  level: 'stored' | 'durable',
  use: (put: Put, failed: Promise<never>) => Promise<T>,
): Promise<T> {
  const directory = cleanup.directory('values')
  let onFatal!: (error: Error) => void
  const failed = new Promise<never>((_, reject) => {
    onFatal = reject
  })
  failed.catch(() => {})
  const { batches, index, root, stamps } = openDatabases(directory)
  const writes = new StoreWrites(directory, onFatal)
  const buffers = new OwnedBuffers(BATCH_BYTES)
  try {
    return await use(async (digest, batch) => {
      const owned = buffers.copy(batch)
      const key = roundKey(0n, digest)
      const write = () => {
        index.put(
          digest,
          encodeIndexEntry({
            stamp: 0n,
            placed: 0n,
            author: AUTHOR,
            byteLength: batch.length,
            sequence: 0n,
            isOwn: false,
            isDelivered: true,
          }),
        )
        stamps.put(key, new Uint8Array(0))
        return batches.put(key, owned)
      }
      await writes.writeBatch(write, batch.length, level)
      buffers.release(owned)
    }, failed)
  } finally {
    await root.close()
    cleanup.remove(directory)
  }
}

/** Keeps so many puts outstanding for the time of a case. */
async function measurePuts(
  name: string,
  put: Put,
  failed: Promise<never>,
  outstanding: number,
  { timeMs }: StageContext,
): Promise<Row> {
  const batch = sharedBatch(512, BATCH_BYTES)
  const stride = wholePages(batch.length)
  const memory = pageMemory(outstanding * stride)
  const samplesNs: number[] = []
  let started = 0
  const cpu = process.cpuUsage()
  const start = process.hrtime.bigint()
  const endMs = performance.now() + timeMs
  const lane = async (_: unknown, slot: number): Promise<void> => {
    const inSlot = new Uint8Array(memory, slot * stride, batch.length)
    inSlot.set(batch)
    while (started < PUTS_MIN || (performance.now() < endMs && started * batch.length < PUT_BYTES_MAX)) {
      started += 1
      const putStart = process.hrtime.bigint()
      await put(new Uint8Array(randomBytes(DIGEST_BYTES)), inSlot)
      samplesNs.push(Number(process.hrtime.bigint() - putStart))
    }
  }
  await Promise.race([Promise.all(Array.from({ length: outstanding }, lane)), failed])
  const elapsedNs = Number(process.hrtime.bigint() - start)
  const { system, user } = process.cpuUsage(cpu)
  const row = rateRow(
    { stage: NAME, case: name, op: `batch of ${batch.length} B` },
    elapsedNs / samplesNs.length,
    batch.length,
    latencies(samplesNs),
  )
  return { ...row, ns_per_byte: ((user + system) * 1_000) / (samplesNs.length * batch.length) }
}

async function get(store: Store, failed: Promise<never>, { timeMs }: StageContext): Promise<Row[]> {
  const batch = Uint8Array.from(sharedBatch(512, BATCH_BYTES))
  const offsets = chunkStartsOf(batch)
  const digester = new BatchDigester(batch.length)
  // What is read is checked: each batch has a sequence, and so a digest, of its own.
  const stored = Array.from({ length: GET_BATCHES }, (_, n) => {
    const bytes = batch.slice()
    new DataView(bytes.buffer).setBigUint64(BATCH_SEQUENCE_AT, BigInt(n), true)
    const digest = new Uint8Array(DIGEST_BYTES)
    digester.digest(bytes, offsets, AUTHOR, digest)
    return { digest, bytes }
  })
  const digests = stored.map(({ digest }) => digest)
  const memory = pageMemory(GET_BATCHES * wholePages(batch.length))
  const put = Promise.all(
    stored.map(({ bytes, digest }, n) => {
      const inSlot = new Uint8Array(memory, n * wholePages(batch.length), bytes.length)
      inSlot.set(bytes)
      return store.put(digest, AUTHOR, inSlot)
    }),
  )
  await Promise.race([put, failed])
  const missing = new Uint8Array(randomBytes(DIGEST_BYTES))
  let next = 0
  const nextDigest = (): Uint8Array => {
    next = (next + 1) % GET_BATCHES
    return digests[next]!
  }
  return measure(
    NAME,
    [
      {
        name: 'get',
        op: `batch of ${batch.length} B`,
        bytes: batch.length,
        run() {
          const found = store.get(nextDigest())
          if (found === undefined) throw new Error('store: a batch that was stored is not there')
          return found
        },
      },
      { name: 'find, stored', op: 'look-up', run: () => store.find(nextDigest()) },
      { name: 'find, not stored', op: 'look-up', run: () => store.find(missing) },
    ],
    timeMs,
  )
}
