/**
 * Four authorities on machines of their own that know each other by IPv6 alone, one of them a process for its primary and one
 * for its worker: under load, with kill -9 of each of the two, all that is certified is ordered, and all logs are equal.
 */
import { spawnSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { generateKeys, writeKeys } from '../../src/shared/config/keys.js'
import { encodeBase64 } from '../../src/shared/crypto/public-key.js'
import { primaryDirectory, workerDirectory } from '../../src/shared/store/authority-directories.js'
import { CommitLogReader } from '../../src/shared/store/primary/commit-log-reader.js'
import { Namespaces, namespaceProblem } from '../support/namespaces.js'
import { NODE, NodeRun } from '../support/node-run.js'
import { temporaryDirectory } from '../support/temporary-directory.js'
import { until } from '../support/until.js'

const AUTHORITIES = [0, 1, 2, 3]
const SPLIT = 3
const CERTIFIED = /Batch (\S+) is certified/g
const problem = namespaceProblem()
if (problem !== undefined) process.stderr.write(`no network namespaces here: ${problem}\n`)

/** Digests in the order, commit by commit, each with the name of its commit. */
function orderOf(store: string): { readonly commits: string[]; readonly digests: ReadonlySet<string> } {
  const reader = new CommitLogReader(primaryDirectory(store))
  const commits: string[] = []
  const digests = new Set<string>()
  for (const commit of reader.commits(0)) {
    commits.push(Buffer.from(commit.digest()).toString('hex'))
    for (const { digest } of commit.batches()) digests.add(encodeBase64(digest))
  }
  reader.close()
  return { commits, digests }
}

test.skipIf(problem !== undefined)(
  'a committee at IPv6 addresses, one authority of which is two processes, orders all that is certified through kill -9 of either',
  { timeout: 300_000 },
  async () => {
    const directory = temporaryDirectory()
    const path = (name: string): string => join(directory, name)
    const machines = new Namespaces(AUTHORITIES.length)
    onTestFinished(() => machines.close())
    const keys = AUTHORITIES.map(() => generateKeys())
    const entries = AUTHORITIES.map((index) => {
      const host = machines.address6(index)
      const at = (port: number): string => `[${host}]:${port}`
      const worker = {
        primary_to_worker: at(4002),
        transactions: at(4003),
        worker_to_worker: `/ip6/${host}/tcp/4004`,
      }
      const primary = { primary_to_primary: at(4000), worker_to_primary: at(4001) }
      return [keys[index]!.name, { stake: 1, primary, workers: { 0: worker } }] as const
    })
    writeFileSync(path('committee.json'), JSON.stringify({ authorities: Object.fromEntries(entries) }))
    for (const index of AUTHORITIES) {
      writeKeys(path(`keys-${index}`), keys[index]!)
      const fresh = [...NODE, 'fresh', '--keys', path(`keys-${index}`), '--store', path(`store-${index}`)]
      expect(spawnSync(process.execPath, fresh, { encoding: 'utf8' }).stderr).toBe('')
    }
    const start = (index: number, store: string, ...part: string[]): NodeRun =>
      new NodeRun(
        [
          ...['run', '--keys', path(`keys-${index}`), '--committee', path('committee.json'), '--store', store],
          ...['--benchmark', ...part],
        ],
        [...machines.within(index), process.execPath],
      )
    const primary = (): NodeRun => start(SPLIT, path(`store-${SPLIT}`), 'primary')
    const store = workerDirectory(path(`store-${SPLIT}`), 0)
    const worker = (): NodeRun => start(SPLIT, store, 'worker', '--id', '0', '--primary', 'narval')
    const whole = AUTHORITIES.slice(0, SPLIT).map((index) => start(index, path(`store-${index}`), 'authority'))
    const parts = [primary(), worker()]
    const logs = (): string => [...whole, ...parts].map(({ log }) => log.slice(-2_000)).join('\n')
    for (const run of [...whole, parts[1]!]) await run.says('Worker 0 successfully booted')

    const load = (index: number): NodeRun => {
      const target = `[${machines.address6(index)}]:4003`
      const args = ['client', target, '--size', '100', '--rate', '100']
      return new NodeRun(args, [...machines.within(index), process.execPath])
    }
    const clients = [load(0), load(SPLIT)]
    const certifiedBy = (runs: readonly NodeRun[]): string[] =>
      runs.flatMap(({ log }) => [...log.matchAll(CERTIFIED)].map(([, digest]) => digest!))
    /** The lines of an authority's batches: its worker says what is in them, its primary that they are certified. */
    const goesOn = async (run: NodeRun, text: string): Promise<void> => {
      const before = run.count(text)
      await until(
        () => `it says more of ${text}: ${logs()}`,
        () => run.count(text) > before + 2,
        60_000,
      )
    }
    await goesOn(parts[0]!, ' is certified')
    // Its primary is killed and comes back, while its worker goes on.
    await parts[0]!.kill()
    await goesOn(parts[1]!, ' contains ')
    parts.push(primary())
    await goesOn(parts[2]!, ' is certified')
    // Its worker is killed and comes back, under a new client.
    await parts[1]!.kill()
    await clients[1]!.ended
    parts.push(worker())
    await parts[3]!.says('Worker 0 successfully booted')
    clients.push(load(SPLIT))
    await goesOn(parts[2]!, ' is certified')
    for (const client of clients) await client.kill('SIGTERM')

    const certified = new Set(certifiedBy([...whole, ...parts]))
    expect(certified.size).toBeGreaterThan(9)
    for (const index of AUTHORITIES) {
      await until(
        () => `authority ${index} orders all ${certified.size}: ${logs()}`,
        () => {
          const { digests } = orderOf(path(`store-${index}`))
          return [...certified].every((digest) => digests.has(digest))
        },
        90_000,
      )
    }
    const orders = AUTHORITIES.map((index) => orderOf(path(`store-${index}`)).commits)
    const common = Math.min(...orders.map(({ length }) => length))
    for (const order of orders) expect(order.slice(0, common)).toEqual(orders[0]!.slice(0, common))
  },
)
