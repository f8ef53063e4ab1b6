/**
 * A process that stores batches as fast as it can through a real processor thread, until it is killed. Each answer is a
 * line on its stdout: what the node would have told a peer or its primary by then.
 */
import { writeSync } from 'node:fs'
import { MessageChannel } from 'node:worker_threads'
import { MainRings } from '../../../dist/main/thread-host/main-rings.js'
import { ProcessorClient } from '../../../dist/main/thread-host/processor-client.js'
import { Threads } from '../../../dist/main/thread-host/threads.js'
import { createLayout } from '../../../dist/shared/memory/layout.js'
import { Arena } from '../../../dist/shared/memory/slots.js'
import { encodeBatch } from '../../../dist/shared/wire/batch.js'

const { directory, authorities, ownIndex, workerId, level, batchBytesMax, inboundSlotsPerPeer, cleanups } = JSON.parse(
  process.argv[2],
)
const keys = authorities.map((key) => Uint8Array.from(Buffer.from(key, 'hex')))
const layout = createLayout({ ownSlots: 8, inboundSlotsPerPeer, authorities: keys.length, batchBytesMax })
const rings = new MainRings(layout)
const say = (line) => writeSync(1, `${line}\n`)
const threads = new Threads({ layout, log: console, onDied: (error) => say(`died ${error.message}`) })
const { port1, port2 } = new MessageChannel()
const client = new ProcessorClient(port1)
const task = {
  layout,
  control: port2,
  processor: {
    workerId,
    batchBytesMax,
    authorities: keys,
    stakes: keys.map(() => 1),
    ownIndex,
    storeBytesMax: 2 ** 40,
    benchmark: false,
  },
  store: { directory, authority: keys[ownIndex], workerId, level, retentionRounds: cleanups?.retentionRounds ?? 0 },
}
await threads.start('processor', task, [port2])

const range = await client.ask({ type: 'reserve-sequences' })
say(`range ${range.start} ${range.end}`)

if (cleanups !== null) {
  // Rounds go on where the last run was killed: they are a time.
  setInterval(() => {
    client.ask({ type: 'cleanup', round: BigInt(Math.floor(Date.now() / cleanups.roundMs)) })
  }, cleanups.roundMs)
}

const own = new Arena(layout.own)
const inbound = new Arena(layout.inbound)
const hex = (bytes) => Buffer.from(bytes).toString('hex')
let next = range.start

function batch() {
  const sequence = next
  next += 1n
  const bytes = 100 + Math.floor(Math.random() * (batchBytesMax - 200))
  const transaction = Buffer.alloc(bytes, Number(sequence & 0xffn))
  transaction.writeBigUInt64BE(sequence)
  return { sequence, bytes: encodeBatch([transaction, transaction.subarray(0, 9)], { workerId, sequence }) }
}

function fillOwn(slot) {
  const { sequence, bytes } = batch()
  own.batch(slot).set(bytes)
  rings.toProcessorOwn({ kind: 'own', slot, sequence, byteLength: bytes.length })
}

function fillInbound(slot) {
  const { bytes } = batch()
  const peer = slot % keys.length
  inbound.batch(slot).set(bytes)
  rings.toProcessorInbound({ kind: 'inbound', slot, peer, author: peer, byteLength: bytes.length, expected: null })
}

for (let slot = 0; slot < own.slots; slot += 1) fillOwn(slot)
for (let slot = 0; slot < inbound.slots; slot += 1) if (slot % keys.length !== ownIndex) fillInbound(slot)
await rings.doorbell.serve(
  () =>
    rings.drain({
      onBatchMaker() {},
      onQuorumWaiter() {},
      onProcessor(message) {
        const { kind, slot, digest } = message
        say(`${kind} ${hex(digest)} ${message.peer ?? ownIndex} ${message.sequence}`)
        if (kind === 'own-stored') {
          own.poison(slot)
          fillOwn(slot)
        } else {
          inbound.poison(slot)
          fillInbound(slot)
        }
      },
    }),
  () => true,
)
