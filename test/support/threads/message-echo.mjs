/** A thread that reads messages of one direction from a ring and publishes the same in another. */
import { parentPort, workerData } from 'node:worker_threads'
import * as batchMaker from '../../../dist/shared/memory/dialogue/batch-maker.js'
import * as processor from '../../../dist/shared/memory/dialogue/processor.js'
import * as quorumWaiter from '../../../dist/shared/memory/dialogue/quorum-waiter.js'
import { Doorbell } from '../../../dist/shared/memory/doorbell.js'
import { RingConsumer, RingProducer } from '../../../dist/shared/memory/ring.js'

const { direction, there, back, doorbell, otherDoorbell, count } = workerData
const codec = { ...batchMaker, ...processor, ...quorumWaiter }[direction]
const incoming = new RingConsumer(there, codec)
const outgoing = new RingProducer(back, codec)
const other = new Doorbell(otherDoorbell)

let echoed = 0
new Doorbell(doorbell).serveBlocking(
  () =>
    incoming.drain((message) => {
      outgoing.push(message)
      other.ring()
      echoed += 1
    }, 64),
  () => echoed < count,
  () => {},
)
parentPort.postMessage({ echoed })
