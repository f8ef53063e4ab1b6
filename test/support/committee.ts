/**
 * A committee of real worker processes over loopback, with a stand-in for each authority's primary in this process.
 * Everything that it started and made is gone when it is closed: that is checked.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { onTestFinished, vi } from 'vitest'
import { isExitMessage } from '../../src/main/cli/leave.js'
import { type Metrics, sumOf } from '../../src/main/local/metrics-text.js'
import { health, scrape } from '../../src/main/local/scrape.js'
import { type Committee, parseCommittee } from '../../src/shared/config/committee.js'
import { formatCommittee, localCommittee } from '../../src/shared/config/committee-file.js'
import { generateKeys, type Keys, writeKeys } from '../../src/shared/config/keys.js'
import { defaultParameters, formatParameters, type Parameters } from '../../src/shared/config/parameters.js'
import { v8FlagsFor } from '../../src/shared/runtime/v8-flags.js'
import { TestClient, TestLoad } from './client.js'
import { FakePrimary } from './fake-primary.js'
import { freePorts } from './free-ports.js'
import { processesWith } from './processes.js'
import { readStore, type StoredBatch } from './stores.js'

export const NODE_FILE = fileURLToPath(new URL('../../dist/node.js', import.meta.url))

/** Generous: the machine may be busy with much else. What is waited for usually takes a second. */
const DEADLINE_MS = 45_000
const POLL_MS = 25
/** Longer than the deadline of one wait, so that a test that fails says what it waited for. */
const TEST_TIMEOUT_MS = 120_000

vi.setConfig({ testTimeout: TEST_TIMEOUT_MS, hookTimeout: TEST_TIMEOUT_MS })

export interface TestCommitteeOptions {
  /** Authorities; 4 if not given. */
  readonly nodes?: number
  readonly parameters?: Partial<Parameters>
  /** Flags before `run`. */
  readonly verbosity?: string
}

const PARAMETERS: Partial<Parameters> = {
  ackLevel: 'stored',
  batchBytesMax: 50_000,
  maxBatchDelayMs: 20,
  syncRetryDelayMs: 500,
}

/** Waits until `probe` gives something that is neither `undefined` nor `false`. */
export async function until<T>(
  what: string,
  probe: () => T | Promise<T>,
  deadlineMs = DEADLINE_MS,
): Promise<Exclude<T, undefined | false>> {
  const endMs = performance.now() + deadlineMs
  for (;;) {
    const found = await probe()
    if (found !== undefined && found !== false) return found as Exclude<T, undefined | false>
    if (performance.now() > endMs) throw new Error(`not within ${deadlineMs} ms: ${what}`)
    await sleep(POLL_MS)
  }
}

/** One authority with its worker, its files and its primary. */
export class TestNode {
  /** Its index in the committee. */
  readonly index: number
  readonly keys: Keys
  readonly store: string
  readonly primary: FakePrimary
  readonly transactionsPort: number
  readonly workerPort: number
  readonly primaryToWorkerPort: number
  readonly metricsPort: number
  private readonly args: readonly string[]
  private readonly logFile: string
  /** For the environment of its next start. */
  environment: Readonly<Record<string, string>> = {}
  /** Where its next start listens. */
  bind = '127.0.0.1'
  /** How many files its next start may have open, if that is limited. */
  openFilesMax: number | undefined
  private child: ChildProcess | undefined
  private exited: Promise<{ code: number | null; signal: NodeJS.Signals | null }> | undefined

  constructor(options: {
    index: number
    keys: Keys
    committee: Committee
    directory: string
    metricsPort: number
    verbosity: string
  }) {
    const { committee, directory, index, keys } = options
    const worker = committee.worker(index, 0)
    this.index = index
    this.keys = keys
    this.store = join(directory, `.db-${index}-0`)
    this.logFile = join(directory, `worker-${index}.log`)
    this.transactionsPort = worker.transactions.port
    this.workerPort = worker.workerToWorker.port
    this.primaryToWorkerPort = worker.primaryToWorker.port
    this.metricsPort = options.metricsPort
    this.primary = new FakePrimary(committee.primary(index).workerToPrimary.port, worker.primaryToWorker.port)
    this.args = [
      ...v8FlagsFor(process.versions.node),
      NODE_FILE,
      options.verbosity,
      ...['run', '--keys', join(directory, `.node-${index}.json`)],
      ...['--committee', join(directory, '.committee.json'), '--parameters', join(directory, '.parameters.json')],
      ...['--store', this.store, '--metrics', `127.0.0.1:${options.metricsPort}`],
    ]
  }

