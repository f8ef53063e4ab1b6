/**
 * What is seen of a primary from outside: metrics, health, and lines in the log. It is told what happens, looks at the
 * counters of the thread and at the streams four times a second, and decides nothing.
 */
import type { Committee } from '../../../shared/config/committee.js'
import { shortName } from '../../../shared/config/short-name.js'
import { PRIMARY_INBOUND_MESSAGES_MAX } from '../../../shared/constants.js'
import type { Counters } from '../../../shared/memory/counters.js'
import type {
  CommittedBatches,
  PrimaryNotice,
  PrimaryWaits,
  PrimaryWorkerRequest,
} from '../../../shared/memory/dialogue/primary.js'
import { commandName } from '../../../shared/runtime/command.js'
import type { EvidenceKind } from '../../../shared/wire/primary/evidence.js'
import { evidenceText } from '../../../shared/wire/primary/evidence-text.js'
import type { BatchEntry } from '../../../shared/wire/primary/header.js'
import type { Lifecycle } from '../../lib/lifecycle.js'
import type { Logger } from '../../lib/log.js'
import type { Supervisor } from '../../lib/supervisor.js'
import { VERSION } from '../../lib/version.js'
import { PrimaryMetrics, type PrimaryPeerSource } from '../../metrics/primary-metrics.js'
import type { RefusalCounts } from '../../metrics/refusal-counts.js'
import { PeerLog } from '../../network/peer-log.js'
import type { PeerTable } from '../../network/peer-table.js'
import { PEER_QUEUE_BYTES_MAX, PEER_QUEUE_RECORDS_MAX } from '../limits.js'
import type { BatchType, PrimaryClient } from '../primary-client.js'
import type { PrimaryStreams } from '../primary-streams.js'
import { BenchmarkLog } from './benchmark-log.js'
import { type Change, MissingAuthorities } from './missing-authorities.js'
import {
  type PrimaryHealth,
  type PrimaryHealthState,
  type PrimaryPeerState,
  primaryHealthOf,
  primaryProblems,
} from './primary-health.js'
import { ProblemLog } from './problem-log.js'
import { Progress } from './progress.js'
import { StageTimes } from './stage-times.js'

export interface PrimaryMonitorOptions {
  readonly committee: Committee
  readonly ownIndex: number
  readonly gcDepth: number
  /** Log the lines that benchmark scripts read. */
  readonly benchmark: boolean
}

export interface PrimaryMonitorDependencies {
  readonly log: Logger
  readonly counters: Counters<'primary'>
  readonly refusals: RefusalCounts
  readonly peers: PeerTable
  readonly streams: () => Pick<PrimaryStreams, 'stateOf'>
  readonly client: () => Pick<PrimaryClient, 'inbound'>
  readonly lifecycle: Pick<Lifecycle, 'error'>
  /** Everything was opened, and nothing has asked for the end. */
  readonly isOpen: () => boolean
  readonly supervisor: Supervisor
}

const nowMs = (): number => performance.now()

export class PrimaryMonitor {
  readonly metrics: PrimaryMetrics
  private readonly options: PrimaryMonitorOptions
  private readonly dependencies: PrimaryMonitorDependencies
  private readonly names: readonly string[]
  private readonly stages: StageTimes
  private readonly missing: MissingAuthorities
  private readonly progress = new Progress()
  private readonly problemLog: ProblemLog
  private readonly peerLog: PeerLog
  private readonly benchmarkLog: BenchmarkLog | undefined
  /** Authorities and kinds of evidence that were said. */
  private readonly evidenceSaid = new Set<string>()
  private waits: PrimaryWaits = { votes: [], certificates: [], answers: [] }

  constructor(options: PrimaryMonitorOptions, dependencies: PrimaryMonitorDependencies) {
    const { benchmark, committee, ownIndex } = options
    const { counters, log, refusals, supervisor } = dependencies
    this.options = options
    this.dependencies = dependencies
    this.names = committee.authorities.map(({ name }) => name)
    this.missing = new MissingAuthorities(committee.size, nowMs())
    this.problemLog = new ProblemLog(log)
    this.peerLog = new PeerLog({ log, nowMs, supervisor })
    this.benchmarkLog = benchmark ? new BenchmarkLog(log, ownIndex, this.names) : undefined
    this.metrics = new PrimaryMetrics({
      version: VERSION,
      authorities: this.names,
      sources: {
        counters,
        refusals,
        quorumThreshold: committee.quorumThreshold,
        connectedStake: () => this.connectedStake(),
        missing: () => this.health().missing.map((name) => [name, this.stakeOf(name)]),
        peers: () => dependencies.peers.peers.map(({ index, name }) => this.peerSource(index, name)),
        health: () => this.health(),
      },
    })
    this.stages = new StageTimes(ownIndex, (stage, ms) => this.metrics.stage(stage, ms))
  }

