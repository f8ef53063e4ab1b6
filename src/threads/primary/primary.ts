/**
 * The primary of an authority: headers, votes and certificates on one side, commits on the other. It composes the stages,
 * each in a file of its own with the reference's name, and is told everything by `handle`, one event at a time.
 *
 * ```
 *                own batches                       headers of others        certificates        requests
 *                     │                                   │                      │                 │
 *                     ▼                                   ▼                      ▼                 ▼
 *  OwnBatches ──▶ Proposer ──▶ own header          Core: Synchronizer, HeaderWaiter,            Helper
 *                     ▲            │ votes              CertificateWaiter, PayloadReceiver
 *                     │            ▼                      │ vote                 │ delivered
 *                     │       VotesAggregator ──certificate──────────────────────┤
 *                     │                                                          ▼
 *                     └──── round has a quorum ──── CertificatesAggregator ◀── Core ──▶ Consensus ──▶ commits
 *                                                                                          │
 *       Checkpointer ◀───── GarbageCollector: done, proposed again, forgotten ◀────────────┘
 * ```
 *
 * It is synchronous and pure but for its own state: no store, no network, no clock, no thread (`turn.ts`).
 */
import { assert } from '../../shared/assert.js'
import { NarvalError } from '../../shared/errors.js'
import type { PrimaryWaits } from '../../shared/memory/dialogue/primary.js'
import { digestKey } from '../../shared/wire/digest-key.js'
import { primaryAgreement } from '../../shared/wire/primary/agreement.js'
import { decodeSignedCheckpoint } from '../../shared/wire/primary/checkpoint.js'
import { decodeCommitRecord } from '../../shared/wire/primary/commit-record.js'
import { genesisDigests } from '../../shared/wire/primary/genesis.js'
import type { BatchEntry } from '../../shared/wire/primary/header.js'
import { decodeHistoryEnd, decodeHistoryPiece, decodeHistoryRequest } from '../../shared/wire/primary/history.js'
import { kindOf, type RecordKind } from '../../shared/wire/primary/record.js'
import * as requests from '../../shared/wire/primary/requests.js'
import { decodeVote } from '../../shared/wire/primary/vote.js'
import { Adoption } from './adoption.js'
import { CatchUp } from './catch-up.js'
import { CertificateRequests } from './certificate-requests.js'
import { CertificateWaiter } from './certificate-waiter.js'
import { CertificatesAggregator } from './certificates-aggregator.js'
import { Checkpointer, type CheckpointerStatus } from './checkpointer.js'
import { Consensus } from './consensus/consensus.js'
import { CertificateEquivocationError } from './consensus/equivocation.js'
import type { RuleName } from './consensus/rule.js'
import { Stakes } from './consensus/stakes.js'
import type { AuthorityIndex, PayloadEntry, Round } from './consensus/types.js'
import { Core } from './core.js'
import { EvidenceKeeper } from './evidence-keeper.js'
import { GarbageCollector } from './garbage-collector.js'
import { HeaderWaiter } from './header-waiter.js'
import { Helper } from './helper.js'
import { FetchedLog, type FetchedRecord } from './history/fetched-log.js'
import { HistoryCatchUp } from './history/history-catch-up.js'
import { HistoryServer } from './history/history-server.js'
import { KeyUsedTwiceError } from './key-used-twice.js'
import {
  CERTIFICATES_WANTED_PER_AUTHORITY,
  EPOCH,
  HISTORY_ROUNDS_BEHIND,
  PAYLOAD_COMPLETE_ROUNDS,
  PAYLOAD_ROUNDS_KEPT,
  RESEND_MS,
} from './limits.js'
import { NamedBatches } from './named-batches.js'
import { batchKey, OwnBatches } from './own-batches.js'
import { Pacing } from './pacing.js'
import { PayloadFetcher, shareOfWanted } from './payload-fetcher.js'
import { PayloadReceiver } from './payload-receiver.js'
import { Peers } from './peers.js'
import { Proposer } from './proposer.js'
import { type CertificateRecord, type HeaderRecord, Records } from './records.js'
import { checkRecoverable, Recovery } from './recovery.js'
import { type Keys, Signatures } from './signatures.js'
import { SigningWatch } from './signing-watch.js'
import type { StoredState } from './store/writes.js'
import type { CertificateReader, CheckpointReader, LogReader } from './stored-state.js'
import { type Problem, Synchronizer } from './synchronizer.js'
import { type Now, type PrimaryEvent, type Turn, TurnBuilder } from './turn.js'
import { UnnamedBatches } from './unnamed-batches.js'

