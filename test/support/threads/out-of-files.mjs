/**
 * A process with a low limit of descriptors that has a real processor thread at work, takes every descriptor there is, and
 * each that becomes free, and gives them back in the end. It says what the thread did meanwhile.
 */
import { closeSync, openSync, writeSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { Counters } from '../../../dist/shared/memory/counters.js'
import { startProcessorHere } from './processor-process.mjs'
import { digestOf, encodeBatch } from './stored-batch.mjs'

const { stored, ownBatches, ...options } = JSON.parse(process.argv[2])
const { batchBytesMax, ownIndex, workerId } = options
const peer = (ownIndex + 1) % options.authorities.length
const hex = (bytes) => Buffer.from(bytes).toString('hex')
const say = (what) => writeSync(1, `${JSON.stringify(what)}\n`)
const logged = []
const note = (text) => logged.push(text)
const log = { error: note, warn: note, info: note, debug: note, trace: note }
const { client, inbound, layout, own, rings, threads } = await startProcessorHere(
  { ...options, level: 'durable', ownSlots: ownBatches, inboundSlotsPerPeer: 2 },
  { log, onDied: (error) => say({ died: error.message }) },
)
const counters = new Counters(layout.counters.processor, 'processor')
const answers = []
let isOpen = true
const served = rings.doorbell.serve(
  () => rings.drain({ onBatchMaker() {}, onQuorumWaiter() {}, onProcessor: (message) => answers.push(message) }),
  () => isOpen,
)

const until = async (condition) => {
  while (!condition()) await sleep(2)
}
const stores = (n) => until(() => answers.filter(({ kind }) => kind === 'own-stored').length >= n)

function putOwn(slot, sequence, length) {
  const bytes = encodeBatch(sequence, length, workerId)
  own.batch(slot).set(bytes)
  rings.toProcessorOwn({ kind: 'own', slot, sequence: BigInt(sequence), byteLength: bytes.length })
}

let foreigns = 0
async function putForeign(bytes) {
  // Slots of the first peer.
  foreigns += 1
  inbound.batch(0).set(bytes)
  rings.toProcessorInbound({ kind: 'inbound', slot: 0, peer, author: peer, byteLength: bytes.length, expected: null })
  const done = () => answers.filter(({ kind }) => kind === 'inbound-done')
  await until(() => done().length === foreigns)
  const { again, status } = done().at(-1)
  return { again, status }
}

let taken = []
let timer
const takeAll = () => {
  try {
    for (;;) taken.push(openSync('/dev/null', 'r'))
  } catch {
    // There are no more.
  }
}
/** Takes what there is, and what becomes free. */
function begin() {
  takeAll()
  timer = setInterval(takeAll, 1)
  say({ taken: taken.length > 0 })
}
function end() {
  clearInterval(timer)
  for (const fd of taken) closeSync(fd)
  taken = []
}

// No segment is open for writing.
begin()
for (const { digest, author } of stored) {
  const found = await client.ask({ type: 'get', digest: Buffer.from(digest, 'hex') })
  say({ read: found !== undefined && hex(digestOf(found.bytes, Buffer.from(author, 'hex'))) === digest })
}
const digests = stored.map(({ digest }) => Buffer.from(digest, 'hex'))
const found = await client.ask({ type: 'find', digests, touch: true })
say({ found: found.filter((author) => author !== undefined).length })
putOwn(0, 1_000, 20_000)
await until(() => counters.get('storeFull') === 1)
say({ fresh: await putForeign(encodeBatch(1, 30_000, workerId)) })
say({ small: await putForeign(encodeBatch(2, 3_000, workerId)) })
say({ again: await putForeign(encodeBatch(stored[0].sequence, stored[0].bytes, workerId)) })
say({ own: answers.filter(({ kind }) => kind === 'own-stored').length })
end()
await stores(1)
await until(() => counters.get('storeFull') === 0)
say({ fresh: await putForeign(encodeBatch(1, 30_000, workerId)) })
say({ logged: logged.filter((line) => /open no more files: batches wait|opened again/.test(line)).length })

// One is: its descriptor is enough to go on to the next.
begin()
for (let slot = 1; slot < ownBatches; slot += 1) putOwn(slot, 1_000 + slot, batchBytesMax - 100)
await stores(ownBatches)
end()
client.close()
await threads.end('processor', 'in-order')
isOpen = false
rings.doorbell.ring()
await served
say({ all: answers.filter(({ kind }) => kind === 'own-stored').map(({ digest }) => hex(digest)) })
