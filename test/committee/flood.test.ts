/**
 * One authority floods: its worker makes batches that no header of its own names. It fills its own share of the others'
 * stores and nothing else, and what of it is certified is ordered all the same.
 */
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import type { Authority } from '../../src/index.js'
import { SHARE_SLOW_FROM } from '../../src/main/worker/dissemination/limits.js'
import { shortName } from '../../src/shared/config/short-name.js'
import { encodeBase64 } from '../../src/shared/crypto/public-key.js'
import { ACK_STATUSES, ACK_USED_MAX, type Ack, readAck } from '../../src/shared/wire/ack.js'
import { encodeBatch } from '../../src/shared/wire/batch.js'
import { FRAME_TYPES } from '../../src/shared/wire/frames.js'
import { logOf, type Member, narval, newMembers, start } from '../support/authority-under-test.js'
import { digestOf, Libp2pPeer } from '../support/libp2p-peer.js'
import { ownBatchesOf } from '../support/proof/order-reader.js'
import type { RawStream } from '../support/raw-stream.js'
import { numberOf, transactionOf } from '../support/transactions.js'
import { until } from '../support/until.js'

const BATCH_BYTES = 100_000
/** Batches for which an author's share has room. */
const FITTING = 20
const parameters = {
  ...{ batchBytesMax: BATCH_BYTES, maxBatchDelayMs: 5, ownSlots: 4, syncRetryDelayMs: 500 },
  storeBytesMax: 64 * 1024 * 1024,
}
const FLOOD = 3 * FITTING

interface Gauge {
  readonly used: number
  readonly share: number
}

/** What of an author's counts in its share of the store. */
async function shareOf(authority: Authority, author: Member): Promise<Gauge> {
  const text = await authority.metrics()
  const value = (name: string): number => {
    const line = text.split('\n').find((line) => line.startsWith(name) && line.includes(shortName(author.keys.name)))
    if (line === undefined) throw new Error(`no ${name} in\n${text}`)
    return Number(line.split(' ').at(-1))
  }
  return { used: value('narval_store_author_bytes{'), share: value('narval_store_author_share_bytes{') }
}

function ackIn(payload: Uint8Array): Ack {
  const read = readAck(payload, 0)
  if (!read.ok) throw new Error(read.reason)
  return read.ack
}

/** What an authority orders, as it comes. */
class Order {
  readonly digests: string[] = []
  readonly numbers: number[] = []

  constructor(authority: Authority) {
    void this.read(authority).catch(() => {})
  }

  hasAll(digests: readonly string[]): boolean {
    const all = new Set(this.digests)
    return digests.every((digest) => all.has(digest))
  }

  checkOnce(): void {
    expect(new Set(this.digests).size).toBe(this.digests.length)
  }

  private async read(authority: Authority): Promise<void> {
    for await (const commit of authority.commits()) {
      for await (const batch of commit.batches()) {
        this.digests.push(encodeBase64(batch.digest))
        this.numbers.push(...Array.from(batch.transactions(), numberOf))
      }
    }
  }
}

