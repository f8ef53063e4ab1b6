/** The workers of all authorities, one each: they make batches, spread them, and say to their primary what they have. */
import { createHash } from 'node:crypto'
import type { BatchEntry } from '../../../src/shared/wire/primary/header.js'
import type { Commit, PayloadEntry } from '../../../src/threads/primary/consensus/types.js'
import type { WorkerRequest } from '../../../src/threads/primary/turn.js'
import { linkOf } from './schedule.js'
import type { AuthorityResult, Simulation } from './simulation.js'
import { batchName } from './store.js'

const FETCH_RETRY_MS = 200

export class SimulatedWorkers {
  /** Batches of which a quorum of workers has a copy, by name: what must be in the order in the end. */
  readonly certified = new Map<string, BatchEntry>()
  private readonly simulation: Simulation
  /** By authority: what its worker has on its disk, by digest. */
  private readonly stored: Map<string, BatchEntry>[]
  private readonly sequences: bigint[]
  /** By authority: what other workers themselves handed to its own, and is not known to be in the order, by name. */
  private readonly delivered: Map<string, BatchEntry>[]
  /** By authority: own batches that are certified and not known to be in the order. */
  private readonly uncommitted: Map<string, BatchEntry>[]
  /** By authority: what its worker has lost, by digest. */
  private readonly lost: Set<string>[]
  /** By name: when a batch was certified, and how long it took to its author's log. */
  private readonly times = new Map<
    string,
    { author: number; atMs: number; round: number; ms?: number; rounds?: number }
  >()

  constructor(simulation: Simulation) {
    this.simulation = simulation
    const { stakes } = simulation.schedule
    this.stored = stakes.map(() => new Map())
    this.uncommitted = stakes.map(() => new Map())
    this.delivered = stakes.map(() => new Map())
    this.sequences = stakes.map(() => 0n)
    this.lost = stakes.map(() => new Set())
  }

  /** A batch of this authority's worker: it reaches a quorum, and others later or never. */
  produce(author: number): void {
    const { schedule, clock } = this.simulation
    const { random, stakes } = schedule
    this.sequences[author]! += random() < 0.02 ? 5n : 1n
    const sequence = this.sequences[author]!
    const digest = createHash('sha256').update(`batch ${author} ${sequence}`).digest()
    const batch: BatchEntry = { digest: new Uint8Array(digest), author, worker: 0, sequence }
    const others = this.simulation.peersOf(author).filter((peer) => !schedule.dead.has(peer))
    others.sort(() => random() - 0.5)
    if (schedule.isSteady)
      others.sort((a, b) => linkOf(schedule, author, a).delayMs - linkOf(schedule, author, b).delayMs)
    const quorum = Math.floor((2 * stakes.reduce((sum, stake) => sum + stake, 0)) / 3) + 1
    let stake = stakes[author]!
    let atMs = clock.ms
    this.keep(author, batch)
    for (const other of others) {
      const isNeeded = stake < quorum
      if (!isNeeded && !schedule.isSteady && random() < 0.2) continue
      stake += stakes[other]!
      const link = linkOf(schedule, author, other)
      const delayMs = schedule.isSteady ? link.delayMs : random() * 4 * link.delayMs
      if (isNeeded) atMs = Math.max(atMs, clock.ms + delayMs + (schedule.isSteady ? link.delayMs : 0))
      clock.after(delayMs, () => this.keep(other, batch))
    }
    clock.at(atMs, () => {
      this.certified.set(batchName(batch), batch)
      this.uncommitted[author]!.set(batchName(batch), batch)
      const round = this.simulation.nodes[author]!.status?.quorumRound ?? 0
      this.times.set(batchName(batch), { author, atMs: clock.ms, round })
      this.simulation.nodes[author]!.handle({ type: 'own-batch', batch })
    })
  }

  /** Whether workers with a validity of the stake have a copy: one of them is honest. */
  isHeld({ digest, author, sequence }: PayloadEntry): boolean {
    const { stakes } = this.simulation.schedule
    const total = stakes.reduce((sum, stake) => sum + stake, 0)
    const key = Buffer.from(digest, 'latin1').toString('hex')
    let held = 0
    for (const [index, stored] of this.stored.entries()) {
      const batch = stored.get(key)
      if (batch?.author === author && batch.sequence === sequence) held += stakes[index]!
    }
    return held >= Math.floor((total + 2) / 3)
  }

  /** Whether this authority's own worker has it, or had it before its store was lost. */
  hadOrHas(authority: number, { digest }: PayloadEntry): boolean {
    const key = Buffer.from(digest, 'latin1').toString('hex')
    return this.stored[authority]!.has(key) || this.lost[authority]!.has(key)
  }

