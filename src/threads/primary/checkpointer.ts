/**
 * Checkpointer: makes the records of commits, signs checkpoints of them, and collects the signatures of others until those of
 * a quorum are equal: then the checkpoint is attested, and with it all commits up to its own.
 *
 * ```
 *  commits ──▶ RecordChain ──▶ each 32nd, or the last after 250 ms of rest ──▶ our signature: write, then send to all
 *                                                                                      │
 *  signatures of others ──▶ kept unverified, a few of each peer ──▶ equal ones of a quorum? ──▶ verify ──▶ attested: write
 *                                                │
 *                                                └─▶ another than ours? ──▶ verify ──▶ evidence; V of the stake: ERR_FORK
 * ```
 *
 * A signature is verified when it could make a quorum, or says something else than ours: so the usual fourth one costs
 * nothing. One authority that signs something else than the others lies, and changes nothing. When those that differ have
 * V of the stake, an honest one is among them, and either the order has forked or our own store is wrong: we stop.
 *
 * Only what was ordered here since the start is signed: what was fetched, or stood in the store, proves nothing about us.
 */
import {
  type AttestedCheckpoint,
  type Checkpoint,
  decodeAttestedCheckpoint,
  decodeSignedCheckpoint,
  encodeAttestedCheckpoint,
  encodeSignedCheckpoint,
  isSameCheckpoint,
  type SignedCheckpoint,
} from '../../shared/wire/primary/checkpoint.js'
import { CHECKPOINT_INTERVAL } from '../../shared/wire/primary/limits.js'
import { rangeRoot } from '../../shared/wire/primary/mountain-range.js'
import { encodeCheckpointRequest } from '../../shared/wire/primary/requests.js'
import { sha256 } from '../../shared/wire/primary/sha256.js'
import { CheckpointClaims } from './checkpoint-claims.js'
import { type LogEnd, RecordChain } from './commit-log/record-chain.js'
import type { Consensus } from './consensus/consensus.js'
import type { Stakes } from './consensus/stakes.js'
import type { AuthorityIndex, Commit } from './consensus/types.js'
import type { EvidenceKeeper } from './evidence-keeper.js'
import { forkError } from './fork-error.js'
import {
  CHECKPOINT_REST_MS,
  CHECKPOINT_RETRY_MS,
  CHECKPOINTS_BEHIND,
  DIFFERING_SAID_MAX,
  EPOCH,
  OWN_CHECKPOINTS_KEPT,
} from './limits.js'
import type { Peers } from './peers.js'
import type { Signatures } from './signatures.js'
import type { StoredState } from './store/writes.js'
import type { Problem } from './synchronizer.js'
import type { TurnBuilder } from './turn.js'

export interface CheckpointerOptions {
  readonly authority: AuthorityIndex
  readonly committeeDigest: Uint8Array
  /** What primaries have agreed on: 32 bytes. */
  readonly rule: Uint8Array
  readonly stakes: Stakes
}

export interface CheckpointerStages {
  readonly signatures: Signatures
  readonly consensus: Consensus
  readonly peers: Peers
  readonly evidence: Pick<EvidenceKeeper, 'add'>
}

/** A checkpoint of ours. */
interface Own {
  readonly checkpoint: Checkpoint
  /** Until it is signed it is not sent. */
  signed: SignedCheckpoint | undefined
  /** Who has signed something else. */
  readonly differing: Set<AuthorityIndex>
  /** The record of it with the signatures of a quorum. */
  attested?: Uint8Array
}

interface Attested {
  readonly checkpoint: Checkpoint
  readonly bytes: Uint8Array
}

export class Checkpointer {
  private readonly options: CheckpointerOptions
  private readonly stages: CheckpointerStages
  private readonly chain: RecordChain
  /** By index, ascending: the last ones of ours. */
  private readonly own = new Map<number, Own>()
  /** Of these, the ones that this turn has reached. */
  private fresh: Own[] = []
  private readonly claims: CheckpointClaims
  private attested: Attested | undefined
  /** Of our last signature. */
  private signedIndex = 0
  private restAtMs = Number.POSITIVE_INFINITY
  private askAtMs = Number.POSITIVE_INFINITY
  private lastAsked: AuthorityIndex
  /** By signer: signatures that say something else. */
  private readonly differing: number[]

