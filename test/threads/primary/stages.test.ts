/** The stages that have a file of their own and need no primary around them. */
import { describe, expect, test } from 'vitest'
import { digestKey } from '../../../src/shared/wire/digest-key.js'
import { RECORD_BYTES_MAX } from '../../../src/shared/wire/primary/limits.js'
import * as requests from '../../../src/shared/wire/primary/requests.js'
import { CertificateWaiter } from '../../../src/threads/primary/certificate-waiter.js'
import type { PayloadEntry } from '../../../src/threads/primary/consensus/types.js'
import { Helper } from '../../../src/threads/primary/helper.js'
import {
  CERTIFICATE_BYTES_SERVED_PER_S,
  CERTIFICATES_SERVED_PER_S,
  CERTIFICATES_WAITING_BYTES_MAX,
  PAYLOAD_MARKS_MAX,
  PAYLOAD_WANTED_MAX,
  RANGE_REQUEST_COST,
} from '../../../src/threads/primary/limits.js'
import { batchKey, OwnBatches } from '../../../src/threads/primary/own-batches.js'
import { PayloadFetcher, shareOfWanted } from '../../../src/threads/primary/payload-fetcher.js'
import { PayloadReceiver, shareOfMarks } from '../../../src/threads/primary/payload-receiver.js'
import { TurnBuilder } from '../../../src/threads/primary/turn.js'
import { batchOf, PrimaryUnderTest, refused, sent, written } from '../../support/primary-under-test.js'

describe('own batches', () => {
  test('of a header that fell out are proposed again, before newer ones', () => {
    const own = new OwnBatches()
    for (const sequence of [1, 2, 3]) own.add(batchOf(0, sequence))
    expect(own.take(5, 2).map(({ sequence }) => sequence)).toEqual([1n, 2n])
    own.add(batchOf(0, 4))
    expect(own.collect((round) => round <= 5)).toBe(2)
    expect(own.take(9, 512).map(({ sequence }) => sequence)).toEqual([1n, 2n, 3n, 4n])
  })

  test('of several headers that fell out are in the order of the headers, and are taken, set aside or done by name', () => {
    const own = new OwnBatches()
    for (let sequence = 1; sequence <= 8; sequence += 1) own.add(batchOf(0, sequence))
    own.take(5, 2)
    own.take(6, 2)
    expect(own.collect((round) => round <= 6)).toBe(4)
    expect([own.waiting, own.add(batchOf(0, 2))]).toEqual([8, false])
    expect(own.done(batchKey(batchOf(0, 2)))).toEqual(batchOf(0, 2))
    expect(own.setAside(batchKey(batchOf(0, 3)))).toEqual(batchOf(0, 3))
    own.restore(7, [batchKey(batchOf(0, 4)), batchKey(batchOf(0, 7))])
    expect(own.take(9, 512).map(({ sequence }) => sequence)).toEqual([1n, 5n, 6n, 8n])
    expect([own.waiting, own.listed]).toEqual([0, 6])
  })

  test('that are ordered are done, wherever they were', () => {
    const own = new OwnBatches()
    for (const sequence of [1, 2]) own.add(batchOf(0, sequence))
    own.take(5, 1)
    expect(own.done(batchKey(batchOf(0, 1)))).toEqual(batchOf(0, 1))
    expect(own.done(batchKey(batchOf(0, 2)))).toEqual(batchOf(0, 2))
    expect(own.done(batchKey(batchOf(0, 1)))).toBeUndefined()
    expect([own.waiting, own.listed, own.collect(() => true)]).toEqual([0, 0, 0])
  })

  test('that no quorum could get are tried again, alone, ever more rarely, in whichever rounds there are', () => {
    const own = new OwnBatches()
    for (let sequence = 1; sequence <= 60; sequence += 1) own.add(batchOf(0, sequence))
    own.take(7, 1)
    own.giveUp(7)
    own.setAside(batchKey(batchOf(0, 1)))
    const tries: number[] = []
    // Who is far has a header in every third round, say.
    for (let round = 10; round < 130; round += 3) {
      const isTry = own.take(round, 1).some(({ sequence }) => sequence === 1n)
      if (isTry) tries.push(round)
      own.giveUp(round)
    }
    expect(tries).toEqual([13, 19, 28, 46, 79, 112])
    own.setAside(batchKey(batchOf(0, 2)))
    // One that comes through is followed by the next.
    own.take(145, 1)
    own.done(batchKey(batchOf(0, 1)))
    expect(own.take(149, 1)).toEqual([batchOf(0, 2)])
  })

  test('are taken once', () => {
    const own = new OwnBatches()
    expect([own.add(batchOf(0, 1)), own.add(batchOf(0, 1))]).toEqual([true, false])
    own.take(5, 1)
    expect(own.add(batchOf(0, 1))).toBe(false)
  })
})

