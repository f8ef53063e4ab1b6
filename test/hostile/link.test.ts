/**
 * Strangers, members of the committee and broken workers at the port of a primary for its own workers: each ends in a refusal
 * that is counted, and the real worker goes on.
 */
import { connect, createServer, type Socket } from 'node:net'
import { join } from 'node:path'
import type { Connection, Stream } from '@libp2p/interface'
import { multiaddr } from '@multiformats/multiaddr'
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest'
import type { Primary, Worker } from '../../src/index.js'
import { LINK_BATCH_BYTES_MAX } from '../../src/main/link/limits.js'
import { createLibp2pNode, peerIdOfSeed } from '../../src/main/network/libp2p-node.js'
import { STRANGER_PLACES_MAX } from '../../src/main/network/limits.js'
import { LINK_PROTOCOL } from '../../src/main/network/protocols.js'
import { committeeDigest, parseCommittee } from '../../src/shared/config/committee.js'
import { localCommittee } from '../../src/shared/config/committee-file.js'
import { keysOf } from '../../src/shared/config/keys.js'
import { deriveLinkKeySeed, deriveNetworkKeySeed } from '../../src/shared/config/network-key.js'
import { encodeFrameOf, FRAME_TYPES } from '../../src/shared/wire/frames.js'
import { encodeFromWorker, LINK_VERSION } from '../../src/shared/wire/link/messages.js'
import { logOf, type Member, narval } from '../support/authority-under-test.js'
import { freePorts } from '../support/free-ports.js'
import { frame } from '../support/raw-stream.js'
import { scratchDirectory } from '../support/temporary-directory.js'
import { numberOf, transactionOf } from '../support/transactions.js'
import { until } from '../support/until.js'

const [own, other] = [keysOf(new Uint8Array(32).fill(1)), keysOf(new Uint8Array(32).fill(2))]
const parameters = { maxBatchDelayMs: 5 }
const scratch = scratchDirectory()
let member: Member
let primary: Primary
let worker: Worker
let port: number
const ordered = new Set<number>()
let sent = 0

beforeAll(async () => {
  const file = localCommittee([own.name, other.name], 2, await freePorts(16))
  // We are a quorum: the other authority is a member, and never started.
  const stakes = { [own.name]: 3, [other.name]: 1 }
  const entries = Object.entries(file.authorities).map(([name, entry]) => [name, { ...entry, stake: stakes[name]! }])
  const committee = parseCommittee({ authorities: Object.fromEntries(entries) }, 'test')
  member = { keys: own, committee, store: join(scratch.path, 'authority'), lines: [] }
  port = committee.primary(committee.ownIndexOf(own)).workerToPrimary.port
  narval.markFresh(member.store, own)
  primary = await narval.startPrimary({ keys: own, committee, store: member.store, parameters, log: logOf(member) })
  worker = await startWorker(0)
  void (async () => {
    for await (const commit of primary.commits()) {
      for await (const transaction of commit.transactions()) ordered.add(numberOf(transaction))
    }
  })()
  await works()
})
afterAll(async () => {
  await worker.close()
  await primary.close()
  scratch.remove()
})

function startWorker(workerId: number): Promise<Worker> {
  const { committee, store } = member
  const init = { keys: own, committee, workerId, store: join(store, `worker-${workerId}`), parameters }
  return narval.startWorker({ ...init, primary: 'narval', log: logOf(member) })
}

/** A transaction of the real worker is ordered, and its bytes come back; its link is the one that it had. */
async function works(): Promise<void> {
  sent += 1
  await worker.submit(transactionOf(sent, 100))
  await until('it is ordered', () => ordered.has(sent))
  expect(
    member.lines.filter((line) => line.includes('Lost our worker 0') || line.includes('Lost our primary')),
  ).toEqual([])
}

async function refusals(reason: string, kind = 'peer'): Promise<number> {
  const row = `narval_refusals_total{kind="${kind}",reason="${reason}"} `
  const line = (await primary.metrics()).split('\n').find((one) => one.startsWith(row))
  return line === undefined ? 0 : Number(line.slice(row.length))
}

