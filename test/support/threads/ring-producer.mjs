/**
 * A thread that publishes numbered messages in a ring, never more than it has credits for, which come back in a second
 * ring. `ignoresCredits`: it goes on without, as our bug would.
 */
import { parentPort, workerData } from 'node:worker_threads'
import { Doorbell } from '../../../dist/shared/memory/doorbell.js'
import { RingConsumer, RingProducer } from '../../../dist/shared/memory/ring.js'
import { countedCodec } from './counted-codec.mjs'
import { pauser } from './pause.mjs'
import { serve } from './serve.mjs'

const { out, back, doorbell, otherDoorbell, count, credits, waits, pauseShare, seed, burst, ignoresCredits } =
  workerData
const ring = new RingProducer(out, countedCodec)
const returned = new RingConsumer(back, countedCodec)
const own = new Doorbell(doorbell)
const other = new Doorbell(otherDoorbell)
const pause = pauser(seed, pauseShare)

let free = credits
let sent = 0
let returnedInOrder = 0

function poll() {
  const drained = returned.drain((n) => {
    if (n === returnedInOrder) returnedInOrder += 1
    free += 1
  }, 64)
  pause()
  let published = 0
  while (sent < count && published < burst && (free > 0 || ignoresCredits)) {
    ring.push(sent | 0)
    sent += 1
    free -= 1
    published += 1
    // Between publishing and ringing: where a wake-up is lost if it can be.
    pause()
    if (burst === 1) other.ring()
  }
  if (burst > 1 && published > 0) other.ring()
  return drained + published
}

await serve(own, waits, poll, () => sent < count)
parentPort.postMessage({ sent })