  /** The authority's name, as it stands in stores. */
  get name(): string {
    return this.keys.name
  }

  get pid(): number | undefined {
    return this.child?.pid
  }

  get isRunning(): boolean {
    return this.child !== undefined
  }

  /** All that it has logged, over all its starts. */
  get log(): string {
    try {
      return readFileSync(this.logFile, 'utf8')
    } catch {
      return ''
    }
  }

  /** Starts the process on the same files as ever; resolves when it has booted. */
  async start(): Promise<void> {
    const bootsBefore = this.boots
    const log = openSync(this.logFile, 'a')
    // The channel tells it when this process is gone, however that ends.
    const command = [process.execPath, ...this.args, '--bind', this.bind, 'worker', '--id', '0']
    const limited = ['sh', '-c', `ulimit -n ${this.openFilesMax}; exec "$@"`, 'sh', ...command]
    const [file, ...args] = this.openFilesMax === undefined ? command : limited
    const child = spawn(file!, args, {
      stdio: ['ignore', log, log, 'ipc'],
      env: { ...process.env, NARVAL_CHILD: '1', ...this.environment },
    })
    closeSync(log)
    this.child = child
    let told: number | undefined
    child.on('message', (message) => {
      if (isExitMessage(message)) told = message.exitCode
    })
    this.exited = once(child, 'exit').then(async ([code, signal]) => {
      if (child.connected) await once(child, 'disconnect')
      if (this.child === child) this.child = undefined
      // A child whose threads ask for names tells its code, and kills itself.
      return told === undefined ? { code, signal } : { code: told, signal: null }
    })
    await until(`node ${this.index} has booted`, () => {
      if (!this.isRunning) throw new Error(`node ${this.index} ended while it booted: ${this.log}`)
      return this.boots > bootsBefore
    })
  }

  /** Waits until it has ended by itself; says how. */
  async ended(): Promise<{ code: number | null; signal: NodeJS.Signals | null }> {
    return (await this.exited) ?? { code: null, signal: null }
  }

  /** Asks it to stop, and waits until it has; says how it ended. */
  async stop(): Promise<{ code: number | null; signal: NodeJS.Signals | null }> {
    return this.signal('SIGTERM')
  }

  /** kill -9, and waits until it is gone. */
  async kill(): Promise<void> {
    await this.signal('SIGKILL')
  }

  /** Stops the process where it stands, as a machine that hangs would; `thaw` lets it go on. */
  freeze(): void {
    this.child?.kill('SIGSTOP')
  }

  thaw(): void {
    this.child?.kill('SIGCONT')
  }

  async client(): Promise<TestClient> {
    return TestClient.connect(this.transactionsPort)
  }

  /** Load from now on: `perTick` transactions of `bytes` every 20 ms. */
  load(perTick = 5, bytes = 512): TestLoad {
    return new TestLoad(this.transactionsPort, perTick, bytes)
  }

  /** Its metrics; waits for a node that is busy. */
  async metrics(): Promise<Metrics> {
    return until(
      `node ${this.index} answers for its metrics`,
      async () => (await scrape({ host: '127.0.0.1', port: this.metricsPort }))?.metrics,
    )
  }

  /** The sum of a metric over its labels, or over those that are as given. */
  async metric(name: string, labels: Readonly<Record<string, string>> = {}): Promise<number> {
    const metrics = await this.metrics()
    const wanted = Object.entries(labels)
    if (wanted.length === 0) return sumOf(metrics, name)
    const samples = (metrics.get(name) ?? []).filter((sample) =>
      wanted.every(([label, value]) => sample.labels[label] === value),
    )
    return samples.reduce((sum, { value }) => sum + value, 0)
  }

  async isHealthy(): Promise<boolean> {
    return (await health({ host: '127.0.0.1', port: this.metricsPort })).ok
  }

  readStore(): Promise<Map<string, StoredBatch>> {
    return readStore(this.store)
  }

  private get boots(): number {
    return this.log.split('successfully booted on').length - 1
  }

  private async signal(signal: NodeJS.Signals): Promise<{ code: number | null; signal: NodeJS.Signals | null }> {
    if (this.exited === undefined) return { code: null, signal: null }
    this.child?.kill(signal)
    return this.exited
  }
}

export class TestCommittee {
  /** In the order of the committee, so that their indices are those of the authorities. */
  readonly nodes: readonly TestNode[]
  readonly committee: Committee
  readonly parameters: Parameters
  readonly directory: string