export interface PrimaryOptions {
  /** Our own index. */
  readonly authority: AuthorityIndex
  /** 32 bytes. */
  readonly committeeDigest: Uint8Array
  /** By authority index, as is `workers`: the ids of each authority's workers. */
  readonly stakes: readonly number[]
  readonly workers: readonly ReadonlySet<number>[]
  readonly rule: RuleName
  readonly gcDepth: number
  readonly maxHeaderDelayMs: number
  /** So many rounds behind, the log itself is asked for. Default: HISTORY_ROUNDS_BEHIND, which no short run comes to. */
  readonly historyRoundsBehind?: number | undefined
}

export interface PrimaryDependencies {
  readonly keys: Keys
  /** Certificates that memory has forgotten. */
  readonly store: CertificateReader & CheckpointReader & LogReader
  /** A whole number of at most 53 bits that no earlier run of this authority has had. */
  readonly nonce: number
}

export class Primary {
  private readonly options: PrimaryOptions
  private readonly dependencies: PrimaryDependencies
  private readonly stakes: Stakes
  private records!: Records
  private consensus!: Consensus
  private certificates!: CertificatesAggregator
  private payload!: PayloadReceiver
  private readonly payloadFetcher: PayloadFetcher
  private ownBatches!: OwnBatches
  private unnamed!: UnnamedBatches
  private adoption!: Adoption
  private readonly names = new NamedBatches()
  private headerWaiter!: HeaderWaiter
  private certificateWaiter!: CertificateWaiter
  private requests!: CertificateRequests
  private catchUp!: CatchUp
  private readonly peers: Peers
  private pacing!: Pacing
  private proposer!: Proposer
  private helper!: Helper
  private core!: Core
  private checkpointer!: Checkpointer
  private history!: HistoryCatchUp
  private historyServer!: HistoryServer
  private readonly recovery: Recovery
  private evidence!: EvidenceKeeper
  private readonly signingWatch = new SigningWatch()
  private stored!: StoredState
  /** By worker of ours: the store that it said last, as hexadecimal. */
  private readonly workerStores: Map<number, string>
  /** Workers that have said which store they have. */
  private readonly workersHere = new Set<number>()
  private resendAtMs = Number.POSITIVE_INFINITY
  private stopped: NarvalError | undefined
  /** `gcRound` when it was last written down which batches are here. */
  private payloadNotedRound: Round = 0

  /**
   * @param stored what the store has; `FRESH_STATE` for an authority that has never signed anything
   * @throws TypeError, RangeError, ERR_STORE_DAMAGED, ERR_STORE_SETTINGS, ERR_RECOVERY_IMPOSSIBLE
   */
  constructor(options: PrimaryOptions, dependencies: PrimaryDependencies, stored: StoredState) {
    const { authority } = options
    this.options = options
    this.dependencies = dependencies
    this.workerStores = new Map(stored.workerStores?.map(({ worker, storeId }) => [worker, hex(storeId)]))
    const stakes = new Stakes(options.stakes)
    this.stakes = stakes
    const authorities = stakes.size
    if (stored.signing.state === 'recovering') checkRecoverable(stakes, authority)
    assert(
      options.workers.length === authorities && authority < authorities,
      'workers of each authority, ours among them',
    )
    this.peers = new Peers(authority, authorities)
    this.payloadFetcher = new PayloadFetcher(authorities)
    this.recovery = new Recovery(stakes, this.peers, dependencies.nonce)
    this.build(stored)
  }

