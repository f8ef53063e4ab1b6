/**
 * A committee on this machine, under load, measured: `narval local`.
 *
 * One process per worker, as a user would start them; one client process per worker; and in this process a stand-in for
 * each authority's primary. What it makes, it removes: processes, stores, keys.
 */

import { encodeBase64 } from '../../shared/crypto/public-key.js'
import { NarvalError } from '../../shared/errors.js'
import { EXIT_INTERRUPTED, watchSignals } from '../lib/signals.js'
import { aborted, sleep } from '../lib/sleep.js'
import { Clients } from './clients.js'
import { type LocalCommittee, makeCommittee } from './committee-files.js'
import { Family } from './family.js'
import { Latencies } from './latencies.js'
import { Ledger } from './ledger.js'
import { LOCAL_DRAIN_DEADLINE_MS, LOCAL_INTERRUPTED_DRAIN_DEADLINE_MS, LOCAL_ROUND_MS } from './limits.js'
import { LiveView } from './live-view.js'
import type { LogEvent } from './log-lines.js'
import type { ProcessUse } from './node-stats.js'
import { Nodes } from './nodes.js'
import { canCertify, type LocalOptions, quorumThreshold, startedWorkers, type WorkerName } from './options.js'
import { PrimaryStandIn } from './primary-stand-in.js'
import { type Measurement, toResult, windowS } from './result.js'
import { summary } from './summary.js'
import { Workspace } from './workspace.js'

const DRAIN_POLL_MS = 20

/**
 * Runs the committee until its time is over or somebody interrupts it.
 *
 * @returns the exit code of the process
 * @throws NarvalError when a file cannot be made, or a process fails to boot or dies
 */
export async function runLocal(options: LocalOptions): Promise<number> {
  const interrupt = watchSignals(() => process.exit(EXIT_INTERRUPTED))
  const family = new Family((line) => process.stderr.write(`${line}\n`))
  const workspace = Workspace.open(options.directory)
  // However this process ends, short of kill -9, nothing stays behind; after kill -9 the processes end by themselves.
  const clear = (): void => {
    family.kill()
    workspace.close(options.keep)
  }
  process.on('exit', clear)
  const run = new LocalRun(options, workspace, family)
  try {
    return await run.run(interrupt.signal)
  } finally {
    run.close()
    family.kill()
    await family.gone()
    clear()
    process.off('exit', clear)
    interrupt.dispose()
  }
}

class LocalRun {
  private readonly options: LocalOptions
  private readonly workspace: Workspace
  private readonly family: Family
  private readonly clients: Clients
  private readonly ledgers = new Map<string, Ledger>()
  private readonly primaries: PrimaryStandIn[] = []
  private rounds: NodeJS.Timeout | undefined
  private view: LiveView | undefined
  private lastCertifiedMs: number | undefined

  constructor(options: LocalOptions, workspace: Workspace, family: Family) {
    this.options = options
    this.workspace = workspace
    this.family = family
    this.clients = new Clients(options)
    for (const name of startedWorkers(options)) this.ledgers.set(keyOf(name), new Ledger())
  }

  async run(stop: AbortSignal): Promise<number> {
    const family = this.family
    const committee = await makeCommittee(this.options, this.workspace)
    await this.startPrimaries(committee)
    const nodes = new Nodes(this.options, committee, family)
    this.announce()
    nodes.start(this.workspace, (name, event) => this.onEvent(name, event))
    await family.orTrouble(nodes.ready(stop))
    if (stop.aborted) return this.abandon(nodes)
    this.startRounds()

    const useBefore = await family.orTrouble(nodes.use())
    this.clients.start(committee, this.workspace, family, (name, event) => this.onEvent(name, event))
    if (!this.options.json) {
      const { workers } = this.options
      this.view = new LiveView({ nodes, authorities: committee.names, workers, stream: process.stdout })
      this.view.start()
    }
    await family.orTrouble(Promise.race([this.clients.allStarted(), aborted(stop)]))
    await family.orTrouble(this.clients.load(stop))
    this.view?.stop()
    this.say('Clients have stopped; waiting for what is in flight.')
    await family.orTrouble(this.drain(stop))
    const useAfter = await family.orTrouble(nodes.use())

    clearInterval(this.rounds)
    family.expectEnd()
    const complaints = await nodes.stop()
    this.print(committee, this.measure(useBefore, useAfter))
    for (const complaint of complaints) process.stderr.write(`narval: ${complaint}\n`)
    return complaints.length === 0 ? 0 : 1
  }

  /** Lets go of listeners and timers; processes and files are the caller's. */
  close(): void {
    this.view?.stop()
    clearInterval(this.rounds)
    for (const primary of this.primaries) void primary.close()
  }

