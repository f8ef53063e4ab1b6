/**
 * A process that writes turns to a primary's store as fast as it can, until it is killed. Each line on its stdout is what
 * the primary would have told somebody by then.
 */
import { writeSync } from 'node:fs'
import { ignoreFailedCommit } from '../../../dist/shared/store/failed-commit.js'
import { lockStore } from '../../../dist/shared/store/lock.js'
import { encodeCertificate } from '../../../dist/shared/wire/primary/certificate.js'
import { headerId } from '../../../dist/shared/wire/primary/header-id.js'
import { encodeVote } from '../../../dist/shared/wire/primary/vote.js'
import { RecordChain } from '../../../dist/threads/primary/commit-log/record-chain.js'
import { PrimaryStore } from '../../../dist/threads/primary/store/primary-store.js'
import { AUTHORITIES, batchOf, patternOf, recorder, SETTINGS } from './commit-pattern.mjs'

const { directory, retentionCommits } = JSON.parse(process.argv[2])
const { turnOf } = patternOf({ encodeCertificate, headerId })
const say = (line) => writeSync(1, `${line}\n`)
process.on('unhandledRejection', ignoreFailedCommit)

lockStore(directory)
const store = new PrimaryStore(
  { directory, settings: SETTINGS, retentionCommits },
  { onFatal: (error) => say(`died ${error.message}`), onNotice: say },
)
await store.open()
const record = recorder(RecordChain, store)
say(`opened ${store.lastCommit}`)

/** The vote for a header of each round: its id says which round it was. */
function voteOf(round) {
  const headerIdOfRound = Buffer.alloc(32)
  headerIdOfRound.writeUInt32LE(round)
  return encodeVote({
    voter: 0,
    author: round % AUTHORITIES,
    epoch: 0,
    round,
    headerId: headerIdOfRound,
    signature: new Uint8Array(64),
  })
}

let next = store.lastCommit + 1
let running = 0
function turn() {
  const from = next
  const to = from + Math.floor(Math.random() * 3)
  next = to + 1
  running += 1
  const writes = [
    { type: 'own-header', round: to, bytes: Buffer.from(`header of ${to}`) },
    { type: 'vote', author: to % AUTHORITIES, bytes: voteOf(to) },
    { type: 'own-batch', batch: batchOf(to, 0) },
    ...(to > 10 ? [{ type: 'own-batch-done', batch: batchOf(to - 10, 0) }] : []),
    // Now and then a commit of several parts.
    ...turnOf(from, to, from % 50 === 0 ? 3_000 : undefined),
  ]
  store.write(record(writes), () => {
    running -= 1
    say(`durable ${to}`)
  })
}
for (;;) {
  while (running < 8) turn()
  await new Promise((resolve) => setImmediate(resolve))
}
