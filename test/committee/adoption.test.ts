/**
 * Four authorities, of which one is killed -9 for good the moment its batches are certified: once while it would bring them
 * into the order itself, and once while its primary is dead already. The others order them, each once. When it comes back
 * it learns that they are in the order, and proposes none of them again.
 */
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { StoreFile } from '../../src/shared/store/store-snapshot.js'
import { TestClient } from '../support/client.js'
import { freePorts } from '../support/free-ports.js'
import { NodeRun } from '../support/node-run.js'
import type { AuthorityProcess } from '../support/proof/authority-process.js'
import { committeeOfFour } from '../support/proof/committee.js'
import { ownBatchesOf, recordsOf } from '../support/proof/order-reader.js'
import { temporaryDirectory } from '../support/temporary-directory.js'
import { until } from '../support/until.js'

const NODE_FILE = new URL('../../dist/node.js', import.meta.url).pathname
const certifiedIn = (log: string): string[] =>
  [...log.matchAll(/\bBatch (\S+) is certified$/gm)].map(([, digest]) => digest!)
const orderedBy = (node: AuthorityProcess): string[] => recordsOf(node).flatMap(({ batches }) => batches)

test('what an authority had certified when it was killed for good is ordered by the others, once', async () => {
  const directory = temporaryDirectory()
  const nodes = await committeeOfFour(directory, NODE_FILE)
  const [victim, ...others] = nodes as [AuthorityProcess, ...AuthorityProcess[]]
  const allOrdered = async (digests: readonly string[]): Promise<number> => {
    const fromMs = performance.now()
    for (const node of others) {
      await until(
        () => `authority ${node.index} orders what was certified: ${digests.length} batches; ${node.log}`,
        () => digests.every((digest) => orderedBy(node).includes(digest)),
        120_000,
      )
    }
    return Math.round(performance.now() - fromMs)
  }
  let worker: NodeRun | undefined
  try {
    await Promise.all(nodes.map((node) => node.start()))
    const client = await TestClient.connect(victim.transactionsPort)
    await client.send(5, 200)
    await until('its first batch is certified', () => certifiedIn(victim.log).length > 0, 60_000)
    await victim.end('SIGKILL')
    const first = certifiedIn(victim.log)
    const firstMs = await allOrdered(first)

    // Its primary stays dead: nothing names what its worker makes now.
    const metricsPort = await freePorts(1)
    worker = new NodeRun([
      ...['run', '--metrics', `127.0.0.1:${metricsPort}`, '--keys', join(directory, 'keys-0.json')],
      ...['--committee', join(directory, 'committee.json'), '--store', victim.workerStore, '--bind', '127.0.0.1'],
      ...['worker', '--id', '0', '--primary', 'narval'],
    ])
    await worker.says('successfully booted')
    const alone = await TestClient.connect(victim.transactionsPort)
    await alone.send(5, 200)
    await until('its batch is certified', async () => {
      const metrics = await (await fetch(`http://127.0.0.1:${metricsPort}/metrics`)).text()
      return /^narval_batches_certified_total [1-9]/m.test(metrics)
    })
    await worker.kill()
    const second = ownBatchesOf(victim).filter((digest) => !first.includes(digest))
    expect(second.length).toBeGreaterThan(0)
    const secondMs = await allOrdered(second)
    if (process.env.NARVAL_SAY_TIMES) console.log(`ordered by all others after ${firstMs} and ${secondMs} ms`)
    // Two of four vouch for a batch, and the third may see it ordered before its own patience ends.
    await until(
      () => `two say that they list it: ${others.map(({ log }) => log).join('\n\n')}`,
      () => others.filter(({ log }) => log.includes('that it handed to us and lists in no header')).length >= 2,
    )

    await victim.start()
    const uncommitted = (): number => {
      const file = new StoreFile(victim.workerStore)
      const entries = file.read((snapshot) => snapshot.entries('uncommitted', 10_000, {}))
      file.close()
      return entries.length
    }
    await until(
      () => `it knows that all is in the order: ${victim.log}`,
      () => uncommitted() === 0,
      60_000,
    )
    const last = Math.max(...others.map((node) => recordsOf(node).length))
    await until('it has all that was ordered', () => recordsOf(victim).length >= last, 60_000)
    const records = nodes.map((node) => recordsOf(node).map(({ digest }) => digest))
    const least = Math.min(...records.map(({ length }) => length))
    for (const digests of records) expect(digests.slice(0, least)).toEqual(records[0]!.slice(0, least))
    for (const node of nodes) {
      const ordered = orderedBy(node)
      expect(new Set(ordered).size).toBe(ordered.length)
      expect(ordered).toEqual(expect.arrayContaining([...first, ...second]))
    }
  } finally {
    await worker?.kill()
    await Promise.all(nodes.map((node) => node.end('SIGKILL')))
  }
}, 600_000)
