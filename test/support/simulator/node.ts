/** One authority of a simulated committee: the product's own primary, with a store, a disk that takes time, and crashes. */
import { kindOf } from '../../../src/shared/wire/primary/record.js'
import { Primary } from '../../../src/threads/primary/primary.js'
import type { Write } from '../../../src/threads/primary/store/writes.js'
import { recovering } from '../../../src/threads/primary/stored-state.js'
import type { Now, PrimaryEvent, Send, Turn } from '../../../src/threads/primary/turn.js'
import { type Altered, alterations } from './byzantine.js'
import { checkAccused, EvidenceCheck, simulatedCommittee } from './evidence-check.js'
import { simulatedKeys } from './keys.js'
import { Mailbox } from './mailbox.js'
import { SimulationFailure } from './observer.js'
import { COMMITTEE_DIGEST, type Simulation, UNIX_MS } from './simulation.js'
import { StatusBounds } from './status-bounds.js'
import { SimulatedStore } from './store.js'

export class SimulatedNode {
  readonly index: number
  readonly keys: ReturnType<typeof simulatedKeys>
  isUp = false
  /** It will not come back. */
  isDead = false
  /** Grows with every start: what an earlier run has scheduled does nothing. */
  run = 0
  store = new SimulatedStore()
  /** Headers that it has made. */
  headers = 0
  private readonly mailbox: Mailbox
  private readonly simulation: Simulation
  private statusBounds: StatusBounds | undefined
  private readonly alter: ((sends: readonly Send[]) => Altered) | undefined
  private primary: Primary | undefined
  private durableAtMs = 0
  private isReopening = false
  private readonly held: PrimaryEvent[] = []
  private wakeAtMs = Number.POSITIVE_INFINITY
  private skewMs: number
  private backup: SimulatedStore | undefined
  private hasLostStore = false
  private readonly evidence: EvidenceCheck

  constructor(simulation: Simulation, index: number) {
    this.simulation = simulation
    this.index = index
    this.keys = simulatedKeys(index)
    this.skewMs = this.newSkewMs()
    this.mailbox = new Mailbox(simulation.clock, (event) => this.handleNow(event))
    this.alter = alterations(simulation, this)
    this.evidence = new EvidenceCheck(simulation.records)
  }

  get isHonest(): boolean {
    return !this.simulation.schedule.byzantine.has(this.index)
  }

  get status(): Primary['status'] | undefined {
    return this.primary?.status
  }

  /** For good. */
  die(): void {
    this.isDead = true
    this.isUp = false
    this.run += 1
    this.simulation.linksChanged()
  }

  start(): void {
    if (this.isDead) return
    const { schedule, clock } = this.simulation
    const { random, stakes, rule, gcDepth, historyRoundsBehind } = schedule
    this.isUp = true
    this.run += 1
    this.mailbox.clear()
    this.isReopening = false
    this.held.length = 0
    this.durableAtMs = clock.ms
    this.wakeAtMs = Number.POSITIVE_INFINITY
    const { store } = this
    // Until the store itself says that it is being recovered, whoever starts the node has to say so.
    if (store.saysWhatMayBeSigned) this.hasLostStore = false
    const stored = this.hasLostStore ? recovering(store.state()) : store.state()
    const state = schedule.sabotage?.state?.(stored) ?? stored
    if (this.run > 1) this.simulation.coverage.count('restart')
    this.primary = new Primary(
      {
        authority: this.index,
        committeeDigest: COMMITTEE_DIGEST,
        stakes,
        workers: stakes.map(() => new Set([0])),
        rule,
        gcDepth,
        maxHeaderDelayMs: 100,
        historyRoundsBehind,
      },
      { keys: this.keys, store, nonce: Math.floor(random() * Number.MAX_SAFE_INTEGER) },
      state,
    )
    this.statusBounds = new StatusBounds(this.primary, { authorities: stakes.length, gcDepth })
    const turn = this.primary.start(this.now())
    if (!this.crashesRarely()) this.process(turn)
    if (!this.isUp) {
      this.simulation.coverage.count('crash of one that was starting')
      return
    }
    this.simulation.linksChanged()
    this.simulation.workers.primaryStarted(this.index)
  }