describe('marks of stored batches', () => {
  test('of one author that stores many give way, the oldest, and nobody else’s', () => {
    const turn = new TurnBuilder({ ms: 0, unixMs: 0 })
    const payload = new PayloadReceiver(3, [], 2)
    for (const batch of [batchOf(2, 1), batchOf(1, 1), batchOf(1, 2), batchOf(1, 3)]) payload.store(batch, turn)
    const check = (author: number, sequence: number): string =>
      payload.check({ ...batchOf(author, sequence), digest: digestKey(batchOf(author, sequence).digest) })
    expect([check(1, 1), check(1, 2), check(1, 3), check(2, 1)]).toEqual(['missing', 'held', 'held', 'held'])
    expect(turn.writes.at(-1)).toEqual({ type: 'payload-done', batch: batchOf(1, 1) })
  })
})

test('the marks of all authorities together are bounded, in equal shares', () => {
  expect([1, 4, 16].map(shareOfMarks)).toEqual([65_536, 65_536, 65_536])
  expect([17, 64, 256].map((authorities) => authorities * shareOfMarks(authorities) <= PAYLOAD_MARKS_MAX)).toEqual([
    true,
    true,
    true,
  ])
  expect(shareOfMarks(256)).toBe(4096)
})

test('batches that are asked for are bounded, in equal shares, and what finds no room is asked for after a restart', () => {
  expect([1, 4, 16].map(shareOfWanted)).toEqual([65_536, 65_536, 65_536])
  expect(256 * shareOfWanted(256)).toBe(PAYLOAD_WANTED_MAX)
  const fetcher = new PayloadFetcher(4, 2)
  const entry = (author: number, sequence: number): PayloadEntry => ({
    ...batchOf(author, sequence),
    digest: digestKey(batchOf(author, sequence).digest),
  })
  fetcher.want({ author: 1, round: 5 }, [entry(1, 1), entry(1, 2), entry(1, 3)], 0)
  fetcher.want({ author: 2, round: 9 }, [entry(2, 1)], 0)
  expect(fetcher.size).toBe(3)
  for (const sequence of [1, 2]) fetcher.stored(1, entry(1, sequence).digest, 0)
  expect(fetcher.lowestRound).toBe(5)
})

