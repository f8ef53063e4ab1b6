import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect, it, onTestFinished } from 'vitest'
import { SubmitQueue } from '../../../src/main/worker/submit-queue.js'
import { parseCommittee } from '../../../src/shared/config/committee.js'
import { localCommittee } from '../../../src/shared/config/committee-file.js'
import { keysOf } from '../../../src/shared/config/keys.js'
import { defaultParameters } from '../../../src/shared/config/parameters.js'
import { BATCH_HEADER_BYTES } from '../../../src/shared/constants.js'
import { transactions } from '../../../src/shared/wire/batch.js'
import type { WorkerPrimaryMessage } from '../../../src/shared/wire/primary-messages.js'
import { SMALL_EARLY_SEALS_BURST, SMALL_EARLY_SEALS_PER_S } from '../../../src/threads/batch-maker/limits.js'
import { freePorts } from '../../support/free-ports.js'
import { openFilesLack } from '../../support/open-files.js'
import { temporaryDirectory } from '../../support/temporary-directory.js'
import {
  type BatchMakerUnderTest,
  connectClient,
  frame,
  startBatchMaker,
} from '../../support/threads/batch-maker-under-test.js'
import { fromDist } from '../../support/threads/main-side.js'
import { randomOf } from '../../support/threads/pause.mjs'
import { digestOf } from '../../support/threads/processor-under-test.js'
import { until } from '../../support/until.js'

/** A transaction that names its client and its place, over its whole length. */
function transactionOf(client: number, n: number, length = 12): Buffer {
  const bytes = Buffer.alloc(length, (client * 7 + n) & 0xff)
  bytes.writeUInt32BE(client, 0)
  bytes.writeUInt32BE(n, 4)
  return bytes
}

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex')
const textOf = (maker: BatchMakerUnderTest): string[] => maker.taken().map(hex)

/** The transactions of one client among those taken, by their place. */
function placesOf(maker: BatchMakerUnderTest, client: number): number[] {
  return maker
    .taken()
    .map((transaction) => Buffer.from(transaction))
    .filter((transaction) => transaction.readUInt32BE(0) === client)
    .map((transaction) => transaction.readUInt32BE(4))
}

function upTo(count: number): number[] {
  return Array.from({ length: count }, (_, n) => n)
}

async function closed(socket: Socket): Promise<void> {
  if (!socket.closed) await once(socket, 'close')
}