  /** To be called every WATCH_MS. */
  tick(): void {
    const state = this.state()
    if (!state.isOpen) return
    this.problemLog.look(primaryProblems(state), nowMs())
    for (const change of this.missing.look(state.quorumRound, nowMs())) this.sayMissing(change)
  }

  health(): PrimaryHealth {
    return primaryHealthOf(this.state())
  }

  onBatch(type: BatchType, { digest }: BatchEntry): void {
    if (type !== 'own-batch') return
    this.stages.told(digest, nowMs())
    this.benchmarkLog?.certified(digest)
  }

  onRequest(request: PrimaryWorkerRequest): void {
    if (request.type === 'committed') for (const commit of request.commits) this.committed(commit)
  }

  onNotice(notice: PrimaryNotice): void {
    const { metrics } = this
    switch (notice.type) {
      case 'header-created':
        metrics.headerCreated(notice.batches.length)
        this.stages.proposed(notice.round, notice.batches, nowMs())
        this.benchmarkLog?.created(notice.round, notice.batches)
        break
      case 'header-given-up':
        metrics.headerGivenUp()
        break
      case 'proposed-again':
        metrics.proposedAgain(notice.batches)
        break
      case 'batch-unobtainable':
        metrics.batchUnobtainable()
        break
      case 'adopted':
        this.sayAdopted(notice.batches)
        break
      case 'voted':
        metrics.voted(notice.author)
        break
      case 'certified':
        this.certified(notice.author, notice.round)
        break
      case 'recovering':
        this.dependencies.log.warn(
          `Recovering: waits for answers of stake ${notice.quorum}, has ${notice.stake}. Nothing is signed until then: the store is new, or was said to be a backup, and this key may have signed what it does not know of. If the key has never been used, end this, say so (${commandName()} fresh, with the same --keys and --store; markFresh in a program), and start again`,
        )
        break
      case 'recovered':
        this.dependencies.log.info(`A quorum has answered: may sign above round ${notice.round}`)
        break
      case 'evidence':
        this.sayEvidence(notice.accused, notice.kind, notice.round)
        break
      case 'evidence-kept':
        metrics.evidenceKept(notice.accused, notice.kind, notice.count)
        break
      case 'signing-held':
        // Its text is the health's, and the log has what the health finds.
        break
      case 'history-gone':
        // The same.
        metrics.historyGone()
        break
      case 'log-taken':
        this.dependencies.log.info(`Took the log up to commit ${notice.commit} from the others, and goes on there`)
        break
      case 'worker-store-new':
        this.dependencies.log.warn(
          `Worker ${notice.worker} has another store than before: ${notice.batches} batches that it had held are to be fetched again`,
        )
        break
      case 'checkpoint-differs':
        this.differs(notice.author, notice.index)
        break
      case 'waits':
        this.waits = notice
        break
    }
  }

  close(): void {
    this.peerLog.close()
  }

  private differs(author: number, index: number): void {
    const peer = this.dependencies.peers.at(author)
    if (peer === undefined) return
    this.peerLog.say(
      'warn',
      peer,
      `${shortName(peer.name)} has signed another checkpoint of commit ${index}: it lies, or its order is another than ours`,
    )
  }

  private certified(author: number, round: number): void {
    this.metrics.certified(author, round)
    if (author === this.options.ownIndex) this.stages.certified(round, nowMs())
    const change = this.missing.certified(author, round, nowMs())
    if (change !== undefined) this.sayMissing(change)
  }

  /** Once for each authority and kind: what one does may happen in every round. */
  private sayEvidence(accused: number, kind: EvidenceKind, round: number): void {
    const key = `${accused} ${kind}`
    if (this.evidenceSaid.has(key)) return
    this.evidenceSaid.add(key)
    this.dependencies.log.warn(
      `Evidence: ${evidenceText(kind, shortName(this.names[accused]!), round)}. It is kept in the store, for anybody to verify: ${commandName()} evidence --store DIR --committee FILE`,
    )
  }

