/** A primary and its worker in one process: a transaction goes in, and its batch comes out in the order. */
import { join } from 'node:path'
import { describe, expect, onTestFinished, test } from 'vitest'
import type { Logger } from '../../../src/index.js'
import { WorkerLink, type WorkerLinkDependencies } from '../../../src/main/primary/worker-link.js'
import { parseCommittee } from '../../../src/shared/config/committee.js'
import { localCommittee } from '../../../src/shared/config/committee-file.js'
import { generateKeys, keysOf } from '../../../src/shared/config/keys.js'
import { defaultParameters } from '../../../src/shared/config/parameters.js'
import { CommitLogReader } from '../../../src/shared/store/primary/commit-log-reader.js'
import { followBatches } from '../../../src/shared/store/primary/follow-commits.js'
import { writeFreshMarker } from '../../../src/shared/store/primary/fresh-marker.js'
import { encodeBatch } from '../../../src/shared/wire/batch.js'
import { freePorts } from '../../support/free-ports.js'
import { temporaryDirectory } from '../../support/temporary-directory.js'
import { fromDist } from '../../support/threads/main-side.js'
import { transactionOf } from '../../support/transactions.js'
import { until } from '../../support/until.js'

const silent: Logger = { error() {}, warn() {}, info() {}, debug() {}, trace() {} }

test('what a worker certifies is ordered, and it is told what was', async () => {
  const { startWorker } = await fromDist<typeof import('../../../src/index.js')>('index.js')
  const { PrimaryNode } =
    await fromDist<typeof import('../../../src/main/primary/primary-node.js')>('main/primary/primary-node.js')
  const { WorkerLink: Link } =
    await fromDist<typeof import('../../../src/main/primary/worker-link.js')>('main/primary/worker-link.js')
  const keys = generateKeys()
  const committee = parseCommittee(localCommittee([keys.name], 1, await freePorts(5)), 'test')
  const directory = temporaryDirectory()
  writeFreshMarker(directory, keys.name)
  const committed: string[] = []
  const primary = new PrimaryNode(
    {
      keys,
      committee,
      store: { directory },
      rule: 'shoal',
      gcDepth: 50,
      maxHeaderDelayMs: 100,
      bind: '127.0.0.1',
      log: silent,
    },
    { onRequest: (request) => link.onRequest(request), onNotice: () => {} },
  )
  const link: WorkerLink = new Link(
    { committee, ownIndex: 0, workerId: 0 },
    {
      client: primary.client,
      read: (digest) => worker.read(digest),
      send: () => {},
      onCommitted: (_, digests) => committed.push(...digests.map(hex)),
    },
  )
  await primary.start()
  const worker = await startWorker({
    keys,
    committee,
    store: join(temporaryDirectory(), 'store'),
    parameters: { ...defaultParameters(), maxBatchDelayMs: 5 },
    bind: '127.0.0.1',
    log: silent,
    primary: link.onMessage,
  })
  onTestFinished(async () => {
    await worker.close()
    await primary.close()
  })
  for (let number = 0; number < 3; number += 1) {
    await worker.submit(transactionOf(number, 100))
    await until('it is committed', () => committed.length > number)
  }
  const reader = new CommitLogReader(directory)
  onTestFinished(() => reader.close())
  const ordered: string[] = []
  for await (const { batch } of followBatches(reader, { commit: 0, position: -1 }, { follow: false })) {
    ordered.push(hex(batch.digest))
    expect(await worker.read(batch.digest)).toBeDefined()
  }
  expect(committed).toEqual(ordered)
  expect(new Set(ordered).size).toBe(3)
})

describe('the link', () => {
  const keys = [1, 2].map((byte) => keysOf(new Uint8Array(32).fill(byte)))
  const committee = parseCommittee(
    localCommittee(
      keys.map(({ name }) => name),
      1,
      4000,
    ),
    'test',
  )
  const digest = new Uint8Array(32).fill(7)
  const linkOf = (author: number | undefined) => {
    const told: unknown[] = []
    const dependencies: WorkerLinkDependencies = {
      client: {
        batch: async (type, batch) => {
          told.push([type, batch])
        },
      },
      read: async () =>
        author === undefined
          ? undefined
          : {
              author: committee.authority(author).publicKey,
              bytes: encodeBatch([new Uint8Array(3)], { workerId: 0, sequence: 9n }),
            },
      send: (message) => told.push(message),
      onCommitted: (index, digests) => told.push([index, digests]),
    }
    return { told, link: new WorkerLink({ committee, ownIndex: 0, workerId: 0 }, dependencies) }
  }

  test.each([
    ['OurBatch', 0, 'own-batch'],
    ['OthersBatch', 1, 'others-batch'],
  ] as const)('says of an %s what its bytes say', async (type, author, said) => {
    const { link, told } = linkOf(author)
    await link.onMessage({ type, digest, workerId: 0 })
    expect(told).toEqual([[said, { digest, author, worker: 0, sequence: 9n }]])
  })

  test('passes over what is deleted of others, and fails where an own batch is lost', async () => {
    const { link, told } = linkOf(undefined)
    await link.onMessage({ type: 'OthersBatch', digest, workerId: 0 })
    await expect(link.onMessage({ type: 'OurBatch', digest, workerId: 0 })).rejects.toMatchObject({
      code: 'ERR_BATCH_NOT_FOUND',
    })
    expect(told).toEqual([])
  })

  test('hands on what is for its worker, and nothing else', () => {
    const { link, told } = linkOf(0)
    link.onRequest({ type: 'synchronize', worker: 1, author: 1, digests: [digest] })
    link.onRequest({ type: 'synchronize', worker: 0, author: 1, digests: [digest] })
    const other = new Uint8Array(32)
    const batches = [
      { digest: other, author: 0, worker: 1 },
      { digest, author: 1, worker: 0 },
    ]
    link.onRequest({
      type: 'committed',
      commits: [
        { index: 4, timestamp: 1, batches },
        { index: 5, timestamp: 2, batches: [] },
      ],
    })
    expect(told).toEqual([
      { type: 'Synchronize', digests: [digest], target: committee.authority(1).publicKey },
      [4, [digest]],
    ])
  })
})

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex')
}