describe('sealing', () => {
  it('make_batch: a batch is sealed by size as soon as the next transaction does not fit', async () => {
    const maker = await startBatchMaker({ batchBytesMax: 64 + 2 * 104 + 50, maxBatchDelayMs: 3_600_000 })
    const client = await connectClient(maker.port)
    const [first, second, third] = [transactionOf(1, 0, 100), transactionOf(1, 1, 100), transactionOf(1, 2, 100)]
    client.write(Buffer.concat([frame(first), frame(second), frame(third)]))
    await until('a batch by size', () => maker.sealed.length === 1)
    expect(textOf(maker)).toEqual([hex(first), hex(second)])
    expect(maker.sealed[0]!.bytes.length).toBe(64 + 2 * 104)
    expect(maker.counters.get('batchesSealedBySize')).toBe(1)
  })

  it('batch_timeout: a batch that does not fill up is sealed by delay', async () => {
    const maker = await startBatchMaker({ batchBytesMax: 200_000, maxBatchDelayMs: 50 })
    const client = await connectClient(maker.port)
    client.write(frame(transactionOf(1, 0, 100)))
    await until('a batch by delay', () => maker.sealed.length === 1)
    expect(textOf(maker)).toEqual([hex(transactionOf(1, 0, 100))])
    expect(maker.counters.get('batchesSealedByDelay')).toBe(1)
    expect(maker.counters.get('batchesSealedBySize')).toBe(0)
  })

  it('once all before it are certified, what comes in one turn is sealed at its end, and the next waits for its certificate', async () => {
    const maker = await startBatchMaker({ batchBytesMax: 200_000, maxBatchDelayMs: 3_600_000 })
    const client = await connectClient(maker.port)
    maker.rings.toBatchMaker({ kind: 'all-certified', through: 0n })
    client.write(Buffer.concat(upTo(7).map((n) => frame(transactionOf(1, n)))))
    await until('a batch by idleness', () => maker.sealed.length === 1)
    expect(placesOf(maker, 1)).toEqual(upTo(7))
    expect(maker.counters.get('batchesSealedByIdleness')).toBe(1)
    client.write(frame(transactionOf(1, 7)))
    await sleep(100)
    expect(maker.sealed.length).toBe(1)
    maker.rings.toBatchMaker({ kind: 'all-certified', through: maker.sealed[0]!.message.sequence })
    await until('the next one', () => maker.sealed.length === 2)
    expect(placesOf(maker, 1)).toEqual(upTo(8))
  })

  it('small batches are sealed early now and then only', async () => {
    const maker = await startBatchMaker({ batchBytesMax: 200_000, maxBatchDelayMs: 3_600_000 })
    const client = await connectClient(maker.port)
    const certify = (): void => {
      const through = maker.sealed.at(-1)?.message.sequence ?? 0n
      maker.rings.toBatchMaker({ kind: 'all-certified', through })
    }
    certify()
    const begun = performance.now()
    for (let n = 0; performance.now() < begun + 1_000 || maker.sealed.length < SMALL_EARLY_SEALS_BURST; n += 1) {
      client.write(frame(transactionOf(1, n)))
      await sleep(10)
      certify()
    }
    const seconds = (performance.now() - begun) / 1_000
    expect(maker.sealed.length).toBeLessThanOrEqual(SMALL_EARLY_SEALS_BURST + SMALL_EARLY_SEALS_PER_S * seconds + 1)
  })

  it('no batch is sealed without a transaction', async () => {
    const maker = await startBatchMaker({ maxBatchDelayMs: 5 })
    const client = await connectClient(maker.port)
    client.write(frame(transactionOf(1, 0)))
    await until('the one batch', () => maker.sealed.length === 1)
    // Many delays long; what came of an empty batch would be an assertion in the thread, or a second batch.
    await sleep(100)
    expect(maker.sealed.length).toBe(1)
    expect(maker.died).toEqual([])
  })

  it('transactions that fill a batch to its last byte are one batch', async () => {
    const batchBytesMax = BATCH_HEADER_BYTES + 5 * 40
    const maker = await startBatchMaker({ batchBytesMax, maxBatchDelayMs: 3_600_000 })
    const client = await connectClient(maker.port)
    client.write(Buffer.concat(upTo(11).map((n) => frame(transactionOf(1, n, 36)))))
    await until('two full batches', () => maker.sealed.length === 2)
    expect(maker.sealed.map(({ bytes }) => bytes.length)).toEqual([batchBytesMax, batchBytesMax])
    expect(placesOf(maker, 1)).toEqual(upTo(10))
    await maker.close()
    await until('the last one', () => maker.sealed.length === 3)
    expect(placesOf(maker, 1)).toEqual(upTo(11))
  })

  it('one byte less room, and the last of them goes to the next batch', async () => {
    const batchBytesMax = BATCH_HEADER_BYTES + 5 * 40 - 1
    const maker = await startBatchMaker({ batchBytesMax, maxBatchDelayMs: 3_600_000 })
    const client = await connectClient(maker.port)
    client.write(Buffer.concat(upTo(9).map((n) => frame(transactionOf(1, n, 36)))))
    await until('two batches', () => maker.sealed.length === 2)
    expect(maker.sealed.map(({ message }) => message.transactions)).toEqual([4, 4])
  })

  it('the body of a batch is the run of frames as the client sent it', async () => {
    const maker = await startBatchMaker({ batchBytesMax: 100_000, maxBatchDelayMs: 50 })
    const client = await connectClient(maker.port)
    const run = Buffer.concat(upTo(300).map((n) => frame(transactionOf(1, n, 8 + (n % 90)))))
    client.write(run)
    await until('all of them', () => maker.taken().length === 300)
    const bodies = Buffer.concat(maker.sealed.map(({ bytes }) => bytes.subarray(BATCH_HEADER_BYTES)))
    expect(bodies.equals(run)).toBe(true)
  })

  it('sequences rise by one, and a new range is asked for once, before the old one ends', async () => {
    const maker = await startBatchMaker({ range: { start: 10n, end: 13n }, maxBatchDelayMs: 1 })
    const client = await connectClient(maker.port)
    for (let n = 0; n < 3; n += 1) {
      client.write(frame(transactionOf(1, n)))
      await until(`batch ${n}`, () => maker.sealed.length === n + 1)
    }
    expect(maker.rangesAsked()).toBe(1)
    // Without a sequence there is no batch, as without a slot.
    client.write(frame(transactionOf(1, 3)))
    await until('the client waits', () => maker.counters.get('pauses') === 1)
    maker.rings.toBatchMaker({ kind: 'range', start: 1n << 30n, end: 1n << 40n })
    await until('batch 3', () => maker.sealed.length === 4)
    expect(maker.sealed.map(({ message }) => message.sequence)).toEqual([10n, 11n, 12n, 1n << 30n])
    expect(placesOf(maker, 1)).toEqual(upTo(4))
    expect(maker.rangesAsked()).toBe(1)
  })

  it('a range that comes while the old one lasts is used after it', async () => {
    const maker = await startBatchMaker({ range: { start: 10n, end: 12n }, maxBatchDelayMs: 1 })
    const client = await connectClient(maker.port)
    client.write(frame(transactionOf(1, 0)))
    await until('a range is asked for', () => maker.rangesAsked() === 1)
    maker.rings.toBatchMaker({ kind: 'range', start: 1n << 30n, end: 1n << 40n })
    for (let n = 1; n < 4; n += 1) {
      client.write(frame(transactionOf(1, n)))
      await until(`batch ${n}`, () => maker.sealed.length === n + 1)
    }
    expect(maker.sealed.map(({ message }) => message.sequence)).toEqual([10n, 11n, 1n << 30n, (1n << 30n) + 1n])
  })

  it('close seals what there is, and the thread returns', async () => {
    const maker = await startBatchMaker({ batchBytesMax: 100_000, maxBatchDelayMs: 3_600_000 })
    const client = await connectClient(maker.port)
    client.write(Buffer.concat(upTo(5).map((n) => frame(transactionOf(1, n)))))
    // The transactions are counted when they are sealed; the submit ring shows that the thread has gone past them.
    await sleep(50)
    maker.rings.submit(transactionOf(2, 0))
    await maker.close()
    await closed(client)
    await until('the batch', () => maker.sealed.length === 1)
    expect(placesOf(maker, 1)).toEqual(upTo(5))
    expect(placesOf(maker, 2)).toEqual([0])
  })
})

