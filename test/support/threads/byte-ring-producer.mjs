/** A thread that submits numbered transactions of random sizes; where the ring has no room it waits for its doorbell. */
import { parentPort, workerData } from 'node:worker_threads'
import { ByteRingProducer } from '../../../dist/shared/memory/byte-ring.js'
import { Doorbell } from '../../../dist/shared/memory/doorbell.js'
import { pauser } from './pause.mjs'
import { serve } from './serve.mjs'
import { fillTransaction, transactionSizes } from './transaction-pattern.mjs'

const { ring: region, doorbell, otherDoorbell, count, bytesMax, seed, waits, pauseShare } = workerData
const ring = new ByteRingProducer(region)
const own = new Doorbell(doorbell)
const other = new Doorbell(otherDoorbell)
const pause = pauser(seed, pauseShare)
const nextSize = transactionSizes(seed, bytesMax)
const memory = new Uint8Array(bytesMax)

let sent = 0
let size = nextSize()
let refusals = 0

function poll() {
  let pushed = 0
  while (sent < count && pushed < 32) {
    const transaction = memory.subarray(0, size)
    fillTransaction(transaction, sent)
    if (!ring.push(transaction)) {
      refusals += 1
      break
    }
    sent += 1
    pushed += 1
    size = nextSize()
    pause()
  }
  if (pushed > 0) other.ring()
  return pushed
}

await serve(own, waits, poll, () => sent < count)
parentPort.postMessage({ sent, refusals })