  /** Everything that follows from the store: at the start, and when it has taken a log that others have ordered. */
  private build(stored: StoredState): void {
    const { authority, committeeDigest, gcDepth } = this.options
    const { dependencies, options, stakes } = this
    const authorities = stakes.size
    this.stored = stored
    const genesis = genesisDigests(committeeDigest, EPOCH, authorities).map(digestKey)
    this.records = new Records(committeeDigest, authorities)
    this.consensus = new Consensus(options, stored.consensus)
    this.certificates = new CertificatesAggregator(stakes, genesis)
    this.certificates.collect(this.consensus.gcRound)
    this.payload = new PayloadReceiver(authorities, stored.payload)
    this.ownBatches = new OwnBatches()
    this.headerWaiter = new HeaderWaiter()
    this.certificateWaiter = new CertificateWaiter(authorities)
    this.pacing = new Pacing(authority, authorities, this.peers)
    this.catchUp = new CatchUp({ authority, stakes, gcDepth }, this.peers)
    this.requests = new CertificateRequests(
      { wantedMax: authorities * CERTIFICATES_WANTED_PER_AUTHORITY },
      {
        peers: this.peers,
        isWanted: (digest) =>
          !this.certificateWaiter.has(digest) &&
          (this.certificateWaiter.waitsFor(digest) || this.headerWaiter.waitsFor(digest)),
        allWanted: () => [...this.certificateWaiter.missing(), ...this.headerWaiter.missingParents()],
      },
    )
    const { certificates, consensus, ownBatches, pacing } = this
    this.unnamed = new UnnamedBatches(authorities)
    this.adoption = new Adoption(authority, stakes, { consensus, unnamed: this.unnamed })
    const lastHeader = stored.ownHeader && this.records.readHeader(stored.ownHeader)
    this.proposer = new Proposer(options, { certificates, ownBatches, pacing }, lastHeader)
    this.helper = new Helper(authorities, { certificates: this.certificates, store: dependencies.store })
    this.evidence = new EvidenceKeeper(committeeDigest, authorities, stored.evidence)
    const signatures = new Signatures(dependencies.keys, committeeDigest, authority, authorities)
    const rule = primaryAgreement(committeeDigest, options.rule, gcDepth)
    this.checkpointer = new Checkpointer(
      { authority, committeeDigest, rule, stakes },
      { signatures, consensus: this.consensus, peers: this.peers, evidence: this.evidence },
      stored,
    )
    this.historyServer = new HistoryServer({
      store: dependencies.store,
      mayServe: (peer, turn) => this.helper.mayServe(peer, turn),
      take: (peer, bytes, turn) => this.helper.takeBytes(peer, bytes, turn),
    })
    this.history = new HistoryCatchUp(
      { authority, authorities, committeeDigest, rule },
      { peers: this.peers, problemOf: (checkpoint) => this.checkpointer.problemOfAttested(checkpoint) },
    )
    const {
      adoption,
      checkpointer,
      names,
      historyServer,
      records,
      payload,
      payloadFetcher,
      headerWaiter,
      certificateWaiter,
      proposer,
      unnamed,
    } = this
    const synchronizer = new Synchronizer({ stakes, workers: options.workers }, { certificates, payload })
    const batches = { adoption, names, ownBatches, payload, payloadFetcher, synchronizer, unnamed }
    const stages = {
      records,
      consensus,
      certificates,
      headerWaiter,
      certificateWaiter,
      proposer,
      checkpointer,
      historyServer,
      ...batches,
    }
    this.core = new Core(
      { authority, committeeDigest, stakes, gcDepth },
      {
        ...stages,
        signatures,
        garbageCollector: new GarbageCollector(authority, stages),
        requests: this.requests,
        catchUp: this.catchUp,
        pacing,
        peers: this.peers,
        evidence: this.evidence,
      },
      {
        signing: stored.signing,
        votes: stored.votes.map((bytes) => decodeVote(bytes, authorities)),
      },
    )
  }

  /** Rounds and numbers for metrics and health. */
  get status(): PrimaryStatus {
    return {
      round: this.proposer.lastHeader?.round ?? 0,
      quorumRound: this.certificates.quorumRound,
      seenRound: Math.max(this.catchUp.seenRound, this.certificates.highest?.header.round ?? 0),
      gcRound: this.consensus.gcRound,
      decidedRound: this.consensus.decidedRound,
      lastCommit: this.consensus.lastIndex,
      headersWaiting: this.headerWaiter.size,
      certificatesWaiting: this.certificateWaiter.size,
      certificatesKept: this.certificates.size,
      certificatesWanted: this.requests.size,
      payloadWanted: this.payloadFetcher.size,
      ownBatchesWaiting: this.ownBatches.waiting,
      ownBatchesListed: this.ownBatches.listed,
      unnamedBatches: this.unnamed.size,
      adoptedBatches: this.adoption.ordered,
      batchesNamed: this.names.size,
      unordered: this.proposer.unorderedCount,
      headerDelayMs: this.pacing.headerDelayMs,
      votesTaken: this.core.votesTaken,
      missingVotes: this.core.missingVotes,
      isRecovering: this.core.isRecovering,
      signingAbove: this.core.signingAbove,
      isSigningHeld: this.signingWatch.isHeld,
      isHistoryGone: this.catchUp.isHistoryGone && !this.history.isGettingOn,
      ...this.checkpointer.status,
    }
  }

