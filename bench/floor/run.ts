/**
 * Runs a floor: n node processes and, for the plain one, a client process for each; and measures them as `local`
 * measures the product: CPU of the nodes only, from the clients' start to the end of the draining.
 */
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { Latencies } from '../../src/main/local/latencies.js'
import type { Measurement } from '../../src/main/local/result.js'
import { DiskWrites } from '../lib/disk-writes.js'
import { makeWorkdir, removeWorkdir } from '../lib/workdir.js'
import { Child } from './child.js'
import type { Progress, Sent, Usage } from './messages.js'
import type { FloorOptions, NodeOptions } from './options.js'
import { type FloorResult, toFloorResult, transactionBytesOf } from './result.js'

const NODE_FILES = {
  plain: new URL('./node.js', import.meta.url),
  libp2p: new URL('./mesh-node.js', import.meta.url),
} as const
const CLIENT_FILE = new URL('./client.js', import.meta.url)
const DRAIN_DEADLINE_MS = 10_000
const DRAIN_POLL_MS = 20

/**
 * @param stop ends the run at once when it is aborted; whatever happens, no process and no store is left
 * @throws Error with one line when a process dies, and the signal's reason after an abort
 */
export async function runFloor(options: FloorOptions, stop: AbortSignal): Promise<FloorResult> {
  stop.throwIfAborted()
  const directory = makeWorkdir('floor')
  const run = new FloorRun(options, directory)
  const clear = (): void => {
    run.kill()
    removeWorkdir(directory)
  }
  process.on('exit', clear)
  const abort = (): void => run.fail(stop.reason as Error)
  stop.addEventListener('abort', abort)
  try {
    return await Promise.race([run.run(), run.trouble])
  } finally {
    stop.removeEventListener('abort', abort)
    run.kill()
    await run.gone()
    clear()
    process.off('exit', clear)
  }
}

class FloorRun {
  readonly trouble: Promise<never>
  private readonly options: FloorOptions
  private readonly directory: string
  private readonly nodes: Child[] = []
  private readonly clients: Child[] = []
  private reject!: (error: Error) => void

  constructor(options: FloorOptions, directory: string) {
    this.options = options
    this.directory = directory
    this.trouble = new Promise((_, reject) => {
      this.reject = reject
    })
    this.trouble.catch(() => {})
    const fail = (error: Error): void => this.fail(error)
    for (let index = 0; index < options.nodes; index++) {
      const own: NodeOptions = { ...options, store: join(directory, `db-${index}`) }
      this.nodes.push(new Child(`node-${index}`, NODE_FILES[options.kind], own, fail))
      if (options.kind === 'plain') this.clients.push(new Child(`client-${index}`, CLIENT_FILE, own, fail))
    }
  }

  async run(): Promise<FloorResult> {
    const startedMs = performance.now()
    await this.connect()
    const before = await this.usage()
    const writes = new DiskWrites(this.directory)
    const sent = await this.load()
    const progress = await this.drain(sum(sent, ({ bytes }) => bytes))
    const after = await this.usage()
    const elapsedS = (performance.now() - startedMs) / 1000
    return toFloorResult(this.options, this.measure(sent, progress, before, after), writes.bytes, elapsedS)
  }

  fail(error: Error): void {
    this.reject(error)
  }

  kill(): void {
    for (const child of [...this.nodes, ...this.clients]) child.kill()
  }

  async gone(): Promise<void> {
    await Promise.all([...this.nodes, ...this.clients].map((child) => child.exited))
  }

  private async connect(): Promise<void> {
    const open = (children: Child[]): Promise<string[]> =>
      Promise.all(children.map((child) => child.ask<string>({ type: 'open' })))
    const [peers, clients] = await Promise.all([open(this.nodes), open(this.clients)])
    // One after the other: libp2p then finds the connection that the other side has dialled.
    for (const [index, node] of this.nodes.entries()) {
      await node.ask({ type: 'connect', index, peers, client: clients[index] ?? '' })
    }
  }

  private usage(): Promise<Usage[]> {
    return Promise.all(this.nodes.map((node) => node.ask<Usage>({ type: 'usage' })))
  }

  /** What clients have sent, one entry for each; without clients, one for the nodes. */
  private async load(): Promise<Sent[]> {
    const startMs = Date.now()
    if (this.clients.length > 0) return Promise.all(this.clients.map((client) => client.ask<Sent>({ type: 'load' })))
    await Promise.all(this.nodes.map((node) => node.ask({ type: 'load' })))
    await sleep(this.options.durationS * 1000)
    await Promise.all(this.nodes.map((node) => node.ask({ type: 'stop' })))
    const progress = await this.progress()
    return [{ startMs, stopMs: Date.now(), bytes: sum(progress, ({ begunBytes }) => begunBytes) }]
  }

  /** Waits until all that was sent is certified, or the deadline has passed. */
  private async drain(sentBytes: number): Promise<Progress[]> {
    const deadlineMs = performance.now() + DRAIN_DEADLINE_MS
    for (;;) {
      const progress = await this.progress()
      const certifiedBytes = sum(progress, (node) => node.certifiedBytes)
      if (certifiedBytes >= sentBytes || performance.now() > deadlineMs) return progress
      await sleep(DRAIN_POLL_MS)
    }
  }

  private progress(): Promise<Progress[]> {
    return Promise.all(this.nodes.map((node) => node.ask<Progress>({ type: 'progress' })))
  }

  private measure(sent: Sent[], progress: Progress[], before: Usage[], after: Usage[]): Measurement {
    const { transactionBytes } = this.options
    const latencies = new Latencies()
    for (const { latenciesMs } of progress) for (const latencyMs of latenciesMs) latencies.record(latencyMs)
    const sentBytes = transactionBytesOf(
      sum(sent, ({ bytes }) => bytes),
      transactionBytes,
    )
    return {
      fromMs: Math.min(...sent.map(({ startMs }) => startMs)),
      lastStopMs: Math.max(...sent.map(({ stopMs }) => stopMs)),
      lastCertifiedMs: Math.max(...progress.map(({ lastCertifiedMs }) => lastCertifiedMs)),
      certifiedBytes: transactionBytesOf(
        sum(progress, ({ certifiedBytes }) => certifiedBytes),
        transactionBytes,
      ),
      certifiedBatches: sum(progress, ({ certifiedBatches }) => certifiedBatches),
      sentTransactions: Math.floor(sentBytes / transactionBytes),
      latencies,
      cpuUserS: sum(after, ({ userS }) => userS) - sum(before, ({ userS }) => userS),
      cpuSystemS: sum(after, ({ systemS }) => systemS) - sum(before, ({ systemS }) => systemS),
      rssBytesMax: Math.max(...after.map(({ rssBytesMax }) => rssBytesMax)),
    }
  }
}

function sum<Item>(items: readonly Item[], of: (item: Item) => number): number {
  return items.reduce((total, item) => total + of(item), 0)
}
