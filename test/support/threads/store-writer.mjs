/**
 * A process that stores batches as fast as it can through a real processor thread, until it is killed. Each answer is a
 * line on its stdout: what the node would have told a peer or its primary by then.
 */
import { writeSync } from 'node:fs'
import { encodeBatch } from '../../../dist/shared/wire/batch.js'
import { startProcessorHere } from './processor-process.mjs'

const { cleanups, ...options } = JSON.parse(process.argv[2])
const { batchBytesMax, ownIndex, workerId } = options
const say = (line) => writeSync(1, `${line}\n`)
const { client, inbound, keys, own, rings } = await startProcessorHere(
  { ...options, ownSlots: 8, retentionRounds: cleanups?.retentionRounds ?? 0 },
  { log: console, onDied: (error) => say(`died ${error.message}`) },
)

const range = await client.ask({ type: 'reserve-sequences' })
say(`range ${range.start} ${range.end}`)

if (cleanups !== null) {
  // Rounds go on where the last run was killed: they are a time.
  setInterval(() => {
    client.ask({ type: 'cleanup', round: BigInt(Math.floor(Date.now() / cleanups.roundMs)) })
  }, cleanups.roundMs)
}

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