describe("clients' frames", () => {
  it('handle_clients_transactions: what a client sends is certified, and its digest reported to the primary', async () => {
    const { startWorker } = await fromDist<typeof import('../../../src/index.js')>('index.js')
    const keys = keysOf(new Uint8Array(32).fill(9))
    const committee = parseCommittee(localCommittee([keys.name], 1, await freePorts(5)), 'test')
    const reports: WorkerPrimaryMessage[] = []
    const silent = { error() {}, warn() {}, info() {}, debug() {}, trace() {} }
    const worker = await startWorker({
      keys,
      committee,
      store: join(temporaryDirectory(), 'store'),
      bind: '127.0.0.1',
      parameters: { ...defaultParameters(), batchBytesMax: 64 + 2 * 604, maxBatchDelayMs: 3_600_000 },
      clients: true,
      primary: (report) => void reports.push(report),
      log: silent,
    })
    onTestFinished(() => worker.close())
    const client = await connectClient(committee.worker(0, 0).transactions.port)
    // The third one seals the batch of the first two.
    client.write(Buffer.concat(upTo(3).map((n) => frame(transactionOf(1, n, 600)))))
    await until('the report', () => reports.length === 1)
    const { digest } = reports[0]!
    expect(reports[0]).toMatchObject({ type: 'OurBatch', workerId: 0 })
    const { author, bytes } = (await worker.read(digest))!
    expect(hex(author)).toBe(hex(keys.publicKey))
    expect(hex(digestOf(bytes, author))).toBe(hex(digest))
    expect([...transactions(bytes)].map(hex)).toEqual([transactionOf(1, 0, 600), transactionOf(1, 1, 600)].map(hex))
  })

  it('what many clients send over TCP in pieces of any size comes out in batches, whole and in order', async () => {
    const maker = await startBatchMaker({ batchBytesMax: 3_000 })
    const clients = await Promise.all(upTo(20).map(() => connectClient(maker.port)))
    const random = randomOf(11)
    await Promise.all(
      clients.map(async (socket, client) => {
        const run = Buffer.concat(upTo(300).map((n) => frame(transactionOf(client, n, 8 + ((client * n) % 200)))))
        // Cut anywhere, so that most pieces end within a frame or a length.
        for (let at = 0; at < run.length; ) {
          const end = at + 1 + Math.floor(random() * 700)
          socket.write(run.subarray(at, end))
          at = end
          if (random() < 0.2) await sleep(0)
        }
        socket.end()
      }),
    )
    await until('all transactions', () => maker.taken().length === 20 * 300)
    for (let client = 0; client < 20; client += 1) expect(placesOf(maker, client)).toEqual(upTo(300))
    expect(maker.counters.get('transactions')).toBe(6_000)
    await until('no connection is left', () => maker.counters.get('connections') === 0)
    expect(maker.counters.get('frame-truncated')).toBe(0)
  })

  it('a stream that is cut at any byte is the same stream', async () => {
    const maker = await startBatchMaker({ batchBytesMax: 2_000, connectionsMax: 1_000 })
    const streamOf = (client: number): Buffer =>
      Buffer.concat(
        [transactionOf(client, 0, 9), transactionOf(client, 1, 300), transactionOf(client, 2, 8)].map(frame),
      )
    const { length } = streamOf(0)
    const sockets = await Promise.all(upTo(length).map(() => connectClient(maker.port)))
    // Client k sends k bytes, then, when those have arrived, the rest.
    for (const [client, socket] of sockets.entries()) socket.write(streamOf(client).subarray(0, client))
    await until('what is whole of the first pieces', () => maker.taken().length >= expectedWhole(length))
    await sleep(20)
    for (const [client, socket] of sockets.entries()) socket.write(streamOf(client).subarray(client))
    await until('the rest', () => maker.taken().length === 3 * length)
    for (let client = 0; client < length; client += 1) expect(placesOf(maker, client)).toEqual([0, 1, 2])

    /** Frames that are whole when each client k has sent k bytes: the first ends at 13, the second at 317. */
    function expectedWhole(clients: number): number {
      return clients - 13 + (clients - 317)
    }
  })

  it('byte by byte, too', async () => {
    const maker = await startBatchMaker({ maxBatchDelayMs: 5 })
    const client = await connectClient(maker.port)
    for (const byte of Buffer.concat([transactionOf(1, 0, 8), transactionOf(1, 1, 9)].map(frame))) {
      client.write(Buffer.of(byte))
      await sleep(1)
    }
    await until('both', () => maker.taken().length === 2)
    expect(textOf(maker)).toEqual([hex(transactionOf(1, 0, 8)), hex(transactionOf(1, 1, 9))])
  })

  it('a client that connects and leaves, as a probe does, is nobody', async () => {
    const maker = await startBatchMaker()
    for (let probe = 0; probe < 5; probe += 1) (await connectClient(maker.port)).end()
    await until('they are gone', () => maker.counters.get('connections') === 0)
    const client = await connectClient(maker.port)
    client.write(frame(transactionOf(1, 0)))
    await until('a transaction', () => maker.taken().length === 1)
    expect(maker.log).toEqual([])
  })
})

