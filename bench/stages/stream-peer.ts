/**
 * One of the two processes of the `stream` stage: a libp2p node with the product's settings, V8 flags and garbage
 * collection. The dialler sends, the listener counts. The suite tells both what to do over IPC.
 */
import 'core-js/actual/promise/with-resolvers.js'
import type { Libp2p, Stream } from '@libp2p/interface'
import { multiaddr } from '@multiformats/multiaddr'
import { GcRelief } from '../../src/main/lib/gc-relief.js'
import { createLibp2pNode } from '../../src/main/network/libp2p-node.js'
import { DRAIN_WATCHDOG_MS } from '../../src/main/worker/dissemination/limits.js'
import { ACK_BYTES } from '../../src/shared/constants.js'
import { BATCH_BYTES } from '../lib/stage.js'

export type StreamPeerRequest =
  /** The first: be one of the two. Answered by the node's addresses. */
  | { readonly type: 'start'; readonly role: 'listener' | 'dialler' }
  | { readonly type: 'dial'; readonly addresses: readonly string[] }
  /** Open a stream and send on it, in pieces, until told to stop, with so many bytes unacknowledged or a piece more. */
  | { readonly type: 'send'; readonly pieceBytes: number; readonly inFlightBytes: number }
  | { readonly type: 'stop' }
  | { readonly type: 'snapshot' }

/** One for each request. */
export interface StreamPeerAnswer {
  readonly addresses: readonly string[]
  /** Sent or received since the start. */
  readonly bytes: number
  /** User and system time of the process since its start. */
  readonly cpuUs: number
  /** When the figures were taken, by a clock that only differences of one process make sense of. */
  readonly atMs: number
}

const PROTOCOL = '/narval-bench/1'

let node: Libp2p
let sending: Stream | undefined
let bytes = 0

const count = (more: number): void => {
  bytes += more
}

async function start(role: 'listener' | 'dialler'): Promise<void> {
  node = await createLibp2pNode({
    networkKeySeed: new Uint8Array(32).fill(role === 'listener' ? 1 : 2),
    listen: { host: '127.0.0.1', port: 0 },
    authorities: 4,
    admits: () => true,
    gcRelief: new GcRelief(),
  })
  await node.handle(PROTOCOL, receive)
  await node.start()
}

/** Says so whenever another batch's bytes have come, as a worker does when it has stored one. */
function receive(stream: Stream): void {
  const ack = new Uint8Array(ACK_BYTES)
  let unacknowledged = 0
  stream.addEventListener('message', ({ data }) => {
    count(data.byteLength)
    unacknowledged += data.byteLength
    for (; unacknowledged >= BATCH_BYTES; unacknowledged -= BATCH_BYTES) {
      if (stream.writeStatus === 'writable') stream.send(ack)
    }
  })
}

/**
 * As the product sends batches: while the stream takes more, and not too much is on its way. The stream alone is no
 * bound: it says `drain` with each update of its window, however much it has still to send.
 */
async function send(pieceBytes: number, inFlightBytes: number): Promise<void> {
  const [connection] = node.getConnections()
  const stream = await connection!.newStream(PROTOCOL)
  // Batches are sent from shared memory.
  const piece = new Uint8Array(new SharedArrayBuffer(pieceBytes)).fill(7)
  sending = stream
  let sent = 0
  let ackBytes = 0
  let pumping = false
  const hasRoom = (): boolean => sent - Math.floor(ackBytes / ACK_BYTES) * BATCH_BYTES < inFlightBytes
  const pump = (): void => {
    // `send` may dispatch events that lead back here.
    if (pumping) return
    pumping = true
    while (stream === sending && stream.writeStatus === 'writable' && !stream.writableNeedsDrain && hasRoom()) {
      stream.send(piece)
      count(pieceBytes)
      sent += pieceBytes
    }
    pumping = false
  }
  stream.addEventListener('message', ({ data }) => {
    ackBytes += data.byteLength
    pump()
  })
  stream.addEventListener('drain', pump)
  const watchdog = setInterval(pump, DRAIN_WATCHDOG_MS)
  stream.addEventListener('close', () => clearInterval(watchdog))
  pump()
}

async function handle(request: StreamPeerRequest): Promise<void> {
  switch (request.type) {
    case 'start':
      await start(request.role)
      break
    case 'dial':
      await node.dial(request.addresses.map((address) => multiaddr(address)))
      break
    case 'send':
      await send(request.pieceBytes, request.inFlightBytes)
      break
    case 'stop':
      sending?.abort(new Error('enough'))
      sending = undefined
  }
  const { user, system } = process.cpuUsage()
  const answer: StreamPeerAnswer = {
    addresses: node.getMultiaddrs().map(String),
    bytes,
    cpuUs: user + system,
    atMs: performance.now(),
  }
  process.send!(answer)
}

// A terminal sends Ctrl-C to all; the suite is what ends this process, however it ends itself.
process.on('SIGINT', () => {})
process.on('disconnect', () => process.exit(0))
process.on('message', (request) => void handle(request as StreamPeerRequest))
