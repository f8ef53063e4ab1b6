/**
 * The proof with real processes: four authorities under load, killed, stopped and started again at moments that follow from
 * a seed. After each round the load stops, and what was promised must have been kept:
 *
 * - the logs of all four are equal, record by record, and no record has changed since it was read first;
 * - each batch that a node's log has called certified, and each own batch that its store has, is in the order;
 * - no batch and no transaction is in it twice, and each is, byte for byte, in every authority's own store;
 * - no authority has signed two headers of one round, as far as any other has evidence of it;
 * - no process has ended by itself, and no log has an error in it.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { TestLoad } from '../client.js'
import { until } from '../until.js'
import type { AuthorityProcess } from './authority-process.js'
import { committeeOfFour } from './committee.js'
import {
  BatchNotHereError,
  batchReaderOf,
  evidenceOf,
  lastCommitOf,
  type OrderedRecord,
  ownBatchesOf,
  recordsOf,
} from './order-reader.js'
import { type Disturbance, planOf, type RoundPlan } from './plan.js'

/** How long a committee may take until it orders again: a node of it boots meanwhile, on a busy machine. */
const RESUME_MS = 300_000
const POLL_MS = 50
const TRANSACTION_BYTES = 200

export interface ProofOptions {
  readonly directory: string
  /** The executable. */
  readonly nodeFile: string
  readonly seed: number
  readonly rounds: number
  readonly kinds: readonly Disturbance[]
  /** How long an authority is stopped. */
  readonly freezeMs: number
  /** Transactions of each client every 20 ms. */
  readonly perTick: number
  /** Takes a line of the report. */
  readonly say: (line: string) => void
}

export interface ProofSummary {
  rounds: number
  kills: number
  freezes: number
  commits: number
  batches: number
  /** In the order, of those that were sent. */
  transactions: number
  sent: number
  /** Batches that were called certified, or found in their author's store. */
  promised: number
  /** By round: from the last start to the first new commit of every victim, in ms. */
  readonly resumedMs: number[]
}

export class Proof {
  readonly summary: ProofSummary = {
    rounds: 0,
    kills: 0,
    freezes: 0,
    commits: 0,
    batches: 0,
    transactions: 0,
    sent: 0,
    promised: 0,
    resumedMs: [],
  }
  private readonly options: ProofOptions
  private nodes: readonly AuthorityProcess[] = []
  private loads: readonly TestLoad[] = []
  /** Digests of the records, by index. */
  private readonly records: string[] = []
  /** By node: the last commit that was read. */
  private readonly read = new Map<AuthorityProcess, number>()
  /** By node: the batches whose bytes are to be looked for. */
  private readonly unread = new Map<AuthorityProcess, string[]>()
  private readonly ordered = new Set<string>()
  private readonly numbers = new Set<number>()
  private readonly promised = new Set<string>()

  constructor(options: ProofOptions) {
    this.options = options
  }

  /** Rejects with what was not kept. */
  async run(): Promise<ProofSummary> {
    const { directory, nodeFile, say } = this.options
    this.nodes = await committeeOfFour(directory, nodeFile)
    try {
      await Promise.all(this.nodes.map((node) => node.start()))
      for (const [number, round] of planOf(this.options).entries()) {
        say(`round ${number + 1}: ${textOf(round)}`)
        await this.round(round)
        say(`round ${number + 1}: ${await this.settle()}`)
      }
      await this.end()
      return this.summary
    } finally {
      await Promise.all(this.loads.map((load) => load.stop()))
      await Promise.all(this.nodes.map((node) => node.end('SIGKILL')))
    }
  }

  /** Leaves no process behind, not even one that is stopped, when the proof itself is to end at once. */
  kill(): void {
    for (const node of this.nodes) node.kill()
  }

