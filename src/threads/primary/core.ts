/**
 * Core: what the primary does with a header, a vote and a certificate. Everything here is synchronous: between a check and
 * the change that it allows nothing else happens. What is verified for nothing is refused in the same turn, and so its
 * sender pays for it (`verification-budget.ts`).
 *
 * ```
 *  header ──▶ signature ──▶ parents delivered? ──▶ consensus.addHeader ──▶ batches held? time come? ──▶ vote
 *                              no: HeaderWaiter                               no: HeaderWaiter
 *  vote ────▶ VotesAggregator ──▶ certificate of ours ──┐
 *  certificate ──▶ votes of a quorum ───────────────────┴▶ parents delivered? ──▶ deliver: write, consensus, aggregator
 *                                                            no: CertificateWaiter
 * ```
 */
import { encodeHeader, type UnsignedHeader } from '../../shared/wire/primary/header.js'
import { headerId } from '../../shared/wire/primary/header-id.js'
import { compareBytes } from '../../shared/wire/primary/record.js'
import { encodeVote, type Vote } from '../../shared/wire/primary/vote.js'
import type { Adoption } from './adoption.js'
import type { CatchUp } from './catch-up.js'
import type { CertificateRequests } from './certificate-requests.js'
import type { CertificateWaiter } from './certificate-waiter.js'
import type { CertificatesAggregator } from './certificates-aggregator.js'
import type { Consensus } from './consensus/consensus.js'
import type { Stakes } from './consensus/stakes.js'
import type { AuthorityIndex, Commit, Digest, Header, PayloadEntry, Round } from './consensus/types.js'
import type { EvidenceKeeper } from './evidence-keeper.js'
import type { GarbageCollector } from './garbage-collector.js'
import { GivenUpHeaders } from './given-up-headers.js'
import type { HeaderWaiter } from './header-waiter.js'
import { KeyUsedTwiceError } from './key-used-twice.js'
import { CREATED_AHEAD_MS_MAX, CREATED_TOLERANCE_MS, EPOCH } from './limits.js'
import { isUnlinked } from './links.js'
import type { NamedBatches } from './named-batches.js'
import type { OwnBatches } from './own-batches.js'
import type { Pacing } from './pacing.js'
import type { PayloadFetcher } from './payload-fetcher.js'
import type { Peers } from './peers.js'
import type { Proposal, Proposer } from './proposer.js'
import { type CertificateRecord, digestBytes, type HeaderRecord, type Records } from './records.js'
import { isFor, type Signatures } from './signatures.js'
import type { Signing } from './store/writes.js'
import type { Problem, Synchronizer } from './synchronizer.js'
import type { Now, TurnBuilder } from './turn.js'
import type { UnnamedBatches } from './unnamed-batches.js'
import { VotesAggregator } from './votes-aggregator.js'

export interface CoreOptions {
  readonly authority: AuthorityIndex
  readonly committeeDigest: Uint8Array
  readonly stakes: Stakes
  readonly gcDepth: number
}

export interface CoreStages {
  readonly records: Records
  readonly signatures: Signatures
  readonly consensus: Consensus
  readonly certificates: CertificatesAggregator
  readonly synchronizer: Synchronizer
  readonly headerWaiter: HeaderWaiter
  readonly certificateWaiter: CertificateWaiter
  readonly requests: CertificateRequests
  readonly catchUp: CatchUp
  readonly ownBatches: OwnBatches
  readonly unnamed: UnnamedBatches
  readonly adoption: Adoption
  readonly names: NamedBatches
  readonly payloadFetcher: PayloadFetcher
  readonly proposer: Proposer
  readonly pacing: Pacing
  readonly peers: Peers
  readonly garbageCollector: GarbageCollector
  readonly evidence: EvidenceKeeper
}

/** What the store knows that is Core's own. */
export interface CoreState {
  readonly signing: Signing
  readonly votes: readonly Vote[]
}