  /** The most that there may be of what `status` counts, where that is a fixed number. */
  get bounds(): PrimaryBounds {
    const { length } = this.options.stakes
    return {
      headersWaitingMax: length,
      certificatesWantedMax: length * CERTIFICATES_WANTED_PER_AUTHORITY,
      payloadWantedMax: length * shareOfWanted(length),
    }
  }

  /** Whom it waits for, to be asked now and then. */
  get waits(): PrimaryWaits {
    const { authority, stakes } = this.options
    const certified = this.certificates.at(this.certificates.quorumRound + 1)?.byAuthor
    const all = stakes.map((_, index) => index)
    return {
      votes: this.core.missingVotes,
      certificates: all.filter((index) => !certified?.has(index)),
      answers: this.core.isRecovering ? this.recovery.missing(all.filter((index) => index !== authority)) : [],
    }
  }

  /**
   * The first turn. What the store has is taken up again: our last header, if it has no certificate and no higher round
   * has a quorum, is sent again as it was; what else of our batches is not ordered is proposed again.
   */
  start(now: Now): Turn {
    return this.turn(now, (turn) => {
      this.evidence.say(turn)
      // Without a state of the whole log nothing can be ordered.
      if (this.stored.unfinished !== undefined) this.history.begin(this.fetchedLog(), now.ms, true)
      this.takeUp(turn)
    })
  }

  /**
   * The turn that asked for it (`Turn.reopens`) is on the disk: goes on from what the store has now, as after a restart. Who
   * is connected, and what our workers have said, holds.
   *
   * @throws NarvalError ERR_STORE_DAMAGED, ERR_STORE_SETTINGS
   */
  reopen(stored: StoredState, now: Now): Turn {
    this.build(stored)
    return this.turn(now, (turn) => {
      for (const peer of this.peers.all()) this.pacing.connected(peer)
      for (const worker of this.workersHere) this.payload.workerStore(worker, true, turn)
      this.takeUp(turn)
      turn.notice({ type: 'log-taken', commit: this.consensus.lastIndex })
    })
  }

  private takeUp(turn: TurnBuilder): void {
    const { stored, core, ownBatches, options } = this
    const { ms } = turn.now
    for (const batch of stored.ownBatches) {
      if (!this.isOrdered(batch)) ownBatches.add(batch)
      else turn.write({ type: 'own-batch-done', batch })
    }
    for (const batch of stored.payload) if (this.isOrdered(batch)) turn.write({ type: 'payload-done', batch })
    this.wantOrdered(ms)
    for (const bytes of this.history.isActive ? [] : stored.certificates) {
      const certificate = this.records.readCertificate(bytes)
      const { round, author, payload } = certificate.header
      if (author === options.authority && !this.consensus.isOver(round, author)) this.listed(round, payload)
      core.restore(certificate, turn)
    }
    if (core.isRecovering) {
      turn.write({ type: 'signing', signing: stored.signing })
      this.recovery.say(turn)
    }
    this.resendAtMs = ms + RESEND_MS
    const last = this.proposer.lastHeader
    if (last === undefined || !core.maySign(last.round) || last.round <= this.certificates.quorumRound) return
    if (this.history.isActive || this.certificates.of(last.round, last.author) !== undefined) return
    this.listed(last.round, last.payload)
    this.proposeHeader(last, turn)
  }

  private isOrdered({ author, sequence, worker }: BatchEntry): boolean {
    return this.consensus.hasBatch(author, worker, sequence)
  }

  /** The end of our log, to go on with by what others have ordered. */
  private fetchedLog(): FetchedLog {
    const { stored } = this
    return new FetchedLog(this.stakes, this.checkpointer.logEnd, stored.unfinished ?? this.consensus.snapshot().batches)
  }

  /**
   * Batches of what is ordered, and that may not have come before we stopped. The log names all of them: what their authors
   * listed, what others brought into the order, ours among that, and what others have ordered for us.
   */
  private wantOrdered(nowMs: number): void {
    const { dependencies, options, payload, payloadFetcher, stakes, stored } = this
    const { store } = dependencies
    const to = this.consensus.gcRound - 1
    const complete = stored.payloadRound ?? to - Math.max(options.gcDepth, PAYLOAD_COMPLETE_ROUNDS)
    const lowestRound = Math.max(1, complete + 1, to - PAYLOAD_ROUNDS_KEPT + 1)
    for (let index = store.lastCommit; index >= Math.max(1, store.oldestCommit); index -= 1) {
      const record = Buffer.concat(store.commitRecord(index))
      if (record.length === 0) return
      const { batches, certificates } = decodeCommitRecord(record, stakes.size)
      const { round } = certificates.at(-1)!
      if (round < lowestRound) return
      for (const { digest, sequence, ...batch } of batches) {
        const entry = { ...batch, digest: digestKey(digest), ...(sequence !== undefined && { sequence }) }
        if (payload.check(entry) === 'missing') payloadFetcher.want({ author: entry.author, round }, [entry], nowMs)
      }
    }
  }