  private async round(round: RoundPlan): Promise<void> {
    const { perTick } = this.options
    this.loads = this.nodes.map((node) => new TestLoad(node.transactionsPort, perTick, TRANSACTION_BYTES))
    await sleep(round.waitMs)
    const resumedMs = await (round.what === 'freeze' ? this.freeze(round) : this.killAndStart(round))
    this.summary.resumedMs.push(Math.round(resumedMs))
    this.summary.rounds += 1
    await Promise.all(this.loads.map((load) => load.stop()))
    for (const { sent } of this.loads) this.summary.sent += sent.length
    this.loads = []
  }

  /** Returns how long it took from the last start until all victims had ordered more than anybody had by then, in ms. */
  private async killAndStart(round: RoundPlan): Promise<number> {
    const victims = round.victims.map((index) => this.nodes[index]!)
    await Promise.all(
      victims.map(async (victim, n) => {
        await sleep(n * round.spreadMs)
        await this.killOne(victim)
      }),
    )
    await sleep(round.downMs)
    this.notePromises()
    await Promise.all(
      victims.map(async (victim, n) => {
        await sleep(round.startAfterMs[n]!)
        victim.spawn()
        if (n > 0 || round.killedAgainMs === undefined) return
        await sleep(round.killedAgainMs)
        await this.killOne(victim)
        victim.spawn()
      }),
    )
    const startedMs = performance.now()
    await this.resumed(victims)
    const tookMs = performance.now() - startedMs
    await Promise.all(victims.map((victim) => victim.booted()))
    return tookMs
  }

  private async killOne(victim: AuthorityProcess): Promise<void> {
    await victim.end('SIGKILL')
    this.summary.kills += 1
  }

  private async freeze({ victims }: RoundPlan): Promise<number> {
    const victim = this.nodes[victims[0]!]!
    victim.signal('SIGSTOP')
    this.summary.freezes += 1
    // What was on its way to the order when it stopped may still come: so not at once.
    await sleep(Math.min(this.options.freezeMs, 1_000))
    await this.resumed(this.nodes.filter((node) => node !== victim))
    await sleep(this.options.freezeMs)
    victim.signal('SIGCONT')
    const startedMs = performance.now()
    await this.resumed([victim])
    return performance.now() - startedMs
  }

  /** These order something new. */
  private async resumed(nodes: readonly AuthorityProcess[]): Promise<void> {
    const last = Math.max(...this.nodes.map(lastCommitOf))
    for (const node of nodes) {
      await until(
        () => `authority ${node.index} orders more than ${last} commits; it has ${lastCommitOf(node)}`,
        async () => {
          this.checkProcesses()
          if (lastCommitOf(node) > last) return true
          await sleep(POLL_MS)
          return false
        },
        RESUME_MS,
      )
    }
  }

  /** Without load: waits until all that was promised is in the order of all, and looks at everything. */
  private async settle(): Promise<string> {
    const { summary } = this
    const before = summary.transactions
    this.notePromises()
    await until(
      () => `all that was promised is in the order of all: ${this.missing()}`,
      async () => {
        this.checkProcesses()
        for (const node of this.nodes) this.readOn(node)
        if (this.missing() === '') return true
        await sleep(POLL_MS)
        return false
      },
      RESUME_MS,
    )
    this.checkProcesses()
    this.checkEvidence()
    summary.commits = this.records.length
    summary.batches = this.ordered.size
    summary.transactions = this.numbers.size
    summary.promised = this.promised.size
    const transactions = summary.transactions - before
    return `orders again after ${summary.resumedMs.at(-1)} ms; ${summary.commits} commits, ${transactions} transactions more, nothing lost, nothing twice`
  }

  /** What is not as it has to be yet. */
  private missing(): string {
    const { length } = this.records
    const behind = this.nodes.filter((node) => (this.read.get(node) ?? 0) < length)
    const away = this.nodes.filter((node) => this.unread.get(node)!.length > 0)
    const lost = [...this.promised].filter((digest) => !this.ordered.has(digest))
    return [
      ...behind.map(({ index }) => `authority ${index} is behind`),
      ...away.map((node) => `authority ${node.index} has not got ${this.unread.get(node)!.length} batches`),
      ...(lost.length > 0 ? [`${lost.length} certified batches are not ordered, ${lost[0]} for example`] : []),
    ].join('; ')
  }