describe('certificates that wait for parents', () => {
  const node = new PrimaryUnderTest()
  const parent = digestKey(new Uint8Array(32).fill(1))
  const waiting = (author: number, round: number) =>
    node.certificate(node.header(author, round, { parents: [new Uint8Array(32).fill(1)] }))
  const { length: bytes } = waiting(1, 2).bytes

  test('have shares of the bytes by author, and the highest rounds of one give way', () => {
    const waiter = new CertificateWaiter(4, 2 * bytes)
    const [two, three, four, other] = [waiting(1, 2), waiting(1, 3), waiting(1, 4), waiting(2, 4)]
    expect(waiter.wait(four, [parent])).toBe(true)
    expect(waiter.wait(two, [parent])).toBe(true)
    expect(waiter.wait(three, [parent])).toBe(true)
    expect([two, three, four].map(({ digest }) => waiter.has(digest))).toEqual([true, true, false])
    expect(waiter.wait(four, [parent])).toBe(false)
    expect(waiter.wait(other, [parent])).toBe(true)
    expect(waiter.delivered(parent)).toEqual([two, three, other])
    expect(waiter.size).toBe(0)
    // There is room again, and nothing waits any more.
    expect(waiter.wait(four, [parent])).toBe(true)
    expect(waiter.collect(4)).toEqual([])
    expect([waiter.size, waiter.waitsFor(parent)]).toEqual([0, false])
    for (const certificate of [two, three]) expect(waiter.wait(certificate, [parent])).toBe(true)
  })

  test('have room for a thousand rounds in a committee of four, and for twenty in the largest', () => {
    expect(CERTIFICATES_WAITING_BYTES_MAX / 4).toBeGreaterThan(1_000 * 24_000)
    expect(CERTIFICATES_WAITING_BYTES_MAX / 256).toBeGreaterThan(20 * RECORD_BYTES_MAX)
  })
})

describe('the Helper', () => {
  function helperWithRounds(): { node: PrimaryUnderTest; rounds: ReturnType<PrimaryUnderTest['round']>[] } {
    const node = new PrimaryUnderTest({ gcDepth: 4 })
    node.start()
    const rounds = [node.round(1)]
    for (let round = 2; round <= 20; round += 1) rounds.push(node.round(round, rounds.at(-1)!))
    for (const certificate of rounds.flat()) node.receive(1, certificate)
    node.drain()
    return { node, rounds }
  }

  test('sends certificates from memory and from the store, and nothing for what it does not have', () => {
    const { node, rounds } = helperWithRounds()
    expect(node.primary.status.gcRound).toBeGreaterThan(5)
    const wanted = [rounds[1]![0]!, rounds[18]![1]!]
    const bytes = requests.encodeCertificatesRequest([
      ...wanted.map(({ header }) => header.idBytes),
      new Uint8Array(32),
    ])
    const answers = sent(node.receive(2, bytes), 'certificate')
    expect(answers.map(({ to }) => to)).toEqual([2, 2])
    expect(new Set(answers.map(({ bytes }) => Buffer.from(bytes).toString('hex')))).toEqual(
      new Set(wanted.map(({ bytes }) => Buffer.from(bytes).toString('hex'))),
    )
  })

  test('sends rounds from below garbage collection to above it, parents first, each once', () => {
    const { node, rounds } = helperWithRounds()
    const answers = sent(node.receive(2, requests.encodeRangeRequest({ from: 3, to: 18 })), 'certificate')
    const got = answers.map(({ bytes }) => node.records.readCertificate(bytes).header.round)
    expect(got).toEqual(rounds.slice(2, 18).flatMap((round) => round.map(({ header }) => header.round)))
  })

  test('gives each peer its share a second, and another its own', () => {
    const { node } = helperWithRounds()
    const ask = requests.encodeRangeRequest({ from: 1, to: 20 })
    let served = 0
    for (let turn = 0; turn < 100; turn += 1) served += sent(node.receive(2, ask), 'certificate').length
    const answers = Math.ceil(CERTIFICATES_SERVED_PER_S / (60 + RANGE_REQUEST_COST))
    expect(served).toBe(CERTIFICATES_SERVED_PER_S - answers * RANGE_REQUEST_COST)
    expect(refused(node.receive(2, ask))).toEqual(['request-over-share'])
    expect(sent(node.receive(3, ask), 'certificate')).toHaveLength(60)
    node.wait(1000)
    expect(sent(node.receive(2, ask), 'certificate')).toHaveLength(60)
  })
})