describe('what a client may not send', () => {
  const batchBytesMax = 2_000
  const largest = batchBytesMax - 68

  it('a transaction of exactly the maximum fills a batch by itself', async () => {
    const maker = await startBatchMaker({ batchBytesMax })
    const client = await connectClient(maker.port)
    client.write(
      Buffer.concat([frame(transactionOf(1, 0)), frame(transactionOf(1, 1, largest)), frame(transactionOf(1, 2))]),
    )
    await until('three batches', () => maker.sealed.length === 3)
    expect(maker.sealed[1]!.bytes.length).toBe(batchBytesMax)
    expect(placesOf(maker, 1)).toEqual(upTo(3))
  })

  it.each([largest + 1, 0x7fffffff, 0x80000000, 0xffffffff])(
    'one of %i bytes closes the connection, is counted, and what came before it stays',
    async (length) => {
      const maker = await startBatchMaker({ batchBytesMax })
      const client = await connectClient(maker.port)
      const other = await connectClient(maker.port)
      const head = Buffer.alloc(4)
      head.writeUInt32BE(length)
      client.write(Buffer.concat([frame(transactionOf(1, 0)), head, Buffer.alloc(10)]))
      await closed(client)
      expect(maker.counters.get('transaction-too-large')).toBe(1)
      other.write(frame(transactionOf(2, 0)))
      await until('both transactions', () => maker.taken().length === 2)
      expect(placesOf(maker, 1)).toEqual([0])
      expect(placesOf(maker, 2)).toEqual([0])
      expect(maker.log.join()).toContain(`transaction-too-large: a transaction of ${length} bytes, at most ${largest}`)
    },
  )

  it('the same where the length arrives in two pieces', async () => {
    const maker = await startBatchMaker({ batchBytesMax })
    const client = await connectClient(maker.port)
    client.write(Buffer.of(0xff, 0xff))
    await sleep(20)
    client.write(Buffer.of(0xff, 0xff, 1))
    await closed(client)
    expect(maker.counters.get('transaction-too-large')).toBe(1)
  })

  it.each(['at once', 'in two pieces'])(
    'an empty transaction closes the connection and is counted, %s',
    async (how) => {
      const maker = await startBatchMaker({ batchBytesMax })
      const client = await connectClient(maker.port)
      client.write(frame(transactionOf(1, 0)))
      if (how === 'at once') client.write(Buffer.alloc(4))
      else {
        client.write(Buffer.alloc(2))
        await sleep(20)
        client.write(Buffer.alloc(2))
      }
      await closed(client)
      expect(maker.counters.get('transaction-empty')).toBe(1)
      await until('what came before', () => maker.taken().length === 1)
      expect(maker.log.join()).toContain('transaction-empty: a transaction of 0 bytes, at least 1')
    },
  )

  it('half a frame and then silence is closed and counted; silence between frames is not', async () => {
    const maker = await startBatchMaker({ idleTimeoutMs: 100 })
    const resting = await connectClient(maker.port)
    const halves = await Promise.all([1, 2, 3].map(() => connectClient(maker.port)))
    resting.write(frame(transactionOf(1, 0)))
    halves[0]!.write(Buffer.of(0))
    halves[1]!.write(Buffer.of(0, 0, 0, 9))
    halves[2]!.write(frame(transactionOf(2, 0)).subarray(0, 11))
    await Promise.all(halves.map(closed))
    expect(maker.counters.get('frame-stalled')).toBe(3)
    expect(resting.closed).toBe(false)
    resting.write(frame(transactionOf(1, 1)))
    await until('the resting one goes on', () => placesOf(maker, 1).length === 2)
    expect(maker.log.join()).toContain('frame-stalled: no byte for 100 ms in the middle of a frame')
  })

  it('a client that has rested longer than that may still not stop in the middle of a frame', async () => {
    const maker = await startBatchMaker({ idleTimeoutMs: 60 })
    const client = await connectClient(maker.port)
    client.write(frame(transactionOf(1, 0)))
    await sleep(200)
    client.write(Buffer.of(0, 0))
    await closed(client)
    expect(maker.counters.get('frame-stalled')).toBe(1)
  })

  it('a byte now and then keeps no place: a frame that comes too slowly is closed and counted', async () => {
    const maker = await startBatchMaker({ idleTimeoutMs: 800 })
    const client = await connectClient(maker.port)
    client.write(Buffer.of(0, 0, 1, 0))
    const trickle = setInterval(() => client.write(Buffer.of(1)), 40)
    onTestFinished(() => clearInterval(trickle))
    await until('it is closed', () => client.closed)
    expect(maker.counters.get('frame-slow')).toBe(1)
    expect(maker.counters.get('frame-stalled')).toBe(0)
    expect(maker.log.join()).toMatch(/frame-slow: \d+ bytes of a frame came in \d+ ms/)
  })

  it('a client that ends in the middle of a frame is counted, and its whole frames stay', async () => {
    const maker = await startBatchMaker()
    const client = await connectClient(maker.port)
    client.end(Buffer.concat([frame(transactionOf(1, 0)), Buffer.of(0, 0, 0, 9, 1)]))
    await until('it is counted', () => maker.counters.get('frame-truncated') === 1)
    await until('its transaction', () => maker.taken().length === 1)
  })
})

