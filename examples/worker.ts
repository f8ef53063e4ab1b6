/** A worker inside your own program: a committee of one, so that this file runs by itself. */
import { mkdtemp } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { generateKeys, parseCommittee, startWorker, transactions } from 'narval-node'

// In a real committee: readKeys('keys.json') and readCommittee('committee.json').
const keys = generateKeys()
const committee = parseCommittee(
  {
    authorities: {
      [keys.name]: {
        stake: 1,
        primary: { primary_to_primary: '127.0.0.1:4000', worker_to_primary: '127.0.0.1:4001' },
        workers: {
          '0': {
            primary_to_worker: '127.0.0.1:4002',
            transactions: '127.0.0.1:4003',
            worker_to_worker: '127.0.0.1:4004',
          },
        },
      },
    },
  },
  'the committee',
)

const worker = await startWorker({
  keys,
  committee,
  store: await mkdtemp(join(tmpdir(), 'narval-')),
  // A primary in this process, in place of the one at worker_to_primary.
  primary: ({ type, digest }) => console.log(type, Buffer.from(digest).toString('base64')),
})

/** Prints the transactions of the first batch that is certified. */
async function printFirst(): Promise<void> {
  for await (const { digest } of worker.certified) {
    const batch = await worker.read(digest)
    if (batch === undefined) continue
    for (const transaction of transactions(batch.bytes)) console.log(new TextDecoder().decode(transaction))
    return
  }
}

// A reader is shown what is certified from now on, so it begins before the first transaction.
const printed = printFirst()
await worker.submit(new TextEncoder().encode('a transaction'))
await printed
await worker.close()
