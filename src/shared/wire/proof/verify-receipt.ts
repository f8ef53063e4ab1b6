/**
 * What the proof of a receipt shows to somebody who has the committee file and nothing else (`receipt-proof.ts`). Pure, and
 * nothing here needs Node. What is cheap is looked at first: signatures come last.
 *
 * What is shown of the place is (commit, position, chunk, offset): it grows with the order, and two transactions have two.
 * How many transactions of the batch lie before it is nothing that the batch's digest says.
 */
import { bytesArgument, isBytes } from '../../arguments.js'
import { quorumOf } from '../../config/quorum.js'
import { DIGEST_BYTES, SIGNATURE_BYTES } from '../../constants.js'
import { NarvalError } from '../../errors.js'
import { sha256 } from '../hash.js'
import { type CertifiedHeader, decodeCertificate } from '../primary/certificate.js'
import {
  type CommitHead,
  type CommittedBatch,
  decodeCommitHead,
  isSameBatch,
  readCommittedBatch,
} from '../primary/commit-record.js'
import { type BatchEntry, encodeHeader, HEADER_ID_DOMAIN, headerSignatureMessage } from '../primary/header.js'
import { COMMIT_ENTRY_BYTES, COMMIT_HEAD_BYTES } from '../primary/limits.js'
import { compareBytes, ifWellFormed } from '../primary/record.js'
import { type CheckpointCommittee, verifyCheckpoint, verifyCommit } from '../primary/verify-checkpoint.js'
import { voteMessage } from '../primary/vote.js'
import { checkProof, claimedTransaction } from '../verify.js'
import { decodeReceiptProof, encodeReceiptProof, type OrderProof, type ReceiptProof } from './receipt-proof.js'

/** What the committee file says: `committeeOf` makes it of the file. */
export interface ProofCommittee extends CheckpointCommittee {
  /** By authority index: 32 bytes each. */
  readonly publicKeys: readonly Uint8Array[]
}

/** Why a proof is refused. */
export type ReceiptRefusal =
  /** It is no proof, or a part of it is no record. */
  | 'malformed'
  /** It is of another transaction than the one that was asked for, or its id is not that of its bytes. */
  | 'id'
  /** Header, commit and checkpoint are of different epochs, or the header is none of the commit's, or they name different batches. */
  | 'parts'
  /** The transaction is not in the batch. */
  | 'transaction'
  /** The commit is not under the root of the checkpoint. */
  | 'range'
  /** Voters or signers have less stake than a quorum. */
  | 'quorum'
  /** A signature is not its signer's: of another committee, for example. */
  | 'signature'

export interface ProvenReceipt {
  /** The highest that is shown. `attested`: a quorum has signed its place. `certified`: a quorum has said that it has it. */
  readonly stage: 'certified' | 'attested'
  /** SHA-256 of the transaction's bytes. */
  readonly id: Uint8Array
  readonly transaction: Uint8Array
  /** The batch: its digest, and the index of its author. */
  readonly batch: { readonly digest: Uint8Array; readonly author: number }
  /** If votes are shown. */
  readonly certificate?: {
    /** The id of the header, 32 bytes. */
    readonly header: Uint8Array
    readonly author: number
    readonly round: number
    readonly voters: readonly number[]
  }
  /** If the order is shown. */
  readonly place?: {
    readonly commit: number
    /** Of the batch, in its commit, from 0. */
    readonly position: number
    /** Of the transaction, in its batch: its chunk, and where its frame begins there. Greater is later. */
    readonly chunk: number
    readonly offset: number
  }
  /** Of the commit, unix ms: if the order is shown. */
  readonly timestamp?: number
  /** The commit that the checkpoint is of, and who signed it: if the order is shown. */
  readonly checkpoint?: { readonly index: number; readonly signers: readonly number[] }
}

export type ReceiptCheck =
  | { readonly ok: true; readonly receipt: ProvenReceipt }
  | { readonly ok: false; readonly reason: ReceiptRefusal }

class Refused extends Error {
  constructor(readonly reason: ReceiptRefusal) {
    super(reason)
  }
}

/**
 * What a proof shows. It may come from anybody, in any shape: it is never thrown at, only refused.
 *
 * @param committee as `committeeOf` makes it of the committee file, which must come from somebody who is trusted
 * @param proof the binary form, or what `decodeReceiptProof` or `receiptProofFromJson` gave
 * @param expected the id that the proof has to be of, 32 bytes; without it, look at `receipt.id`
 * @throws TypeError, RangeError if the committee or `expected` are not what they should be
 */
export function verify(
  committee: ProofCommittee,
  proof: Uint8Array | ReceiptProof,
  expected?: Uint8Array,
): ReceiptCheck {
  bytesArgument('committee.digest', committee.digest, DIGEST_BYTES)
  if (expected !== undefined) bytesArgument('expected', expected, DIGEST_BYTES)
  try {
    return { ok: true, receipt: receiptOf(committee, wellFormed(proof), expected) }
  } catch (error) {
    if (error instanceof Refused) return { ok: false, reason: error.reason }
    throw error
  }
}

function wellFormed(proof: Uint8Array | ReceiptProof): ReceiptProof {
  try {
    return decodeReceiptProof(isBytes(proof) ? proof : encodeReceiptProof(proof))
  } catch (error) {
    const isRefusal = error instanceof TypeError || error instanceof RangeError || isCodec(error)
    if (isRefusal) throw new Refused('malformed')
    throw error
  }
}

