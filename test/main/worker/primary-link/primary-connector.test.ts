import { createServer, type Server, Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { expect, onTestFinished, test, vi } from 'vitest'
import { Deque } from '../../../../src/main/lib/deque.js'
import type { Logger } from '../../../../src/main/lib/log.js'
import {
  PRIMARY_IN_FLIGHT_MAX,
  PRIMARY_RESEND_MS,
  PRIMARY_SILENCE_MS,
  PRIMARY_UNREAD_MAX,
} from '../../../../src/main/worker/primary-link/limits.js'
import {
  PrimaryConnector,
  type PrimaryConnectorOptions,
} from '../../../../src/main/worker/primary-link/primary-connector.js'
import type { PrimaryReport } from '../../../../src/main/worker/primary-link/primary-link.js'
import { ReportQueue } from '../../../../src/main/worker/primary-link/report-queue.js'
import type { UnreadProbe } from '../../../../src/main/worker/primary-link/unread-bytes.js'
import { decodeWorkerPrimaryMessage, type WorkerPrimaryMessage } from '../../../../src/shared/wire/primary-messages.js'
import { FrameReader } from '../../../../src/shared/wire/reference-frame.js'
import { digestOf, numberOf } from '../../../support/numbered-digests.js'
import { others, our } from '../../../support/numbered-reports.js'
import { fromHex, toHex, vectors } from '../../../support/reference-vectors.js'

const until = (condition: () => boolean): Promise<void> =>
  vi.waitFor(() => expect(condition()).toBe(true), { timeout: 30_000, interval: 5 })

const range = (from: number, to: number): number[] => Array.from({ length: to - from }, (_, index) => from + index)

/** A primary on a port of its own: `onSocket` says what it does with a connection. */
class FakePrimary {
  readonly received: WorkerPrimaryMessage[] = []
  readonly sockets = new Set<Socket>()
  connections = 0
  port = 0
  private server: Server | undefined
  private readonly onSocket: (socket: Socket) => void

  constructor(onSocket: (primary: FakePrimary, socket: Socket) => void = (primary, socket) => primary.read(socket)) {
    this.onSocket = (socket) => onSocket(this, socket)
    onTestFinished(() => this.stop())
  }

  get numbers(): number[] {
    return this.received.map(({ digest }) => numberOf(digest))
  }

  start(host = '127.0.0.1'): Promise<void> {
    const server = createServer({ pauseOnConnect: true }, (socket) => {
      this.connections += 1
      this.sockets.add(socket)
      socket.on('error', () => {})
      socket.on('close', () => this.sockets.delete(socket))
      this.onSocket(socket)
    })
    this.server = server
    return new Promise((resolve, reject) => {
      server.on('error', reject)
      server.listen(this.port, host, () => {
        this.port = (server.address() as { port: number }).port
        resolve()
      })
    })
  }

  /** `onMessage` says whether it goes on. */
  read(socket: Socket, onMessage: () => boolean = () => true): void {
    const frames = new FrameReader()
    let dead = false
    socket.on('data', (chunk) =>
      frames.push(chunk, (payload) => {
        if (dead) return
        this.received.push(decodeWorkerPrimaryMessage(payload))
        dead = !onMessage()
      }),
    )
    socket.resume()
  }

  kill(): void {
    for (const socket of this.sockets) socket.resetAndDestroy()
  }

  async stop(): Promise<void> {
    const { server } = this
    this.server = undefined
    this.kill()
    if (server !== undefined) await new Promise((resolve) => server.close(resolve))
  }
}

/** A connector under test, and what it said. */
function connectorTo(
  port: number,
  options: Partial<PrimaryConnectorOptions> = {},
  nowMs: () => number = () => 0,
  unreadOf?: UnreadProbe,
) {
  const reported: number[] = []
  const log: string[] = []
  const stale: number[] = []
  const deliveredAndStale: number[] = []
  /** What was acknowledged in an earlier round than this must not be told. */
  const fresh = { fromRound: 0 }
  let rooms = 0
  const line = (text: string): void => void log.push(text)
  const logger: Logger = { error: line, warn: line, info: line, debug: line, trace: line }
  const connector = new PrimaryConnector(
    { address: { host: '127.0.0.1', port }, workerId: 0, ...options },
    { logger, nowMs, ...(unreadOf && { unreadOf }) },
    {
      onFailed: (error) => {
        throw error
      },
      isStale: ({ rounds }) => rounds < fresh.fromRound,
      onConnection: () => {},
      onStale: (digests, wereDelivered) => (wereDelivered ? deliveredAndStale : stale).push(...digests.map(numberOf)),
      onReported: (digests) => reported.push(...digests.map(numberOf)),
      onRoom: () => {
        rooms += 1
      },
    },
  )
  onTestFinished(() => connector.close())
  return { connector, reported, log, stale, deliveredAndStale, fresh, rooms: () => rooms }
}

test.each([
  ['OurBatch', vectors.worker_primary.our_batch],
  ['OthersBatch', vectors.worker_primary.others_batch],
] as const)('%s is written byte for byte as the frame of the reference', async (type, vector) => {
  const chunks: Buffer[] = []
  const primary = new FakePrimary((_, socket) => {
    socket.on('data', (chunk) => chunks.push(chunk)).resume()
  })
  await primary.start()
  const { connector } = connectorTo(primary.port, { workerId: vector.worker_id })
  connector.start()
  connector.report({ type, digest: fromHex(vector.digest), author: 0, sequence: 1n })
  const expected = 'framed' in vector ? vector.framed : `00000028${vector.encoded}`
  await until(() => Buffer.concat(chunks).length >= expected.length / 2)
  expect(toHex(Buffer.concat(chunks))).toBe(expected)
})

test('reports made before the primary is there arrive in order once it is, in few writes', async () => {
  const primary = new FakePrimary()
  await primary.start()
  await primary.stop()
  const { connector, reported, log } = connectorTo(primary.port)
  connector.start()
  for (const number of range(0, 3000)) connector.report(number % 3 === 0 ? others(number) : our(number))
  await until(() => log.length === 1)
  expect(connector.isConnected).toBe(false)
  expect(connector.queued).toBe(3000)
  const socketWrite = vi.spyOn(Socket.prototype, 'write')
  onTestFinished(() => socketWrite.mockRestore())
  await primary.start()
  await until(() => primary.received.length === 3000)
  expect(primary.numbers).toEqual(range(0, 3000))
  expect(primary.received.map(({ type }) => type)).toEqual(
    range(0, 3000).map((number) => (number % 3 === 0 ? 'OthersBatch' : 'OurBatch')),
  )
  await until(() => connector.queued === 0)
  expect(reported).toEqual(range(0, 3000).filter((number) => number % 3 !== 0))
  expect(socketWrite).toHaveBeenCalledTimes(Math.ceil(3000 / PRIMARY_IN_FLIGHT_MAX))
})

test('a primary that dies again and again gets each own batch at least once, first arrivals in order', async () => {
  const total = 3000
  const primary = new FakePrimary((self, socket) => {
    let untilDeath = self.connections < 6 ? 100 : Number.POSITIVE_INFINITY
    self.read(socket, () => {
      untilDeath -= 1
      // In the middle of what it is being sent: what it has not read is lost with it.
      if (untilDeath === 0) socket.destroy()
      return untilDeath > 0
    })
  })
  await primary.start()
  const { connector, reported } = connectorTo(primary.port)
  connector.start()
  for (const number of range(0, total)) {
    connector.report(our(number))
    if (number % 20 === 0) await new Promise(setImmediate)
    // Deaths are to happen while reports are made.
    if (number % 500 === 0) await until(() => connector.isConnected)
  }
  await until(() => new Set(primary.numbers).size === total)
  await until(() => connector.queued === 0)
  expect(primary.connections).toBe(6)
  // It read 100 on each of its first connections, and each time what was taken and not read was sent again.
  expect([...new Set(primary.numbers)]).toEqual(range(0, total))
  // Told once of each, however often it was sent.
  expect(reported).toEqual(range(0, total))
})

test('what was acknowledged long before the connection was lost is not reported again, what was lately is', async () => {
  const primary = new FakePrimary()
  await primary.start()
  let nowMs = 0
  const { connector, reported } = connectorTo(primary.port, {}, () => nowMs)
  connector.start()
  for (const number of [0, 1]) connector.report(our(number))
  await until(() => reported.length === 2)
  nowMs = PRIMARY_RESEND_MS
  for (const number of [2, 3]) connector.report(our(number))
  connector.report(others(4))
  await until(() => reported.length === 4 && connector.queued === 0)
  nowMs = PRIMARY_RESEND_MS + 1
  primary.kill()
  await until(() => primary.received.length === 8)
  expect(primary.numbers).toEqual([0, 1, 2, 3, 4, 2, 3, 4])
  await until(() => connector.queued === 0)
  expect(reported).toEqual([0, 1, 2, 3])
})

test.each(['127.0.0.1', '::1', '::ffff:127.0.0.1'])(
  'a primary at %s that reads nothing has nothing, however long ago the kernel took it, and gets all when it is back',
  async (host) => {
    let reads = false
    const primary = new FakePrimary((self, socket) => {
      if (reads) self.read(socket)
    })
    await primary.start(host === '127.0.0.1' ? host : '::')
    let nowMs = 0
    const address = { host, port: primary.port }
    const { connector, reported, rooms } = connectorTo(primary.port, { address, queueMax: 5000 }, () => nowMs)
    connector.start()
    await until(() => connector.isConnected)
    let made = 0
    // The kernel takes some first, the last of them a moment late.
    for (let stuckTurns = 0; stuckTurns < 20; stuckTurns = connector.isFull ? stuckTurns + 1 : 0) {
      for (let count = 0; count < 2000 && !connector.isFull; count += 1) {
        connector.report(made % 3 === 0 ? others(made) : our(made))
        made += 1
      }
      await sleep(20)
    }
    expect(made).toBeGreaterThan(PRIMARY_UNREAD_MAX)
    const roomsWhileStuck = rooms()
    // Own batches are taken in even so: sealing pauses, but what was sealed before still comes.
    connector.report(our(made))
    made += 1
    const { dropped } = connector
    // An hour later nothing has been read, and so nothing counts as reported.
    nowMs = 60 * PRIMARY_RESEND_MS
    await sleep(600)
    expect(reported).toEqual([])
    reads = true
    primary.kill()
    await until(() => primary.received.length >= made - dropped && connector.queued === 0)
    // Others' reports that waited make way for own ones; what the kernel had taken is all there, and in order.
    const own = range(0, made).filter((number) => number % 3 !== 0 || number === made - 1)
    const arrived = primary.received.filter(({ type }) => type === 'OurBatch').map(({ digest }) => numberOf(digest))
    expect(arrived).toEqual(own)
    expect(primary.numbers.slice(0, PRIMARY_UNREAD_MAX)).toEqual(range(0, PRIMARY_UNREAD_MAX))
    expect(primary.numbers).toEqual([...primary.numbers].sort((a, b) => a - b))
    expect(primary.numbers).toHaveLength(made - dropped)
    expect(reported).toEqual(own)
    expect(connector.isFull).toBe(false)
    expect(rooms()).toBeGreaterThan(roomsWhileStuck)
  },
)

test('a link on which nothing is answered any more is closed, dialled again, and everything on it reported again', async () => {
  const primary = new FakePrimary()
  await primary.start()
  let nowMs = 0
  // The path of the first connection is cut: the kernel retransmits, and nobody answers.
  const unreadOf: UnreadProbe = async (socket) => {
    const isCut = primary.connections === 1
    return isCut ? { bytes: socket.bytesWritten, unanswered: 3 } : { bytes: 0, unanswered: 0 }
  }
  const { connector, reported, log } = connectorTo(primary.port, {}, () => nowMs, unreadOf)
  connector.start()
  for (const number of range(0, 5)) connector.report(number === 3 ? others(3) : our(number))
  await until(() => primary.received.length === 5)
  nowMs = PRIMARY_SILENCE_MS - 1
  await sleep(600)
  expect([connector.isConnected, connector.queued, reported]).toEqual([true, 5, []])
  nowMs = 2 * PRIMARY_SILENCE_MS
  await until(() => primary.connections === 2 && primary.received.length === 10)
  expect(primary.numbers.slice(5)).toEqual([0, 1, 2, 3, 4])
  await until(() => reported.length === 4)
  expect(reported).toEqual([0, 1, 2, 4])
  expect(log.some((line) => line.includes('nothing was acknowledged for'))).toBe(true)
})

test('where the kernel says nothing, a report counts once its connection has stood for a minute, and goes again before', async () => {
  const primary = new FakePrimary()
  await primary.start()
  let nowMs = 0
  const { connector, reported } = connectorTo(
    primary.port,
    {},
    () => nowMs,
    async () => undefined,
  )
  connector.start()
  for (const number of [0, 1]) connector.report(our(number))
  await until(() => primary.received.length === 2)
  nowMs = PRIMARY_RESEND_MS - 1
  for (const number of [2, 3]) connector.report(number === 2 ? our(2) : others(3))
  await until(() => primary.received.length === 4)
  await sleep(600)
  expect([reported, connector.queued]).toEqual([[], 0])
  nowMs = PRIMARY_RESEND_MS
  await until(() => reported.length === 2)
  primary.kill()
  await until(() => primary.received.length === 8)
  expect(primary.numbers.slice(4)).toEqual([0, 1, 2, 3])
  // The time of each begins anew with the connection.
  nowMs = 2 * PRIMARY_RESEND_MS - 1
  await sleep(600)
  expect(reported).toEqual([0, 1])
  nowMs = 2 * PRIMARY_RESEND_MS
  await until(() => reported.length === 3)
  expect(reported).toEqual([0, 1, 2])
})

test('what a primary has not read when the worker closes is not reported', async () => {
  const primary = new FakePrimary(() => {})
  await primary.start()
  const { connector, reported } = connectorTo(primary.port)
  connector.start()
  await until(() => connector.isConnected)
  for (const number of range(0, 10)) connector.report(our(number))
  await connector.close()
  expect(reported).toEqual([])
})

test('a full queue drops the oldest of others, never own batches, and says when there is room', async () => {
  const primary = new FakePrimary()
  await primary.start()
  await primary.stop()
  const { connector, rooms, log } = connectorTo(primary.port, { queueMax: 4 })
  connector.start()
  for (const report of [others(0), our(1), others(2), our(3)]) connector.report(report)
  expect(connector.isFull).toBe(false)
  for (const report of [others(4), our(5), others(6), our(7), our(8)]) connector.report(report)
  expect(connector.isFull).toBe(true)
  expect(connector.queued).toBe(5)
  expect(connector.dropped).toBe(4)
  expect(log.filter((line) => line.includes('dropped'))).toHaveLength(1)
  expect(rooms()).toBe(0)
  await primary.start()
  await until(() => primary.received.length === 5 && connector.queued === 0)
  expect(primary.numbers).toEqual([1, 3, 5, 7, 8])
  expect(rooms()).toBe(1)
  expect(connector.isFull).toBe(false)
})

test('what the primary writes is read and ignored, however much it is', async () => {
  const megabytes = 32
  let drained = false
  const primary = new FakePrimary((self, socket) => {
    self.read(socket)
    for (let index = 0; index < megabytes; index += 1) socket.write(Buffer.alloc(1024 * 1024, 0x41))
    socket.write('end', () => {
      drained = true
    })
  })
  await primary.start()
  const { connector, reported } = connectorTo(primary.port)
  connector.start()
  connector.report(our(0))
  await until(() => drained && primary.received.length === 1)
  connector.report(our(1))
  await until(() => reported.length === 2)
  expect(primary.connections).toBe(1)
})

test('a primary that takes each connection and closes it is dialled ever more rarely', async () => {
  const setTimeoutSpy = vi.spyOn(globalThis, 'setTimeout')
  onTestFinished(() => void setTimeoutSpy.mockRestore())
  const primary = new FakePrimary((_, socket) => socket.destroy())
  await primary.start()
  const { connector } = connectorTo(primary.port)
  connector.start()
  await until(() => primary.connections === 4)
  const pauses = setTimeoutSpy.mock.calls.map(([, ms]) => ms)
  expect(pauses.filter((ms) => ms === 200 || ms === 400 || ms === 800)).toEqual([200, 400, 800])
})

test('an outage is logged once, however many attempts it takes', async () => {
  const primary = new FakePrimary()
  await primary.start()
  await primary.stop()
  const dials = vi.spyOn(Socket.prototype, 'connect')
  onTestFinished(() => dials.mockRestore())
  const { connector, log } = connectorTo(primary.port)
  connector.start()
  await until(() => dials.mock.calls.length >= 4)
  await primary.start()
  await until(() => connector.isConnected)
  expect(log).toHaveLength(2)
  expect(log[0]).toMatch(/^no connection to the primary at 127\.0\.0\.1:\d+ \(.*ECONNREFUSED.*\)/)
  expect(log[1]).toMatch(/^connected to the primary/)
})

test('close hands over what waits, ends the connection and takes nothing more', async () => {
  const primary = new FakePrimary()
  await primary.start()
  const { connector, reported } = connectorTo(primary.port)
  connector.start()
  await until(() => connector.isConnected)
  for (const number of range(0, 2500)) connector.report(our(number))
  await connector.close()
  connector.report(our(9999))
  expect(connector.queued).toBe(0)
  expect(connector.isConnected).toBe(false)
  expect(reported).toEqual(range(0, 2500))
  await until(() => primary.received.length === 2500 && primary.sockets.size === 0)
  expect(primary.connections).toBe(1)
})

test('close ends while the primary is away, and while it does not read', async () => {
  const primary = new FakePrimary(() => {})
  await primary.start()
  const stuck = connectorTo(primary.port, { queueMax: 100 })
  stuck.connector.start()
  await until(() => stuck.connector.isConnected)
  for (let made = 0; !stuck.connector.isFull; made += 1) {
    stuck.connector.report(our(made))
    if (made % 50 === 0) await sleep(0)
  }
  await stuck.connector.close()
  const away = connectorTo(1)
  away.connector.start()
  await away.connector.close()
  await primary.stop()
})

test('a digest is copied: its memory may be used again at once', async () => {
  const primary = new FakePrimary()
  await primary.start()
  const { connector } = connectorTo(primary.port)
  const digest = digestOf(7)
  connector.report({ type: 'OurBatch', digest, author: 0, sequence: 1n })
  digest.fill(0xff)
  connector.start()
  await until(() => primary.received.length === 1)
  expect(primary.numbers).toEqual([7])
})

test('report queue: own and others leave in the order in which they came', () => {
  const queue = new ReportQueue(100)
  const types = 'ooxxoxooxxxo'
  for (const [number, type] of [...types].entries()) queue.push(type === 'o' ? our(number) : others(number))
  const taken = [...queue.take(5), ...queue.take(100)]
  expect(taken.map(({ digest }) => numberOf(digest))).toEqual(range(0, types.length))
  expect(queue.size).toBe(types.length)
  queue.settle(taken)
  expect(queue.size).toBe(0)
})

test('report queue: what is restored leaves before what waits, in its own order', () => {
  const queue = new ReportQueue(100)
  for (const number of range(0, 10)) queue.push(number % 2 === 0 ? our(number) : others(number))
  const taken = queue.take(6)
  queue.settle(taken)
  queue.restore(taken)
  queue.push(our(10))
  expect(queue.take(100).map(({ digest }) => numberOf(digest))).toEqual(range(0, 11))
})

test('report queue: a report in flight is not dropped, and own reports go beyond the limit', () => {
  const queue = new ReportQueue(2)
  queue.push(others(0))
  queue.push(others(1))
  queue.take(2)
  queue.push(others(2))
  expect(queue.dropped).toBe(1)
  expect(queue.waiting).toBe(0)
  queue.push(our(3))
  queue.push(our(4))
  expect(queue.size).toBe(4)
  expect(queue.dropped).toBe(1)
})

test('report queue: own reports make it full, waiting or in flight, and others never do', () => {
  const queue = new ReportQueue(10)
  for (const number of range(0, 1000)) queue.push(others(number))
  expect([queue.isFull, queue.size, queue.dropped]).toEqual([false, 10, 990])
  for (const number of range(1000, 1009)) queue.push(our(number))
  expect([queue.isFull, queue.size, queue.dropped]).toEqual([false, 10, 999])
  queue.push(our(1009))
  expect([queue.isFull, queue.size, queue.dropped]).toEqual([true, 10, 1000])
  const taken = queue.take(5)
  expect(queue.isFull).toBe(true)
  queue.settle(taken)
  expect([queue.isFull, queue.size]).toEqual([false, 5])
  queue.restore(taken)
  expect(queue.isFull).toBe(true)
  // The reports of a batch of others that comes now are dropped themselves.
  queue.push(others(1010))
  expect(queue.take(100).map(({ digest }) => numberOf(digest))).toEqual(range(1000, 1010))
})

test('deque: both ends agree with an array through growth and wrapping', () => {
  const deque = new Deque<number>()
  const model: number[] = []
  for (let step = 0; step < 5000; step += 1) {
    const choice = (step * 7919) % 11
    if (choice < 4) {
      deque.pushBack(step)
      model.push(step)
    } else if (choice < 7) {
      deque.pushFront(step)
      model.unshift(step)
    } else expect(deque.popFront()).toBe(model.shift())
    expect(deque.size).toBe(model.length)
    expect(deque.peekFront()).toBe(model[0])
  }
  expect(model.length).toBeGreaterThan(500)
  while (model.length > 0) expect(deque.popFront()).toBe(model.shift())
  expect(deque.popFront()).toBeUndefined()
})

test('a report that became stale while the primary was away is not written, and makes room', async () => {
  const primary = new FakePrimary()
  await primary.start()
  const { port } = primary
  await primary.stop()
  const { connector, stale, fresh, reported, rooms } = connectorTo(port, { queueMax: 10 })
  connector.start()
  const ours = (number: number, rounds: number): PrimaryReport => ({ ...our(number), since: { rounds, awayMs: 0 } })
  for (const number of range(0, 10)) connector.report(ours(number, number))
  connector.report(others(10))
  expect(connector.isFull).toBe(true)
  fresh.fromRound = 7
  await primary.start()
  await until(() => reported.length === 3)
  expect(primary.numbers).toEqual([7, 8, 9])
  expect(stale).toEqual(range(0, 7))
  expect(reported).toEqual([7, 8, 9])
  expect([connector.isFull, connector.queued, rooms()]).toEqual([false, 0, 1])
})

test('what is sent again after a lost connection is told only if it is fresh still', async () => {
  const primary = new FakePrimary()
  await primary.start()
  const { connector, stale, deliveredAndStale, fresh, reported } = connectorTo(primary.port)
  connector.start()
  for (const number of range(0, 4)) connector.report({ ...our(number), since: { rounds: number, awayMs: 0 } })
  await until(() => reported.length === 4)
  fresh.fromRound = 2
  primary.kill()
  await until(() => primary.received.length === 6)
  expect(primary.numbers).toEqual([0, 1, 2, 3, 2, 3])
  // The primary's side has acknowledged these two.
  expect(deliveredAndStale).toEqual([0, 1])
  expect(stale).toEqual([])
})

test('report queue: stale reports that were delivered once are told apart from those that never were', () => {
  const stale: unknown[] = []
  const queue = new ReportQueue(100, {
    isStale: ({ rounds }) => rounds < 10,
    onStale: (digests, wereDelivered) => stale.push([wereDelivered, ...digests.map(numberOf)]),
  })
  for (const number of range(0, 6)) queue.push({ ...our(number), since: { rounds: 10, awayMs: 0 } })
  const taken = queue.take(4)
  queue.settle(taken)
  queue.restore(taken.map((report) => ({ ...report, since: { rounds: 1, awayMs: 0 }, delivered: report.number < 2 })))
  expect(queue.take(100).map(({ digest }) => numberOf(digest))).toEqual([4, 5])
  expect(stale).toEqual([
    [false, 2, 3],
    [true, 0, 1],
  ])
})
