/**
 * Four authorities as processes, one of which is set back to a backup, loses its disk, and goes on with an old copy of it:
 * the order goes on and is one, nobody signs two headers of a round, and who must stop says why and keeps what shows it.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { cpSync, renameSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { readCommittee } from '../../src/shared/config/committee.js'
import { readKeys } from '../../src/shared/config/keys.js'
import { verifyingCommittee } from '../../src/shared/config/verifying-committee.js'
import { checkStore } from '../../src/shared/store/check-store.js'
import { CommitLogReader } from '../../src/shared/store/primary/commit-log-reader.js'
import { readEvidence } from '../../src/shared/store/primary/evidence-reader.js'
import { decodeEvidence } from '../../src/shared/wire/primary/evidence.js'
import { verifyEvidence } from '../../src/shared/wire/primary/verify-evidence.js'
import { TestLoad } from '../support/client.js'
import type { AuthorityProcess } from '../support/proof/authority-process.js'
import { committeeOfFour } from '../support/proof/committee.js'
import { evidenceOf, lastCommitOf, recordsOf } from '../support/proof/order-reader.js'
import { temporaryDirectory } from '../support/temporary-directory.js'
import { until } from '../support/until.js'

const NODE_FILE = new URL('../../dist/node.js', import.meta.url).pathname
const WAIT_MS = 240_000

const commitsAtLeast = (nodes: readonly AuthorityProcess[], count: number): Promise<void> =>
  until(
    () => `all have ${count} commits: ${nodes.map((node) => lastCommitOf(node))}`,
    () => nodes.every((node) => lastCommitOf(node) >= count),
    WAIT_MS,
  )

async function backup(store: string, to: string): Promise<void> {
  const child = spawn(process.execPath, [NODE_FILE, 'backup', '--store', store, '--to', to], { stdio: 'ignore' })
  expect(await once(child, 'exit')).toEqual([0, null])
  for (const name of ['primary', 'worker-0']) {
    const damaged: string[] = []
    checkStore(join(to, name), { onDamaged: (part) => damaged.push(part), onProgress: () => {} })
    expect(damaged).toEqual([])
  }
}

/** Certificates of an author in the commits behind one, by the log of a node. */
function certificatesOf(author: number, { primaryStore }: AuthorityProcess, after: number): number {
  const reader = new CommitLogReader(primaryStore)
  try {
    const commits = [...reader.commits(after)]
    return commits.flatMap((commit) => [...commit.certificates()]).filter((one) => one.author === author).length
  } finally {
    reader.close()
  }
}

/** What the shorter log has, the longer one has as well; it begins where both have something. */
function expectOneOrder(nodes: readonly AuthorityProcess[]): void {
  const order = new Map<number, string>()
  for (const node of nodes) {
    for (const { digest, index } of recordsOf(node)) {
      expect(order.get(index) ?? digest, `commit ${index} of ${node.index}`).toBe(digest)
      order.set(index, digest)
    }
  }
}

test('an authority that is set back, loses its disk, or goes on with an old copy of it signs nothing twice', async () => {
  const directory = temporaryDirectory()
  const nodes = await committeeOfFour(directory, NODE_FILE)
  const [first, second, third] = nodes as [AuthorityProcess, AuthorityProcess, AuthorityProcess]
  const loads: TestLoad[] = []
  try {
    await Promise.all(nodes.map((node) => node.start()))
    loads.push(...nodes.map((node) => new TestLoad(node.transactionsPort, 2, 500)))
    await commitsAtLeast(nodes, 10)

    // A backup of a running node, to which it is set back when the others have gone on; nobody says --recovered.
    const copy = join(directory, 'backup')
    await backup(first.store, copy)
    await commitsAtLeast(nodes, lastCommitOf(first) + 15)
    first.kill()
    await first.end('SIGKILL')
    rmSync(first.store, { recursive: true })
    renameSync(copy, first.store)
    await first.start()
    await until('it may sign again', () => /A quorum has answered: may sign above round/.test(first.log), WAIT_MS)
    expect(first.log).toMatch(/The store is a backup, made at/)
    await commitsAtLeast(nodes, lastCommitOf(second) + 10)

    // A disk that is lost.
    await second.end('SIGKILL')
    rmSync(second.store, { recursive: true })
    await second.start()
    await until('it may sign again', () => /A quorum has answered: may sign above round/.test(second.log), WAIT_MS)
    await commitsAtLeast([first, third], lastCommitOf(third) + 10)

    // A copy by the file system, which says nothing of being one.
    await third.end('SIGTERM')
    const old = join(directory, 'old')
    cpSync(third.store, old, { recursive: true })
    const committee = readCommittee(join(directory, 'committee.json'))
    const own = committee.ownIndexOf(readKeys(join(directory, `keys-${third.index}.json`)))
    const before = lastCommitOf(first)
    await third.start()
    await until('its headers are in the order again', () => certificatesOf(own, first, before) > 10, WAIT_MS)
    await third.end('SIGKILL')
    rmSync(third.store, { recursive: true })
    renameSync(old, third.store)
    third.spawn()
    await until(
      () => `it stops: ${third.log.slice(-3000)}`,
      () => third.ownEnds.length > 0,
      60_000,
    )
    expect(third.log).toMatch(/ERR_KEY_USED_TWICE/)
    const { records } = readEvidence(third.primaryStore)
    const kept = records.map((record) => decodeEvidence(record, 4))
    expect(kept.map(({ kind }) => kind)).toEqual(['own-key'])
    expect(verifyEvidence(kept[0]!, verifyingCommittee(committee))).toMatchObject({ isValid: true })
    third.ownEnds.length = 0
    third.spawn(['--recovered'])
    await third.booted()
    await commitsAtLeast([first, third], lastCommitOf(first) + 10)

    await Promise.all(loads.map((load) => load.stop()))
    expectOneOrder(nodes)
    expect(nodes.filter((node) => node !== third).flatMap((node) => evidenceOf(node))).toEqual([])
    expect(nodes.flatMap(({ ownEnds }) => ownEnds)).toEqual([])
  } finally {
    await Promise.all(loads.map((load) => load.stop()))
    await Promise.all(nodes.map((node) => node.end('SIGKILL')))
  }
}, 600_000)