  /** @throws NarvalError ERR_STORE_DAMAGED */
  constructor(options: CheckpointerOptions, stages: CheckpointerStages, stored: StoredState) {
    const { authority, committeeDigest, stakes } = options
    this.options = options
    this.stages = stages
    this.lastAsked = authority
    this.differing = new Array<number>(stakes.size).fill(0)
    this.claims = new CheckpointClaims(stakes.size)
    this.chain = new RecordChain({ committeeDigest, epoch: EPOCH }, stored.log)
    const { checkpointAttested: attested, checkpointSigned: signed } = stored
    if (attested !== undefined) {
      this.attested = { checkpoint: decodeAttestedCheckpoint(attested, stakes.size), bytes: attested }
    }
    if (signed === undefined) return
    const checkpoint = decodeSignedCheckpoint(signed, stakes.size)
    this.keep({ checkpoint, signed: checkpoint, differing: new Set() })
    this.signedIndex = checkpoint.index
  }

  get status(): CheckpointerStatus {
    return {
      checkpointSigned: this.signedIndex,
      checkpointAttested: this.attestedIndex,
      checkpointsDiffering: this.differing.reduce((sum, count) => sum + count, 0),
      checkpointClaims: this.claims.size,
    }
  }

  /** Where the log ends. */
  get logEnd(): LogEnd {
    return this.chain.end
  }

  /** The index of the latest that a quorum has signed; 0 if there is none. It may be of a commit that is not here yet. */
  get attestedIndex(): number {
    return this.attested?.checkpoint.index ?? 0
  }

  /** The latest that a quorum has signed. */
  get latest(): Checkpoint | undefined {
    return this.attested?.checkpoint
  }

  get wakeAtMs(): number {
    return Math.min(this.restAtMs, this.askAtMs)
  }

  /** Takes the next commits: they are written with their records. */
  committed(commits: readonly Commit[], turn: TurnBuilder): void {
    for (const commit of commits) {
      turn.commit(this.chain.append(commit))
      if (commit.stateDigest !== undefined) this.reached(commit.stateDigest)
    }
    if (commits.length > 0) this.restAtMs = turn.now.ms + CHECKPOINT_REST_MS
  }

  /**
   * What time brings, and what the commits of this turn have reached.
   *
   * @param maySign whether anything may be signed at all
   */
  tick(maySign: boolean, turn: TurnBuilder): void {
    const { ms } = turn.now
    if (ms >= this.restAtMs) {
      this.restAtMs = Number.POSITIVE_INFINITY
      const isOver = this.chain.index <= Math.max(this.signedIndex, this.attestedIndex)
      if (maySign && !isOver) this.reached(this.stages.consensus.stateDigest())
    }
    const { fresh } = this
    this.fresh = []
    for (const own of fresh) {
      const { index } = own.checkpoint
      if (maySign && index > Math.max(this.signedIndex, this.attestedIndex)) this.sign(own, turn)
      this.compareAll(own, turn)
      this.attest(own.checkpoint, turn)
    }
    this.ask(turn)
  }

  /** A signature from its signer. */
  signature(from: AuthorityIndex, checkpoint: SignedCheckpoint, turn: TurnBuilder): void {
    const problem = this.problemOfSignature(from, checkpoint)
    if (problem !== undefined) {
      turn.refuse(from, problem.reason, problem.detail)
      return
    }
    const before = this.claims.at(from, checkpoint.index)
    if (before !== undefined && !isSameCheckpoint(before, checkpoint)) {
      this.second(before, checkpoint, turn)
      return
    }
    const own = this.own.get(checkpoint.index)
    // After a quorum the others say the same once more: nothing of it is needed.
    if (checkpoint.index <= this.attestedIndex && own !== undefined && isSameCheckpoint(own.checkpoint, checkpoint)) {
      return
    }
    this.claims.add(checkpoint)
    if (own !== undefined && !isSameCheckpoint(own.checkpoint, checkpoint)) this.compare(own, checkpoint, turn)
    else this.attest(checkpoint, turn)
  }

