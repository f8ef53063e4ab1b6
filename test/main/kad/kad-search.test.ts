import { expect, test } from 'vitest'
import { KadSearch } from '../../../src/main/kad/kad-search.js'
import { Supervisor } from '../../../src/main/lib/supervisor.js'
import { HostNames } from '../../../src/main/names/host-names.js'
import { committeeDigest, parseCommittee } from '../../../src/shared/config/committee.js'
import { localCommittee } from '../../../src/shared/config/committee-file.js'
import { keysOf } from '../../../src/shared/config/keys.js'
import { signer } from '../../../src/shared/crypto/ed25519.js'

test('where no client of the table can be made that is said, and the node goes on', async () => {
  const keys = [1, 2].map((byte) => keysOf(new Uint8Array(32).fill(byte)))
  const names = keys.map(({ name }) => name)
  const committee = parseCommittee(localCommittee(names, 1, 4000), 'the test')
  const failures: Error[] = []
  const supervisor = new Supervisor((error) => failures.push(error))
  const quiet = { error: () => {}, info: () => {}, debug: () => {}, trace: () => {} }
  let search: KadSearch | undefined
  const said = await new Promise<string>((resolve) => {
    const log = { ...quiet, warn: resolve }
    search = new KadSearch(
      {
        committee,
        committeeDigest: committeeDigest(committee),
        ownIndex: committee.ownIndexOf(keys[0]!),
        role: 'primary',
        peerId: '12D3KooW',
        sign: signer(keys[0]!.seed),
        bootstrap: ['/ip4/127.0.0.1/tcp/4100'],
      },
      {
        log,
        names: new HostNames({ log, supervisor }),
        supervisor,
        ownAddresses: () => [],
        missing: () => [1],
        onRecord: () => false,
        onRefused: () => {},
        createClient: async () => {
          throw Object.assign(new Error('EMFILE: too many open files'), { code: 'EMFILE' })
        },
      },
    )
    search.start()
  })
  expect(said).toContain('EMFILE')
  await search!.close()
  expect(failures).toEqual([])
})
