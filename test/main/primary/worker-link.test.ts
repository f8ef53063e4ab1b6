/** A primary and its worker in one process: a transaction goes in, and its batch comes out in the order. */
import { join } from 'node:path'
import { describe, expect, onTestFinished, test } from 'vitest'
import type { Logger } from '../../../src/index.js'
import { GcRelief } from '../../../src/main/lib/gc-relief.js'
import { unsupervised } from '../../../src/main/lib/supervisor.js'
import { OWN_BATCHES_UNORDERED_MAX } from '../../../src/main/primary/limits.js'
import { WorkerLink, type WorkerLinkDependencies } from '../../../src/main/primary/worker-link.js'
import type { OrderedWorker } from '../../../src/main/worker/primary-link/ordering-primary.js'
import { type Committee, parseCommittee } from '../../../src/shared/config/committee.js'
import { localCommittee } from '../../../src/shared/config/committee-file.js'
import { generateKeys, type Keys, keysOf } from '../../../src/shared/config/keys.js'
import { defaultParameters } from '../../../src/shared/config/parameters.js'
import { SEQUENCE_PER_MS } from '../../../src/shared/constants.js'
import { CommitLogHead } from '../../../src/shared/memory/commit-log-head.js'
import { CommitLogReader } from '../../../src/shared/store/primary/commit-log-reader.js'
import { followBatches } from '../../../src/shared/store/primary/follow-commits.js'
import { writeFreshMarker } from '../../../src/shared/store/primary/fresh-marker.js'
import { StoreFile } from '../../../src/shared/store/store-snapshot.js'
import { freePorts } from '../../support/free-ports.js'
import { openPrimaryStore } from '../../support/primary-stores.js'
import { temporaryDirectory } from '../../support/temporary-directory.js'
import { fromDist } from '../../support/threads/main-side.js'
import { transactionOf } from '../../support/transactions.js'
import { until } from '../../support/until.js'

const silent: Logger = { error() {}, warn() {}, info() {}, debug() {}, trace() {} }

/** Batches in a store that nobody has open: all of them, and those that no commit has. */
function batchesIn(store: string): { all: number; uncommitted: number } {
  const file = new StoreFile(store)
  const all = file.read((snapshot) => snapshot.entries('index', 1_000, {}))
  const uncommitted = file.read((snapshot) => snapshot.entries('uncommitted', 1_000, {}))
  file.close()
  return { all: all.length, uncommitted: uncommitted.length }
}

/** A primary whose store is new, and the link of its one worker. */
async function startLinkedPrimary(keys: Keys, committee: Committee) {
  const { PrimaryNode } =
    await fromDist<typeof import('../../../src/main/primary/primary-node.js')>('main/primary/primary-node.js')
  const { WorkerLink: Link } =
    await fromDist<typeof import('../../../src/main/primary/worker-link.js')>('main/primary/worker-link.js')
  const directory = temporaryDirectory()
  writeFreshMarker(directory, keys.name)
  const primary = new PrimaryNode(
    {
      keys,
      committee,
      store: { directory },
      rule: 'shoal',
      gcDepth: 50,
      maxHeaderDelayMs: 100,
      bind: '127.0.0.1',
      gcRelief: new GcRelief(),
      log: silent,
    },
    { onRequest: (request) => link.onRequest(request), onNotice: () => {} },
  )
  const link: WorkerLink = new Link({ committee, workerId: 0, directory }, primary)
  await primary.start()
  return { directory, link, primary }
}