  /** One that is said to have a quorum, from whomever. */
  certificate(from: AuthorityIndex, bytes: Uint8Array, turn: TurnBuilder): void {
    const checkpoint = decodeAttestedCheckpoint(bytes, this.options.stakes.size)
    const isOld = checkpoint.index <= this.attestedIndex
    const problem: Problem | undefined = isOld
      ? { reason: 'checkpoint-old', detail: `commit ${checkpoint.index}, attested up to ${this.attestedIndex}` }
      : this.problemOfAttested(checkpoint)
    if (problem !== undefined) turn.refuse(from, problem.reason, problem.detail)
    else this.attestedBy(checkpoint, turn)
  }

  /** Whether the signatures are valid, and a quorum. What is known of them is not verified again. */
  problemOfAttested(checkpoint: AttestedCheckpoint): Problem | undefined {
    const { signatures, stakes } = { ...this.stages, ...this.options }
    const { epoch, index } = checkpoint
    if (epoch !== EPOCH) return { reason: 'epoch-other', detail: `epoch ${epoch}` }
    const stake = stakes.sum(checkpoint.signatures.map(({ signer }) => signer))
    if (stake < stakes.quorum) {
      return { reason: 'checkpoint-without-quorum', detail: `stake ${stake} of ${stakes.quorum}, commit ${index}` }
    }
    const isValid = checkpoint.signatures.every((signature) => {
      const signed = { ...checkpoint, ...signature }
      return this.claims.isVerified(signed) || signatures.verifyCheckpoint(signed)
    })
    return isValid ? undefined : { reason: 'signature-invalid', detail: `checkpoint of commit ${index}` }
  }

  /** What there is for a peer that asks for the checkpoint of a commit, or for the latest: 0. */
  answer(index: number, find: (index: number) => Uint8Array | undefined): Uint8Array | undefined {
    const { attested } = this
    if (attested !== undefined && (index === 0 || index === this.attestedIndex)) return attested.bytes
    const signed = this.own.get(index)?.signed
    // A later one says the same of the commits up to this one, and more.
    return find(index) ?? (index < this.attestedIndex ? attested?.bytes : signed && encodeSignedCheckpoint(signed))
  }

  /** What was lost with the connection before is sent again. */
  connected(peer: AuthorityIndex, turn: TurnBuilder): void {
    const signed = this.own.get(this.signedIndex)?.signed
    if (signed !== undefined) turn.sendAfterDurable(peer, encodeSignedCheckpoint(signed))
  }

  /** The commit that was appended last is to be signed. */
  private reached(state: Uint8Array): void {
    const { index, range } = this.chain
    const checkpoint = { epoch: EPOCH, index, rule: this.options.rule, root: rangeRoot(sha256, range), state }
    const own = { checkpoint, signed: undefined, differing: new Set<AuthorityIndex>() }
    this.keep(own)
    this.fresh.push(own)
    // Of a long way that is made at once the last ones are enough.
    if (this.fresh.length > OWN_CHECKPOINTS_KEPT) this.fresh.shift()
  }

  private keep(own: Own): void {
    this.own.set(own.checkpoint.index, own)
    if (this.own.size > OWN_CHECKPOINTS_KEPT) this.own.delete(this.own.keys().next().value!)
  }

  private sign(own: Own, turn: TurnBuilder): void {
    const { authority } = this.options
    const { checkpoint } = own
    const signature = this.stages.signatures.signCheckpoint(checkpoint)
    own.signed = { ...checkpoint, signer: authority, signature }
    this.signedIndex = checkpoint.index
    this.askAtMs = turn.now.ms + CHECKPOINT_RETRY_MS
    const bytes = encodeSignedCheckpoint(own.signed)
    turn.write({ type: 'checkpoint-signed', bytes })
    turn.sendAfterDurable('all', bytes)
  }