export class Core {
  private readonly options: CoreOptions
  private readonly stages: CoreStages
  /** Votes of others for headers of ours that counted, since the start. */
  votesTaken = 0
  private signing: Signing
  /** By author. A vote for a round below it is never given, another one for its round neither. */
  private readonly lastVotes: (Vote | undefined)[]
  /** By author: the header of the last vote, if we have it, for evidence. */
  private readonly votedHeaders: (HeaderRecord | undefined)[]
  /** By author: round and time of the highest header that is certified. */
  private readonly lastCreated: { round: Round; createdAt: number }[]
  /** The votes for our last header, until it has its certificate. */
  private votes: VotesAggregator | undefined
  /** When that header was made. */
  private proposedAtMs = 0
  private readonly givenUp = new GivenUpHeaders()
  /** Certificates whose parents are all delivered, and headers that are to be looked at again. */
  private readonly readyCertificates: CertificateRecord[] = []
  private readonly readyHeaders: HeaderRecord[] = []

  constructor(options: CoreOptions, stages: CoreStages, state: CoreState) {
    this.options = options
    this.stages = stages
    this.signing = state.signing
    const { size } = options.stakes
    this.lastVotes = new Array(size)
    this.votedHeaders = new Array(size)
    this.lastCreated = Array.from({ length: size }, () => ({ round: 0, createdAt: 0 }))
    if (state.signing.state === 'above') stages.proposer.signsAbove(state.signing.round)
    for (const vote of state.votes) this.lastVotes[vote.author] = vote
  }

  get isRecovering(): boolean {
    return this.signing.state === 'recovering'
  }

  /** The round above which anything may be signed; 0 while that is not known. */
  get signingAbove(): Round {
    return this.signing.state === 'above' ? this.signing.round : 0
  }

  /** Whether anything may be signed in this round. */
  maySign(round: Round): boolean {
    return this.signing.state === 'above' && round > this.signing.round
  }

  /** Of whom our last header waits for votes; of nobody once it is certified. */
  get missingVotes(): readonly AuthorityIndex[] {
    return this.votes?.missing ?? []
  }

  mayFromNowSign(above: Round, turn: TurnBuilder): void {
    this.signing = { state: 'above', round: above }
    this.stages.proposer.signsAbove(above)
    turn.write({ type: 'signing', signing: this.signing })
    turn.notice({ type: 'recovered', round: above })
  }

  /** A header from its author. */
  header(from: AuthorityIndex, header: HeaderRecord, turn: TurnBuilder): void {
    const last = header.author === from ? this.lastVotes[from] : undefined
    if (isFor(last, header)) {
      this.witnessAgain(header, turn)
      this.sendVote(last!, turn)
    } else if (!this.stages.headerWaiter.has(header)) {
      const problem = this.problemOfHeader(from, header)
      if (problem === undefined) {
        this.witness(header, turn)
        this.readyHeaders.push(header)
      } else turn.refuse(from, problem.reason, problem.detail)
    }
  }

  /** A vote for our header. */
  vote(from: AuthorityIndex, vote: Vote, turn: TurnBuilder): void {
    const votes = this.votes !== undefined && isFor(vote, this.votes.header) ? this.votes : this.givenUp.find(vote)
    const problem = this.problemOfVote(from, vote, votes)
    if (problem !== undefined) turn.refuse(from, problem.reason, problem.detail)
    else {
      this.votesTaken += 1
      this.addVote(votes!, from, vote.signature, turn)
    }
  }

  /** A certificate, from whomever. */
  certificate(from: AuthorityIndex, certificate: CertificateRecord, turn: TurnBuilder): void {
    const { digest, header } = certificate
    const { certificates, certificateWaiter, synchronizer, consensus } = this.stages
    if (certificates.place(digest) !== undefined || certificateWaiter.has(digest)) {
      this.isHere(from, header, turn)
      return
    }
    const problem = this.problemOfCertificate(from, certificate)
    if (problem !== undefined) {
      turn.refuse(from, problem.reason, problem.detail)
      return
    }
    this.witness(header, turn)
    const missing = synchronizer.missingParents(header, consensus.gcRound)
    if (missing.length === 0) this.readyCertificates.push(certificate)
    else if (certificateWaiter.wait(certificate, missing)) this.wantParents(missing, from, turn)
    else {
      turn.refuse(from, 'round-ahead', `round ${header.round}, and there is no room for what waits for parents`)
      return
    }
    this.stages.requests.settle(digest)
    this.isHere(from, header, turn)
  }

  /** A certificate of this header is verified, and is delivered or will be. */
  private isHere(from: AuthorityIndex, { author, round }: Header, turn: TurnBuilder): void {
    this.stages.catchUp.saw(from, round)
    this.stages.catchUp.came(from, round, author, turn.now.ms)
  }