describe('connections', () => {
  it('of 10,000 as many are served as the limit says; the others are closed and counted, and those served go on', async (test) => {
    const connectionsMax = 1_024
    // Both ends of those served, and of those that come at once or wait to be accepted.
    const lack = openFilesLack(2 * (connectionsMax + 1_000))
    if (lack !== undefined) return test.skip(lack)
    const beganMs = performance.now()
    const maker = await startBatchMaker({ connectionsMax, batchBytesMax: 100_000 })
    const first = await connectClient(maker.port)
    first.write(frame(transactionOf(1, 0)))
    const sockets: Socket[] = []
    onTestFinished(() => {
      for (const socket of sockets) socket.destroy()
    })
    const outcomes = { open: 0, gone: 0 }
    for (let from = 1; from < 10_000; from += 500) {
      const some = upTo(Math.min(500, 10_000 - from)).map(() => connect({ host: '127.0.0.1', port: maker.port }))
      sockets.push(...some)
      await Promise.all(
        some.map(
          (socket) =>
            new Promise<void>((resolve, reject) => {
              socket.on('error', (error: NodeJS.ErrnoException) => {
                if (error.code === 'EMFILE') reject(error)
              })
              socket.once('connect', () => {
                outcomes.open += 1
                resolve()
              })
              socket.once('close', () => {
                outcomes.gone += 1
                resolve()
              })
              socket.resume()
            }),
        ),
      )
    }
    await until(
      () => `${JSON.stringify(outcomes)}`,
      () => outcomes.gone === 10_000 - connectionsMax,
    )
    expect(maker.counters.get('connections')).toBe(connectionsMax)
    expect(maker.counters.get('too-many-connections')).toBe(10_000 - connectionsMax)
    // The one from before, and the ones that got in.
    first.write(frame(transactionOf(1, 1)))
    const served = sockets.filter(({ destroyed }) => !destroyed)
    expect(served.length).toBe(connectionsMax - 1)
    for (const [index, socket] of served.entries()) socket.write(frame(transactionOf(2, index)))
    await until('all are served', () => maker.taken().length === 2 + served.length)
    // One leaves, and there is room for one.
    served[0]!.destroy()
    await until('room for one', () => maker.counters.get('connections') === connectionsMax - 1)
    const late = await connectClient(maker.port)
    late.write(frame(transactionOf(3, 0)))
    await until('the late one', () => placesOf(maker, 3).length === 1)
    // Of thousands of refusals the log has one line in ten seconds, not thousands.
    const linesMax = 2 + (performance.now() - beganMs) / 10_000
    expect(maker.log.filter((line) => line.includes('too-many-connections')).length).toBeLessThanOrEqual(linesMax)
  })
})