  /** What the others have made is lost; its own batches are in the primary's hands. */
  loseStore(authority: number): void {
    this.simulation.coverage.count('store of a worker lost')
    for (const [digest, batch] of this.stored[authority]!) {
      if (batch.author === authority) continue
      this.stored[authority]!.delete(digest)
      this.delivered[authority]!.delete(batchName(batch))
      this.lost[authority]!.add(digest)
    }
  }

  /** An authority's log has grown by these. */
  committed(authority: number, commits: readonly Commit[]): void {
    for (const { batches } of commits) {
      for (const batch of batches) {
        this.delivered[authority]!.delete(batchName(batch))
        const times = this.times.get(batchName(batch))
        if (times === undefined || times.author !== authority || times.ms !== undefined) continue
        times.ms = this.simulation.clock.ms - times.atMs
        times.rounds = (this.simulation.nodes[authority]!.status?.quorumRound ?? 0) - times.round
      }
    }
  }

  resultOf(authority: number): AuthorityResult {
    const all = [...this.times.values()].filter(({ author }) => author === authority)
    const ordered = all.filter(({ ms }) => ms !== undefined)
    const at = (share: number, values: number[]): number => {
      const sorted = values.sort((a, b) => a - b)
      return Math.round(10 * (sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? 0)) / 10
    }
    const ms = ordered.map((times) => times.ms!)
    return {
      certified: all.length,
      ordered: ordered.length,
      p50Ms: at(0.5, ms),
      p95Ms: at(0.95, ms),
      p50Rounds: at(
        0.5,
        ordered.map((times) => times.rounds!),
      ),
    }
  }

  /** The primary has started: it is told again what it may not know. */
  primaryStarted(authority: number): void {
    this.sayStore(authority)
    for (const batch of this.uncommitted[authority]!.values()) {
      this.simulation.nodes[authority]!.handle({ type: 'own-batch', batch })
    }
    for (const batch of this.delivered[authority]!.values()) {
      this.simulation.nodes[authority]!.handle({ type: 'others-batch', batch, isDelivered: true })
    }
  }

  sayStore(authority: number): void {
    this.simulation.nodes[authority]!.handle({ type: 'worker-store', worker: 0, storeId: new Uint8Array(16) })
  }

  request(authority: number, request: WorkerRequest): void {
    if (request.type === 'synchronize') {
      for (const digest of request.digests) this.fetch(authority, Buffer.from(digest).toString('hex'), 20)
      return
    }
    if (request.type !== 'committed') return
    for (const { batches } of request.commits) {
      for (const batch of batches) this.uncommitted[authority]!.delete(batchName(batch))
    }
  }

  private fetch(authority: number, digest: string, triesLeft: number): void {
    const { clock, nodes } = this.simulation
    const own = this.stored[authority]!.get(digest)
    const delayMs = own === undefined ? 2 * this.worstDelayMs(authority) : 1
    clock.after(delayMs, () => {
      const holder = nodes.findIndex(
        ({ index, isUp }) => isUp && this.simulation.isLinked(index, authority) && this.stored[index]!.has(digest),
      )
      const batch = own ?? this.stored[holder]?.get(digest)
      if (batch !== undefined) {
        this.stored[authority]!.set(digest, batch)
        const isDelivered =
          own === undefined ? holder === batch.author : this.delivered[authority]!.has(batchName(batch))
        if (isDelivered && batch.author !== authority) this.delivered[authority]!.set(batchName(batch), batch)
        if (batch.author !== authority) nodes[authority]!.handle({ type: 'others-batch', batch, isDelivered })
      } else if (triesLeft > 0) {
        clock.after(FETCH_RETRY_MS, () => this.fetch(authority, digest, triesLeft - 1))
      }
    })
  }

  /** Whoever has it may be the one that is farthest away. */
  private worstDelayMs(authority: number): number {
    const { schedule } = this.simulation
    return Math.max(
      schedule.delayMs,
      ...this.simulation.peersOf(authority).map((peer) => linkOf(schedule, peer, authority).delayMs),
    )
  }

  private keep(authority: number, batch: BatchEntry): void {
    this.stored[authority]!.set(Buffer.from(batch.digest).toString('hex'), batch)
    if (batch.author === authority) return
    this.delivered[authority]!.set(batchName(batch), batch)
    this.simulation.nodes[authority]!.handle({ type: 'others-batch', batch, isDelivered: true })
  }
}