  /** Takes the records that are new at an authority, and looks for the bytes of their batches. */
  private readOn(node: AuthorityProcess): void {
    const records = recordsOf(node, this.read.get(node))
    const unread = this.unread.get(node) ?? []
    this.unread.set(node, unread)
    for (const record of records) {
      this.take(record, node)
      unread.push(...record.batches)
      this.read.set(node, record.index)
    }
    const batches = batchReaderOf(node)
    try {
      for (let digest = unread[0]; digest !== undefined; digest = unread[0]) {
        this.count(batches.numbers(digest), node)
        unread.shift()
      }
    } catch (error) {
      if (!(error instanceof BatchNotHereError)) throw error
    } finally {
      batches.close()
    }
  }

  private take({ batches, digest, index }: OrderedRecord, node: AuthorityProcess): void {
    const known = this.records[index - 1]
    if (known !== undefined) {
      if (known !== digest) throw new Error(`authority ${node.index} has another commit ${index} than others have`)
      return
    }
    if (index !== this.records.length + 1) throw new Error(`authority ${node.index} has no commit ${index - 1}`)
    this.records.push(digest)
    for (const batch of batches) {
      if (this.ordered.has(batch)) throw new Error(`batch ${batch} is in the order twice: once more in commit ${index}`)
      this.ordered.add(batch)
    }
  }

  /** All have the same order of the same batches: the numbers are counted where it is read first. */
  private count(numbers: readonly number[], node: AuthorityProcess): void {
    if (node !== this.nodes[0]) return
    for (const number of numbers) {
      if (this.numbers.has(number)) throw new Error(`transaction ${number} is in the order twice`)
      this.numbers.add(number)
    }
  }

  /** What nodes have called certified, or stored as their own, must be in the order. */
  private notePromises(): void {
    for (const node of this.nodes) {
      for (const line of node.newLines()) {
        const [, digest] = /\bBatch (\S+) is certified$/.exec(line) ?? []
        if (digest !== undefined) this.promised.add(digest)
        else if (/ ERROR |Assert|Uncaught|Unhandled/.test(line)) throw new Error(`authority ${node.index}: ${line}`)
      }
      for (const digest of ownBatchesOf(node)) this.promised.add(digest)
    }
  }

  private checkProcesses(): void {
    const ends = this.nodes.flatMap(({ ownEnds }) => ownEnds)
    if (ends.length > 0) throw new Error(ends.join('; '))
  }

  private checkEvidence(): void {
    for (const node of this.nodes) {
      const [second] = evidenceOf(node)
      if (second === undefined) continue
      throw new Error(
        `evidence of ${node.index} against authority ${second.accused}: ${second.kind} of round ${second.round}`,
      )
    }
  }

  /** All logs once more from their beginning, and an orderly end. */
  private async end(): Promise<void> {
    for (const node of this.nodes) {
      const code = await node.end('SIGTERM')
      if (code !== 0) throw new Error(`authority ${node.index} ended with ${code} when it was asked to end`)
      for (const record of recordsOf(node)) this.take(record, node)
    }
    this.notePromises()
    this.checkProcesses()
  }
}

function textOf({ downMs, killedAgainMs, spreadMs, startAfterMs, victims, waitMs, what }: RoundPlan): string {
  const at = `${what} of ${victims.join(', ')} after ${waitMs} ms`
  if (what === 'freeze') return at
  const again = killedAgainMs === undefined ? '' : `, ${victims[0]} killed again ${killedAgainMs} ms after its start`
  return `${at}, ${spreadMs} ms apart, down for ${downMs} ms, started after ${startAfterMs.join(', ')} ms${again}`
}