describe('without a free slot', () => {
  it('all sockets are paused, and go on when there are slots, without a byte lost', async () => {
    const maker = await startBatchMaker({ batchBytesMax: 50_000, ownSlots: 4, slotsKept: 4 })
    const clients = 3
    const sockets = await Promise.all(upTo(clients).map(() => connectClient(maker.port)))
    // More than the system's buffers hold: the rest has to wait on the clients' side.
    const count = 16_000
    for (const [client, socket] of sockets.entries()) {
      socket.end(Buffer.concat(upTo(count).map((n) => frame(transactionOf(client, n, 900 + ((client + n) % 200))))))
    }
    await until('all wait', () => maker.counters.get('pauses') === clients)
    await sleep(50)
    expect(maker.sealed).toEqual([])
    expect(sockets.every((socket) => socket.writableLength > 0)).toBe(true)
    for (let slot = 0; slot < 4; slot += 1) maker.giveSlot(slot)
    await until('everything', () => maker.counters.get('transactions') >= clients * count - 100)
    await until('the last of it', () => maker.taken().length === clients * count)
    for (let client = 0; client < clients; client += 1) expect(placesOf(maker, client)).toEqual(upTo(count))
    expect(maker.counters.get('pauses')).toBeGreaterThan(clients)
  })

  it('one slot at a time: each takes one batch further', async () => {
    const maker = await startBatchMaker({
      batchBytesMax: 64 + 104,
      ownSlots: 4,
      slotsKept: 4,
      recycles: false,
      maxBatchDelayMs: 5,
    })
    const client = await connectClient(maker.port)
    client.write(Buffer.concat(upTo(4).map((n) => frame(transactionOf(1, n, 100)))))
    for (let slot = 0; slot < 4; slot += 1) {
      await until('it waits', () => maker.counters.get('pauses') === slot + 1)
      expect(maker.sealed.length).toBe(slot)
      maker.giveSlot(slot)
      await until('one more batch', () => maker.sealed.length === slot + 1)
    }
    expect(placesOf(maker, 1)).toEqual(upTo(4))
  })

  it.each(['ends', 'leaves'])('what a client had sent before it %s is taken when there is a slot', async (how) => {
    const maker = await startBatchMaker({ ownSlots: 4, slotsKept: 4 })
    const client = await connectClient(maker.port)
    client.write(Buffer.concat(upTo(100).map((n) => frame(transactionOf(1, n, 100)))))
    await until('it waits', () => maker.counters.get('pauses') === 1)
    if (how === 'ends') client.end()
    else client.destroy()
    await sleep(50)
    for (let slot = 0; slot < 4; slot += 1) maker.giveSlot(slot)
    await until('all of it', () => maker.taken().length === 100)
    expect(placesOf(maker, 1)).toEqual(upTo(100))
  })

  it('a client that waits for us is not idle, however long; its half frame is, once it does not wait any more', async () => {
    const maker = await startBatchMaker({ ownSlots: 4, slotsKept: 4, idleTimeoutMs: 60 })
    const whole = await connectClient(maker.port)
    const half = await connectClient(maker.port)
    whole.write(frame(transactionOf(1, 0)))
    half.write(Buffer.concat([frame(transactionOf(2, 0)), Buffer.of(0, 0, 0, 9, 1)]))
    await until('both wait', () => maker.counters.get('pauses') === 2)
    await sleep(300)
    expect(maker.counters.get('connections')).toBe(2)
    for (let slot = 0; slot < 4; slot += 1) maker.giveSlot(slot)
    await closed(half)
    expect(maker.counters.get('frame-stalled')).toBe(1)
    await until('it is gone', () => maker.counters.get('connections') === 1)
    await until('both transactions', () => maker.taken().length === 2)
  })

  it('those that wait longest go on first, and those that left meanwhile hold nobody up', async () => {
    const maker = await startBatchMaker({
      batchBytesMax: 64 + 104,
      ownSlots: 4,
      slotsKept: 4,
      recycles: false,
      maxBatchDelayMs: 1,
    })
    const sockets: Socket[] = []
    for (let client = 0; client < 4; client += 1) {
      const socket = await connectClient(maker.port)
      socket.write(frame(transactionOf(client, 0, 100)))
      sockets.push(socket)
      await until('it waits', () => maker.counters.get('pauses') === client + 1)
    }
    for (let slot = 0; slot < 4; slot += 1) {
      maker.giveSlot(slot)
      await until('one more', () => maker.sealed.length === slot + 1)
    }
    expect(maker.taken().map((transaction) => Buffer.from(transaction).readUInt32BE(0))).toEqual([0, 1, 2, 3])
  })
})

