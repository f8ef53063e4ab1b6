/**
 * A committee in one thread and in no time: the product's own primaries under a virtual clock, with a network, stores and
 * workers that a seed makes misbehave. The same seed is the same run, message by message.
 *
 * It fails when the order forks, a batch is in it twice or never, an authority stops, an honest authority signs two headers
 * or votes in one place or sends what is not durable, two honest ones sign different checkpoints of one commit, or nothing is
 * ordered or attested any more after all is healed.
 */

import { NarvalError } from '../../../src/shared/errors.js'
import { kindOf } from '../../../src/shared/wire/primary/record.js'
import { decodeVote, type Vote } from '../../../src/shared/wire/primary/vote.js'
import { Records } from '../../../src/threads/primary/records.js'
import { SecondCertificates } from './byzantine.js'
import { VirtualClock } from './clock.js'
import { Coverage, type Happened } from './coverage.js'
import { SimulatedNode } from './node.js'
import { Observer, SimulationFailure } from './observer.js'
import { type Byzantine, type Freeze, linkOf, type Schedule, scheduleOf } from './schedule.js'
import { SimulatedWorkers } from './workers.js'

export const COMMITTEE_DIGEST = new Uint8Array(32).fill(0xcc)
export const UNIX_MS = 1_790_000_000_000
/** How often it is looked whether they are, in ms. */
const LOOK_EVERY_MS = 20
/** Liars that send other headers than their own primary has made: the votes for these are collected for them. */
const ALTERING: readonly Byzantine[] = ['equivocates', 'lies-about-payload', 'claims']
/** Old messages that a liar can send again. */
const HEARD_MAX = 500

export interface SimulationResult {
  readonly commits: number
  readonly batches: number
  readonly messages: number
  readonly crashes: number
  /** From healing until everything was ordered everywhere. */
  readonly healedMs: number
  readonly verified: number
  readonly signed: number
  /** Until healing. */
  readonly rounds: number
  readonly evidence: number
  /** Of each process that was stopped: how it came back. */
  readonly back: readonly Back[]
  /** By authority. */
  readonly authorities: readonly AuthorityResult[]
  /** Which faults there were, and what came of them, by how often. */
  readonly happened: Happened
}

export interface Back {
  readonly authority: number
  /** Until it had the rounds and the order that the others had then. */
  readonly afterMs: number
  /** Rounds that the others had made without it. */
  readonly rounds: number
  /** Headers that it made meanwhile. */
  readonly headers: number
}

/** What became of an authority's own batches until healing, by its own log. */
export interface AuthorityResult {
  readonly certified: number
  readonly ordered: number
  /** From being certified by the workers to being in the author's log: half of them took no longer, and 95 of 100. */
  readonly p50Ms: number
  readonly p95Ms: number
  /** The same in rounds. */
  readonly p50Rounds: number
}

export class Simulation {
  readonly schedule: Schedule
  readonly clock = new VirtualClock()
  readonly nodes: SimulatedNode[]
  readonly workers: SimulatedWorkers
  readonly observer: Observer
  readonly coverage = new Coverage()
  readonly records: Records
  readonly heard: Uint8Array[] = []
  isHealed = false
  storeIsLost = false
  private readonly seconds: ReadonlyMap<number, SecondCertificates>
  private readonly linked = new Set<string>()
  /** Stopped for so long that their streams have ended. */
  private readonly cutOff = new Set<number>()
  private groups: readonly number[]
  /** By authority: how many of what is ordered its worker is known to have. Nothing is ever deleted. */
  private readonly heldOfOrder: number[]
  private readonly back: Back[] = []
  private messages = 0
  /** By sender and receiver: when the last of the messages on their way comes. */
  private readonly latestMs = new Map<number, number>()

  constructor(schedule: Schedule) {
    this.schedule = schedule
    const { stakes, byzantine } = schedule
    this.groups = stakes.map(() => 0)
    this.heldOfOrder = stakes.map(() => 0)
    this.records = new Records(COMMITTEE_DIGEST, stakes.length)
    this.workers = new SimulatedWorkers(this)
    const isBlind = schedule.sabotage?.isBlindTo === 'disk'
    this.observer = new Observer(this.records, stakes.length, (batch) => this.workers.isHeld(batch), isBlind)
    this.nodes = stakes.map((_, index) => new SimulatedNode(this, index))
    const liars = [...byzantine].filter(([, kind]) => ALTERING.includes(kind))
    this.seconds = new Map(liars.map(([index]) => [index, new SecondCertificates(this, this.nodes[index]!)]))
  }

  get random(): () => number {
    return this.schedule.random
  }