function receiptOf(committee: ProofCommittee, proof: ReceiptProof, expected: Uint8Array | undefined): ProvenReceipt {
  const transaction = claimedTransaction(proof.transaction)
  if (transaction === undefined) throw new Refused('transaction')
  if (expected !== undefined && compareBytes(expected, proof.id) !== 0) throw new Refused('id')
  if (compareBytes(sha256(transaction), proof.id) !== 0) throw new Refused('id')
  const certified = proof.availability && readCertificate(committee, proof.availability)
  const ordered = proof.order && readCommit(committee, proof.order)
  if (certified && ordered) demandSameBatch(certified, ordered)
  const { author, digest } = (ordered?.batch ?? certified?.batch)!
  const inBatch = checkProof(digest, committee.publicKeys[author]!, transaction, proof.transaction)
  if (!inBatch.ok) throw new Refused('transaction')
  const signers = proof.order && ordered && demandAttested(committee, proof.order, ordered.head)
  const certificate = certified && demandCertified(committee, certified)
  return {
    stage: ordered ? 'attested' : 'certified',
    id: proof.id,
    transaction,
    batch: { digest, author },
    ...(certificate && { certificate }),
    ...(ordered && {
      place: {
        commit: ordered.head.index,
        position: proof.order!.position,
        chunk: proof.transaction.chunkIndex,
        offset: proof.transaction.frameOffset,
      },
      timestamp: ordered.head.timestamp,
      checkpoint: signers!,
    }),
  }
}

interface ReadCertificate extends CertifiedHeader {
  readonly id: Uint8Array
  readonly batch: BatchEntry
}

function readCertificate(
  { digest, stakes }: ProofCommittee,
  { certificate, entry }: NonNullable<ReceiptProof['availability']>,
): ReadCertificate {
  const certified = ifWellFormed(() => decodeCertificate(certificate, stakes.length))
  const batch = certified?.header.payload[entry]
  if (certified === undefined || batch === undefined) throw new Refused('malformed')
  const header = encodeHeader(certified.header)
  return { ...certified, batch, id: sha256(HEADER_ID_DOMAIN, digest, header.subarray(0, -SIGNATURE_BYTES)) }
}

interface ReadCommit {
  readonly head: CommitHead
  readonly batch: CommittedBatch
  /** The record. */
  readonly bytes: Uint8Array
}

/** Only the entry that is needed: a commit can have very many. */
function readCommit({ stakes }: ProofCommittee, { commit: bytes, position }: OrderProof): ReadCommit {
  const read = ifWellFormed(() => {
    const head = decodeCommitHead(bytes)
    const entries = head.certificates + head.batches
    if (position >= head.batches || bytes.length !== COMMIT_HEAD_BYTES + entries * COMMIT_ENTRY_BYTES) return undefined
    const at = COMMIT_HEAD_BYTES + (head.certificates + position) * COMMIT_ENTRY_BYTES
    return { bytes, head, batch: readCommittedBatch(bytes, at, stakes.length) }
  })
  if (read === undefined) throw new Refused('malformed')
  return read
}

/** The header is one of the commit's, and both entries are the same batch. */
function demandSameBatch(certified: ReadCertificate, { batch, bytes, head }: ReadCommit): void {
  if (head.epoch !== certified.header.epoch || !isSameBatch(certified.batch, batch)) throw new Refused('parts')
  for (let n = 0; n < head.certificates; n += 1) {
    const at = COMMIT_HEAD_BYTES + n * COMMIT_ENTRY_BYTES
    if (compareBytes(bytes.subarray(at, at + DIGEST_BYTES), certified.id) === 0) return
  }
  throw new Refused('parts')
}

function demandAttested(
  committee: ProofCommittee,
  { checkpoint: record, commit, range }: OrderProof,
  head: CommitHead,
): NonNullable<ProvenReceipt['checkpoint']> {
  const check = verifyCheckpoint(record, committee)
  if (!check.ok) throw new Refused(check.reason)
  const { checkpoint } = check
  if (checkpoint.epoch !== head.epoch) throw new Refused('parts')
  if (!verifyCommit(checkpoint, committee, commit, range)) throw new Refused('range')
  return { index: checkpoint.index, signers: checkpoint.signatures.map(({ signer }) => signer) }
}

function demandCertified(
  committee: ProofCommittee,
  { header, id, votes }: ReadCertificate,
): NonNullable<ProvenReceipt['certificate']> {
  const { digest, stakes, verify } = committee
  const { author, epoch, round } = header
  const stake = votes.reduce((sum, { voter }) => sum + stakes[voter]!, 0)
  if (stake < quorumOf(stakes.reduce((sum, each) => sum + each, 0))) throw new Refused('quorum')
  const message = voteMessage(digest, { author, epoch, round, headerId: id })
  const isValid =
    verify(author, headerSignatureMessage(id), header.signature) &&
    votes.every(({ signature, voter }) => verify(voter, message, signature))
  if (!isValid) throw new Refused('signature')
  return { header: id, author, round, voters: votes.map(({ voter }) => voter) }
}

function isCodec(error: unknown): boolean {
  return error instanceof NarvalError && error.code === 'ERR_CODEC'
}
