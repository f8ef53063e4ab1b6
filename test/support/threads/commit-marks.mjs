/**
 * A process that stores batches and takes note of commits, and says on stdout what is true by then, until it is killed.
 * Set k of three batches, two of them own, is in commit k.
 */
import { writeSync } from 'node:fs'
import { pageMemory, wholePages } from '../../../dist/shared/memory/page-memory.js'
import { Store } from '../../../dist/threads/processor/store.js'
import { digestOf, encodeBatch } from './stored-batch.mjs'

const { directory, author, workerId, retentionCommits, from } = JSON.parse(process.argv[2])
const key = Buffer.from(author, 'hex')
const say = (line) => writeSync(1, `${line}\n`)
const hex = (bytes) => Buffer.from(bytes).toString('hex')
const memory = pageMemory(4_000_000)

const store = new Store(
  { directory, authority: key, workerId, level: 'stored', retentionRounds: 0, retentionCommits },
  {
    onFatal: (error) => say(`fatal ${error.message}`),
    onNotice: () => {},
    onDeleted: () => {},
    onDamaged: () => {},
    onBytes: () => {},
    onStarved: () => {},
  },
)
await store.open()

const sets = new Map()
async function put(set, n) {
  const sequence = 10 * set + n
  const encoded = encodeBatch(sequence, n === 2 ? 30_000 : 500, workerId)
  const bytes = new Uint8Array(memory, (n * wholePages(40_000)) % 3_000_000, encoded.length)
  bytes.set(encoded)
  const digest = digestOf(bytes, key)
  const own = n === 0 ? undefined : { sequence: BigInt(sequence), transactions: 1, transactionBytes: 500 }
  await store.put(digest, key, bytes, own)
  say(`stored ${set} ${hex(digest)}`)
  return new Uint8Array(digest)
}

for (let set = from; ; set += 1) {
  sets.set(set, [await put(set, 0), await put(set, 1), await put(set, 2)])
  if (set % 3 === 0) await store.markReported(sets.get(set))
  // Two commits behind, in one go or in parts, while the next batches are stored.
  if (set % 2 === 1 || set < from + 3) continue
  const [first, second] = [set - 3, set - 2]
  say(`applying ${second}`)
  await store.committed({ digests: sets.get(first) ?? [], partOf: BigInt(second) })
  const applying = store.committed({ digests: sets.get(second) ?? [], applied: BigInt(second) })
  await Promise.all([applying, store.touch(sets.get(second)[0])])
  say(`applied ${second}`)
}
