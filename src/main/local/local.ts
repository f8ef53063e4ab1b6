/**
 * A committee on this machine, under load, measured: `narval local`.
 *
 * One process for each authority, or for each of its parts, as a user would start it, with a consumer of its commits in it;
 * and one client process for each worker. What it makes, it removes: processes, stores, keys.
 */
import { quorumOf } from '../../shared/config/quorum.js'
import { NarvalError } from '../../shared/errors.js'
import { EXIT_INTERRUPTED, watchSignals } from '../lib/signals.js'
import { aborted, sleep } from '../lib/sleep.js'
import { Agreement, describeDifference } from './agreement.js'
import { type CommitteeMeasurement, referenceFigures, toAuthorityResult } from './authority-result.js'
import { Clients } from './clients.js'
import { type LocalCommittee, makeCommittee } from './committee-files.js'
import { Family } from './family.js'
import { Ledger } from './ledger.js'
import { LOCAL_DRAIN_DEADLINE_MS, LOCAL_INTERRUPTED_DRAIN_DEADLINE_MS } from './limits.js'
import { LiveView } from './live-view.js'
import type { LogEvent } from './log-lines.js'
import { MeasuredWindow } from './measured-window.js'
import type { ProcessUse } from './node-stats.js'
import { Nodes } from './nodes.js'
import { canCertify, type LocalOptions, startedAuthorities, type WorkerName } from './options.js'
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
  private readonly measured: MeasuredWindow
  private readonly ledger: Ledger
  private readonly agreement: Agreement
  private view: LiveView | undefined

  constructor(options: LocalOptions, workspace: Workspace, family: Family) {
    this.options = options
    this.workspace = workspace
    this.family = family
    this.clients = new Clients(options)
    this.measured = new MeasuredWindow(options.warmupS)
    this.ledger = new Ledger(startedAuthorities(options), this.measured)
    this.agreement = new Agreement(startedAuthorities(options), this.measured)
  }

  async run(stop: AbortSignal): Promise<number> {
    const family = this.family
    const committee = await makeCommittee(this.options, this.workspace)
    const nodes = new Nodes(this.options, committee, family)
    this.announce()
    nodes.start(this.workspace, (authority, event) => this.onNodeEvent(authority, event))
    await family.orTrouble(nodes.ready(stop))
    if (stop.aborted) return this.abandon(nodes)

    const useBefore = await family.orTrouble(nodes.use())
    this.clients.start(committee, this.workspace, family, (name, event) => this.onClientEvent(name, event))
    if (!this.options.json) this.startView(nodes, committee)
    await family.orTrouble(Promise.race([this.clients.allStarted(), aborted(stop)]))
    const usedFrom = this.useFrom(nodes, useBefore, stop)
    await family.orTrouble(this.clients.load(stop))
    this.view?.stop()
    if (stop.aborted && this.clients.firstStartMs === undefined) return this.abandon(nodes)
    this.say('Clients have stopped; waiting for what is in flight.')
    await family.orTrouble(this.drain(stop))
    const useAfter = await family.orTrouble(nodes.use())
    if (this.view !== undefined) await family.orTrouble(this.view.drawLast())

    family.expectEnd()
    const complaints = await nodes.stop()
    // All that they logged is here.
    this.print(committee, this.measure(await usedFrom, useAfter))
    const { difference } = this.agreement
    if (difference !== undefined) complaints.push(`the logs differ: ${describeDifference(difference)}`)
    for (const complaint of complaints) process.stderr.write(`narval: ${complaint}\n`)
    return complaints.length === 0 ? 0 : 1
  }

  /** Lets go of timers; processes and files are the caller's. */
  close(): void {
    this.view?.stop()
  }

  private startView(nodes: Nodes, { names }: LocalCommittee): void {
    const { agreement, ledger, options } = this
    this.view = new LiveView({ options, nodes, ledger, agreement, authorities: names, stream: process.stdout })
    this.view.start()
  }

  private onNodeEvent(authority: number, event: LogEvent): void {
    const { agreement, ledger } = this
    switch (event.type) {
      case 'batch-committed':
        ledger.committed(authority, event.digest, event.timeMs)
        break
      case 'batch-contains':
        ledger.contains(authority, event.digest, event.bytes)
        break
      case 'batch-sample':
        ledger.containsSample({ authority, worker: event.worker }, event.digest, event.sample)
        break
      case 'batch-certified':
        ledger.certified(event.digest, event.timeMs)
        break
      case 'batch-created':
        ledger.created(event.digest, event.timeMs)
        break
      case 'sample-read':
        ledger.sampleRead({ authority, worker: event.worker }, event.sample, event.timeMs)
        break
      case 'commit-read':
        this.orFail(() => agreement.read(authority, event.commit, event.timeMs))
        break
      case 'lines-lost':
        this.onLinesLost(`the authority ${authority}`, event.lines)
        break
    }
  }

  private onClientEvent(name: WorkerName, event: LogEvent): void {
    if (event.type === 'client-started') this.measured.start(event.timeMs)
    else if (event.type === 'sample-sent') this.ledger.sampleSent(name, event.sample, event.timeMs)
    else if (event.type === 'lines-lost') this.onLinesLost(`client-${name.authority}-${name.worker}`, event.lines)
  }

  /** What is measured by a log that is not whole would be wrong. */
  private onLinesLost(name: string, lines: number): void {
    this.family.fail(
      new NarvalError(
        'ERR_BUSY',
        `${lines} lines of the log of ${name} are lost, since this process did not read them in time: lower the --rate`,
      ),
    )
  }

  private orFail(step: () => void): void {
    try {
      step()
    } catch (error) {
      this.family.fail(error as Error)
    }
  }

  /** What the nodes had used when the measuring began. */
  private async useFrom(nodes: Nodes, atStart: ProcessUse[], stop: AbortSignal): Promise<ProcessUse[]> {
    const { warmupS } = this.options
    if (warmupS === 0) return atStart
    await sleep(warmupS * 1000, stop)
    return stop.aborted ? atStart : nodes.use()
  }

  /** Waits until all that was sent is read by all, or the deadline has passed. */
  private async drain(stop: AbortSignal): Promise<void> {
    if (!canCertify(this.options)) return
    const startMs = performance.now()
    const sentBytes = this.clients.sent * this.options.transactionBytes
    while (this.agreement.commonBytes < sentBytes) {
      const limitMs = stop.aborted ? LOCAL_INTERRUPTED_DRAIN_DEADLINE_MS : LOCAL_DRAIN_DEADLINE_MS
      if (performance.now() - startMs > limitMs) return
      await sleep(DRAIN_POLL_MS)
    }
  }

  private measure(before: readonly ProcessUse[], after: readonly ProcessUse[]): CommitteeMeasurement {
    const used = (pick: (use: ProcessUse) => number): number =>
      after.reduce((sum, use, index) => sum + pick(use) - pick(before[index]!), 0)
    this.ledger.finish()
    return {
      fromMs: this.measured.fromMs,
      lastStopMs: this.clients.lastStopMs,
      sentTransactions: this.clients.sent,
      ledger: this.ledger,
      agreement: this.agreement,
      cpuUserS: used((use) => use.userS),
      cpuSystemS: used((use) => use.systemS),
      rssBytesMax: Math.max(...after.map((use) => use.rssBytesMax)),
    }
  }

  private print({ parameters }: LocalCommittee, measurement: CommitteeMeasurement): void {
    const { agreement, options } = this
    const result = toAuthorityResult(options, process.version, measurement)
    const reference = referenceFigures(options, measurement)
    this.say(summary({ options, parameters, result, reference, agreement }))
    if (options.json) process.stdout.write(`${JSON.stringify(result)}\n`)
  }

  private announce(): void {
    const { nodes, workers, rate, transactionBytes, faults, ackLevel, rule, split } = this.options
    this.say(
      `A committee of ${nodes} with ${workers} worker(s) each${split ? ', each part a process' : ''}, ${faults} left out, rule ${rule}, ACK level ${ackLevel}; ` +
        `${rate.toLocaleString('en-US')} tx/s of ${transactionBytes} B. Files in ${this.workspace.directory}`,
    )
    if (canCertify(this.options)) return
    this.say(`${nodes - faults} of ${nodes} are no quorum (${quorumOf(nodes)}): nothing will be certified or ordered.`)
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