  private committed(commit: CommittedBatches): void {
    this.metrics.committed(commit)
    this.stages.committed(commit.batches, nowMs())
    this.benchmarkLog?.committed(commit.batches)
  }

  /** Authors that do not bring their batches into the order, each now and then. */
  private sayAdopted(batches: readonly BatchEntry[]): void {
    for (const author of new Set(batches.map((batch) => batch.author))) {
      const count = batches.filter((batch) => batch.author === author).length
      const peer = this.dependencies.peers.at(author)
      if (peer === undefined) continue
      const text = `${count} ${count === 1 ? 'batch' : 'batches'} of ${shortName(peer.name)} that it handed to us and lists in no header`
      this.peerLog.say('info', peer, `Listed ${text}: if others have them too they are ordered without it`)
    }
  }

  private sayMissing({ authority, forMs, isMissing, round }: Change): void {
    const { log, peers } = this.dependencies
    const seconds = `${Math.round(forMs / 1000)} s`
    const peer = peers.at(authority)
    if (peer === undefined) {
      if (isMissing) log.warn(`None of our own headers was certified since round ${round}, for ${seconds}`)
      else log.info(`Our own headers are certified again, from round ${round} on, after ${seconds}`)
      return
    }
    const name = shortName(peer.name)
    if (isMissing)
      this.peerLog.say('warn', peer, `${name} is missing: no certificate since round ${round}, for ${seconds}`)
    else this.peerLog.say('info', peer, `${name} is back with round ${round}, after ${seconds}`)
  }

  private state(): PrimaryHealthState {
    const { committee, gcDepth, ownIndex } = this.options
    const { counters, isOpen, lifecycle, peers } = this.dependencies
    const quorumRound = counters.get('quorumRound')
    const moving = {
      events: counters.get('events'),
      quorumRound,
      flushes: counters.get('flushes'),
      isFlushing: counters.get('isFlushing') === 1,
    }
    return {
      ...this.progress.look(moving, nowMs()),
      isOpen: isOpen(),
      failure: lifecycle.error?.message,
      ownStake: committee.stakeOf(ownIndex),
      totalStake: committee.totalStake,
      quorumThreshold: committee.quorumThreshold,
      gcDepth,
      peers: peers.peers.map(({ index, name, refusal, stake }) => this.peerState(index, { name, refusal, stake })),
      isRecovering: counters.get('isRecovering') === 1,
      signingHeldAbove: counters.get('isSigningHeld') === 1 ? counters.get('signingAbove') : undefined,
      isHistoryGone: counters.get('isHistoryGone') === 1,
      quorumRound,
      seenRound: counters.get('seenRound'),
      decidedRound: counters.get('decidedRound'),
      lastCommit: counters.get('lastCommit'),
      attestedCommit: counters.get('checkpointAttested'),
    }
  }

  private peerState(index: number, peer: Pick<PrimaryPeerState, 'name' | 'refusal' | 'stake'>): PrimaryPeerState {
    const { answers, certificates, votes } = this.waits
    const { connected, silentMs } = this.dependencies.streams().stateOf(index)
    return {
      ...peer,
      connected,
      silentMs,
      owesVote: votes.includes(index),
      owesCertificate: certificates.includes(index),
      owesAnswer: answers.includes(index),
    }
  }

  private peerSource(index: number, name: string): PrimaryPeerSource {
    const { client, streams } = this.dependencies
    return {
      name,
      ...streams().stateOf(index),
      queuedMax: PEER_QUEUE_RECORDS_MAX,
      queuedBytesMax: PEER_QUEUE_BYTES_MAX,
      inbound: client().inbound(index),
      inboundMax: PRIMARY_INBOUND_MESSAGES_MAX,
    }
  }

  private connectedStake(): number {
    const { committee, ownIndex } = this.options
    const { peers, streams } = this.dependencies
    const connected = peers.peers.filter(({ index }) => streams().stateOf(index).connected)
    return connected.reduce((sum, { stake }) => sum + stake, committee.stakeOf(ownIndex))
  }

  private stakeOf(name: string): number {
    const { committee } = this.options
    return committee.stakeOf(this.names.indexOf(name))
  }
}