  /** What waits for parents itself is here, and is not asked for. */
  private wantParents(missing: readonly Digest[], from: AuthorityIndex, turn: TurnBuilder): void {
    const { catchUp, certificates, certificateWaiter, requests } = this.stages
    const unknown = missing.filter((digest) => !certificateWaiter.has(digest))
    requests.want(unknown, from, catchUp.parentsAtMs(certificates.quorumRound, turn.now.ms))
  }

  /**
   * Whether it is of our epoch, and the votes are valid and a quorum.
   *
   * @throws ERR_KEY_USED_TWICE it has a signature of ours that our store does not have
   */
  problemOfVotes(certificate: CertificateRecord): Problem | undefined {
    const { header, votes } = certificate
    const { stakes } = this.options
    if (header.signed.epoch !== EPOCH) return { reason: 'epoch-other', detail: `epoch ${header.signed.epoch}` }
    const stake = stakes.sum(votes.map(({ voter }) => voter))
    if (stake < stakes.quorum) {
      return { reason: 'certificate-without-quorum', detail: `votes with ${stake} of the stake, of ${stakes.quorum}` }
    }
    const own = this.lastVotes[header.author]
    if (!this.stages.signatures.verifyCertificate(certificate, isFor(own, header) ? own : undefined)) {
      return { reason: 'signature-invalid', detail: `certificate of round ${header.round}` }
    }
    this.refuseForeignUseOfOurKey(certificate)
    return undefined
  }

  /** A certificate of the store, at a restart: it is not written again. */
  restore(certificate: CertificateRecord, turn: TurnBuilder): void {
    const { header } = certificate
    const { consensus, certificates, proposer } = this.stages
    this.witness(header, turn)
    if (!consensus.isOver(header.round, header.author)) proposer.delivered(certificate)
    const commits = header.round > consensus.gcRound ? this.order(certificate, turn) : []
    certificates.add(certificate, turn.now.ms)
    this.noteCreated(header)
    this.wantPayload(header, turn.now.ms)
    this.name(header, turn)
    this.ordered(commits, turn)
  }

  /** What is certified may be ordered, and what is ordered has to be here, whether or not we vote for it. */
  wantPayload(header: Header, nowMs: number): void {
    this.stages.unnamed.listed(header, true, nowMs)
    if (header.author === this.options.authority || header.payload.length === 0) return
    this.stages.payloadFetcher.want(header, this.stages.synchronizer.missingPayload(header), nowMs)
  }

  /** Before what follows from it is ordered. */
  private name(header: Header, turn: TurnBuilder): void {
    const { consensus, names } = this.stages
    const isOrdered = ({ author, sequence, worker }: PayloadEntry): boolean =>
      consensus.hasBatch(author, worker, sequence!)
    names.named(header, isOrdered, turn.now.ms)
  }

  /** Our header of a store is ours to be certified still. */
  propose(header: HeaderRecord, turn: TurnBuilder): void {
    const { authority, stakes } = this.options
    this.stages.signatures.trust(header)
    this.witness(header, turn)
    this.votes = new VotesAggregator(header, stakes)
    this.proposedAtMs = turn.now.ms
    this.name(header, turn)
    turn.sendAfterDurable('all', header.bytes)
    this.ordered(this.stages.consensus.addHeader(header).commits, turn)
    this.addVote(this.votes, authority, this.stages.signatures.signVote(header).signature, turn)
  }

  /** Makes a header of ours. The one before is given up by then, if it has no certificate (`giveUp`). */
  makeHeader({ round, createdAt, parents, payload }: Proposal, turn: TurnBuilder): HeaderRecord {
    const { authority: author, committeeDigest } = this.options
    const sorted = parents.map(digestBytes).sort(compareBytes)
    const unsigned: UnsignedHeader = { author, epoch: EPOCH, round, createdAt, parents: sorted, payload }
    const signature = this.stages.signatures.signHeader(headerId(committeeDigest, unsigned))
    const signed = { ...unsigned, signature }
    const header = this.stages.records.header(signed, encodeHeader(signed))
    turn.write({ type: 'own-header', round, bytes: header.bytes })
    turn.notice({ type: 'header-created', round, batches: payload.filter((batch) => batch.author === author) })
    const adopted = payload.filter((batch) => batch.author !== author)
    if (adopted.length > 0) turn.notice({ type: 'adopted', round, batches: adopted })
    return header
  }

