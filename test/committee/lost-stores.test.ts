/**
 * Two of four authorities lose their disks, more than the committee bears: it stands, says why, and never forks; and a new
 * committee goes on where the longest log ends, as docs/operating.md says.
 */
import { mkdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { TestClient } from '../support/client.js'
import type { AuthorityProcess } from '../support/proof/authority-process.js'
import { committeeOfFour } from '../support/proof/committee.js'
import { recordsOf } from '../support/proof/order-reader.js'
import { temporaryDirectory } from '../support/temporary-directory.js'
import { until } from '../support/until.js'

const NODE_FILE = new URL('../../dist/node.js', import.meta.url).pathname
const recordsIn = (node: AuthorityProcess): string[] => recordsOf(node).map(({ digest }) => digest)
const orderedBy = (node: AuthorityProcess): number => recordsOf(node).flatMap(({ batches }) => batches).length

async function order(nodes: readonly AuthorityProcess[], batchesMin: number): Promise<void> {
  const client = await TestClient.connect(nodes[0]!.transactionsPort)
  await client.send(3, 200)
  for (const node of nodes) {
    await until(
      () => `${node.index} orders: ${node.log}`,
      () => orderedBy(node) >= batchesMin,
      120_000,
    )
  }
  await client.end()
}

test('a committee of which too many lost their stores stands, says so, and goes on as a new one behind the same log', async () => {
  const directory = temporaryDirectory()
  const [oldFiles, newFiles] = ['old', 'new'].map((name) => join(directory, name)) as [string, string]
  for (const files of [oldFiles, newFiles]) mkdirSync(files)
  const nodes = await committeeOfFour(oldFiles, NODE_FILE)
  let next: readonly AuthorityProcess[] = []
  try {
    await Promise.all(nodes.map((node) => node.start()))
    await order(nodes, 1)
    const [left, losers] = [nodes.slice(0, 2), nodes.slice(2)]
    for (const node of losers) {
      await node.end('SIGKILL')
      rmSync(node.store, { recursive: true })
      node.spawn()
    }
    // Each is answered by the three others, and then has to leave two rounds to those who cannot make them alone.
    for (const node of losers) {
      await until(
        () => `it may not sign: ${node.log}`,
        () => /It may sign above round \d+ only/.test(node.log),
        120_000,
      )
    }
    for (const node of left) {
      await until(
        () => `it says who is missing: ${node.log}`,
        () => /has had no quorum for .* is missing/.test(node.log),
        120_000,
      )
    }
    const before = Math.max(...left.map((node) => recordsIn(node).length))
    for (const node of nodes) await node.end('SIGTERM')

    // Nobody went on, and whoever has a record of an index has the same.
    const logs = nodes.map(recordsIn)
    const [longest] = [...logs].sort((a, b) => b.length - a.length)
    expect(longest!.length).toBe(before)
    for (const log of logs) expect(log).toEqual(longest!.slice(0, log.length))

    next = await committeeOfFour(newFiles, NODE_FILE)
    await Promise.all(next.map((node) => node.start()))
    await order(next, 1)
    // What was ordered before can be read as ever.
    expect(recordsIn(left[0]!).length).toBeGreaterThan(0)
    for (const node of left) expect(recordsIn(node)).toEqual(longest!.slice(0, recordsIn(node).length))
  } finally {
    await Promise.all([...nodes, ...next].map((node) => node.end('SIGKILL')))
  }
}, 600_000)
