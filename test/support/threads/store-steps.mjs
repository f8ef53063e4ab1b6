/**
 * A process that has a store do each kind of thing once, one behind the other, and says on stdout what is true by then.
 * It is killed somewhere (preload/steps.c). The test has prepared the store: in each of its segments lies one batch that is
 * kept and one that is not. It makes another, and fills those that become free.
 */
import { writeSync } from 'node:fs'
import { pageMemory, wholePages } from '../../../dist/shared/memory/page-memory.js'
import { Store } from '../../../dist/threads/processor/store.js'
import { digestOf, encodeBatch } from './stored-batch.mjs'

const { directory, author, workerId, level, kept, damaged } = JSON.parse(process.argv[2])
const key = Buffer.from(author, 'hex')
const say = (line) => writeSync(1, `${line}\n`)
const hex = (bytes) => Buffer.from(bytes).toString('hex')
const memory = pageMemory(4_000_000)
let at = 0
let sequence = 1_000

async function opened() {
  const store = new Store(
    { directory, authority: key, workerId, level, retentionRounds: 1 },
    {
      onFatal: (error) => say(`fatal ${error.message}`),
      onNotice: (text) => say(`notice ${text}`),
      onDeleted: () => {},
      onDamaged: () => {},
      onBytes: () => {},
      onStarved: () => {},
    },
  )
  await store.open()
  return store
}

function inSlot(bytes) {
  const slot = new Uint8Array(memory, at, bytes.length)
  slot.set(bytes)
  at += wholePages(bytes.length)
  return slot
}

async function put(store, length, own) {
  sequence += 1
  const bytes = encodeBatch(sequence, length, workerId)
  const digest = digestOf(bytes, key)
  const { stamp } = store
  const put = own && { sequence: BigInt(sequence), transactions: 1, transactionBytes: length }
  await store.put(digest, key, inSlot(bytes), put)
  say(`stored ${hex(digest)} ${stamp} ${own ? 'own' : 'foreign'}`)
  return digest
}

async function cleanup(store, round) {
  say(`cleanup ${round}`)
  await store.cleanup(round)
}

async function touch(store, digest) {
  const { stamp } = store
  if (await store.touch(Buffer.from(digest, 'hex'))) say(`stored ${digest} ${stamp} foreign`)
}

const first = await opened()
const { start, end } = await first.reserveSequences(Date.now())
say(`range ${start} ${end}`)
await put(first, 3_000)
await put(first, 100_000)
await put(first, 50_000, true)
const reported = await put(first, 60_000, true)
say(`reporting ${hex(reported)}`)
await first.markReported([reported])
await cleanup(first, 1n)
for (const digest of kept) await touch(first, digest)
await put(first, 200_000)
// A copy of a batch that the disk has damaged takes its place.
await first.verified(Buffer.from(damaged.digest, 'hex'))
await first.put(Buffer.from(damaged.digest, 'hex'), key, inSlot(encodeBatch(damaged.sequence, damaged.bytes, workerId)))
say(`stored ${damaged.digest} 1 foreign`)
await cleanup(first, 2n)
await Promise.all([put(first, 120_000), put(first, 4_000), put(first, 130_000)])
await first.close()

// The next run fills what is free by now.
const second = await opened()
await put(second, 140_000)
for (const digest of kept.slice(0, 2)) await touch(second, digest)
await cleanup(second, 3n)
await put(second, 150_000)
await cleanup(second, 4n)
await put(second, 160_000)
await second.close()
say('done')
