/** Feeds one node of the plain floor: bursts at a steady rate as the product's client, or as fast as the node takes them. */
import { type AddressInfo, createServer, type Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { type Sent, serve } from './messages.js'
import { type FloorOptions, FRAME_PREFIX_BYTES } from './options.js'

const BURST_MS = 50
/** Bytes of a write at full speed. */
const FULL_SPEED_BYTES = 256 * 1024

const options = JSON.parse(process.argv[2]!) as FloorOptions
const frameBytes = options.transactionBytes + FRAME_PREFIX_BYTES
const rate = options.rate / options.nodes
let socket: Socket | undefined

const server = createServer({ noDelay: true }, (accepted) => {
  socket = accepted
  accepted.resume()
  accepted.on('error', () => {})
})

/** Transactions of burst `tick`: after any number of whole seconds, exactly the rate. */
function burstCount(tick: number): number {
  const perBurst = (rate * BURST_MS) / 1000
  return Math.floor((tick + 1) * perBurst) - Math.floor(tick * perBurst)
}

function frames(count: number): Buffer {
  const bytes = Buffer.alloc(count * frameBytes, 1)
  for (let at = 0; at < bytes.length; at += frameBytes) bytes.writeUInt32BE(options.transactionBytes, at)
  return bytes
}

function write(bytes: Uint8Array): Promise<void> {
  return new Promise((resolve, reject) => socket!.write(bytes, (error) => (error ? reject(error) : resolve())))
}

async function load(): Promise<Sent> {
  const startMs = Date.now()
  const startedMs = performance.now()
  const endMs = startedMs + options.durationS * 1000
  const full = frames(Math.max(1, rate === 0 ? Math.floor(FULL_SPEED_BYTES / frameBytes) : burstCountMax()))
  let bytes = 0
  for (let tick = 0; performance.now() < endMs; tick++) {
    if (rate > 0) {
      const delayMs = startedMs + tick * BURST_MS - performance.now()
      if (delayMs > 0) await sleep(delayMs)
      if (performance.now() >= endMs) break
    }
    const burst = rate === 0 ? full : full.subarray(0, burstCount(tick) * frameBytes)
    if (burst.length === 0) continue
    await write(burst)
    bytes += burst.length
  }
  return { startMs, stopMs: Date.now(), bytes }
}

function burstCountMax(): number {
  return Math.ceil((rate * BURST_MS) / 1000)
}

serve({
  open: () =>
    new Promise((resolve) => {
      server.listen(0, '127.0.0.1', () => resolve(String((server.address() as AddressInfo).port)))
    }),
  load,
})