  /**
   * The next header is due. If our last one has no certificate its batches are proposed again, and so are those of
   * headers whose certificates nobody has linked.
   */
  giveUp(turn: TurnBuilder): void {
    const { adoption, certificates, consensus, ownBatches, pacing, proposer } = this.stages
    const { quorumRound } = certificates
    if (this.votes !== undefined) {
      const { round } = this.votes.header
      adoption.giveUp(round, turn.now.ms)
      this.givenUp.add(this.votes, this.proposedAtMs, this.proposedAtMs + pacing.certificateMs)
      this.votes = undefined
      turn.notice({ type: 'header-given-up', round, batches: ownBatches.giveUp(round) })
    }
    const isOver = (round: Round): boolean => isUnlinked(certificates, this.options.authority, round, quorumRound)
    adoption.collect(isOver, turn.now.ms)
    const again = proposer.isSearching ? 0 : ownBatches.collect(isOver)
    if (again > 0) turn.notice({ type: 'proposed-again', batches: again })
    this.givenUp.collect(consensus.gcRound)
    for (const payload of this.givenUp.inVain(turn.now.ms)) proposer.givenUp(payload)
  }

  /** Sends our last header again to those whose vote is missing, or else the certificate, to one peer or to all. */
  resend(to: AuthorityIndex | 'all', turn: TurnBuilder): void {
    const { proposer, certificates, peers } = this.stages
    const last = proposer.lastHeader
    if (this.votes !== undefined) {
      const missing = to === 'all' ? peers.all() : [to]
      for (const peer of missing) {
        if (!this.votes.has(peer)) turn.sendAfterDurable(peer, this.votes.header.bytes)
      }
    } else if (last !== undefined) {
      const certificate = certificates.of(last.round, last.author)
      if (certificate !== undefined) turn.sendAfterDurable(to, certificate.bytes)
    }
  }

  /** A batch is stored, or time has gone by: these headers are to be looked at again. */
  lookAgain(headers: readonly HeaderRecord[]): void {
    this.readyHeaders.push(...headers)
  }

  /** Does what has become possible. Called at the end of every turn. */
  settle(turn: TurnBuilder): void {
    for (;;) {
      const certificate = this.readyCertificates.shift()
      const header = certificate === undefined ? this.readyHeaders.shift() : undefined
      if (certificate !== undefined) this.deliver(certificate, turn)
      else if (header !== undefined) this.consider(header, turn)
      else return
    }
  }

  private problemOfHeader(from: AuthorityIndex, header: HeaderRecord): Problem | undefined {
    const { author, round } = header
    const { consensus, signatures } = this.stages
    if (author !== from) return { reason: 'sender-other', detail: `a header of authority ${author}` }
    if (header.signed.epoch !== EPOCH) return { reason: 'epoch-other', detail: `epoch ${header.signed.epoch}` }
    if (round <= consensus.gcRound) return this.old(round)
    const last = this.lastVotes[author]
    if (last !== undefined && last.round > round) {
      return { reason: 'header-older', detail: `round ${round}, after our vote of round ${last.round}` }
    }
    if (this.isConvicted(author, round)) return { reason: 'header-second', detail: `round ${round}, one more` }
    const problem = this.ahead(round)
    if (problem !== undefined || signatures.verifyHeader(header)) return problem
    return { reason: 'signature-invalid', detail: `header of round ${round}` }
  }

  /** Two headers of this round are kept, or we voted for one and keep no more evidence: a further one shows nothing new. */
  private isConvicted(author: AuthorityIndex, round: Round): boolean {
    const { evidence } = this.stages
    if (evidence.has('headers', author, round)) return true
    return this.lastVotes[author]?.round === round && evidence.isFull('headers', author)
  }

  private problemOfVote(from: AuthorityIndex, vote: Vote, votes: VotesAggregator | undefined): Problem | undefined {
    const { voter, author, round } = vote
    if (voter !== from) return { reason: 'sender-other', detail: `a vote of authority ${voter}` }
    if (vote.epoch !== EPOCH) return { reason: 'epoch-other', detail: `epoch ${vote.epoch}` }
    const isOurs = author === this.options.authority
    if (!isOurs || votes === undefined || !isFor(vote, votes.header)) {
      const isLate = isOurs && round <= (this.stages.proposer.lastHeader?.round ?? 0)
      return { reason: isLate ? 'vote-late' : 'vote-unexpected', detail: `round ${round} of authority ${author}` }
    }
    if (votes.has(voter)) return { reason: 'vote-replayed', detail: `round ${round}` }
    if (this.stages.signatures.verifyVote(vote)) return undefined
    return { reason: 'signature-invalid', detail: `vote of round ${round}` }
  }