describe('the submit ring', () => {
  it('transactions of this process and of clients share the batches; each keeps its order', async () => {
    const maker = await startBatchMaker({ batchBytesMax: 4_000 })
    const client = await connectClient(maker.port)
    const submits = new SubmitQueue(maker.transactionBytesMax, maker.rings.submit)
    maker.onPoll(() => submits.proceed())
    const count = 20_000
    client.write(Buffer.concat(upTo(count).map((n) => frame(transactionOf(1, n, 100)))))
    for (let n = 0; n < count; n += 1) await submits.submit(transactionOf(2, n, 8 + (n % 300)))
    await until('all of both', () => maker.taken().length === 2 * count)
    expect(placesOf(maker, 1)).toEqual(upTo(count))
    expect(placesOf(maker, 2)).toEqual(upTo(count))
  })

  it('without a slot it fills up and submit() waits; with one everything goes on in order', async () => {
    const maker = await startBatchMaker({ batchBytesMax: 100_000, ownSlots: 4, slotsKept: 4 })
    const submits = new SubmitQueue(maker.transactionBytesMax, maker.rings.submit)
    maker.onPoll(() => submits.proceed())
    let submitted = 0
    const submitting = (async () => {
      for (let n = 0; n < 200; n += 1) {
        await submits.submit(transactionOf(1, n, 50_000))
        submitted += 1
      }
    })()
    await until('the ring is full', () => submitted > 10)
    await sleep(50)
    expect(submitted).toBeLessThan(30)
    for (let slot = 0; slot < 4; slot += 1) maker.giveSlot(slot)
    await submitting
    await until('all', () => maker.taken().length === 200)
    expect(placesOf(maker, 1)).toEqual(upTo(200))
  })

  it('the largest transaction passes, over and over', async () => {
    const maker = await startBatchMaker({ batchBytesMax: 700_000, ownSlots: 4 })
    const submits = new SubmitQueue(maker.transactionBytesMax, maker.rings.submit)
    maker.onPoll(() => submits.proceed())
    for (let n = 0; n < 20; n += 1) await submits.submit(transactionOf(1, n, maker.transactionBytesMax))
    await until('all', () => maker.taken().length === 20)
    expect(placesOf(maker, 1)).toEqual(upTo(20))
    expect(maker.taken().every(({ length }) => length === maker.transactionBytesMax)).toBe(true)
  })
})

describe('the port', () => {
  it('one that is in use is refused with what to do, and the thread is gone', async () => {
    const maker = await startBatchMaker()
    await expect(startBatchMaker({ port: maker.port })).rejects.toMatchObject({
      code: 'ERR_ADDRESS_IN_USE',
      message: expect.stringContaining(
        `127.0.0.1:${maker.port}, which is to receive the clients' transactions, is in use`,
      ),
    })
  })
})