test('what a worker certifies is ordered, and its store knows what was', async () => {
  const { startLinkedWorker } =
    await fromDist<typeof import('../../../src/main/worker/worker.js')>('main/worker/worker.js')
  const keys = generateKeys()
  const committee = parseCommittee(localCommittee([keys.name], 1, await freePorts(5)), 'test')
  const { directory, link, primary } = await startLinkedPrimary(keys, committee)
  const store = join(temporaryDirectory(), 'store')
  const worker = await startLinkedWorker(
    {
      keys,
      committee,
      store,
      parameters: { ...defaultParameters(), maxBatchDelayMs: 5 },
      bind: '127.0.0.1',
      log: silent,
    },
    link,
  )
  onTestFinished(async () => {
    await worker.close()
    await primary.close()
  })
  for (let number = 0; number < 3; number += 1) {
    await worker.submit(transactionOf(number, 100))
    await until('it is committed', () => {
      const { all, uncommitted } = batchesIn(store)
      return all === number + 1 && uncommitted === 0
    })
  }
  const reader = new CommitLogReader(directory)
  onTestFinished(() => reader.close())
  const ordered: string[] = []
  for await (const { batch } of followBatches(reader, { commit: 0, position: -1 }, { follow: false })) {
    ordered.push(hex(batch.digest))
    expect(await worker.read(batch.digest)).toBeDefined()
  }
  expect(new Set(ordered).size).toBe(3)
})

test('a worker whose store is new, with a clock that was set back, uses no sequence again that the order has', async () => {
  const { startLinkedWorker } =
    await fromDist<typeof import('../../../src/main/worker/worker.js')>('main/worker/worker.js')
  const keys = generateKeys()
  const committee = parseCommittee(localCommittee([keys.name], 1, await freePorts(5)), 'test')
  const { directory, link, primary } = await startLinkedPrimary(keys, committee)
  // What it made before its disk was lost; its clock was a day ahead.
  const sequence = BigInt(Date.now() + 86_400_000) * SEQUENCE_PER_MS
  await primary.client.batch('own-batch', { author: 0, worker: 0, sequence, digest: new Uint8Array(32).fill(9) })
  const sequencesInLog = (): bigint[] => {
    const reader = new CommitLogReader(directory)
    const sequences = [...reader.commits(0)].flatMap((commit) =>
      Array.from(commit.batches(), (batch) => batch.sequence!),
    )
    reader.close()
    return sequences
  }
  await until('it is ordered', () => sequencesInLog().length === 1)
  const worker = await startLinkedWorker(
    {
      keys,
      committee,
      store: join(temporaryDirectory(), 'store'),
      parameters: { ...defaultParameters(), maxBatchDelayMs: 5 },
      bind: '127.0.0.1',
      log: silent,
    },
    link,
  )
  onTestFinished(async () => {
    await worker.close()
    await primary.close()
  })
  await worker.submit(transactionOf(1, 100))
  await until('the new one is ordered', () => sequencesInLog().length === 2)
  expect(sequencesInLog()[1]).toBeGreaterThan(sequence)
})

test('a primary whose store is new is told of all that is certified and not committed, and orders it', async () => {
  const { startLinkedWorker } =
    await fromDist<typeof import('../../../src/main/worker/worker.js')>('main/worker/worker.js')
  const keys = generateKeys()
  const committee = parseCommittee(localCommittee([keys.name], 1, await freePorts(5)), 'test')
  const store = join(temporaryDirectory(), 'store')
  const parameters = { ...defaultParameters(), maxBatchDelayMs: 5 }
  const options = { keys, committee, store, parameters, bind: '127.0.0.1', log: silent }
  // The one before took everything, ordered nothing, and is lost.
  const taken: string[] = []
  const lost = await startLinkedWorker(options, {
    onMessage: async ({ digest }) => void taken.push(hex(digest)),
    attach: () => ({
      isFull: false,
      isConnected: true,
      sequencesAfter: Promise.resolve(0n),
      replayed: Promise.resolve(),
      close: async () => {},
    }),
  })
  for (let number = 0; number < 5; number += 1) {
    await lost.submit(transactionOf(number, 100))
    await until('it is taken', () => taken.length > number)
  }
  await lost.close()
  expect(batchesIn(store)).toEqual({ all: 5, uncommitted: 5 })

  const { directory, link, primary } = await startLinkedPrimary(keys, committee)
  const worker = await startLinkedWorker(options, link)
  onTestFinished(async () => {
    await worker.close()
    await primary.close()
  })
  await until('all is committed', () => batchesIn(store).uncommitted === 0)
  const reader = new CommitLogReader(directory)
  onTestFinished(() => reader.close())
  const ordered: string[] = []
  for await (const { batch } of followBatches(reader, { commit: 0, position: -1 }, { follow: false })) {
    ordered.push(hex(batch.digest))
  }
  expect(ordered.sort()).toEqual(taken.sort())
  expect(await worker.metrics()).toContain('narval_batches_certified_total 0\n')
})

