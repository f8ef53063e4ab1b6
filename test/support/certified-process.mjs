/**
 * A process with a worker that is its whole committee, under a steady load, until it is killed. Each batch that a reader
 * after a sequence gives is a line on its stdout: what a program would remember as its place.
 */
import { writeSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { parseCommittee, startWorker } from '../../dist/index.js'
import { keysOf } from '../../dist/shared/config/keys.js'

const { after, committee, directory, seed } = JSON.parse(process.argv[2])
const worker = await startWorker({
  keys: keysOf(new Uint8Array(32).fill(seed)),
  committee: parseCommittee(committee, 'test'),
  store: directory,
  parameters: { ackLevel: 'stored', maxBatchDelayMs: 5 },
  log: { error: console.error, warn() {}, info() {}, debug() {}, trace() {} },
  // Some reports are acknowledged at once, and some so late that the process is killed before.
  primary: ({ digest }) => sleep((digest[0] % 4) * 100),
})
void (async () => {
  for (let n = 0; ; n += 1) {
    const transaction = Buffer.alloc(64)
    transaction.writeBigUInt64BE(BigInt(Date.now()))
    transaction.writeUInt32BE(n, 8)
    await worker.submit(transaction)
    await sleep(3)
  }
})()
for await (const { sequence } of worker.certified({ after: BigInt(after) })) writeSync(1, `${sequence}\n`)