  private problemOfSignature(from: AuthorityIndex, { epoch, index, signer }: SignedCheckpoint): Problem | undefined {
    if (signer !== from) return { reason: 'sender-other', detail: `a checkpoint of authority ${signer}` }
    if (epoch !== EPOCH) return { reason: 'epoch-other', detail: `epoch ${epoch}` }
    if (index > this.attestedIndex || this.own.has(index)) return undefined
    return { reason: 'checkpoint-old', detail: `commit ${index}, attested up to ${this.attestedIndex}` }
  }

  /** It has signed two checkpoints of one commit, if both signatures are valid. */
  private second(before: SignedCheckpoint, checkpoint: SignedCheckpoint, turn: TurnBuilder): void {
    const { index, signer } = checkpoint
    if (!this.isValid(checkpoint, turn)) return
    if (this.isValid(before, turn)) {
      this.differs(checkpoint, turn)
      this.convict(checkpoint, encodeSignedCheckpoint(before), turn)
      turn.refuse(signer, 'checkpoint-second', `commit ${index}`)
    } else this.claims.add(checkpoint)
  }

  /** Those that came before ours. */
  private compareAll(own: Own, turn: TurnBuilder): void {
    for (const claim of this.claims.of(own.checkpoint.index)) {
      if (!isSameCheckpoint(own.checkpoint, claim)) this.compare(own, claim, turn)
    }
    const { attested } = this
    if (attested?.checkpoint.index !== own.checkpoint.index || isSameCheckpoint(attested.checkpoint, own.checkpoint)) {
      return
    }
    const { signatures } = decodeAttestedCheckpoint(attested.bytes, this.options.stakes.size)
    for (const signature of signatures) this.differ(own, { ...attested.checkpoint, ...signature }, turn)
  }

  /** One that says something else than ours. */
  private compare(own: Own, claim: SignedCheckpoint, turn: TurnBuilder): void {
    if (this.isValid(claim, turn)) this.differ(own, claim, turn)
  }

  /** @throws NarvalError ERR_FORK when those that differ from us have V of the stake */
  private differ(own: Own, claim: SignedCheckpoint, turn: TurnBuilder): void {
    const { stakes } = this.options
    const { differing } = own
    if (differing.has(claim.signer)) return
    differing.add(claim.signer)
    this.differs(claim, turn)
    if (own.attested !== undefined) this.convict(claim, own.attested, turn)
    const stake = stakes.sum([...differing])
    if (!this.isFork(stake)) return
    const signers = [...differing].sort((a, b) => a - b).join(', ')
    throw forkError(
      `authorities ${signers}, with stake ${stake} of ${stakes.total}, have signed another log up to commit ${own.checkpoint.index} than ours, and an honest one is among them`,
    )
  }

  /** Whether so much stake that differs from us has an honest authority in it. */
  private isFork(stake: number): boolean {
    return stake >= this.options.stakes.validity
  }

  private differs({ index, signer }: SignedCheckpoint, turn: TurnBuilder): void {
    this.differing[signer]! += 1
    // Of a liar that goes on a few are enough.
    if (this.differing[signer]! <= DIFFERING_SAID_MAX) {
      turn.notice({ type: 'checkpoint-differs', author: signer, index })
    }
  }

  /** @param other the record of what its signer has signed as well, or a quorum has */
  private convict(claim: SignedCheckpoint, other: Uint8Array, turn: TurnBuilder): void {
    const { index: round, signer: accused } = claim
    const first = encodeSignedCheckpoint(claim)
    this.stages.evidence.add({ kind: 'checkpoints', accused, round, first, second: other }, turn)
  }

  private isValid(claim: SignedCheckpoint, turn: TurnBuilder): boolean {
    if (this.claims.isVerified(claim)) return true
    if (this.stages.signatures.verifyCheckpoint(claim)) {
      this.claims.verified(claim)
      return true
    }
    this.claims.remove(claim)
    turn.refuse(claim.signer, 'signature-invalid', `checkpoint of commit ${claim.index}`)
    return false
  }