describe('the link', () => {
  const keys = [1, 2].map((byte) => keysOf(new Uint8Array(32).fill(byte)))
  const committee = parseCommittee(
    localCommittee(
      keys.map(({ name }) => name),
      2,
      4000,
    ),
    'test',
  )
  const digest = new Uint8Array(32).fill(7)
  const linkOf = async (workerId = 0) => {
    const directory = temporaryDirectory()
    await (await openPrimaryStore(directory)).close()
    const told: unknown[] = []
    const counts = { ownBatchesWaiting: 0, ownBatchesListed: 0 }
    const primary: WorkerLinkDependencies = {
      client: {
        batch: async (type, batch, isDelivered) => void told.push([type, batch, isDelivered]),
        workerStore: async (worker, storeId) => {
          told.push(['store', worker, storeId])
          return 0n
        },
      },
      counters: { get: (name) => counts[name as keyof typeof counts] },
      head: new CommitLogHead(new SharedArrayBuffer(4)),
    }
    return { counts, told, link: new WorkerLink({ committee, workerId, directory }, primary) }
  }
  const workerOf = (said: unknown[]): OrderedWorker => ({
    storeId: new Uint8Array(16).fill(5),
    applied: 0,
    isSettled: true,
    committed: async (digests, place) => void said.push(['committed', digests, place]),
    named: (digests, isAnew) => said.push(['named', digests, isAnew]),
    unnamed: (digests) => said.push(['unnamed', digests]),
    onCommits: () => {},
    onGap: () => said.push('gap'),
    synchronize: (digests, author) => said.push(['synchronize', digests, author]),
    supervisor: unsupervised,
  })

  test.each([
    ['OurBatch', 0, 'own-batch'],
    ['OthersBatch', 1, 'others-batch'],
  ] as const)('hands on what an %s says, and reads nothing for it', async (type, author, said) => {
    const { link, told } = await linkOf(1)
    const { publicKey } = committee.authority(author)
    await link.onMessage({ type, digest, workerId: 1, author: publicKey, sequence: 9n, isDelivered: true })
    expect(told).toEqual([[said, { digest, author, worker: 1, sequence: 9n }, true]])
  })

  test('says first which store its worker has, and hands on what is for that worker', async () => {
    const { link, told } = await linkOf()
    const said: unknown[] = []
    link.onRequest({ type: 'synchronize', worker: 0, author: 1, digests: [digest] })
    const { close } = link.attach(workerOf(said))
    expect(() => link.attach(workerOf([]))).toThrow(/serves worker 0 already/)
    link.onRequest({ type: 'synchronize', worker: 1, author: 1, digests: [digest] })
    link.onRequest({ type: 'ordered', worker: 1, digest })
    link.onRequest({ type: 'synchronize', worker: 0, author: 1, digests: [digest] })
    link.onRequest({ type: 'named', worker: 1, digests: [digest], isAnew: true })
    link.onRequest({ type: 'named', worker: 0, digests: [digest], isAnew: true })
    link.onRequest({ type: 'unnamed', worker: 0, digests: [digest] })
    link.onRequest({ type: 'ordered', worker: 0, digest })
    link.onRequest({ type: 'ordered', worker: 0, digest: new Uint8Array(32) })
    link.fetch(0, [digest])
    await close()
    expect(told).toEqual([['store', 0, new Uint8Array(16).fill(5)]])
    expect(said).toEqual([
      ['synchronize', [digest], 1],
      ['named', [digest], true],
      ['unnamed', [digest]],
      ['synchronize', [digest], 0],
      ['committed', [digest, new Uint8Array(32)], undefined],
    ])
  })

  test('has sealing pause while too many own batches are not ordered', async () => {
    const { counts, link } = await linkOf()
    const opened = link.attach(workerOf([]))
    expect(opened.isFull).toBe(false)
    counts.ownBatchesWaiting = OWN_BATCHES_UNORDERED_MAX - 1
    counts.ownBatchesListed = 1
    expect(opened.isFull).toBe(true)
    await opened.close()
  })
})

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex')
}
