/** An authority in a process of its own, until it is killed. It submits transactions from a number on, if it is given one. */
import { writeSync } from 'node:fs'
import { parseCommittee, startAuthority } from '../../../dist/index.js'
import { keysOf } from '../../../dist/shared/config/keys.js'

const { committee, seed, store, from } = JSON.parse(process.argv[2])
const silent = { error() {}, warn() {}, info() {}, debug() {}, trace() {} }
const authority = await startAuthority({
  keys: keysOf(Buffer.from(seed, 'hex')),
  committee: parseCommittee(committee, 'test'),
  store,
  parameters: { maxBatchDelayMs: 2 },
  log: silent,
})
writeSync(1, 'started\n')
for (let number = from; number !== undefined; number += 1) {
  const transaction = Buffer.alloc(40, number)
  transaction.writeUInt32BE(number)
  await authority.submit(transaction)
  if (number % 10 === 0) {
    writeSync(1, `submitted ${number}\n`)
    await new Promise((resolve) => setTimeout(resolve, 3))
  }
}