  run(): SimulationResult {
    const { clock, schedule, nodes, observer, workers } = this
    for (const node of nodes) {
      const diesAtMs = schedule.dead.get(node.index)
      if (diesAtMs !== 0) clock.at(schedule.random() * 50, () => node.start())
      if (diesAtMs !== undefined) clock.at(diesAtMs, () => node.die())
    }
    this.schedulePartitions()
    for (const freeze of schedule.frozen ?? []) this.scheduleFreeze(freeze)
    this.scheduleBatches()
    this.countSchedule()
    if (schedule.losesStore) {
      const { authority } = schedule.losesStore
      clock.at(schedule.chaosMs * 0.3, () => nodes[authority]!.keepBackup())
      clock.at(
        schedule.chaosMs * (0.4 + 0.5 * schedule.random()),
        () => nodes[authority]!.isUp && nodes[authority]!.crash(),
      )
    }
    if (schedule.allCrashAtMs !== undefined) {
      clock.at(schedule.allCrashAtMs, () => {
        this.coverage.count('crash of all at once')
        for (const node of nodes) if (node.isUp) node.crash()
      })
    }
    if (schedule.byzantine.size > 0) {
      const [liar] = schedule.byzantine.keys()
      clock.at(schedule.chaosMs * 0.6, () => nodes[liar!]!.isUp && nodes[liar!]!.crash())
    }
    if (schedule.losesWorkerStore !== undefined) {
      const { authority, atMs } = schedule.losesWorkerStore
      clock.at(atMs, () => workers.loseStore(authority))
    }
    while (clock.ms < schedule.chaosMs) this.step()
    const authorities = nodes.map(({ index }) => workers.resultOf(index))
    const rounds = Math.max(...nodes.map(({ status }) => status?.round ?? 0))
    this.heal()
    const commitsBefore = observer.commits
    const untilMs = clock.ms + schedule.healingMsMax
    for (let nextLookMs = clock.ms; ; ) {
      if (clock.ms >= nextLookMs) {
        if (this.isDone(commitsBefore)) break
        nextLookMs = clock.ms + LOOK_EVERY_MS
      }
      if (clock.ms > untilMs) throw new SimulationFailure(this.whatIsMissing())
      this.step()
    }
    for (const node of nodes) node.checkEvidence()
    return this.result(authorities, rounds)
  }

  peersOf(index: number): number[] {
    return this.nodes.map((node) => node.index).filter((peer) => peer !== index)
  }

  isLinked(a: number, b: number): boolean {
    return a === b || this.linked.has(`${Math.min(a, b)} ${Math.max(a, b)}`)
  }

  /** Nodes went up or down, or parts of the network apart or together: those concerned hear of it. */
  linksChanged(): void {
    for (const a of this.nodes) {
      for (const b of this.nodes.slice(a.index + 1)) {
        const key = `${a.index} ${b.index}`
        const isLinked = a.isUp && b.isUp && this.groups[a.index] === this.groups[b.index]
        if (isLinked === this.linked.has(key)) continue
        if (isLinked) this.linked.add(key)
        else this.linked.delete(key)
        this.tellOfLink(a, b)
        this.tellOfLink(b, a)
      }
    }
  }

  send(from: SimulatedNode, to: number, bytes: Uint8Array): void {
    const { schedule, clock, random } = this
    if (kindOf(bytes) === 'range-request') this.coverage.count('certificates fetched by range')
    if (from.isHonest) this.observer.sent(from.index, bytes, from.store)
    this.seconds.get(from.index)?.sent(bytes)
    if (schedule.byzantine.size > 0 && this.heard.length < HEARD_MAX) this.heard.push(bytes)
    const copies = !this.isHealed && random() < schedule.duplicateShare ? 2 : 1
    for (let copy = 0; copy < copies; copy += 1) {
      const { dropShare } = linkOf(schedule, from.index, to)
      if (!this.isLinked(from.index, to)) continue
      if (!this.isHealed && random() < dropShare) {
        this.coverage.count('message dropped')
        continue
      }
      if (copy > 0) this.coverage.count('message duplicated')
      const { run } = this.nodes[to]!
      const delayMs = this.delayMs(from.index, to)
      this.noteOvertaking(from.index, to, clock.ms + delayMs)
      clock.after(delayMs, () => this.deliver(from.index, to, run, bytes))
    }
  }

  private noteOvertaking(from: number, to: number, atMs: number): void {
    const key = from * this.nodes.length + to
    const latestMs = this.latestMs.get(key) ?? 0
    if (atMs < latestMs) this.coverage.count('message overtaken by a later one')
    else this.latestMs.set(key, atMs)
  }

  /** How long a message takes this time. */
  delayMs(from: number, to: number): number {
    const { schedule, random } = this
    const jitter = schedule.isSteady ? 0.1 : 0.7
    return linkOf(schedule, from, to).delayMs * (1 - jitter - jitter * Math.log(1 - random()))
  }

