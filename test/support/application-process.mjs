/**
 * A process with an authority that runs an application, under a steady load, until it is killed. Its state is a sum over all
 * transactions in their order; it is kept in a file with the index of its commit, in one write. Each commit with batches is a
 * line on stdout.
 */

import { createHash } from 'node:crypto'
import { existsSync, readFileSync, renameSync, writeFileSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { parseCommittee, startAuthority } from '../../dist/index.js'
import { keysOf } from '../../dist/shared/config/keys.js'

const { committee, first, seed, store } = JSON.parse(process.argv[2])
const authority = await startAuthority({
  keys: keysOf(new Uint8Array(32).fill(seed)),
  committee: parseCommittee(committee, 'test'),
  store,
  parameters: { maxBatchDelayMs: 20 },
  log: { error: console.error, warn() {}, info() {}, debug() {}, trace() {} },
})
const file = join(store, 'application.json')
let state = existsSync(file) ? JSON.parse(readFileSync(file, 'utf8')) : { index: 0, count: 0, sum: '' }
void (async () => {
  for (let number = first; ; number += 1) {
    const transaction = Buffer.alloc(200)
    transaction.writeUInt32BE(number)
    await authority.submit(transaction)
    await sleep(10)
  }
})()
await authority.run({
  lastApplied: () => state.index,
  async apply(commit) {
    if (commit.index !== state.index + 1) throw new Error(`commit ${commit.index} behind ${state.index}`)
    let { count, sum } = state
    for await (const transaction of commit.transactions()) {
      sum = createHash('sha256').update(sum).update(transaction).digest('hex')
      count += 1
    }
    state = { index: commit.index, count, sum }
    writeFileSync(`${file}.new`, JSON.stringify(state))
    renameSync(`${file}.new`, file)
    if (commit.batchCount > 0) writeSync(1, `${JSON.stringify(state)}\n`)
  },
})