  private problemOfCertificate(from: AuthorityIndex, certificate: CertificateRecord): Problem | undefined {
    const { round } = certificate.header
    if (round <= this.stages.consensus.gcRound) return this.old(round)
    const ahead = this.ahead(round)
    const { catchUp, certificates } = this.stages
    // It is proven already that this peer is ahead; the certificate comes again by range.
    if (ahead !== undefined && catchUp.isAhead(from, certificates.quorumRound)) return ahead
    const problem = this.problemOfVotes(certificate)
    if (problem !== undefined) return problem
    catchUp.saw(from, round)
    return ahead
  }

  private deliver(certificate: CertificateRecord, turn: TurnBuilder): void {
    const { digest, header, bytes } = certificate
    const { round, author } = header
    const { consensus, certificates, synchronizer, proposer, pacing } = this.stages
    if (round <= consensus.gcRound || certificates.place(digest) !== undefined) return
    const problem = round - 1 > consensus.gcRound ? synchronizer.problemOfParents(header) : undefined
    if (problem !== undefined) {
      turn.refuse(author, problem.reason, problem.detail)
      return
    }
    const quorumAtMs = certificates.at(round)?.quorumAtMs ?? turn.now.ms
    proposer.delivered(certificate)
    const commits = this.order(certificate, turn)
    const highest = certificates.quorumRound
    certificates.add(certificate, turn.now.ms)
    const isOfLastHeader = certificates.quorumRound > highest && round === proposer.lastHeader?.round
    if (isOfLastHeader) pacing.quorum(turn.now.ms - this.proposedAtMs)
    turn.write({ type: 'certificate', round, author, digest: header.idBytes, bytes })
    turn.notice({ type: 'certified', author, round })
    pacing.arrived(author, round, turn.now.ms - quorumAtMs)
    this.stages.catchUp.delivered(turn.now.ms)
    this.stages.requests.settle(digest)
    this.noteCreated(header)
    this.wantPayload(header, turn.now.ms)
    this.name(header, turn)
    this.ownCertified(header, digest, turn)
    this.readyCertificates.push(...this.stages.certificateWaiter.delivered(digest))
    this.readyHeaders.push(...this.stages.headerWaiter.delivered(digest))
    this.ordered(commits, turn)
  }

  private ownCertified({ payload }: Header, digest: Digest, turn: TurnBuilder): void {
    const { pacing, proposer } = this.stages
    const isLast = this.votes?.header.id === digest
    const late = isLast ? undefined : this.givenUp.certified(digest)
    if (!isLast && late === undefined) return
    if (isLast) this.votes = undefined
    pacing.certified(turn.now.ms - (late?.proposedAtMs ?? this.proposedAtMs))
    if (late?.isInVain) return
    const batch = proposer.lastCertified(payload)
    if (batch !== undefined) turn.notice({ type: 'batch-unobtainable', batch })
  }

  /** Hands a certificate to consensus, with its header, which may decide earlier. */
  private order(certificate: CertificateRecord, turn: TurnBuilder): Commit[] {
    return [...this.orderHeader(certificate.header, turn), ...this.stages.consensus.addCertificate(certificate)]
  }

  private orderHeader(header: HeaderRecord, turn: TurnBuilder): readonly Commit[] {
    const { commits, equivocation } = this.stages.consensus.addHeader(header)
    if (equivocation !== undefined) this.equivocated(equivocation.first, equivocation.second, turn)
    return commits
  }

  private ordered(commits: readonly Commit[], turn: TurnBuilder): void {
    this.readyCertificates.push(...this.stages.garbageCollector.committed(commits, turn))
  }

