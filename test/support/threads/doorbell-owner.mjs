/** A thread that serves the rings of several producers by one doorbell, and says how it went. */
import { parentPort, workerData } from 'node:worker_threads'
import { Doorbell } from '../../../dist/shared/memory/doorbell.js'
import { RingConsumer } from '../../../dist/shared/memory/ring.js'
import { countedCodec } from './counted-codec.mjs'

const { regions, doorbell, count } = workerData
const rings = regions.map((region) => new RingConsumer(region, countedCodec))
const received = regions.map(() => 0)
let wrong = 0
let waits = 0
let waitedMs = 0

const poll = () =>
  rings.reduce(
    (found, ring, index) =>
      found +
      ring.drain((n) => {
        if (n !== received[index]) wrong += 1
        received[index] += 1
      }, 8),
    0,
  )
new Doorbell(doorbell).serveBlocking(
  poll,
  () => received.some((seen) => seen < count),
  (ms) => {
    waits += 1
    waitedMs += ms
  },
)
parentPort.postMessage({ received, wrong, waits, waitedMs })