  private deliver(from: number, to: number, run: number, bytes: Uint8Array): void {
    const node = this.nodes[to]!
    if (!node.isUp || node.run !== run || !this.isLinked(from, to) || this.cutOff.has(to)) return
    this.messages += 1
    const second = this.seconds.get(to)
    const vote = second === undefined ? undefined : voteIn(bytes, this.nodes.length)
    if (second !== undefined && vote !== undefined) {
      const certificate = second.voted(vote)
      if (certificate !== undefined) for (const peer of this.peersOf(to)) this.send(node, peer, certificate)
    }
    node.handle({ type: 'message', from, bytes })
  }

  private tellOfLink(node: SimulatedNode, peer: SimulatedNode): void {
    const { run } = node
    this.clock.after(linkOf(this.schedule, peer.index, node.index).delayMs, () => {
      if (node.run !== run) return
      const type = this.isLinked(node.index, peer.index) ? 'peer-connected' : 'peer-disconnected'
      node.handle({ type, peer: peer.index })
    })
  }

  private schedulePartitions(): void {
    for (const { fromMs, toMs, groups } of this.schedule.partitions) {
      if (new Set(groups).size > 1) this.countPartition(toMs - fromMs, groups)
      this.clock.at(fromMs, () => this.partition(groups))
      this.clock.at(toMs, () => this.partition(this.nodes.map(() => 0)))
    }
  }

  private countPartition(ms: number, groups: readonly number[]): void {
    this.coverage.count(
      `partition ${ms < 100 ? 'shorter than 100 ms' : ms < 1000 ? 'from 100 ms to 1 s' : 'of 1 s or more'}`,
    )
    const total = this.schedule.stakes.reduce((sum, stake) => sum + stake, 0)
    const stakeOf = (group: number): number =>
      this.schedule.stakes.reduce((sum, stake, index) => sum + (groups[index] === group ? stake : 0), 0)
    if (3 * Math.max(stakeOf(0), stakeOf(1)) <= 2 * total) this.coverage.count('partition that leaves nobody a quorum')
  }

  /** What the seed has chosen, where nothing has to come of it. */
  private countSchedule(): void {
    const { byzantine, dead, links, rule, stakes } = this.schedule
    const { coverage } = this
    coverage.count(`rule ${rule}`)
    coverage.count(
      stakes.length === 1 ? 'committee of one' : `stakes ${new Set(stakes).size === 1 ? 'equal' : 'unequal'}`,
    )
    if (stakes.length >= 7) coverage.count('committee that bears two faults')
    if (links.far !== undefined) coverage.count('delay: an authority is far')
    if (links.factors !== undefined) coverage.count('delay: no two links alike')
    for (const atMs of dead.values()) {
      coverage.count(atMs === 0 ? 'authority dead from the beginning' : 'authority dead from some time on')
    }
    if (byzantine.size > 1) coverage.count('two liars at once')
    if (byzantine.size > 0 && dead.size > 0) coverage.count('liar and a dead one at once')
  }

  private scheduleFreeze({ authority, fromMs, heldMs, toMs }: Freeze): void {
    const { clock } = this
    const node = this.nodes[authority]!
    clock.at(fromMs, () => node.stop())
    clock.at(fromMs + heldMs, () => this.cutOff.add(authority))
    clock.at(toMs, () => {
      this.cutOff.delete(authority)
      // Its streams are new ones.
      if (fromMs + heldMs < toMs) {
        for (const peer of this.peersOf(authority)) {
          for (const [a, b] of [[authority, peer] as const, [peer, authority] as const]) {
            this.nodes[a]!.handle({ type: 'peer-disconnected', peer: b })
            this.nodes[a]!.handle({ type: 'peer-connected', peer: b })
          }
        }
      }
      const { headers } = node
      const rounds = this.highestRound - (node.status?.quorumRound ?? 0)
      node.goOn()
      this.watchBack(node, { authority, rounds, fromMs: clock.ms, headers })
    })
  }

  /** Looks until the node has all that the others have. */
  private watchBack(
    node: SimulatedNode,
    since: { authority: number; rounds: number; fromMs: number; headers: number },
  ): void {
    const commits = Math.max(...this.nodes.map(({ store }) => store.commits.length))
    const isBack = (node.status?.quorumRound ?? 0) >= this.highestRound - 2 && node.store.commits.length >= commits - 10
    if (!isBack) {
      this.clock.after(5, () => this.watchBack(node, since))
      return
    }
    const { authority, fromMs, headers, rounds } = since
    this.back.push({ authority, rounds, afterMs: this.clock.ms - fromMs, headers: node.headers - headers })
  }

  private get highestRound(): number {
    return Math.max(...this.nodes.map(({ status }) => status?.quorumRound ?? 0))
  }

