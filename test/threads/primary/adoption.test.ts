/** Batches whose author does not bring them into the order: who claims them, when, and what becomes of that. */
import { describe, expect, test } from 'vitest'
import { digestKey } from '../../../src/shared/wire/digest-key.js'
import type { BatchEntry } from '../../../src/shared/wire/primary/header.js'
import { HEADER_ADOPTED_MAX } from '../../../src/shared/wire/primary/limits.js'
import { Adoption, turnOf } from '../../../src/threads/primary/adoption.js'
import { Stakes } from '../../../src/threads/primary/consensus/stakes.js'
import type { Header, PayloadEntry } from '../../../src/threads/primary/consensus/types.js'
import {
  ADOPTION_AGAIN_MS,
  ADOPTION_HEADERS,
  ADOPTION_MS,
  ADOPTION_STAGGER_MS,
  PAYLOAD_GRACE_MS,
  PAYLOAD_RETRY_MS,
} from '../../../src/threads/primary/limits.js'
import { TurnBuilder } from '../../../src/threads/primary/turn.js'
import { UnnamedBatches } from '../../../src/threads/primary/unnamed-batches.js'
import { batchOf, PrimaryUnderTest, written } from '../../support/primary-under-test.js'

const entryOf = (batch: BatchEntry): PayloadEntry => ({ ...batch, digest: digestKey(batch.digest) })
const headerOf = (author: number, round: number, ...batches: BatchEntry[]): Header => ({
  author,
  round,
  id: `${author} ${round}`,
  parents: [],
  createdAt: 0,
  payload: batches.map(entryOf),
})

/** Authority 0 of four, with 1 next. Batches of authority 3 are claimed by 0 and 1 first. */
class AdoptionUnderTest {
  readonly unnamed: UnnamedBatches
  readonly adoption: Adoption
  readonly ordered = new Set<bigint>()
  readonly claims = new Set<string>()
  decidedRound = 0
  round = 1
  ms = 0
  turn = new TurnBuilder({ ms: 0, unixMs: 0 })

  constructor({ authority = 0, batchesMax = 1000 } = {}) {
    const stakes = new Stakes([1, 1, 1, 1])
    this.unnamed = new UnnamedBatches(stakes.size, batchesMax)
    const { claims, ordered } = this
    const decidedRound = (): number => this.decidedRound
    const consensus = {
      get decidedRound() {
        return decidedRound()
      },
      hasBatch: (_author: number, _worker: number, sequence: bigint) => ordered.has(sequence),
      isClaimed: (_: number, { digest }: PayloadEntry) => claims.has(digest),
    }
    this.adoption = new Adoption(authority, stakes, { consensus, unnamed: this.unnamed })
  }

  deliver(...batches: BatchEntry[]): void {
    for (const batch of batches) this.unnamed.delivered(batch, undefined, this.ms)
  }

  /** What a header after so many ms claims. */
  after(ms: number, headers = ADOPTION_HEADERS): number[] {
    this.ms += ms
    this.unnamed.headers += headers - 1
    this.turn = new TurnBuilder({ ms: this.ms, unixMs: this.ms })
    this.round += 1
    return this.adoption.take(this.round, this.turn).map(({ sequence }) => Number(sequence))
  }

  /** The last header is in the order, with its claims. */
  over(...claimed: BatchEntry[]): void {
    for (const { digest } of claimed) this.claims.add(digestKey(digest))
    this.adoption.collect(() => true, this.ms)
  }
}