  handle(event: PrimaryEvent): void {
    if (this.isUp) this.mailbox.push(event)
  }

  /** The process is stopped, and does nothing until it goes on. */
  stop(): void {
    this.mailbox.stop()
  }

  goOn(): void {
    this.mailbox.goOn()
  }

  private handleNow(event: PrimaryEvent): void {
    if (!this.isUp) return
    // Until the primary has begun anew from its store nothing is handled.
    if (this.isReopening) {
      this.held.push(event)
      return
    }
    const turn = this.primary!.handle(event, this.now())
    const { run } = this
    this.process(turn)
    if (event.type === 'message' && this.run === run) this.evidence.heard(event.bytes, turn, this.durableAtMs)
  }

  /** The log is here that others have ordered, and the state after it. */
  private reopen(): void {
    this.simulation.coverage.count('log taken from others')
    this.isReopening = false
    const turn = this.primary!.reopen(this.store.state(), this.now())
    this.statusBounds = this.statusBounds?.reopened()
    this.process(turn)
    for (const event of this.held.splice(0)) this.handleNow(event)
  }

  /** What it keeps against others is what it must, and no honest one is accused. */
  checkEvidence(): void {
    const { nodes, schedule } = this.simulation
    if (!this.isHonest) return
    this.evidence.check(this.index, this.store)
    const committee = simulatedCommittee(COMMITTEE_DIGEST, schedule.stakes)
    checkAccused(this.index, this.store, committee, (authority) => !nodes[authority]!.isHonest)
  }

  crash(): void {
    const { schedule, clock, random } = this.simulation
    this.isUp = false
    this.run += 1
    this.evidence.crashed(clock.ms)
    this.checkEvidence()
    const loses = schedule.losesStore
    if (loses?.authority === this.index && !this.simulation.storeIsLost && this.store.promises.size > 0)
      this.loseStore()
    else if (schedule.byzantine.get(this.index) === 'forgets') {
      this.store = new SimulatedStore()
      this.simulation.coverage.count('liar that forgets')
    }
    this.skewMs = this.newSkewMs()
    this.simulation.linksChanged()
    clock.after(random() < 0.7 ? random() * 100 : random() * 3000, () => this.start())
  }

  /** For an old backup to be found later. */
  keepBackup(): void {
    this.backup = this.store.copy()
  }

  private loseStore(): void {
    this.simulation.storeIsLost = true
    this.evidence.storeLost()
    this.hasLostStore = true
    const backup = this.simulation.schedule.losesStore!.backup ? this.backup : undefined
    this.store = backup ?? new SimulatedStore()
    this.simulation.coverage.count(backup === undefined ? 'store lost' : 'store replaced by a backup')
  }

  private newSkewMs(): number {
    const { isSteady, random } = this.simulation.schedule
    return Math.floor((random() - 0.5) * (isSteady ? 50 : 800))
  }

  private now(): Now {
    const { clock, schedule, random } = this.simulation
    const lieMs =
      schedule.byzantine.get(this.index) === 'lies-about-time'
        ? [0, 4000, 20_000, -3_600_000][Math.floor(random() * 4)]!
        : 0
    if (lieMs !== 0) this.simulation.coverage.count('liar that lies-about-time')
    const steps = schedule.clockSteps?.filter(
      ({ authorities, fromMs, toMs }) => authorities.includes(this.index) && clock.ms >= fromMs && clock.ms < toMs,
    )
    const stepMs = steps?.reduce((sum, { byMs }) => sum + byMs, 0) ?? 0
    return { ms: clock.ms, unixMs: Math.floor(UNIX_MS + clock.ms + this.skewMs + lieMs + stepMs) }
  }

