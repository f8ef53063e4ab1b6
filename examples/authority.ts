/** An ordered log in one process: a committee of one, so that this file runs by itself. */
import { mkdtemp } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { generateKeys, localCommittee, markFresh, startAuthority } from 'narval-node'

const store = await mkdtemp(join(tmpdir(), 'narval-'))
const keys = generateKeys()
markFresh(store, keys) // These keys have never been used.

const authority = await startAuthority({ keys, store, committee: localCommittee([keys.name]) })
await authority.submit(new TextEncoder().encode('a transaction'))

for await (const commit of authority.commits()) {
  for await (const transaction of commit.transactions()) {
    console.log(`commit ${commit.index}:`, new TextDecoder().decode(transaction))
  }
  if (commit.batchCount > 0) break
}
await authority.close()