async function counts(kind: 'peer' | 'worker', reason: string, attack: () => unknown): Promise<void> {
  const before = await refusals(reason, kind)
  await attack()
  await until(
    () => `${kind} ${reason} is counted: ${member.lines.slice(-5).join('; ')}`,
    async () => (await refusals(reason, kind)) > before,
  )
  await works()
}

function socketTo(to = port): Socket {
  const socket = connect({ host: '127.0.0.1', port: to })
  socket.on('error', () => {})
  socket.resume()
  onTestFinished(() => void socket.destroy())
  return socket
}

async function dial(seed: Uint8Array, to = port): Promise<Connection> {
  const node = await createLibp2pNode({ networkKeySeed: seed, authorities: 1, admits: () => false })
  await node.start()
  onTestFinished(() => node.stop())
  const peerId = await peerIdOfSeed(deriveLinkKeySeed(own.seed, 'primary'))
  return node.dial(multiaddr(`/ip4/127.0.0.1/tcp/${to}/p2p/${peerId}`))
}

function openOf(workerId: number): Uint8Array {
  const digest = committeeDigest(member.committee)
  const storeId = new Uint8Array(16).fill(8)
  const state = { workerId, committeeDigest: digest, storeId, applied: 0, isSettled: true }
  return encodeFrameOf('link', encodeFromWorker({ type: 'open', version: LINK_VERSION, ...state }))
}

/** A program with the key of our worker 1, on a link that it has opened well; `opened` has come. */
async function opened(): Promise<Stream> {
  const connection = await dial(deriveLinkKeySeed(own.seed, 1))
  const stream = await connection.newStream([LINK_PROTOCOL])
  let heard = 0
  stream.addEventListener('message', () => {
    heard += 1
  })
  stream.send(openOf(1))
  await until('it is opened', () => heard > 0)
  return stream
}

test.each([
  ['a key of nobody', () => new Uint8Array(32).fill(77)],
  ['the link’s key of another authority’s worker', () => deriveLinkKeySeed(other.seed, 0)],
  ['the link’s key of another authority’s primary', () => deriveLinkKeySeed(other.seed, 'primary')],
  ['the network key of a member of the committee', () => deriveNetworkKeySeed(other.seed, 0)],
  ['our own worker’s network key', () => deriveNetworkKeySeed(own.seed, 0)],
  ['the link’s key of a worker that we do not have', () => deriveLinkKeySeed(own.seed, 2)],
])('%s gets no further than noise', async (_, seedOf) => {
  await counts('peer', 'peer-id-unknown', async () => {
    const link = dial(seedOf()).then((connection) => connection.newStream([LINK_PROTOCOL]))
    expect(
      await link.then(
        () => 'open',
        () => 'closed',
      ),
    ).toBe('closed')
  })
})

test('who says nothing, speaks another protocol or ends in the middle is closed, and counted', async () => {
  const silent = socketTo()
  const http = socketTo()
  http.write('GET / HTTP/1.1\r\n\r\n')
  await counts('peer', 'left-before-hello', () => {
    const half = socketTo()
    half.end(Buffer.concat([Buffer.from([19]), Buffer.from('/multistream/1.0')]))
  })
  await counts('peer', 'hello-timeout', () => {})
  await until('they are closed', () => silent.closed && http.closed)
})

test('what a worker has said once opens nothing when it is said again by somebody else', async () => {
  const said: Buffer[] = []
  const proxy = createServer((near) => {
    const far = socketTo()
    near.on('error', () => {}).on('data', (bytes) => said.push(bytes))
    far.on('data', (bytes) => near.write(bytes))
    near.on('data', (bytes) => far.write(bytes)).on('close', () => far.destroy())
  })
  await new Promise<void>((resolve) => void proxy.listen(0, '127.0.0.1', resolve))
  onTestFinished(() => void proxy.close())
  const connection = await dial(deriveLinkKeySeed(own.seed, 1), (proxy.address() as { port: number }).port)
  const stream = await connection.newStream([LINK_PROTOCOL])
  stream.send(openOf(1))
  await until('it is connected', () => primary.health().workers.get(1)!.isConnected)
  connection.abort(new Error('that is enough'))
  await until('it is gone', () => !primary.health().workers.get(1)!.isConnected)
  const links = member.lines.filter((line) => line.includes('Connected to our worker 1')).length
  const replay = socketTo()
  await counts('peer', 'left-before-hello', () => replay.write(Buffer.concat(said)))
  await until('it is closed', () => replay.closed)
  expect(member.lines.filter((line) => line.includes('Connected to our worker 1'))).toHaveLength(links)
})

