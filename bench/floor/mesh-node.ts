/**
 * A node of the libp2p floor: its batches, always the same bytes, over one libp2p stream to each peer, and one byte back
 * for each. Nothing is copied, hashed or stored, so that what is measured is libp2p.
 */
// libp2p calls Promise.withResolvers, which Node 20 lacks: before everything else.
import 'core-js/actual/promise/with-resolvers.js'
import type { Stream } from '@libp2p/interface'
import { multiaddr } from '@multiformats/multiaddr'
import { widenWindow } from '../../src/main/network/lean-yamux.js'
import { Dissemination, type WriteBatch } from './dissemination.js'
import { createMeshLibp2p, SLICE_BYTES } from './mesh-libp2p.js'
import { serve, usage } from './messages.js'
import { MinorGc } from './minor-gc.js'
import { BATCH_BYTES, BATCH_DELAY_MS, type FloorOptions, IN_FLIGHT_MAX, wireBytesPerS } from './options.js'

const PROTOCOL = '/floor/1'
const ACK = new Uint8Array(1)

const options = JSON.parse(process.argv[2]!) as FloorOptions
const gc = new MinorGc()
const node = await createMeshLibp2p(options.nodes)
const bytesPerMs = wireBytesPerS(options) / options.nodes / 1000
const batch = new Uint8Array(
  options.rate === 0 ? BATCH_BYTES : Math.max(1, Math.min(BATCH_BYTES, Math.round(bytesPerMs * BATCH_DELAY_MS))),
)
let isLoaded = false
let begunBytes = 0
let unreleased = 0
let timer: NodeJS.Timeout | undefined
const dissemination = new Dissemination(options.nodes, {
  onReleased: () => {
    unreleased -= 1
    if (options.rate === 0) setImmediate(fill)
  },
})

function begin(): void {
  begunBytes += batch.length
  unreleased += 1
  const own = dissemination.begin(batch, performance.now())
  dissemination.held(own)
  dissemination.written(own)
}

/** At full speed: enough batches that no peer waits for one. */
function fill(): void {
  while (isLoaded && unreleased < 2 * IN_FLIGHT_MAX) begin()
}

/** At a rate: what has fallen due. */
function beginDue(startedMs: number): void {
  while (isLoaded && begunBytes + batch.length <= (performance.now() - startedMs) * bytesPerMs) begin()
}

/** Writes slice by slice, as fast as the stream takes them. */
function writer(stream: Stream): WriteBatch {
  const waiting: { bytes: Uint8Array; onWritten: () => void }[] = []
  let at = 0
  const pump = (): void => {
    while (waiting.length > 0 && !stream.writableNeedsDrain && stream.writeStatus === 'writable') {
      const { bytes, onWritten } = waiting[0]!
      const slice = bytes.subarray(at, at + SLICE_BYTES)
      at += slice.length
      stream.send(slice)
      gc.traffic(slice.length)
      if (at < bytes.length) continue
      at = 0
      waiting.shift()
      onWritten()
    }
  }
  stream.addEventListener('drain', pump)
  return (bytes, onWritten) => {
    waiting.push({ bytes, onWritten })
    if (waiting.length === 1) pump()
  }
}

function sendTo(stream: Stream): void {
  const onAck = dissemination.addPeer(writer(stream))
  stream.addEventListener('message', ({ data }) => {
    for (let count = 0; count < data.byteLength; count++) onAck()
  })
}

/** All batches of a run are of one length, so that counting bytes is enough. */
function takeFrom(stream: Stream): void {
  widenWindow(stream)
  let length = 0
  stream.addEventListener('message', ({ data }) => {
    gc.traffic(data.byteLength)
    length += data.byteLength
    for (; length >= batch.length; length -= batch.length) stream.send(ACK)
  })
}

serve({
  open: async () => {
    await node.handle(PROTOCOL, takeFrom, { maxInboundStreams: 2, maxOutboundStreams: 2 })
    await node.start()
    return node.getMultiaddrs()[0]!.toString()
  },
  connect: async ({ index, peers }) => {
    for (const [peer, address] of peers.entries()) {
      if (peer !== index) sendTo(await node.dialProtocol(multiaddr(address), PROTOCOL))
    }
  },
  load: () => {
    isLoaded = true
    const startedMs = performance.now()
    if (options.rate === 0) fill()
    else timer = setInterval(beginDue, 5, startedMs)
  },
  stop: () => {
    isLoaded = false
    clearInterval(timer)
  },
  usage,
  progress: () => dissemination.progress(begunBytes),
})