  private async startPrimaries(committee: LocalCommittee): Promise<void> {
    const { nodes, faults, workers } = this.options
    for (let authority = 0; authority < nodes - faults; authority++) {
      const primary = new PrimaryStandIn({
        workerToPrimary: committee.workerToPrimary(authority),
        primaryToWorkers: Array.from({ length: workers }, (_, worker) =>
          committee.primaryToWorker({ authority, worker }),
        ),
        onMessage: ({ type, digest, workerId }) => {
          if (type === 'OurBatch') this.onCertified({ authority, worker: workerId }, encodeBase64(digest))
        },
        onProblem: (error) =>
          this.family.fail(
            new NarvalError('ERR_CODEC', `a worker of authority ${authority} reported: ${error.message}`),
          ),
      })
      this.primaries.push(primary)
      await primary.listen()
    }
  }

  private startRounds(): void {
    let round = 0n
    this.rounds = setInterval(() => {
      round += 1n
      for (const primary of this.primaries) primary.cleanup(round)
    }, LOCAL_ROUND_MS)
  }

  private onCertified(name: WorkerName, digest: string): void {
    const ledger = this.ledgers.get(keyOf(name))
    if (ledger === undefined) {
      this.family.fail(new NarvalError('ERR_CODEC', `authority ${name.authority} has no worker ${name.worker}`))
      return
    }
    this.lastCertifiedMs = Date.now()
    ledger.reported(digest, this.lastCertifiedMs)
  }

  private onEvent(name: WorkerName, event: LogEvent): void {
    const ledger = this.ledgers.get(keyOf(name))!
    if (event.type === 'batch-contains') ledger.contains(event.digest, event.bytes)
    else if (event.type === 'batch-sample') ledger.containsSample(event.digest, event.sample)
    else if (event.type === 'sample-sent') ledger.sampleSent(event.sample, event.timeMs)
  }

  /** Waits until all that was sent is certified, or the deadline has passed. */
  private async drain(stop: AbortSignal): Promise<void> {
    if (!canCertify(this.options)) return
    const startMs = performance.now()
    const sentBytes = this.clients.sent * this.options.transactionBytes
    while (this.certifiedBytes() < sentBytes) {
      const limitMs = stop.aborted ? LOCAL_INTERRUPTED_DRAIN_DEADLINE_MS : LOCAL_DRAIN_DEADLINE_MS
      if (performance.now() - startMs > limitMs) return
      await sleep(DRAIN_POLL_MS)
    }
  }

  private certifiedBytes(): number {
    let bytes = 0
    for (const ledger of this.ledgers.values()) bytes += ledger.bytes
    return bytes
  }

  private measure(before: readonly ProcessUse[], after: readonly ProcessUse[]): Measurement {
    const latencies = new Latencies()
    let batches = 0
    for (const ledger of this.ledgers.values()) {
      latencies.add(ledger.latencies)
      batches += ledger.batches
    }
    const used = (pick: (use: ProcessUse) => number): number =>
      after.reduce((sum, use, index) => sum + pick(use) - pick(before[index]!), 0)
    return {
      firstStartMs: this.clients.firstStartMs,
      lastStopMs: this.clients.lastStopMs,
      lastCertifiedMs: this.lastCertifiedMs,
      certifiedBytes: this.certifiedBytes(),
      certifiedBatches: batches,
      sentTransactions: this.clients.sent,
      latencies,
      cpuUserS: used((use) => use.userS),
      cpuSystemS: used((use) => use.systemS),
      rssBytesMax: Math.max(...after.map((use) => use.rssBytesMax)),
    }
  }

  private print(committee: LocalCommittee, measurement: Measurement): void {
    const result = toResult(this.options, process.version, measurement)
    this.say(summary(this.options, committee.parameters, result, windowS(measurement)))
    if (this.options.json) process.stdout.write(`${JSON.stringify(result)}\n`)
  }

  private announce(): void {
    const { nodes, workers, rate, transactionBytes, faults, ackLevel } = this.options
    this.say(
      `A committee of ${nodes} with ${workers} worker(s) each, ${faults} left out, ACK level ${ackLevel}; ` +
        `${rate.toLocaleString('en-US')} tx/s of ${transactionBytes} B. Files in ${this.workspace.directory}`,
    )
    if (canCertify(this.options)) return
    this.say(`${nodes - faults} of ${nodes} are no quorum (${quorumThreshold(nodes)}): nothing will be certified.`)
  }

  /** Interrupted before there was anything to measure. */
  private async abandon(nodes: Nodes): Promise<number> {
    this.family.expectEnd()
    await nodes.stop()
    return EXIT_INTERRUPTED
  }

  /** Standard output is the result's alone where that is one line of JSON. */
  private say(text: string): void {
    const stream = this.options.json ? process.stderr : process.stdout
    stream.write(`${text}\n`)
  }
}

function keyOf({ authority, worker }: WorkerName): string {
  return `${authority}-${worker}`
}