describe('a peer that asks without end', () => {
  /** A store that counts what is read. */
  function counted(): { node: PrimaryUnderTest; reads: number[]; rounds: ReturnType<PrimaryUnderTest['round']>[] } {
    const node = new PrimaryUnderTest({ gcDepth: 4 })
    const reads: number[] = []
    const { store } = node
    const certificates = store.certificates.bind(store)
    store.certificates = (from, to, countMax) => {
      const found = certificates(from, to, countMax)
      reads.push(found.length)
      return found
    }
    const certificate = store.certificate.bind(store)
    store.certificate = (digest) => {
      reads.push(1)
      return certificate(digest)
    }
    node.start()
    const rounds = [node.round(1)]
    for (let round = 2; round <= 20; round += 1) rounds.push(node.round(round, rounds.at(-1)!))
    for (const each of rounds.flat()) node.receive(1, each)
    return { node, reads, rounds }
  }
  const sum = (values: readonly number[]): number => values.reduce((total, value) => total + value, 0)

  test('for rounds is read no more than its share', () => {
    const { node, reads } = counted()
    for (let turn = 0; turn < 1000; turn += 1) node.receive(2, requests.encodeRangeRequest({ from: 1, to: 5 }))
    expect(sum(reads)).toBeLessThanOrEqual(CERTIFICATES_SERVED_PER_S)
    expect(reads.length).toBeLessThanOrEqual(CERTIFICATES_SERVED_PER_S / RANGE_REQUEST_COST)
  })

  test('for digests that do not exist is read no more than its share', () => {
    const { node, reads } = counted()
    const digests = Array.from({ length: 64 }, (_, fill) => new Uint8Array(32).fill(fill))
    for (let turn = 0; turn < 100; turn += 1) node.receive(2, requests.encodeCertificatesRequest(digests))
    expect(sum(reads)).toBe(CERTIFICATES_SERVED_PER_S)
  })

  test('for the highest certificate uses up its share of bytes', () => {
    const { node } = counted()
    const size = sent(node.receive(2, requests.encodeHighestRequest(1)), 'highest')[0]!.bytes.length
    const helper = new Helper(4, {
      certificates: { highest: { bytes: new Uint8Array(40_000) } } as never,
      store: node.store,
    })
    const turn = new TurnBuilder({ ms: 0, unixMs: 0 })
    for (let nonce = 0; nonce < 1000; nonce += 1) helper.answerHighest(2, nonce, turn)
    expect(size).toBeGreaterThan(0)
    expect(sum(turn.sends.map(({ bytes }) => bytes.length))).toBeLessThan(CERTIFICATE_BYTES_SERVED_PER_S + 50_000)
  })
})

describe('garbage collection', () => {
  test('keeps memory within rounds, whatever has come', () => {
    const node = new PrimaryUnderTest({ gcDepth: 4 })
    node.start()
    let parents = node.round(1)
    for (let round = 1; round <= 60; round += 1) {
      if (round > 1) parents = node.round(round, parents)
      for (const certificate of parents) {
        node.receive(certificate.header.author, certificate.header)
        node.receive(certificate.header.author, certificate)
      }
    }
    const { gcRound, quorumRound, certificatesKept, headersWaiting, certificatesWaiting, certificatesWanted } =
      node.primary.status
    expect(quorumRound).toBe(60)
    expect(quorumRound - gcRound).toBeLessThan(8)
    expect(certificatesKept).toBeLessThanOrEqual(4 * 8)
    expect([headersWaiting, certificatesWaiting, certificatesWanted]).toEqual([0, 0, 0])
  })

  test('lets certificates go on whose parents are collected', () => {
    const node = new PrimaryUnderTest({ gcDepth: 4 })
    node.start()
    const rounds = [node.round(1)]
    for (let round = 2; round <= 12; round += 1) rounds.push(node.round(round, rounds.at(-1)!))
    const late = node.round(1, undefined, [0])[0]!
    expect(late.header.author).toBe(0)
    for (const certificate of rounds.flat()) node.receive(1, certificate)
    expect(refused(node.receive(1, rounds[0]![0]!))).toEqual(['round-old'])
    expect(written(node.turns, 'collected').at(-1)!.gcRound).toBe(node.primary.status.gcRound)
  })
})
