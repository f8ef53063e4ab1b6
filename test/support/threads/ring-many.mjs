/** One of several threads that wake the same owner: publishes numbered messages in a ring of its own. */
import { parentPort, workerData } from 'node:worker_threads'
import { Doorbell } from '../../../dist/shared/memory/doorbell.js'
import { RingProducer } from '../../../dist/shared/memory/ring.js'
import { countedCodec } from './counted-codec.mjs'
import { doze, pauser } from './pause.mjs'

const { region, doorbell, count, seed } = workerData
const ring = new RingProducer(region, countedCodec)
const bell = new Doorbell(doorbell)
const pause = pauser(seed, 0.3)
for (let n = 0; n < count; n += 1) {
  while (ring.depth === region.capacity) doze(1)
  ring.push(n)
  pause()
  bell.ring()
  pause()
}
parentPort.postMessage({ sent: count })
