/**
 * A process with an authority that is its whole committee, under a steady load, until it is killed. Each batch that a reader
 * of commits gives is a line on its stdout: the cursor that a program would remember, and the batch's transactions.
 */
import { writeSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { parseCommittee, startAuthority } from '../../dist/index.js'
import { keysOf } from '../../dist/shared/config/keys.js'

const { after, committee, first, seed, store } = JSON.parse(process.argv[2])
const authority = await startAuthority({
  keys: keysOf(new Uint8Array(32).fill(seed)),
  committee: parseCommittee(committee, 'test'),
  store,
  parameters: { maxBatchDelayMs: 5, batchBytesMax: 2_000 },
  log: { error: console.error, warn() {}, info() {}, debug() {}, trace() {} },
})
void (async () => {
  for (let number = first; ; number += 1) {
    const transaction = Buffer.alloc(400)
    transaction.writeUInt32BE(number)
    await authority.submit(transaction)
    if (number % 8 === 0) await sleep(3)
  }
})()
for await (const commit of authority.commits(after === undefined ? {} : { after })) {
  for await (const { cursor, transactions } of commit.batches()) {
    const numbers = Array.from(transactions(), (transaction) => Buffer.from(transaction).readUInt32BE())
    writeSync(1, `${JSON.stringify({ cursor, numbers })}\n`)
  }
}