  /** Whether a quorum has signed this. Signatures are verified when there are enough of them. */
  private attest(checkpoint: Checkpoint, turn: TurnBuilder): void {
    if (checkpoint.index <= this.attestedIndex) return
    const { stakes } = this.options
    const signed = this.own.get(checkpoint.index)?.signed
    const own = signed !== undefined && isSameCheckpoint(signed, checkpoint) ? [signed] : []
    let claims = this.claims.of(checkpoint.index).filter((claim) => isSameCheckpoint(claim, checkpoint))
    const stakeOf = (): number => stakes.sum([...own, ...claims].map(({ signer }) => signer))
    if (stakeOf() < stakes.quorum) return
    claims = claims.filter((claim) => this.isValid(claim, turn))
    if (stakeOf() < stakes.quorum) return
    const signatures = [...own, ...claims]
      .map(({ signature, signer }) => ({ signature, signer }))
      .sort((a, b) => a.signer - b.signer)
    const { epoch, index, root, rule, state } = checkpoint
    this.attestedBy({ epoch, index, root, rule, state, signatures }, turn)
  }

  /** A quorum has signed it: all signatures are verified. */
  private attestedBy(checkpoint: AttestedCheckpoint, turn: TurnBuilder): void {
    const { index } = checkpoint
    const bytes = encodeAttestedCheckpoint(checkpoint)
    this.attested = { checkpoint, bytes }
    for (const claim of this.claims.of(index)) {
      const isOther = !isSameCheckpoint(claim, checkpoint)
      if (isOther && this.isValid(claim, turn)) this.convict(claim, bytes, turn)
    }
    this.claims.forget(index)
    turn.write({ type: 'checkpoint-attested', index, bytes })
    const own = this.own.get(index)
    if (own !== undefined && isSameCheckpoint(own.checkpoint, checkpoint)) own.attested = bytes
    if (own !== undefined && !isSameCheckpoint(own.checkpoint, checkpoint)) this.compareAll(own, turn)
  }

  /**
   * Ours has no quorum: what was lost is sent and asked for again. Or the others are far ahead of what we know to be
   * attested, and one of them is asked for the latest.
   */
  private ask(turn: TurnBuilder): void {
    const { ms } = turn.now
    const { peers } = this.stages
    const isBehind = this.isBehind
    const isOpen = this.signedIndex > this.attestedIndex
    if (!isBehind && !isOpen) this.askAtMs = Number.POSITIVE_INFINITY
    else if (this.askAtMs === Number.POSITIVE_INFINITY) this.askAtMs = ms + CHECKPOINT_RETRY_MS
    if (ms < this.askAtMs) return
    this.askAtMs = ms + CHECKPOINT_RETRY_MS
    if (isBehind) {
      const peer = peers.after(this.lastAsked)
      if (peer === undefined) return
      this.lastAsked = peer
      turn.sendAtOnce(peer, encodeCheckpointRequest(0))
      return
    }
    const signed = this.own.get(this.signedIndex)?.signed
    for (const peer of peers.all()) {
      if (this.claims.at(peer, this.signedIndex) !== undefined) continue
      if (signed !== undefined) turn.sendAfterDurable(peer, encodeSignedCheckpoint(signed))
      turn.sendAtOnce(peer, encodeCheckpointRequest(this.signedIndex))
    }
  }

  /** An honest one among those who say so has signed commits far above what we know to be attested. */
  private get isBehind(): boolean {
    const { stakes } = this.options
    const above = this.attestedIndex + CHECKPOINTS_BEHIND * CHECKPOINT_INTERVAL
    return this.claims.stakeAbove(above, stakes) >= stakes.validity
  }
}

export interface CheckpointerStatus {
  /** Indices of the commits of our last signature, and of the latest checkpoint that a quorum has signed. */
  readonly checkpointSigned: number
  readonly checkpointAttested: number
  /** Valid signatures that say something else than ours, or than others by the same signer. */
  readonly checkpointsDiffering: number
  /** Signatures of others that are kept. */
  readonly checkpointClaims: number
}