test('a worker that floods without heed fills its own share alone: the others go on, it is told before it is refused, and what was stored is ordered', async () => {
  const members = await newMembers(4)
  const [flooder, ...others] = [members[3]!, members[0]!, members[1]!, members[2]!] as const
  const authorities = await Promise.all(others.map((member) => start(member, { parameters })))
  const orders = authorities.map((authority) => new Order(authority))
  const peer = await Libp2pPeer.start(
    { keys: flooder.keys, committee: flooder.committee, batchBytesMax: BATCH_BYTES },
    others[0]!.keys.publicKey,
  )
  onTestFinished(() => peer.stop())

  const batches = Array.from({ length: FLOOD }, (_, at) =>
    encodeBatch([transactionOf(1_000_000 + at, BATCH_BYTES - 100)], { workerId: 0, sequence: BigInt(at + 1) }),
  )
  const names = batches.map((batch) => encodeBase64(digestOf(batch, flooder.keys.publicKey)))
  const streams = await Promise.all(
    others.map(async ({ committee, keys }) => {
      const own = committee.authorities.findIndex(({ name }) => name === keys.name)
      const { port } = committee.worker(own, 0).workerToWorker
      return peer.openBatches(await peer.connect(`/ip4/127.0.0.1/tcp/${port}`))
    }),
  )
  const flooding = Promise.all(
    streams.map(async (stream) => {
      for (const batch of batches) await stream.sendFrame(FRAME_TYPES.batch, batch)
    }),
  )
  // Meanwhile the others go on.
  let sent = 0
  const goesOn = async (count: number): Promise<void> => {
    const from = sent
    for (; sent < from + count; sent += 1) {
      await authorities[sent % 3]!.submit(transactionOf(sent, 500))
      if (sent % 5 === 0) await until('a part is ordered', () => orders[0]!.numbers.includes(sent))
    }
    for (const order of orders)
      await until('all of the others is ordered', () => order.numbers.filter((number) => number < sent).length === sent)
  }
  await goesOn(30)
  await flooding
  const answers = (stream: RawStream): Ack[] => stream.frames.map(({ payload }) => ackIn(payload))
  for (const stream of streams)
    await until(
      () => `each batch is answered: ${answers(stream).length}`,
      () => answers(stream).length === FLOOD,
    )
  await goesOn(30)

  for (const [at, authority] of authorities.entries()) {
    const { share, used } = await shareOf(authority, flooder)
    expect(used).toBeLessThanOrEqual(share)
    for (const other of others) expect((await shareOf(authority, other)).used).toBeLessThan(share / 2)
    // It was told in time.
    const answered = answers(streams[at]!)
    const refused = answered.findIndex(({ status }) => status === ACK_STATUSES.quota)
    expect(refused).toBeGreaterThan(0)
    expect(answered.slice(0, refused).some(({ used }) => used > SHARE_SLOW_FROM && used < ACK_USED_MAX)).toBe(true)
  }

  // What a quorum has stored is ordered, though no header of its author names it, and then there is room again.
  const holders = (at: number): number =>
    streams.filter((stream) =>
      answers(stream).some(({ sequence, status }) => sequence === BigInt(at + 1) && status === ACK_STATUSES.ok),
    ).length
  const stored = names.filter((_, at) => holders(at) >= 2)
  expect(stored.length).toBeGreaterThan(FITTING / 2)
  expect(stored.length).toBeLessThan(FLOOD)
  for (const order of orders) await until('all of it is ordered', () => order.hasAll(stored), 60_000)
  for (const [at, authority] of authorities.entries()) {
    await until('its share is free', async () => (await shareOf(authority, flooder)).used < BATCH_BYTES)
    await streams[at]!.sendFrame(FRAME_TYPES.batch, batches.at(-1)!)
    await until('it is answered', () => answers(streams[at]!).length === FLOOD + 1)
    expect(answers(streams[at]!).at(-1)!.status).toBe(ACK_STATUSES.ok)
  }
  for (const order of orders) order.checkOnce()
}, 240_000)

test('a worker whose primary is away stops before it is refused, and all that it certified is ordered when that is back', async () => {
  const members = await newMembers(4)
  const [flooder, ...others] = [members[3]!, members[0]!, members[1]!, members[2]!] as const
  const authorities = await Promise.all(others.map((member) => start(member, { parameters })))
  const orders = authorities.map((authority) => new Order(authority))
  // A worker's first start has to be told by its primary which sequences are new.
  await (await start(flooder, { parameters })).close()
  const { committee, keys, store } = flooder
  const worker = await narval.startWorker({
    ...{ committee, keys, parameters, store: join(store, 'worker-0') },
    ...{ primary: 'narval', log: logOf(flooder), poisonFreedSlots: true },
  })
  onTestFinished(() => worker.close().catch(() => {}))
  const certified = async (): Promise<number> =>
    Number(/^narval_batches_certified_total(?:\{.*\})? (\d+)$/m.exec(await worker.metrics())![1])
  let submitted = 0
  const flooding = (async () => {
    for (; submitted < FLOOD; submitted += 1) await worker.submit(transactionOf(submitted, BATCH_BYTES - 100))
  })().catch(() => {})
  await until('a third of its share is full', async () => (await certified()) > FITTING / 3, 60_000)
  for (let number = 0; number < 30; number += 1) {
    await authorities[number % 3]!.submit(transactionOf(1_000_000 + number, 500))
    await until('it is ordered', () => orders[0]!.numbers.includes(1_000_000 + number))
  }
  // How it is slowed down is seen in share-use.test.ts: on a slow machine others have ordered its first batches by then.
  await until(
    'its own share is full',
    () => worker.health().problems.some((text) => text.includes('share of our own store')),
    60_000,
  )
  for (const authority of authorities) {
    const { share, used } = await shareOf(authority, flooder)
    expect(used).toBeLessThanOrEqual(share)
    const metrics = await authority.metrics()
    const refused = metrics.match(/^narval_inbound_batches_total\{.*status="quota".* \d+$/gm)!
    expect(refused.map((line) => line.split(' ').at(-1))).toEqual(['0', '0', '0'])
  }
  // It knows of them all: they are certified, or will be.
  const own = ownBatchesOf({ workerStore: join(store, 'worker-0') })
  expect(own.length).toBeGreaterThanOrEqual(await certified())
  expect(own.length).toBeLessThan(FLOOD)
  await worker.close()
  await flooding

  const back = await start(flooder, { parameters })
  orders.push(new Order(back))
  for (const order of orders) await until('all that it had certified is ordered', () => order.hasAll(own), 120_000)
  await back.submit(transactionOf(9_999_999, 500))
  for (const order of orders) {
    await until('it goes on', () => order.numbers.includes(9_999_999), 60_000)
    order.checkOnce()
  }
}, 300_000)