  /** What a restart need not ask for. */
  private notePayload(turn: TurnBuilder): void {
    const { gcRound } = this.consensus
    if (gcRound < this.payloadNotedRound + PAYLOAD_COMPLETE_ROUNDS) return
    this.payloadNotedRound = gcRound
    const round = Math.min(gcRound, this.payloadFetcher.lowestRound) - 1
    turn.write({ type: 'payload-complete', round: Math.max(0, round) })
  }

  handle(event: PrimaryEvent, now: Now): Turn {
    return this.turn(now, (turn) => this.dispatch(event, turn))
  }

  private dispatch(event: PrimaryEvent, turn: TurnBuilder): void {
    switch (event.type) {
      case 'message':
        this.message(event.from, event.bytes, turn)
        break
      case 'peer-connected':
        this.connected(event.peer, turn)
        break
      case 'peer-disconnected':
        this.peers.disconnect(event.peer)
        break
      case 'own-batch':
        assert(event.batch.author === this.options.authority, 'a batch of our own')
        // A worker that starts again tells of all that it does not know to be ordered.
        if (this.sayIfOrdered(event.batch, turn)) break
        if (this.ownBatches.add(event.batch)) turn.write({ type: 'own-batch', batch: event.batch })
        break
      case 'others-batch':
        this.othersBatch(event.batch, event.isDelivered ?? false, turn)
        break
      case 'worker-store':
        this.workerStore(event.worker, event.storeId, turn)
        break
      case 'load':
        this.pacing.load(event.lagMs)
        break
      case 'backlog':
        this.catchUp.backlogOf(event.peers)
        break
      case 'timer':
        break
    }
  }

  private othersBatch(batch: BatchEntry, isDelivered: boolean, turn: TurnBuilder): void {
    const digest = digestKey(batch.digest)
    const { ms } = turn.now
    const wantedRound = this.payloadFetcher.stored(batch.author, digest, ms)
    const isOrdered = this.sayIfOrdered(batch, turn)
    // A copy of one of our own that our worker had lost.
    if (batch.author === this.options.authority) return
    if (isDelivered && !isOrdered) this.unnamed.delivered(batch, wantedRound, ms)
    if (!this.payload.store(batch, turn)) return
    // It may be listed again, by who has not seen the commit; after a restart it is asked for then.
    if (isOrdered) this.payload.done(batch.author, digest, turn)
    this.core.lookAgain(this.headerWaiter.stored(digest, ms))
  }

  /** Whether a batch that a worker tells of is in the order already: then the worker is told. */
  private sayIfOrdered({ author, digest, sequence, worker }: BatchEntry, turn: TurnBuilder): boolean {
    const isOrdered = this.consensus.hasBatch(author, worker, sequence)
    if (isOrdered) turn.request({ type: 'ordered', worker, digest })
    return isOrdered
  }

  /**
   * A worker says which store it has. One that we do not know has nothing of what the worker held before, so there is no
   * vote for it any more. What it had made and is not ordered is got back from those who certified it.
   */
  private workerStore(worker: number, storeId: Uint8Array, turn: TurnBuilder): void {
    const { core, headerWaiter, options, ownBatches, payload, payloadFetcher, workerStores } = this
    const before = workerStores.get(worker)
    const isKnown = before === hex(storeId)
    this.workersHere.add(worker)
    const batches = payload.workerStore(worker, isKnown, turn)
    if (!isKnown) {
      this.unnamed.forgetWorker(worker)
      workerStores.set(worker, hex(storeId))
      turn.write({ type: 'worker-store', worker, storeId })
      if (before !== undefined) {
        turn.notice({ type: 'worker-store-new', worker, batches })
        const own = ownBatches.of(worker).map((batch) => ({ ...batch, digest: digestKey(batch.digest) }))
        const header = { author: options.authority, round: this.certificates.quorumRound }
        payloadFetcher.want(header, own, turn.now.ms)
      }
    }
    this.names.workerStore(worker, turn.now.ms)
    turn.request({ type: 'sequences-after', worker, sequence: this.highestSequence(worker) })
    const isHeld = (entry: PayloadEntry): boolean => payload.check(entry) === 'held'
    payloadFetcher.held(isHeld)
    core.lookAgain(headerWaiter.held(isHeld, turn.now.ms))
  }

