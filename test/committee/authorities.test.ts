/** Four authorities as a user runs them: processes, clients over TCP, kill -9, and logs that are compared record by record. */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, openSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { parseCommittee } from '../../src/shared/config/committee.js'
import { formatCommittee, localCommittee } from '../../src/shared/config/committee-file.js'
import { readKeys } from '../../src/shared/config/keys.js'
import { v8FlagsFor } from '../../src/shared/runtime/v8-flags.js'
import { CommitLogReader } from '../../src/shared/store/primary/commit-log-reader.js'
import { transactions } from '../../src/shared/wire/batch.js'
import { TestClient } from '../support/client.js'
import { freePorts } from '../support/free-ports.js'
import { readStore } from '../support/stores.js'
import { temporaryDirectory } from '../support/temporary-directory.js'
import { numberOf } from '../support/transactions.js'
import { until } from '../support/until.js'

const NODE_FILE = new URL('../../dist/node.js', import.meta.url).pathname
const AUTHORITIES = [0, 1, 2, 3]
/** Four nodes that start together, on a machine that has other work. */
const BOOT_MS = 100_000

class AuthorityProcess {
  readonly store: string
  private readonly args: readonly string[]
  private readonly logFile: string
  private child: ChildProcess | undefined
  private ended: Promise<unknown> | undefined

  constructor(
    directory: string,
    index: number,
    readonly transactionsPort: number,
    metricsPort: number,
  ) {
    this.store = join(directory, `store-${index}`)
    this.logFile = join(directory, `log-${index}`)
    this.args = [
      ...v8FlagsFor(process.versions.node),
      ...[NODE_FILE, 'run', '--keys', join(directory, `keys-${index}.json`)],
      ...['--committee', join(directory, 'committee.json'), '--store', this.store, '--bind', '127.0.0.1'],
      ...['--metrics', `127.0.0.1:${metricsPort}`, 'authority'],
    ]
  }

  get log(): string {
    return readFileSync(this.logFile, 'utf8')
  }

  get primaryStore(): string {
    return join(this.store, 'primary')
  }

  async start(): Promise<void> {
    const log = openSync(this.logFile, 'a')
    const from = readFileSync(this.logFile, 'utf8').length
    const child = spawn(process.execPath, this.args, {
      stdio: ['ignore', log, log, 'ipc'],
      env: { ...process.env, NARVAL_CHILD: '1' },
    })
    closeSync(log)
    this.child = child
    this.ended = once(child, 'exit')
    await until(
      () => `it has booted: ${this.log}`,
      () => {
        if (child.exitCode !== null) throw new Error(`it ended: ${this.log}`)
        return this.log.slice(from).includes('worker 0: Worker 0 successfully booted')
      },
      BOOT_MS,
    )
  }

  async end(signal: NodeJS.Signals): Promise<void> {
    this.child?.kill(signal)
    await this.ended
  }
}

/** Keys and marks as a newcomer makes them, by the command line. */
async function committeeOfFour(): Promise<AuthorityProcess[]> {
  const directory = temporaryDirectory()
  const names = AUTHORITIES.map((index) => {
    const filename = join(directory, `keys-${index}.json`)
    const store = join(directory, `store-${index}`)
    const { status, stderr } = spawnSync(
      process.execPath,
      [NODE_FILE, 'generate_keys', '--filename', filename, '--store', store],
      { encoding: 'utf8' },
    )
    expect([status, stderr]).toEqual([0, ''])
    return readKeys(filename).name
  })
  const portFirst = await freePorts(24)
  const file = localCommittee(names, 1, portFirst)
  writeFileSync(join(directory, 'committee.json'), formatCommittee(file))
  const committee = parseCommittee(file)
  return AUTHORITIES.map((index) => {
    const own = committee.authorities.find(({ name }) => name === names[index])!
    return new AuthorityProcess(directory, index, own.workers.get(0)!.transactions.port, portFirst + 20 + index)
  })
}

interface Record {
  readonly index: number
  readonly digest: string
  readonly batches: readonly Uint8Array[]
}

function recordsOf(store: string): Record[] {
  const reader = new CommitLogReader(store)
  try {
    return Array.from(reader.commits(0), (commit) => ({
      index: commit.index,
      digest: Buffer.from(commit.digest()).toString('hex'),
      batches: Array.from(commit.batches(), ({ digest }) => digest),
    }))
  } finally {
    reader.close()
  }
}

/** The numbers of all transactions in the order of a log, with the bytes of the authority's own worker. */
async function numbersOf(node: AuthorityProcess): Promise<number[]> {
  const batches = await readStore(join(node.store, 'worker-0'))
  return recordsOf(node.primaryStore).flatMap(({ batches: digests }) =>
    digests.flatMap((digest) => {
      const batch = batches.get(Buffer.from(digest).toString('base64'))
      if (batch === undefined) throw new Error('an ordered batch is not there')
      return Array.from(transactions(batch.bytes), numberOf)
    }),
  )
}

test('four authorities agree record by record, and one that was killed catches up', async () => {
  const nodes = await committeeOfFour()
  onTestFinished(async () => {
    await Promise.all(nodes.map((node) => node.end('SIGKILL')))
  })
  await Promise.all(nodes.map((node) => node.start()))
  const clients = await Promise.all(nodes.map((node) => TestClient.connect(node.transactionsPort)))
  const sendAll = async (of: readonly TestClient[]): Promise<void> => {
    for (let turn = 0; turn < 20; turn += 1) for (const client of of) await client.send(25, 200)
  }
  const ordered = (node: AuthorityProcess, count: number): Promise<void> =>
    until(`${count} transactions are in its order`, async () => {
      const numbers = await numbersOf(node).catch(() => [])
      return numbers.length >= count
    })
  await sendAll(clients)
  for (const node of nodes) await ordered(node, 2_000)

  const following = spawn(process.execPath, [NODE_FILE, 'log', '--store', nodes[1]!.primaryStore, '--follow', '--json'])
  onTestFinished(() => void following.kill())
  let followed = ''
  following.stdout.setEncoding('utf8').on('data', (text: string) => {
    followed += text
  })

  await nodes[0]!.end('SIGKILL')
  await sendAll(clients.slice(1))
  await ordered(nodes[1]!, 3_500)
  await nodes[0]!.start()
  const late = await TestClient.connect(nodes[0]!.transactionsPort)
  await late.send(100, 200)
  for (const node of nodes) await ordered(node, 3_600)

  const logs = nodes.map(({ primaryStore }) => recordsOf(primaryStore))
  const length = Math.min(...logs.map((log) => log.length))
  expect(length).toBeGreaterThan(5)
  for (const log of logs) expect(log.slice(0, length)).toEqual(logs[0]!.slice(0, length))
  const sent = [...clients, late].flatMap((client) => client.sent)
  for (const node of nodes) {
    const numbers = await numbersOf(node)
    expect([...numbers].sort((a, b) => a - b)).toEqual([...sent].sort((a, b) => a - b))
  }
  await until('the log is followed', () => followed.split('\n').length > length)
  const lines = followed
    .split('\n')
    .slice(0, length)
    .map((line) => JSON.parse(line) as { digest: string })
  expect(lines.map(({ digest }) => digest)).toEqual(logs[1]!.slice(0, length).map(({ digest }) => digest))
  for (const client of [...clients, late]) client.destroy()
  await Promise.all(nodes.map((node) => node.end('SIGTERM')))
  for (const { log } of nodes) expect(log).toMatch(/Closed\n$/)
}, 300_000)
