/**
 * Four real worker processes with their clients and stand-ins for their primaries. It measures from a client's sending of
 * a sample transaction to the arrival of its batch's `OurBatch` at the primary.
 */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Logger } from '../../src/main/lib/log.js'
import { sleep } from '../../src/main/lib/sleep.js'
import { Child } from '../../src/main/local/child.js'
import { runLoadClient } from '../../src/main/local/load/load-client.js'
import { parseLogLine } from '../../src/main/local/log-lines.js'
import { type Metrics, sumOf } from '../../src/main/local/metrics-text.js'
import { freePorts } from '../../src/main/local/ports.js'
import { scrape } from '../../src/main/local/scrape.js'
import { type Committee, parseCommittee } from '../../src/shared/config/committee.js'
import { formatCommittee, localCommittee } from '../../src/shared/config/committee-file.js'
import { generateKeys, writeKeys } from '../../src/shared/config/keys.js'
import { defaultParameters, formatParameters, type Parameters } from '../../src/shared/config/parameters.js'
import { encodeBase64 } from '../../src/shared/crypto/public-key.js'
import { v8FlagsFor } from '../../src/shared/runtime/v8-flags.js'
import { NODE_FILE } from '../flame/committee.js'
import { PrimaryStandIn } from './primary-stand-in.js'
import type { Target } from './protocol.js'

/** Workers that run. */
export const WORKERS = 4
const BOOT_DEADLINE_MS = 60_000
const STOP_DEADLINE_MS = 10_000
const POLL_MS = 20
/** Own batches whose digests are remembered, with their bytes: an attacker asks for some. */
const DIGESTS_KEPT = 4_096

export interface CommitteeOptions {
  readonly directory: string
  /** Authorities: four whose workers run, and one more if the attacker is a member. */
  readonly authorities: number
  readonly rate: number
  readonly transactionBytes: number
  readonly parameters: Partial<Parameters>
}

/** A sample transaction that is certified. */
export interface Sample {
  readonly node: number
  readonly sentMs: number
  readonly certifiedMs: number
}

interface WorkerProcess {
  child: Child
  boots: number
  readonly primary: PrimaryStandIn
  readonly metrics: { readonly host: string; readonly port: number }
}

export class AttackedCommittee {
  readonly committee: Committee
  readonly parameters: Parameters
  readonly samples: Sample[] = []
  /** Own batches of the victim that are reported: digest and bytes of transactions. */
  readonly victimBatches = new Map<string, number>()
  readonly committeeFile: string
  /** The key of the member that is the attacker, or of a stranger. */
  readonly attackerKeysFile: string
  private readonly options: CommitteeOptions
  private readonly workers: WorkerProcess[] = []
  private readonly stopLoad = new AbortController()
  private readonly loads: Promise<unknown>[] = []
  /** By node and number of the sample. */
  private readonly sentMs = new Map<string, number>()
  private readonly samplesOf = new Map<string, string[]>()
  private readonly reportedMs = new Map<string, number>()
  private readonly bytesOf = new Map<string, number>()

  private constructor(options: CommitteeOptions, committee: Committee, parameters: Parameters, metricsPort: number) {
    this.options = options
    this.committee = committee
    this.parameters = parameters
    this.committeeFile = join(options.directory, 'committee.json')
    this.attackerKeysFile = join(options.directory, `keys-${WORKERS}.json`)
    for (let node = 0; node < WORKERS; node += 1) {
      const primary = new PrimaryStandIn({
        workerToPrimary: committee.primary(node).workerToPrimary,
        primaryToWorkers: [],
        onMessage: ({ type, digest }) => {
          if (type === 'OurBatch') this.onReported(node, encodeBase64(digest))
        },
        onProblem: () => {},
      })
      const metrics = { host: '127.0.0.1', port: metricsPort + node }
      this.workers.push({ child: undefined as unknown as Child, boots: 0, primary, metrics })
    }
  }

  /** Makes the files, starts everything, and resolves when what the clients send is certified. */
  static async start(options: CommitteeOptions): Promise<AttackedCommittee> {
    const { authorities, directory } = options
    const keys = Array.from({ length: authorities }, generateKeys).sort((a, b) =>
      Buffer.compare(a.publicKey, b.publicKey),
    )
    const portFirst = await freePorts(authorities * 5 + WORKERS)
    const file = localCommittee(
      keys.map(({ name }) => name),
      1,
      portFirst,
    )
    const committee = parseCommittee(file, 'the committee under attack')
    const parameters = {
      ...defaultParameters(),
      maxBatchDelayMs: 10,
      ackLevel: 'stored' as const,
      ...options.parameters,
    }
    writeFileSync(join(directory, 'committee.json'), formatCommittee(file))
    writeFileSync(join(directory, 'parameters.json'), formatParameters(parameters))
    for (const [index, each] of [...keys, generateKeys()].entries())
      writeKeys(join(directory, `keys-${index}.json`), each)
    const attacked = new AttackedCommittee(options, committee, parameters, portFirst + authorities * 5)
    try {
      await attacked.boot()
    } catch (error) {
      await attacked.close()
      throw error
    }
    return attacked
  }

  /** Where the workers listen, the victim first. */
  get targets(): Target[] {
    return this.workers.map((_, node) => {
      const { primaryToWorker, transactions, workerToWorker } = this.committee.worker(node, 0)
      return {
        publicKey: this.committee.authorities[node]!.name,
        workerPort: workerToWorker.port,
        transactionsPort: transactions.port,
        primaryToWorkerPort: primaryToWorker.port,
      }
    })
  }

