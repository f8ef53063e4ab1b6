/** What the primary takes for held and for ordered, when its workers or it itself start again, on old stores and on new ones. */
import { describe, expect, test } from 'vitest'
import { digestKey } from '../../../src/shared/wire/digest-key.js'
import type { BatchEntry } from '../../../src/shared/wire/primary/header.js'
import { PAYLOAD_GRACE_MS, PAYLOAD_RETRY_MS } from '../../../src/threads/primary/limits.js'
import type { CertificateRecord } from '../../../src/threads/primary/records.js'
import type { Turn, WorkerRequest } from '../../../src/threads/primary/turn.js'
import { batchOf, PrimaryUnderTest, votesIn, written } from '../../support/primary-under-test.js'

const OLD = new Uint8Array(16).fill(1)
const NEW = new Uint8Array(16).fill(2)
const hello = (storeId: Uint8Array, worker = 0) => ({ type: 'worker-store', worker, storeId }) as const
const others = (batch: BatchEntry) => ({ type: 'others-batch', batch }) as const
const own = (batch: BatchEntry) => ({ type: 'own-batch', batch }) as const
const asked = (turn: Turn): WorkerRequest[] => turn.workerRequests.filter(({ type }) => type === 'synchronize')
const ordered = (turn: Turn): WorkerRequest[] => turn.workerRequests.filter(({ type }) => type === 'ordered')

function started(options = {}): PrimaryUnderTest {
  const node = new PrimaryUnderTest(options)
  node.start()
  node.drain()
  return node
}

/** A primary whose worker has a batch of authority 1, and which is started again. */
function restarted() {
  const before = started()
  before.handle(hello(OLD))
  const batch = batchOf(1, 1)
  before.handle(others(batch))
  const node = started({ store: before.store })
  return { batch, node, header: node.header(1, 1, { payload: [batch] }) }
}

describe('a batch that our worker had before the primary started again', () => {
  test('is held when the worker has the same store, and not before it has said so', () => {
    const { header, node } = restarted()
    const early = node.receive(1, header)
    expect([votesIn(early), asked(early).length]).toEqual([[], 1])
    const turn = node.handle(hello(OLD))
    expect(votesIn(turn)).toEqual([header.id])
    expect(written(turn, 'worker-store')).toEqual([])
    // Nothing is asked for any more.
    expect(asked(node.wait(2 * PAYLOAD_RETRY_MS))).toEqual([])
  })

  test('is not held when the worker has another store: no vote until it is there again', () => {
    const { batch, header, node } = restarted()
    const turn = node.handle(hello(NEW))
    expect(written(turn, 'worker-store')).toEqual([hello(NEW)])
    expect(written(turn, 'payload-done')).toEqual([{ type: 'payload-done', batch }])
    expect(turn.notices).toContainEqual({ type: 'worker-store-new', worker: 0, batches: 1 })
    const waiting = node.receive(1, header)
    expect(votesIn(waiting)).toEqual([])
    expect(asked(waiting)).toEqual([{ type: 'synchronize', worker: 0, author: 1, digests: [batch.digest] }])
    expect(votesIn(node.handle(others(batch)))).toEqual([header.id])
    // The next start takes that for true.
    const again = started({ store: node.store })
    again.handle(hello(NEW))
    const later = again.header(1, 1, { payload: [batch] })
    expect(votesIn(again.receive(1, later))).toEqual([header.id])
  })

  test('is held when it was told again by a worker that says nothing of its store', () => {
    const { batch, header, node } = restarted()
    node.handle(others(batch))
    expect(votesIn(node.receive(1, header))).toEqual([header.id])
  })

  test('of another worker stays as it is', () => {
    const { header, node } = restarted()
    node.handle(hello(NEW, 1))
    expect(votesIn(node.receive(1, header))).toEqual([])
    expect(votesIn(node.handle(hello(OLD)))).toEqual([header.id])
  })
})

test('a worker that comes back on another store has nothing any more, while the primary goes on', () => {
  const node = started()
  node.handle(hello(OLD))
  const batch = batchOf(1, 1)
  node.handle(others(batch))
  node.handle(hello(OLD))
  node.handle(hello(NEW))
  const header = node.header(1, 1, { payload: [batch] })
  expect(votesIn(node.receive(1, header))).toEqual([])
  expect(votesIn(node.handle(others(batch)))).toEqual([header.id])
})

test('own batches that a worker has lost and that are not ordered are got back from the others', () => {
  const node = started()
  node.handle(hello(OLD))
  const batch = batchOf(0, 1)
  node.handle(own(batch))
  const next = asked(node.wait(PAYLOAD_GRACE_MS))
  expect(next).toEqual([])
  node.handle(hello(NEW))
  const request = { type: 'synchronize', worker: 0, author: 0, digests: [batch.digest] }
  expect(asked(node.wait(PAYLOAD_GRACE_MS))).toEqual([request])
  expect(asked(node.wait(PAYLOAD_RETRY_MS))).toEqual([request])
  const stored = node.handle(others(batch))
  expect(written(stored, 'payload')).toEqual([])
  expect(asked(node.wait(PAYLOAD_RETRY_MS))).toEqual([])
})