  /** Of the batches of a worker of ours, ordered or not. A worker whose store is new does not know it. */
  private highestSequence(worker: number): bigint {
    const ordered = this.consensus.highestSequence(this.options.authority, worker)
    const of = this.ownBatches.of(worker)
    return of.reduce((highest, { sequence }) => (sequence > highest ? sequence : highest), ordered)
  }

  /** What was lost with the connection before is sent again. */
  private connected(peer: AuthorityIndex, turn: TurnBuilder): void {
    this.peers.connect(peer)
    this.pacing.connected(peer)
    this.catchUp.connected(peer)
    this.history.connected(peer)
    this.core.resend(peer, turn)
    this.checkpointer.connected(peer, turn)
    if (this.core.isRecovering) this.recovery.ask(peer, turn)
  }

  private message(from: AuthorityIndex, bytes: Uint8Array, turn: TurnBuilder): void {
    assert(from !== this.options.authority && from < this.options.stakes.length, 'a message of another authority')
    try {
      this.record(from, bytes, turn)
    } catch (error) {
      if (!(error instanceof NarvalError) || error.code !== 'ERR_CODEC') throw error
      turn.refuse(from, 'message-malformed', error.message)
    }
  }

  private record(from: AuthorityIndex, bytes: Uint8Array, turn: TurnBuilder): void {
    const { core, helper, records } = this
    const kind = kindOf(bytes)
    // What is ordered or signed meanwhile would be of rounds long past. All of it comes again.
    if (this.history.isActive && isOfRounds(kind)) return
    switch (kind) {
      case 'header':
        core.header(from, records.readHeader(bytes), turn)
        break
      case 'vote':
        core.vote(from, decodeVote(bytes, this.options.stakes.length), turn)
        break
      case 'certificate':
        core.certificate(from, records.readCertificate(bytes), turn)
        break
      case 'certificates-request':
        helper.answer(from, requests.decodeCertificatesRequest(bytes), turn)
        break
      case 'range-request':
        helper.answerRange(from, requests.decodeRangeRequest(bytes), this.consensus.gcRound, turn)
        break
      case 'range-answer':
        this.catchUp.answered(from, requests.decodeRangeAnswer(bytes), turn.now.ms)
        break
      case 'highest-request':
        helper.answerHighest(from, requests.decodeHighestRequest(bytes), turn)
        break
      case 'highest':
        this.highest(from, requests.decodeHighest(bytes), turn)
        break
      case 'signed-checkpoint':
        this.checkpointer.signature(from, decodeSignedCheckpoint(bytes, this.options.stakes.length), turn)
        break
      case 'attested-checkpoint':
        this.checkpointer.certificate(from, bytes, turn)
        break
      case 'checkpoint-request':
        helper.answerCheckpoint(from, requests.decodeCheckpointRequest(bytes), this.checkpointer, turn)
        break
      case 'history-request':
        this.historyServer.answer(from, decodeHistoryRequest(bytes), turn)
        break
      case 'history-piece':
        this.fetched(this.history.piece(from, decodeHistoryPiece(bytes), turn), turn)
        break
      case 'history-end':
        this.history.end(from, decodeHistoryEnd(bytes), turn.now.ms)
        break
      default:
        turn.refuse(from, 'message-unknown', `a record that begins with ${bytes[0]}, ${bytes[1]}`)
    }
  }

  /** Records that others have ordered are here, and proven. */
  private fetched(records: readonly FetchedRecord[], turn: TurnBuilder): void {
    if (records.length === 0) return
    turn.write({ type: 'fetched', records })
    const { authority } = this.options
    for (const { commit } of records) {
      for (const { digest } of commit.batches) this.names.ordered(digest)
      const lacking = commit.batches.filter(
        ({ author, digest }) => author !== authority && this.payload.done(author, digest, turn) === undefined,
      )
      for (const entry of lacking)
        this.payloadFetcher.want({ author: entry.author, round: commit.round }, [entry], turn.now.ms)
    }
  }