describe('a batch of another authority', () => {
  test('is claimed when its author has not named it for so long, and not before', () => {
    const node = new AdoptionUnderTest()
    node.deliver(batchOf(3, 1))
    expect(node.after(ADOPTION_MS - 1)).toEqual([])
    expect(node.after(1)).toEqual([1])
  })

  test('is not claimed behind a stall before its author has had rounds to name it, however long the stall was', () => {
    const node = new AdoptionUnderTest()
    node.deliver(batchOf(3, 1))
    expect(node.after(600_000, 1)).toEqual([])
    expect(node.after(100, ADOPTION_HEADERS - 2)).toEqual([])
    expect(node.after(100, 1)).toEqual([1])
  })

  test('waits anew whenever its author names it, and for the order to come to its certificate', () => {
    const node = new AdoptionUnderTest()
    node.deliver(batchOf(3, 1))
    node.after(ADOPTION_MS - 1)
    expect(node.unnamed.size).toBe(1)
    expect(node.unnamed.listed(headerOf(3, 7, batchOf(3, 1)), false, node.ms)).toEqual([batchOf(3, 1)])
    expect(node.unnamed.size).toBe(0)
    expect(node.after(ADOPTION_MS - 1)).toEqual([])
    expect(node.unnamed.listed(headerOf(3, 7, batchOf(3, 1)), true, node.ms)).toEqual([])
    node.decidedRound = 6
    expect(node.after(ADOPTION_MS)).toEqual([])
    node.decidedRound = 7
    expect(node.after(ADOPTION_MS)).toEqual([1])
  })

  test('is claimed later by those who are not first in turn, and not if the first have claimed it', () => {
    const node = new AdoptionUnderTest({ authority: 2 })
    node.deliver(batchOf(3, 1), batchOf(3, 2))
    // One that is next but one claims the first; of the second nobody has said anything.
    for (const other of [0, 1]) node.unnamed.listed(headerOf(other, 3, batchOf(3, 1)), true, 5000)
    expect(node.after(ADOPTION_MS)).toEqual([])
    expect(node.after(ADOPTION_STAGGER_MS)).toEqual([2])
    node.over(batchOf(3, 2))
    // What they claimed came to nothing.
    expect(node.after(ADOPTION_AGAIN_MS)).toEqual([1])
  })

  test('has so many authorities before us that V of the stake come first', () => {
    const turns = (stakes: number[], author: number): number[] =>
      stakes.map((_, authority) => (authority === author ? -1 : turnOf(new Stakes(stakes), author, authority)))
    expect(turns([1, 1, 1, 1], 3)).toEqual([0, 0, 1, -1])
    expect(turns([1, 1, 1, 1, 1, 1, 1], 2)).toEqual([1, 1, -1, 0, 0, 0, 1])
    expect(turns([3, 1, 3, 1], 1)).toEqual([1, -1, 0, 1])
  })

  test('that is in the order, or of whose sequence another one is, is forgotten, and its worker is told', () => {
    const node = new AdoptionUnderTest()
    node.deliver(batchOf(3, 1), batchOf(3, 2))
    node.unnamed.forget(3, digestKey(batchOf(3, 1).digest))
    node.ordered.add(2n)
    expect(node.after(ADOPTION_MS)).toEqual([])
    expect(node.turn.workerRequests).toEqual([{ type: 'ordered', worker: 0, digest: batchOf(3, 2).digest }])
    expect(node.unnamed.size).toBe(0)
  })

  test('that only a lost store of our worker had is not claimed', () => {
    const node = new AdoptionUnderTest()
    node.deliver(batchOf(3, 1), { ...batchOf(3, 2), worker: 1 })
    node.unnamed.forgetWorker(0)
    expect(node.after(ADOPTION_MS)).toEqual([2])
  })
})

describe('claims', () => {
  test('are in one header at a time, a quarter of it at most, the oldest first', () => {
    const node = new AdoptionUnderTest()
    const batches = Array.from({ length: HEADER_ADOPTED_MAX + 3 }, (_, at) => batchOf(3, at + 1))
    node.deliver(...batches)
    expect(node.after(ADOPTION_MS)).toEqual(
      batches.slice(0, HEADER_ADOPTED_MAX).map(({ sequence }) => Number(sequence)),
    )
    expect(node.after(1000)).toEqual([])
    node.over(...batches.slice(0, HEADER_ADOPTED_MAX))
    expect(node.after(0)).toEqual([HEADER_ADOPTED_MAX + 1, HEADER_ADOPTED_MAX + 2, HEADER_ADOPTED_MAX + 3])
  })

  test('whose header fell out are made again at once, and not in the next header if it was given up', () => {
    const node = new AdoptionUnderTest()
    node.deliver(batchOf(3, 1))
    expect(node.after(ADOPTION_MS)).toEqual([1])
    node.over()
    expect(node.after(0)).toEqual([1])
    node.adoption.giveUp(node.round, node.ms)
    expect(node.after(0)).toEqual([])
    expect(node.after(0)).toEqual([1])
  })

  test('that are in vain are made again after a while, if they do not stand still', () => {
    const node = new AdoptionUnderTest()
    node.deliver(batchOf(3, 1))
    node.after(ADOPTION_MS)
    node.over(batchOf(3, 1))
    expect(node.after(ADOPTION_AGAIN_MS)).toEqual([])
    node.claims.clear()
    expect(node.after(ADOPTION_AGAIN_MS - 1)).toEqual([])
    expect(node.after(1)).toEqual([1])
  })

  test('of one author take no other’s place: another one is first in each round', () => {
    const node = new AdoptionUnderTest({ authority: 3 })
    const many = (author: number): BatchEntry[] =>
      Array.from({ length: HEADER_ADOPTED_MAX }, (_, at) => batchOf(author, 1000 * author + at))
    node.deliver(...many(0), ...many(1))
    node.ms += 2 * ADOPTION_MS
    const authors = new Set<number>()
    for (let header = 0; header < 2; header += 1) {
      const claimed = node.after(0)
      const author = Math.floor(claimed[0]! / 1000)
      authors.add(author)
      node.over(...many(author))
    }
    expect([...authors].sort()).toEqual([0, 1])
  })
})

test('batches that wait for their authors are bounded for each, and the oldest of the hoarder give way', () => {
  const unnamed = new UnnamedBatches(4, 10)
  for (let sequence = 1; sequence <= 100; sequence += 1) unnamed.delivered(batchOf(1, sequence), undefined, 0)
  unnamed.delivered(batchOf(2, 1), undefined, 0)
  expect(unnamed.size).toBe(11)
  expect([...unnamed.in('waiting', 1)].map(({ batch }) => Number(batch.sequence))).toEqual([
    91, 92, 93, 94, 95, 96, 97, 98, 99, 100,
  ])
})