const LINK = FRAME_TYPES.link
const ofKind = (kind: number): Uint8Array => new Uint8Array([kind, 1, 2, 3])
function halfAndEnd(stream: Stream): void {
  stream.send(frame(LINK, ofKind(6), { length: 900 }))
  stream.close().catch(() => {})
}

const BROKEN: readonly (readonly [string, 'link-malformed' | 'link-unexpected', (stream: Stream) => unknown])[] = [
  ['half a frame and the end', 'link-malformed', halfAndEnd],
  [
    'a frame larger than any',
    'link-malformed',
    (s) => s.send(frame(LINK, ofKind(4), { length: LINK_BATCH_BYTES_MAX + 1 })),
  ],
  ['a frame of 4 GiB', 'link-malformed', (s) => s.send(frame(LINK, ofKind(4), { length: 2 ** 32 - 1 }))],
  ['a frame of an unknown type', 'link-malformed', (s) => s.send(frame(200, ofKind(6)))],
  ['a batch of other workers’ streams', 'link-malformed', (s) => s.send(frame(FRAME_TYPES.batch, new Uint8Array(64)))],
  ['reserved bytes', 'link-malformed', (s) => s.send(frame(LINK, ofKind(6), { reserved: [0, 1, 0] }))],
  ['a kind that only the primary says', 'link-malformed', (s) => s.send(frame(LINK, ofKind(33)))],
  ['garbage', 'link-malformed', (s) => s.send(new Uint8Array(5_000).map((_, i) => (i * 73) % 251))],
  ['a second open', 'link-unexpected', (s) => s.send(openOf(1))],
  [
    'an answer that nobody asked for',
    'link-unexpected',
    (s) => s.send(encodeFrameOf('link', encodeFromWorker({ type: 'absent', firstKept: 0, id: 9 }))),
  ],
]

test.each(BROKEN)('%s behind a good open: %s', async (_, reason, attack) => {
  const stream = await opened()
  await counts('worker', reason, () => attack(stream))
  await until('the link is closed', () => stream.status !== 'open' && !primary.health().workers.get(1)!.isConnected)
})

test('a second process of the real worker disturbs it no more than a stranger, however often it comes', async () => {
  for (let count = 0; count < 3; count += 1) {
    await counts('worker', 'already-linked', async () => {
      const connection = await dial(deriveLinkKeySeed(own.seed, 0))
      const stream = await connection.newStream([LINK_PROTOCOL])
      stream.send(openOf(0))
    })
  }
})

test('while strangers hold all places and bring ever more connections, a worker of ours gets in', async () => {
  const sockets = new Set<Socket>()
  const storm = setInterval(() => {
    for (let count = 0; count < 25 && sockets.size < 3_000; count += 1) {
      const socket = connect({ host: '127.0.0.1', port, localAddress: `127.0.0.${2 + (sockets.size % 250)}` })
      sockets.add(socket)
      socket.on('error', () => {}).resume()
    }
  }, 50)
  onTestFinished(() => {
    clearInterval(storm)
    for (const socket of sockets) socket.destroy()
  })
  await until('they are evicted', async () => (await refusals('evicted-silent')) > 0)
  const late = await startWorker(1)
  onTestFinished(() => late.close())
  await until('it is linked', () => primary.health().workers.get(1)!.isConnected)
  await works()
  expect(sockets.size).toBeGreaterThan(STRANGER_PLACES_MAX)
})