  private partition(groups: readonly number[]): void {
    if (this.isHealed) return
    this.groups = groups
    this.linksChanged()
  }

  private scheduleBatches(): void {
    const { schedule, clock, workers } = this
    for (const { index } of this.nodes) {
      const next = (): void => {
        if (clock.ms > schedule.chaosMs || this.nodes[index]!.isDead) return
        workers.produce(index)
        clock.after(schedule.random() * 2 * schedule.batchEveryMs, next)
      }
      clock.after(schedule.random() * schedule.batchEveryMs, next)
    }
  }

  private heal(): void {
    this.isHealed = true
    this.groups = this.nodes.map(() => 0)
    this.linksChanged()
  }

  private step(): void {
    if (!this.clock.step()) throw new SimulationFailure('nothing happens any more')
  }

  /** Every honest authority has all that must be ordered, and more than it had before. */
  private isDone(commitsBefore: number): boolean {
    let index = commitsBefore + 1
    for (const [name, { author }] of this.workers.certified) {
      if (!this.isPromised(author)) continue
      const at = this.observer.indexOf(name)
      if (at === undefined) return false
      index = Math.max(index, at)
    }
    return this.nodes.every(
      (node) =>
        !node.isHonest ||
        node.isDead ||
        (node.store.commits.length >= index &&
          this.hasOrdered(node) &&
          (node.status?.checkpointAttested ?? 0) > commitsBefore),
    )
  }

  /**
   * Whether what this authority's worker had certified is to be ordered, also if the authority is dead: then others that
   * got it themselves have to be enough, and no worker may have lost what it got.
   */
  private isPromised(author: number): boolean {
    const { isDead, isHonest } = this.nodes[author]!
    return isHonest && (!isDead || this.schedule.losesWorkerStore === undefined)
  }

  /** Whether an authority's worker has each batch that is ordered. */
  private hasOrdered({ index }: SimulatedNode): boolean {
    const { ordered } = this.observer
    let held = this.heldOfOrder[index]!
    while (held < ordered.length && this.workers.hadOrHas(index, ordered[held]!)) held += 1
    this.heldOfOrder[index] = held
    return held === ordered.length
  }

  private whatIsMissing(): string {
    const missing = [...this.workers.certified].filter(
      ([name, { author }]) => this.isPromised(author) && this.observer.indexOf(name) === undefined,
    )
    const nodes = this.nodes.map(({ index, isUp, isHonest, store, status }) =>
      JSON.stringify({
        index,
        isUp,
        isHonest,
        commits: store.commits.length,
        without: this.observer.ordered.filter((batch) => !this.workers.hadOrHas(index, batch)).length,
        ...status,
      }),
    )
    return [
      `not ordered ${this.schedule.healingMsMax} ms after healing: ${missing.length} batches, ${missing.slice(0, 5).map(([name]) => name)}`,
      ...nodes,
    ].join('\n')
  }

  private result(authorities: readonly AuthorityResult[], rounds: number): SimulationResult {
    const sum = (of: (node: SimulatedNode) => number): number => this.nodes.reduce((total, node) => total + of(node), 0)
    return {
      commits: this.observer.commits,
      batches: this.workers.certified.size,
      messages: this.messages,
      crashes: sum(({ run }) => Math.max(0, run - 1)) / 2,
      healedMs: this.clock.ms - this.schedule.chaosMs,
      verified: sum(({ keys }) => keys.verified),
      signed: sum(({ keys }) => keys.signed),
      rounds,
      evidence: sum(({ store }) => store.state().evidence.length),
      back: this.back,
      authorities,
      happened: this.coverage.happened,
    }
  }
}

/** What another liar says need not be one. */
function voteIn(bytes: Uint8Array, authorities: number): Vote | undefined {
  try {
    return kindOf(bytes) === 'vote' ? decodeVote(bytes, authorities) : undefined
  } catch (error) {
    if (error instanceof NarvalError && error.code === 'ERR_CODEC') return undefined
    throw error
  }
}

/** Runs one seed. Errors: `SimulationFailure`, which begins with the seed, or what the code under test throws. */
export function simulate(seed: number, given: Partial<Schedule> = {}): SimulationResult {
  const schedule = scheduleOf(seed, given)
  const putBack = schedule.sabotage?.alter?.()
  try {
    return new Simulation(schedule).run()
  } catch (error) {
    const { rule, stakes, gcDepth, byzantine, losesStore, dead } = schedule
    const setting =
      `seed ${seed}: ${rule}, stakes ${stakes}, gcDepth ${gcDepth}, lying ${[...byzantine]}, ` +
      `loses store ${losesStore?.authority}, dead ${[...dead.keys()]}`
    if (error instanceof Error) error.message = `${setting}: ${error.message}`
    throw error
  } finally {
    putBack?.()
  }
}