describe('a primary', () => {
  const claimed = (node: PrimaryUnderTest): bigint[][] =>
    written(node.turns, 'own-header')
      .map(({ bytes }) => node.records.readHeader(bytes).payload)
      .map((payload) => payload.filter(({ author }) => author !== 0).map(({ sequence }) => sequence!))
      .filter((sequences) => sequences.length > 0)

  function waiting(isDelivered: boolean): PrimaryUnderTest {
    const node = new PrimaryUnderTest()
    node.start()
    node.handle({ type: 'others-batch', batch: batchOf(3, 1), isDelivered })
    let parents = node.round(1)
    for (let round = 2; round <= ADOPTION_HEADERS + 1; round += 1) {
      for (const certificate of parents) node.receive(certificate.header.author, certificate)
      if (round > ADOPTION_HEADERS) node.handle({ type: 'own-batch', batch: batchOf(0, 1) })
      node.wait(ADOPTION_MS)
      parents = node.round(round, parents)
    }
    return node
  }

  test('claims what an author’s worker itself handed over, beside its own, and never what was fetched', () => {
    expect(claimed(waiting(true))).toEqual([[1n]])
    expect(claimed(waiting(false))).toEqual([])
  })

  test('says what it claims, and proposes its own alone again when the header falls out', () => {
    const node = waiting(true)
    const notices = node.turns.flatMap(({ notices }) => notices)
    expect(notices.filter(({ type }) => type === 'adopted')).toMatchObject([{ batches: [batchOf(3, 1)] }])
    const created = notices.flatMap((notice) => (notice.type === 'header-created' ? notice.batches : []))
    expect(created).toEqual([batchOf(0, 1)])
    expect(node.primary.status).toMatchObject({ unnamedBatches: 1, ownBatchesListed: 1, adoptedBatches: 0 })
  })

  /** Eight rounds by the others, whose headers list what `payloadOf` says; what V of them claim in the second is in the order. */
  function roundsOf(node: PrimaryUnderTest, payloadOf: (author: number, round: number) => BatchEntry[]): void {
    let parents = node.round(1)
    for (let round = 2; round <= 8; round += 1) {
      for (const certificate of parents) node.receive(certificate.header.author, certificate)
      const above = { parents: parents.map(({ header }) => header.idBytes) }
      parents = [1, 2, 3].map((author) => {
        const payload = payloadOf(author, round)
        return node.certificate(node.header(author, round, { ...above, payload }))
      })
    }
  }
  const ordersOurs = (node: PrimaryUnderTest): void =>
    roundsOf(node, (author, round) => (round === 2 && author < 3 ? [batchOf(0, 1)] : []))
  const askedFor = (node: PrimaryUnderTest): unknown[] =>
    node.turns.flatMap(({ workerRequests }) => workerRequests).filter(({ type }) => type === 'synchronize')
  const ours = { type: 'synchronize', worker: 0, author: 0, digests: [batchOf(0, 1).digest] }

  test('has one of its own fetched that others brought into the order, and of which its worker never told', () => {
    const node = new PrimaryUnderTest()
    node.start()
    ordersOurs(node)
    expect(node.primary.status.adoptedBatches).toBe(1)
    node.wait(PAYLOAD_GRACE_MS)
    expect(askedFor(node)).toEqual([ours])
    // The worker has it by now, or had it all the time.
    node.handle({ type: 'others-batch', batch: batchOf(0, 1), isDelivered: false })
    node.wait(10 * PAYLOAD_RETRY_MS)
    expect(askedFor(node)).toEqual([ours])

    const again = new PrimaryUnderTest({ store: node.store })
    again.start()
    again.wait(PAYLOAD_GRACE_MS)
    expect(askedFor(again)).toEqual([ours])
  })

  test('after a restart has those batches of others fetched that V of the stake have claimed, and that are in the order', () => {
    const madeUp = { ...batchOf(3, 2), digest: new Uint8Array(32).fill(9) }
    const node = new PrimaryUnderTest()
    node.start()
    roundsOf(node, (author, round) => {
      if (round === 2 && author === 1) return [batchOf(3, 1), batchOf(3, 2), batchOf(3, 5)]
      if (round === 2 && author === 2) return [batchOf(3, 1), batchOf(3, 2)]
      return (round === 3 || round === 4) && author === 1 ? [madeUp] : []
    })
    expect(node.primary.status.adoptedBatches).toBe(2)

    const again = new PrimaryUnderTest({ store: node.store })
    again.start()
    again.wait(PAYLOAD_GRACE_MS)
    const digests = [batchOf(3, 1), batchOf(3, 2)].map(({ digest }) => digest)
    expect(askedFor(again)).toEqual([{ type: 'synchronize', worker: 0, author: 3, digests }])
  })

  test('asks for none of its own that its worker has told of', () => {
    const node = new PrimaryUnderTest()
    node.start()
    node.handle({ type: 'own-batch', batch: batchOf(0, 1) })
    ordersOurs(node)
    expect(node.primary.status.adoptedBatches).toBe(1)
    node.wait(10 * PAYLOAD_RETRY_MS)
    expect(askedFor(node)).toEqual([])
  })
})