  /** Far behind, the log itself is asked for; when it is here we begin anew from the state after it. */
  private considerHistory(turn: TurnBuilder): void {
    const { catchUp, certificates, history } = this
    const { historyRoundsBehind = HISTORY_ROUNDS_BEHIND } = this.options
    const isFar = catchUp.seenRound > certificates.quorumRound + historyRoundsBehind || catchUp.isHistoryGone
    if (isFar && history.mayBegin(turn.now.ms)) history.begin(this.fetchedLog(), turn.now.ms, false)
    const { joined } = history
    if (joined === undefined) {
      history.tick(turn)
      return
    }
    const { batches, checkpoint, index, position } = joined
    const { gcRound } = new Consensus(this.options, { ...position, batches })
    if (index > this.checkpointer.attestedIndex) turn.write({ type: 'checkpoint-attested', index, bytes: checkpoint })
    turn.write({ type: 'joined', state: position })
    turn.write({ type: 'collected', gcRound })
    turn.reopens = true
  }

  /** A peer says how far it is: `recovery.ts`. */
  private highest(from: AuthorityIndex, answer: requests.Highest, turn: TurnBuilder): void {
    const { core, recovery } = this
    const certificate = answer.certificate && this.records.readCertificate(answer.certificate)
    const problem: Problem | undefined =
      core.isRecovering && recovery.isAsked(answer.nonce)
        ? certificate && core.problemOfVotes(certificate)
        : { reason: 'answer-not-asked', detail: `nonce ${answer.nonce}` }
    if (problem !== undefined) {
      turn.refuse(from, problem.reason, problem.detail)
      return
    }
    const round = certificate?.header.round ?? 0
    this.catchUp.saw(from, round)
    const above = recovery.answer(from, round, turn)
    if (above !== undefined) core.mayFromNowSign(above, turn)
  }

  private turn(now: Now, act: (turn: TurnBuilder) => void): Turn {
    const turn = new TurnBuilder(now)
    if (this.stopped === undefined) {
      try {
        act(turn)
        this.core.settle(turn)
        this.tick(turn)
      } catch (error) {
        if (!(error instanceof NarvalError)) throw error
        this.keepWhatStops(error, turn)
        this.stopped = error
      }
    }
    const wakeAtMs = this.stopped === undefined ? this.wakeAtMs(now.ms) : Number.POSITIVE_INFINITY
    return turn.finish(wakeAtMs, () => this.consensus.position(), this.stopped)
  }

  /** Two certificates show who has voted twice: more than F of the stake. */
  private keepWhatStops(error: NarvalError, turn: TurnBuilder): void {
    if (error instanceof KeyUsedTwiceError) this.evidence.add(error.evidence, turn)
    if (!(error instanceof CertificateEquivocationError)) return
    const [a, b] = [error.first as CertificateRecord, error.second as CertificateRecord]
    const { author: accused, round } = a.header
    this.evidence.add({ kind: 'certificates', accused, round, first: a.bytes, second: b.bytes }, turn)
  }

  /** What time brings, whatever the event was. */
  private tick(turn: TurnBuilder): void {
    const { core, certificates, recovery } = this
    this.considerHistory(turn)
    if (this.history.isActive) {
      if (core.isRecovering) recovery.tick(turn)
      this.payloadFetcher.tick(this.consensus.gcRound, turn)
      this.catchUp.look(certificates.quorumRound, turn)
      return
    }
    core.lookAgain(this.headerWaiter.tick(turn))
    core.settle(turn)
    if (core.isRecovering) recovery.tick(turn)
    else this.signingWatch.consider(core.signingAbove, certificates.quorumRound, turn)
    this.propose(turn)
    if (turn.now.ms >= this.resendAtMs) {
      core.resend('all', turn)
      this.resendAtMs = turn.now.ms + RESEND_MS
    }
    this.notePayload(turn)
    this.requests.flush(turn)
    this.payloadFetcher.tick(this.consensus.gcRound, turn)
    this.catchUp.consider(certificates.quorumRound, turn)
    this.checkpointer.tick(!core.isRecovering, turn)
    this.names.tick(turn)
  }

  private propose(turn: TurnBuilder): void {
    const { adoption, core, proposer, consensus } = this
    if (this.headerDueAtMs(turn.now.ms) > turn.now.ms) return
    core.giveUp(turn)
    const { decidedRound } = consensus
    const adopted = proposer.mayAdopt(decidedRound) ? adoption.take(proposer.nextRound, turn) : []
    const header = core.makeHeader(proposer.propose(turn.now, decidedRound, adopted), turn)
    this.proposeHeader(header, turn)
    core.settle(turn)
  }