  /** A verified header of another authority, for the first time or because something it waited for has come. */
  private consider(header: HeaderRecord, turn: TurnBuilder): void {
    const { synchronizer, consensus, headerWaiter } = this.stages
    const parents = synchronizer.missingParents(header, consensus.gcRound)
    const farAheadMs = parents.length === 0 ? this.createdAheadMs(header, turn.now) : 0
    const problem =
      this.problemOfParents(header, parents, turn) ?? this.problemOfPayload(header) ?? this.problemOfTime(farAheadMs)
    if (problem !== undefined) {
      turn.refuse(header.author, problem.reason, problem.detail)
      return
    }
    if (!this.maySign(header.round)) {
      turn.refuse(header.author, 'not-signing', `round ${header.round}`)
      return
    }
    const payload = synchronizer.missingPayload(header)
    const aheadMs = Math.max(0, farAheadMs - CREATED_TOLERANCE_MS)
    if (parents.length === 0 && payload.length === 0 && aheadMs === 0) {
      this.voteFor(header, turn)
      return
    }
    const replaced = headerWaiter.wait(header, { parents, payload, dueAtMs: turn.now.ms + aheadMs }, turn)
    if (replaced !== undefined) {
      turn.refuse(header.author, 'header-replaced', `round ${replaced.round}`)
    }
    this.wantParents(parents, header.author, turn)
  }

  /**
   * How far a header, whose parents are delivered, is ahead of our clock, or of what its parents say the time is, whichever
   * is later: the median by stake of their times, and what has gone by since they were a quorum. No liar moves it. Our clock
   * alone would stop a committee whose clocks have been set back.
   */
  private createdAheadMs({ round, parents, createdAt }: Header, { ms, unixMs }: Now): number {
    const { certificates } = this.stages
    const quorumAtMs = certificates.at(round - 1)?.quorumAtMs ?? ms
    return createdAt - Math.max(unixMs, certificates.medianCreatedAt(parents) + Math.floor(ms - quorumAtMs))
  }

  private problemOfTime(aheadMs: number): Problem | undefined {
    if (aheadMs <= CREATED_AHEAD_MS_MAX) return undefined
    return { reason: 'created-ahead', detail: `${aheadMs} ms ahead of our clock, and of what its parents say` }
  }

  /** Gives the header to consensus when its parents are there, whether or not it gets a vote. */
  private problemOfParents(header: HeaderRecord, missing: readonly Digest[], turn: TurnBuilder): Problem | undefined {
    const { consensus, synchronizer } = this.stages
    if (header.round <= consensus.gcRound) return this.old(header.round)
    if (missing.length > 0) return undefined
    const problem = synchronizer.problemOfParents(header)
    if (problem !== undefined) return problem
    this.ordered(this.orderHeader(header, turn), turn)
    return header.round <= consensus.gcRound ? this.old(header.round) : undefined
  }

  private problemOfPayload(header: HeaderRecord): Problem | undefined {
    const problem = this.stages.synchronizer.problemOfPayload(header)
    if (problem !== undefined || !this.stages.headerWaiter.hasLater(header)) return problem
    return { reason: 'header-replaced', detail: `round ${header.round}, by a later one` }
  }

  /** We have all of it. One vote for each author and round; the same header gets the same vote again. */
  private voteFor(header: HeaderRecord, turn: TurnBuilder): void {
    const { author, round } = header
    const last = this.lastVotes[author]
    if (isFor(last, header)) {
      this.sendVote(last!, turn)
      return
    }
    const problem = this.problemOfVoting(header, turn)
    if (problem !== undefined) {
      turn.refuse(header.author, problem.reason, problem.detail)
      return
    }
    const vote = this.stages.signatures.signVote(header)
    this.lastVotes[author] = vote
    this.votedHeaders[author] = header
    turn.write({ type: 'vote', author, bytes: encodeVote(vote) })
    turn.notice({ type: 'voted', author, round })
    this.name(header, turn)
    this.stages.proposer.votedFor(header, turn.now.ms)
    this.stages.unnamed.listed(header, false, turn.now.ms)
    this.sendVote(vote, turn)
  }

  /** What we voted for before, and when its author made that. */
  private problemOfVoting(header: HeaderRecord, turn: TurnBuilder): Problem | undefined {
    const { author, round, createdAt } = header
    const last = this.lastVotes[author]
    if (last !== undefined && last.round >= round) {
      const voted = this.votedHeaders[author]
      if (voted?.round === round) this.equivocated(voted, header, turn)
      const reason = last.round === round ? 'header-second' : 'header-older'
      return { reason, detail: `round ${round}, after our vote of round ${last.round}` }
    }
    const before = this.lastCreated[author]!
    if (before.round >= round || createdAt >= before.createdAt) return undefined
    return { reason: 'created-before-last', detail: `${createdAt}, after ${before.createdAt} in round ${before.round}` }
  }

