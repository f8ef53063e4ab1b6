/**
 * Makes the proof of a receipt (`wire/proof/receipt-proof.ts`) of what the stores of one authority have, beside the running
 * node or while nobody runs it. Readers are handed in, nothing is kept, and a proof holds copies.
 *
 * What is asked for again gives the same bytes, once a quorum has signed a checkpoint at or behind the commit: it is the first
 * of them that is taken.
 */
import { integerArgument } from '../arguments.js'
import { NarvalError } from '../errors.js'
import type { Place } from '../receipts.js'
import { decodeCertificate } from '../wire/primary/certificate.js'
import { isSameBatch } from '../wire/primary/commit-record.js'
import { sha256 } from '../wire/primary/sha256.js'
import { PROOF_COMMIT_BYTES_MAX } from '../wire/proof/limits.js'
import type { AvailabilityProof, OrderProof, ReceiptProof } from '../wire/proof/receipt-proof.js'
import { proveTransaction } from '../wire/proof.js'
import { claimedTransaction } from '../wire/verify.js'
import type { CertificateReader } from './primary/certificate-reader.js'
import type { CheckpointReader } from './primary/checkpoint-reader.js'
import type { CommitLogReader, LoggedBatch, LoggedCommit } from './primary/commit-log-reader.js'

export interface ProofSources {
  readonly log: Pick<CommitLogReader, 'commits' | 'settings'>
  readonly checkpoints: Pick<CheckpointReader, 'firstFrom' | 'prove'>
  readonly certificates: Pick<CertificateReader, 'find'>
  /** The bytes of a batch that is ordered; undefined if no store of ours has it. */
  readonly batch: (batch: LoggedBatch) => Promise<Uint8Array | undefined> | Uint8Array | undefined
}

/** Why a proof shows no availability, or no order. */
export type ProofLack =
  /** The certificate is beyond retention, or the commit was taken from others, without certificates. */
  | 'certificate-pruned'
  /** No quorum has signed a checkpoint at or behind the commit yet: there will be one in a moment. */
  | 'not-attested'
  /** The commit has more batches than a proof has room for. */
  | 'commit-too-large'

export interface MadeProof {
  readonly proof: ReceiptProof
  /** The commit of the checkpoint, if the order is shown. */
  readonly checkpoint: number | undefined
  readonly lacks: { readonly availability?: ProofLack; readonly order?: ProofLack }
}

/**
 * @throws CommitsPrunedError if the commit is beyond retention
 * @throws NarvalError ERR_TRANSACTION_NOT_FOUND if nothing is ordered at this place yet; ERR_BATCH_NOT_FOUND if no store of
 * ours has the batch; ERR_NOT_PROVABLE if neither availability nor order can be shown; ERR_STORE_DAMAGED
 */
export async function proveOrdered(sources: ProofSources, place: Place): Promise<MadeProof> {
  const { commit, index, position } = checked(place)
  const [found] = sources.log.commits(commit - 1)
  const [batch] = found?.batches(position) ?? []
  if (found === undefined || batch === undefined) {
    throw new NarvalError(
      'ERR_TRANSACTION_NOT_FOUND',
      `no batch is ordered at position ${position} of commit ${commit}`,
    )
  }
  // Both before the bytes of the batch are waited for: a commit may be used until the next is read.
  const availability = proveAvailability(sources, found, batch)
  const order = proveOrder(sources, found, batch)
  const bytes = await sources.batch(batch)
  if (bytes === undefined) {
    const digest = Buffer.from(batch.digest).toString('base64')
    throw new NarvalError(
      'ERR_BATCH_NOT_FOUND',
      `batch ${digest} of commit ${commit} is not in our stores, or not any more`,
    )
  }
  if (typeof availability === 'string' && typeof order === 'string') {
    throw new NarvalError('ERR_NOT_PROVABLE', `commit ${commit}: ${LACKS[availability]}, and ${LACKS[order]}`)
  }
  const transaction = proveTransaction(bytes, index)
  return {
    proof: {
      id: sha256(claimedTransaction(transaction)!),
      transaction,
      ...(typeof availability !== 'string' && { availability }),
      ...(typeof order !== 'string' && { order: order.proof }),
    },
    checkpoint: typeof order === 'string' ? undefined : order.checkpoint,
    lacks: {
      ...(typeof availability === 'string' && { availability }),
      ...(typeof order === 'string' && { order }),
    },
  }
}

const LACKS: Readonly<Record<ProofLack, string>> = {
  'certificate-pruned': 'no certificate is kept that lists the batch',
  'not-attested': 'no quorum has signed a checkpoint at or behind it yet',
  'commit-too-large': 'it has more batches than a proof has room for',
}

function checked({ commit, index, position }: Place): Place {
  const whole = (name: string, value: unknown, min: number): number =>
    integerArgument(`place.${name}`, value, min, Number.MAX_SAFE_INTEGER)
  return {
    commit: whole('commit', commit, 1),
    position: whole('position', position, 0),
    index: whole('index', index, 0),
  }
}

/** The certificate of the commit whose header lists the batch: those of its author are looked through first. */
function proveAvailability(
  { certificates, log }: ProofSources,
  commit: LoggedCommit,
  batch: LoggedBatch,
): AvailabilityProof | ProofLack {
  for (const isOwn of [true, false]) {
    for (const { author, id } of commit.certificates()) {
      if ((author === batch.author) !== isOwn) continue
      const certificate = certificates.find(id)
      if (certificate === undefined) continue
      const { payload } = decodeCertificate(certificate, log.settings.authorities).header
      const entry = payload.findIndex((listed) => isSameBatch(listed, batch))
      if (entry >= 0) return { entry, certificate }
    }
  }
  return 'certificate-pruned'
}

function proveOrder(
  { checkpoints }: ProofSources,
  commit: LoggedCommit,
  { position }: LoggedBatch,
): { readonly proof: OrderProof; readonly checkpoint: number } | ProofLack {
  const attested = checkpoints.firstFrom(commit.index)
  if (attested === undefined) return 'not-attested'
  if (commit.byteLength > PROOF_COMMIT_BYTES_MAX) return 'commit-too-large'
  const { bytes, checkpoint } = attested
  return {
    proof: {
      position,
      commit: new Uint8Array(Buffer.concat([...commit.pieces()])),
      range: checkpoints.prove(commit.index, checkpoint.index),
      checkpoint: bytes,
    },
    checkpoint: checkpoint.index,
  }
}