test('a worker that says which store it has is told the highest sequence of its batches, ordered or not', () => {
  const node = started({ stakes: [1] })
  const sequences = (turn: Turn): WorkerRequest[] =>
    turn.workerRequests.filter(({ type }) => type === 'sequences-after')
  const after = (sequence: bigint): WorkerRequest[] => [{ type: 'sequences-after', worker: 0, sequence }]
  expect(sequences(node.handle(hello(OLD)))).toEqual(after(0n))
  node.handle(own(batchOf(0, 900)))
  node.handle(own(batchOf(0, 7)))
  expect(sequences(node.handle(hello(NEW)))).toEqual(after(900n))
  for (let step = 0; step < 20; step += 1) node.wait(100)
  expect(node.primary.status.ownBatchesWaiting + node.primary.status.ownBatchesListed).toBe(0)
  const again = started({ stakes: [1], store: node.store })
  expect(sequences(again.handle(hello(NEW)))).toEqual(after(900n))
  expect(sequences(again.handle(hello(NEW, 1)))).toEqual([{ type: 'sequences-after', worker: 1, sequence: 0n }])
})

describe('a batch that is in the order', () => {
  /** A primary alone orders what it is told of. */
  function orderedBatch(store?: PrimaryUnderTest['store']) {
    const node = started({ stakes: [1], ...(store && { store }) })
    const batch = batchOf(0, 7)
    node.handle(own(batch))
    for (let step = 0; step < 20; step += 1) node.wait(100)
    expect(node.store.commits.flatMap(({ batches }) => batches.map(({ sequence }) => sequence))).toContain(7n)
    return { batch, node }
  }

  test('is said to be so when the worker tells of it again, and is not proposed again', () => {
    const { batch, node } = orderedBatch()
    for (const again of [node, started({ stakes: [1], store: node.store })]) {
      const turn = again.handle(own(batch))
      expect(ordered(turn)).toEqual([{ type: 'ordered', worker: 0, digest: batch.digest }])
      expect(written(turn, 'own-batch')).toEqual([])
      expect(again.primary.status.ownBatchesWaiting + again.primary.status.ownBatchesListed).toBe(0)
    }
  })

  test('takes the place of all others of its sequence: they will never be in it', () => {
    const { node } = orderedBatch()
    const other = { ...batchOf(0, 7), digest: new Uint8Array(32).fill(3) }
    expect(ordered(node.handle(others(other)))).toEqual([{ type: 'ordered', worker: 0, digest: other.digest }])
    expect(ordered(node.handle(others(batchOf(0, 8))))).toEqual([])
  })

  test('is said to be so when the order drops it, since another of its sequence is in it: the log does not name it', () => {
    const node = started()
    const first = batchOf(1, 7)
    const second = { ...first, digest: new Uint8Array(32).fill(3) }
    for (const batch of [first, second]) node.handle(others(batch))
    node.drain()
    let parents: readonly CertificateRecord[] = []
    for (let round = 1; round <= 6; round += 1) {
      const more = round === 1 ? {} : { parents: parents.map(({ header }) => header.idBytes) }
      const payload = [[first], [second]][round - 1] ?? []
      const certificates = [1, 2, 3].map((author) =>
        node.certificate(node.header(author, round, author === 1 ? { ...more, payload } : more)),
      )
      for (const certificate of certificates) node.receive(certificate.header.author, certificate)
      parents = certificates
    }
    const turns = node.drain()
    const committed = node.store.commits.flatMap(({ batches }) => batches.map(({ digest }) => digest))
    expect(committed).toEqual([digestKey(first.digest)])
    expect(turns.flatMap(ordered)).toEqual([{ type: 'ordered', worker: 0, digest: second.digest }])
  })

  test('and whose place an own one of the same sequence had, is not proposed, and the worker is told', () => {
    const node = started()
    const mine = batchOf(0, 7)
    const before = { ...mine, digest: new Uint8Array(32).fill(3) }
    node.handle(own(mine))
    node.drain()
    let parents: readonly CertificateRecord[] = []
    for (let round = 1; round <= 6; round += 1) {
      const more = round === 1 ? {} : { parents: parents.map(({ header }) => header.idBytes) }
      const certificates = [1, 2, 3].map((author) =>
        node.certificate(
          node.header(author, round, author !== 3 && round === 1 ? { ...more, payload: [before] } : more),
        ),
      )
      for (const certificate of certificates) node.receive(certificate.header.author, certificate)
      parents = certificates
    }
    expect(node.drain().flatMap(ordered)).toEqual([{ type: 'ordered', worker: 0, digest: mine.digest }])
    expect(node.primary.status.ownBatchesWaiting + node.primary.status.ownBatchesListed).toBe(0)
  })
})