  private sendVote(vote: Vote, turn: TurnBuilder): void {
    turn.sendAfterDurable(vote.author, encodeVote(vote))
  }

  private addVote(votes: VotesAggregator, voter: AuthorityIndex, signature: Uint8Array, turn: TurnBuilder): void {
    const quorum = votes.add(voter, signature)
    if (quorum === undefined) return
    const certificate = this.stages.records.certificate(votes.header, quorum)
    // It shows our header, which may not be on the disk yet, whoever has voted for it.
    turn.sendAfterDurable('all', certificate.bytes)
    this.readyCertificates.push(certificate)
  }

  private noteCreated(header: Header): void {
    const { author, round, createdAt } = header
    if (author === this.options.authority) this.stages.proposer.certified(header)
    const last = this.lastCreated[author]!
    if (round <= last.round) return
    last.round = round
    last.createdAt = createdAt
  }

  /** A header with our vote. After a restart the vote is known, and the header is not: a second one would show nothing. */
  private witnessAgain(header: HeaderRecord, turn: TurnBuilder): void {
    const { evidence, signatures } = this.stages
    if (!evidence.knows(header) && signatures.verifyHeader(header)) this.witness(header, turn)
  }

  /** A verified header: it is looked whether there was another of its round. */
  private witness(header: HeaderRecord, turn: TurnBuilder): void {
    const other = this.stages.evidence.witness(header)
    if (other !== undefined) this.equivocated(other, header, turn)
  }

  /** Two verified headers of one author and round. @throws KeyUsedTwiceError if we are the author */
  private equivocated(first: Header, second: Header, turn: TurnBuilder): void {
    const { author: accused, round } = first
    const [a, b] = [first as HeaderRecord, second as HeaderRecord]
    const evidence = { kind: 'headers', accused, round, first: a.bytes, second: b.bytes } as const
    if (accused === this.options.authority) throw new KeyUsedTwiceError(`another header of round ${round}`, evidence)
    this.stages.evidence.add(evidence, turn)
  }

  private old(round: Round): Problem {
    return { reason: 'round-old', detail: `round ${round}, collected up to ${this.stages.consensus.gcRound}` }
  }

  /** So far ahead that whole rounds are fetched instead. */
  private ahead(round: Round): Problem | undefined {
    const { quorumRound } = this.stages.certificates
    if (round <= quorumRound + this.options.gcDepth) return undefined
    return { reason: 'round-ahead', detail: `round ${round}, we have ${quorumRound}` }
  }

  /** A certificate with a valid signature of ours: the store must know of it, or another process signs with our key. */
  private refuseForeignUseOfOurKey({ bytes, header, votes }: CertificateRecord): void {
    const { round, author } = header
    const { authority } = this.options
    if (author !== authority && !votes.some(({ voter }) => voter === authority)) return
    const own = this.ownInsteadOf(header)
    if (own === undefined && !this.isUnknownToUs(header)) return
    throw new KeyUsedTwiceError(`a certificate of authority ${author} in round ${round}`, {
      ...{ kind: 'own-key', accused: authority, round, first: bytes },
      second: own ?? new Uint8Array(0),
    } as const)
  }

  /** What we signed of the author and round of this header, if that is for another one. */
  private ownInsteadOf(header: HeaderRecord): Uint8Array | undefined {
    const { author, round } = header
    if (author === this.options.authority) return this.stages.evidence.otherThan(header)?.bytes
    const vote = this.lastVotes[author]
    return vote?.round === round && !isFor(vote, header) ? encodeVote(vote) : undefined
  }

  /** Whether our store should know of our signature, and does not. Of earlier rounds it is not kept what we signed. */
  private isUnknownToUs(header: HeaderRecord): boolean {
    const { round, author } = header
    if (!this.maySign(round)) return false
    const { lastHeader } = this.stages.proposer
    const lastVote = this.lastVotes[author]
    const isOurs = author === this.options.authority
    const isKnown = isOurs ? lastHeader?.id === header.id : isFor(lastVote, header)
    const lastRound = (isOurs ? lastHeader : lastVote)?.round ?? 0
    return !isKnown && lastRound <= round
  }
}