  async metrics(node: number): Promise<Metrics> {
    const found = await scrape(this.workers[node]!.metrics)
    return found?.metrics ?? new Map()
  }

  /** kill -9, and the start of the same worker again. Resolves with the ms from its boot to its connection with the victim. */
  async restart(node: number): Promise<number> {
    const worker = this.workers[node]!
    const before = sumOf(await this.metrics(0), 'narval_peer_connected')
    worker.child.kill('SIGKILL')
    await worker.child.exited
    await this.until(async () => sumOf(await this.metrics(0), 'narval_peer_connected') < before, 'the victim lost it')
    const boots = worker.boots
    worker.child = this.spawn(node)
    await this.until(() => worker.boots > boots, 'it boots')
    const bootedMs = performance.now()
    await this.until(async () => sumOf(await this.metrics(0), 'narval_peer_connected') >= before, 'it is back')
    return performance.now() - bootedMs
  }

  async close(): Promise<void> {
    this.stopLoad.abort()
    await Promise.allSettled(this.loads)
    await Promise.all(this.workers.map(({ child }) => child?.stop(STOP_DEADLINE_MS)))
    await Promise.all(this.workers.map(({ primary }) => primary.close()))
  }

  private async boot(): Promise<void> {
    await Promise.all(this.workers.map(({ primary }) => primary.listen()))
    for (const [node, worker] of this.workers.entries()) worker.child = this.spawn(node)
    await this.until(() => this.workers.every(({ boots }) => boots > 0), 'all boot')
    await this.until(async () => {
      const counts = await Promise.all(this.workers.map((_, node) => this.metrics(node)))
      return counts.every((metrics) => sumOf(metrics, 'narval_peer_connected') === WORKERS - 1)
    }, 'all are connected')
    for (let node = 0; node < WORKERS; node += 1) this.load(node)
    await this.until(() => new Set(this.samples.map((it) => it.node)).size === WORKERS, 'all certify')
  }

  private spawn(node: number): Child {
    const { directory } = this.options
    const worker = this.workers[node]!
    const file = (name: string): string => join(directory, name)
    return new Child({
      name: `worker-${node}`,
      args: [
        ...v8FlagsFor(process.versions.node),
        NODE_FILE,
        ...['run', '--keys', file(`keys-${node}.json`), '--committee', file('committee.json')],
        ...['--parameters', file('parameters.json'), '--store', file(`store-${node}`), '--benchmark'],
        ...['--metrics', `127.0.0.1:${worker.metrics.port}`, '--bind', '127.0.0.1', 'worker', '--id', '0'],
      ],
      logFile: file(`worker-${node}.log`),
      onLine: (line) => {
        const event = parseLogLine(line)
        if (event?.type === 'worker-booted') worker.boots += 1
        else if (event?.type === 'batch-sample') this.onSample(node, event.digest, event.sample)
        else if (event?.type === 'batch-contains' && node === 0) this.bytesOf.set(event.digest, event.bytes)
        return true
      },
    })
  }

  private load(node: number): void {
    const { rate, transactionBytes } = this.options
    const info = (text: string): void => {
      const sample = /^Sending sample transaction (\d+)$/.exec(text)?.[1]
      if (sample !== undefined) this.sentMs.set(`${node} ${sample}`, performance.now())
    }
    const log: Logger = { error() {}, warn() {}, info, debug() {}, trace() {} }
    const target = { host: '127.0.0.1', port: this.committee.worker(node, 0).transactions.port }
    const options = { target, transactionBytes, rate: rate / WORKERS, nodes: [target] }
    // A restarted worker closes its client: the victim's go on.
    this.loads.push(runLoadClient(options, { log, stop: this.stopLoad.signal }).catch(() => {}))
  }

  private onSample(node: number, digest: string, sample: number): void {
    const name = `${node} ${sample}`
    const samples = this.samplesOf.get(digest)
    if (samples === undefined) this.samplesOf.set(digest, [name])
    else samples.push(name)
    // The log and the report come by different ways.
    this.settle(node, digest)
  }

  private onReported(node: number, digest: string): void {
    if (!this.reportedMs.has(digest)) this.reportedMs.set(digest, performance.now())
    if (node === 0 && this.victimBatches.size < DIGESTS_KEPT) {
      this.victimBatches.set(digest, this.bytesOf.get(digest) ?? 0)
    }
    this.settle(node, digest)
  }

  private settle(node: number, digest: string): void {
    const certifiedMs = this.reportedMs.get(digest)
    const names = this.samplesOf.get(digest)
    if (certifiedMs === undefined || names === undefined) return
    for (const name of names.splice(0)) {
      const sentMs = this.sentMs.get(name)
      if (sentMs !== undefined && this.sentMs.delete(name)) this.samples.push({ node, sentMs, certifiedMs })
    }
  }

  private async until(condition: () => boolean | Promise<boolean>, what: string): Promise<void> {
    const endMs = performance.now() + BOOT_DEADLINE_MS
    while (!(await condition())) {
      const dead = this.workers.find(({ child }) => child !== undefined && !child.isRunning)
      if (dead !== undefined) throw new Error(`${dead.child.name} ended: ${dead.child.tail.join('; ')}`)
      if (performance.now() > endMs) throw new Error(`not within ${BOOT_DEADLINE_MS / 1000} s: ${what}`)
      await sleep(POLL_MS)
    }
  }
}