  private process(made: Turn): void {
    const turn = this.simulation.schedule.sabotage?.turn?.(made) ?? made
    this.simulation.coverage.turn(turn)
    if (this.simulation.schedule.sabotage?.isBlindTo !== 'status') this.statusBounds?.check()
    if (turn.stopped !== undefined && this.isHonest) {
      throw new SimulationFailure(`authority ${this.index} stopped: ${turn.stopped.message}`)
    }
    if (turn.reopens) this.isReopening = true
    this.wake(turn.wakeAtMs)
    this.headers += turn.notices.filter(({ type }) => type === 'header-created').length
    if (!this.transmit(turn.sends.filter(({ afterDurable }) => !afterDurable))) return
    const { clock, schedule, random } = this.simulation
    const { run } = this
    const flushMs = (schedule.isSteady ? 1 : random() * 2) * schedule.flushMs
    this.durableAtMs = Math.max(this.durableAtMs, clock.ms + (turn.writes.length > 0 ? flushMs : 0))
    const late = turn.sends.filter(({ afterDurable }) => afterDurable)
    if (turn.writes.length === 0 && turn.workerRequests.length === 0 && late.length === 0) return
    // A turn without writes waits for those of the turns before as well, which it may send again.
    clock.at(this.durableAtMs, () => {
      if (this.run === run) this.flushed(turn, late)
    })
  }

  private flushed(turn: Turn, sends: readonly Send[]): void {
    const { schedule, workers } = this.simulation
    const transactions = schedule.sabotage?.transactions?.(turn.writes, this.store) ?? [turn.writes]
    for (const writes of transactions) if (!this.write(writes)) return
    if (!this.transmit(sends)) return
    for (const request of turn.workerRequests) workers.request(this.index, request)
    if (turn.reopens) this.reopen()
  }

  /** One transaction. Returns whether the node is still up. */
  private write(writes: readonly Write[]): boolean {
    if (writes.length === 0) return true
    const { coverage, observer, workers } = this.simulation
    if (this.crashesAt(writes)) {
      coverage.crashed('before', writes)
      return false
    }
    const before = this.store.commits.length
    this.store.apply(writes)
    const commits = this.store.commits.slice(before)
    if (this.isHonest)
      for (const [at, commit] of commits.entries()) observer.committed(this.index, before + at + 1, commit)
    workers.committed(this.index, commits)
    if (!this.crashesAt(writes)) return true
    coverage.crashed('after', writes)
    return false
  }

  /** Sends one after another. Returns whether the node is still up. */
  private transmit(sends: readonly Send[]): boolean {
    for (const { to, bytes } of this.alter?.(sends) ?? sends) {
      for (const peer of this.simulation.peersOf(this.index)) {
        if (to === 'all' || to === peer) this.sendTo(peer, bytes)
      }
      if (!this.crashes()) continue
      this.simulation.coverage.count('crash between two messages')
      return false
    }
    return true
  }

  /** One that holds back its certificates answers requests late as well. */
  private sendTo(peer: number, bytes: Uint8Array): void {
    const { byzantine, holdsBackMs } = this.simulation.schedule
    const isHeldBack = byzantine.get(this.index) === 'holds-back' && kindOf(bytes) === 'certificate'
    if (isHeldBack) this.simulation.coverage.count('liar that holds-back')
    if (isHeldBack) this.simulation.clock.after(holdsBackMs, () => this.simulation.send(this, peer, bytes))
    else this.simulation.send(this, peer, bytes)
  }

  private crashes(): boolean {
    const { schedule, random, isHealed } = this.simulation
    if (isHealed || random() >= schedule.crashShare) return false
    this.crash()
    return true
  }

  private crashesAt(writes: readonly Write[]): boolean {
    return this.crashes() || (writes.some(({ type }) => isSeldom(type)) && this.crashesRarely())
  }

  private crashesRarely(): boolean {
    const { schedule, isHealed } = this.simulation
    if (isHealed || schedule.rareCrashShare === 0 || schedule.rareRandom() >= schedule.rareCrashShare) return false
    this.crash()
    return true
  }

  private wake(atMs: number): void {
    if (atMs === Number.POSITIVE_INFINITY || atMs === this.wakeAtMs) return
    this.wakeAtMs = atMs
    const { run } = this
    this.simulation.clock.at(atMs, () => {
      if (this.run !== run || this.wakeAtMs !== atMs) return
      this.wakeAtMs = Number.POSITIVE_INFINITY
      this.handle({ type: 'timer' })
    })
  }
}

function isSeldom(type: Write['type']): boolean {
  return (
    type !== 'payload' && type !== 'payload-done' && type !== 'own-batch' && type !== 'certificate' && type !== 'vote'
  )
}