  /** When our next header is due: not while we are behind, or may not sign it. */
  private headerDueAtMs(nowMs: number): number {
    const { catchUp, certificates, consensus, core, proposer } = this
    const { quorumRound } = certificates
    if (!core.maySign(quorumRound + 1)) return Number.POSITIVE_INFINITY
    // Above a state that was taken there are no certificates to build on yet.
    const isBare = quorumRound > 0 && certificates.at(quorumRound)?.quorumAtMs === undefined
    if (isBare) return Number.POSITIVE_INFINITY
    const quorumAtMs = certificates.at(quorumRound)?.quorumAtMs ?? Number.NEGATIVE_INFINITY
    return Math.max(proposer.dueAtMs(nowMs, consensus.decidedRound), catchUp.heldUntilMs(quorumRound, quorumAtMs))
  }

  /** A new header, or that of the store. */
  private proposeHeader(header: HeaderRecord, turn: TurnBuilder): void {
    this.proposer.made(header, turn.now.ms)
    this.core.propose(header, turn)
    this.resendAtMs = turn.now.ms + RESEND_MS
  }

  private wakeAtMs(nowMs: number): number {
    const { core, certificates, history } = this
    if (history.isActive) {
      const recoveryAtMs = core.isRecovering ? this.recovery.wakeAtMs : Number.POSITIVE_INFINITY
      return Math.min(history.wakeAtMs, this.payloadFetcher.wakeAtMs, recoveryAtMs)
    }
    return Math.min(
      this.headerDueAtMs(nowMs),
      this.resendAtMs,
      this.headerWaiter.wakeAtMs,
      this.payloadFetcher.wakeAtMs,
      this.requests.wakeAtMs,
      this.names.wakeAtMs,
      this.catchUp.wakeAtMs(certificates.quorumRound),
      this.checkpointer.wakeAtMs,
      core.isRecovering ? this.recovery.wakeAtMs : this.signingWatch.wakeAtMs,
    )
  }

  private listed(round: Round, payload: readonly PayloadEntry[]): void {
    const own = payload.filter(({ author }) => author === this.options.authority)
    this.ownBatches.restore(
      round,
      own.map(({ worker, sequence }) => batchKey({ worker, sequence: sequence! })),
    )
  }
}

/** What is ordered or signed, or leads to it. */
function isOfRounds(kind: RecordKind | undefined): boolean {
  return kind === 'header' || kind === 'vote' || kind === 'certificate' || kind === 'range-answer'
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex')
}

export interface PrimaryBounds {
  readonly headersWaitingMax: number
  readonly certificatesWantedMax: number
  readonly payloadWantedMax: number
}

export interface PrimaryStatus extends CheckpointerStatus {
  /** Of our last header. */
  readonly round: Round
  /** The highest round of which we have a quorum of certificates. */
  readonly quorumRound: Round
  /** The highest round of which anybody has shown a certificate. */
  readonly seenRound: Round
  readonly gcRound: Round
  /** How far the order is. */
  readonly decidedRound: Round
  readonly lastCommit: number
  readonly headersWaiting: number
  readonly certificatesWaiting: number
  readonly certificatesKept: number
  readonly certificatesWanted: number
  /** Batches of certificates that our own workers do not have. */
  readonly payloadWanted: number
  readonly ownBatchesWaiting: number
  readonly ownBatchesListed: number
  /** Batches of others that are not in the order, and that no header names. */
  readonly unnamedBatches: number
  /** Batches that others than their authors brought into the order, since the start. */
  readonly adoptedBatches: number
  /** Batches of all authorities that headers list which got our vote or are certified, and that are not in the order. */
  readonly batchesNamed: number
  /** Delivered certificates with batches that are not in the order. */
  readonly unordered: number
  readonly headerDelayMs: number
  /** Votes of others for headers of ours that counted, since the start. */
  readonly votesTaken: number
  /** Authorities whose votes our last header waits for. */
  readonly missingVotes: readonly AuthorityIndex[]
  readonly isRecovering: boolean
  /** The round above which we may sign; 0 while it is recovering. */
  readonly signingAbove: Round
  /** The committee stands below that round. */
  readonly isSigningHeld: boolean
  /** The others keep nothing any more of the rounds that we need next. */
  readonly isHistoryGone: boolean
}
