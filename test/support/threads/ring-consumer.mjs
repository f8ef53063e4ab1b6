/** A thread that reads numbered messages from a ring, checks each, and gives a credit back for it in a second ring. */
import { parentPort, workerData } from 'node:worker_threads'
import { Doorbell } from '../../../dist/shared/memory/doorbell.js'
import { RingConsumer, RingProducer } from '../../../dist/shared/memory/ring.js'
import { countedCodec } from './counted-codec.mjs'
import { pauser } from './pause.mjs'
import { serve } from './serve.mjs'

const { out, back, doorbell, otherDoorbell, count, waits, pauseShare, seed, limit } = workerData
const ring = new RingConsumer(out, countedCodec)
const returning = new RingProducer(back, countedCodec)
const own = new Doorbell(doorbell)
const other = new Doorbell(otherDoorbell)
const pause = pauser(seed, pauseShare)

let received = 0
let wrong = 0

function poll() {
  const drained = ring.drain((n) => {
    if (n !== (received | 0)) wrong += 1
    returning.push(received | 0)
    received += 1
    pause()
  }, limit)
  pause()
  if (drained > 0) other.ring()
  return drained
}

await serve(own, waits, poll, () => received < count)
parentPort.postMessage({ received, wrong, left: ring.depth })