  private constructor(directory: string, nodes: TestNode[], committee: Committee, parameters: Parameters) {
    this.directory = directory
    this.nodes = nodes
    this.committee = committee
    this.parameters = parameters
  }

  /** Makes all files and opens the primaries; starts no node. */
  static async make(options: TestCommitteeOptions = {}): Promise<TestCommittee> {
    const size = options.nodes ?? 4
    const directory = mkdtempSync(join(tmpdir(), 'narval-committee-'))
    const parameters: Parameters = { ...defaultParameters(), ...PARAMETERS, ...options.parameters }
    const keys = Array.from({ length: size }, generateKeys).sort((a, b) => Buffer.compare(a.publicKey, b.publicKey))
    const committeePorts = size * 5
    const portFirst = await freePorts(committeePorts + size)
    const names = keys.map(({ name }) => name)
    const file = localCommittee(names, 1, portFirst)
    const committee = parseCommittee(file, 'the committee under test')
    writeFileSync(join(directory, '.committee.json'), formatCommittee(file))
    writeFileSync(join(directory, '.parameters.json'), formatParameters(parameters))
    const nodes = keys.map((ownKeys, index) => {
      writeKeys(join(directory, `.node-${index}.json`), ownKeys)
      const metricsPort = portFirst + committeePorts + index
      const verbosity = options.verbosity ?? '-vv'
      return new TestNode({ index, keys: ownKeys, committee, directory, metricsPort, verbosity })
    })
    await Promise.all(nodes.map(({ primary }) => primary.open()))
    return new TestCommittee(directory, nodes, committee, parameters)
  }

  node(index: number): TestNode {
    return this.nodes[index]!
  }

  get running(): TestNode[] {
    return this.nodes.filter(({ isRunning }) => isRunning)
  }

  /** Starts these nodes, or all, and waits until all that run are connected with each other. */
  async start(...indices: number[]): Promise<void> {
    const starting = indices.length === 0 ? this.nodes : indices.map((index) => this.node(index))
    await Promise.all(starting.map((node) => node.start()))
    await this.connected()
  }

  /** Waits until every node that runs has a connection with every other that does. */
  async connected(): Promise<void> {
    const { running } = this
    await until(`all ${running.length} nodes are connected`, async () => {
      const counts = await Promise.all(running.map((node) => node.metric('narval_peer_connected')))
      return counts.every((count) => count >= running.length - 1)
    })
  }

  /** Waits until each of these digests was reported as another's batch to the primaries of the other running nodes. */
  async spread(author: TestNode, digests: Iterable<string>): Promise<void> {
    const others = this.running.filter((node) => node !== author)
    const wanted = [...digests]
    await until(`${wanted.length} batches of node ${author.index} are reported by the others`, () =>
      others.every(({ primary }) => wanted.every((digest) => primary.others.has(digest))),
    )
  }

  /** The last lines of every log, to see why a test failed. */
  describeLogs(): string {
    return this.nodes
      .map((node) => `--- node ${node.index}\n${node.log.trimEnd().split('\n').slice(-25).join('\n')}`)
      .join('\n')
  }

  /** Ends every process, closes the primaries and removes the files. */
  async close(): Promise<void> {
    await Promise.all(this.nodes.map((node) => node.kill()))
    await Promise.all(this.nodes.map(({ primary }) => primary.close()))
    const left = processesWith(this.directory)
    for (const pid of left) process.kill(pid, 'SIGKILL')
    rmSync(this.directory, { recursive: true, force: true, maxRetries: 5, retryDelay: 50 })
    if (left.length > 0) throw new Error(`processes were left: ${left.join(', ')}`)
    const problems = this.nodes.flatMap(({ primary }) => primary.problems)
    if (problems.length > 0) throw new Error(`a primary was sent what is no report: ${problems.join(', ')}`)
  }
}

/** A committee for the running test, closed when it ends; its logs are shown if it failed. */
export async function testCommittee(options: TestCommitteeOptions = {}): Promise<TestCommittee> {
  const committee = await TestCommittee.make(options)
  onTestFinished(async ({ task }) => {
    if (task.result?.state === 'fail') process.stderr.write(`${committee.describeLogs()}\n`)
    await committee.close()
  })
  return committee
}

/** A digest as the primary's messages carry it. */
export function digestBytes(name: string): Uint8Array {
  return new Uint8Array(Buffer.from(name, 'base64'))
}
