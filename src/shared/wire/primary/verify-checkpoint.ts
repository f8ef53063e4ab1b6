/**
 * What a checkpoint proves to somebody who has the committee file and nothing else: a quorum has signed it, so the order up
 * to its commit is the committee's; and a commit whose record is proven to be under its root is in its place in that order.
 *
 * Nothing here needs Node. How a signature is verified is handed in, since not every browser has Ed25519.
 */
import { bytesArgument } from '../../arguments.js'
import { quorumOf } from '../../config/quorum.js'
import { DIGEST_BYTES } from '../../constants.js'
import { sha256 } from '../hash.js'
import { type AttestedCheckpoint, type Checkpoint, checkpointMessage, decodeAttestedCheckpoint } from './checkpoint.js'
import { COMMIT_DOMAIN, decodeCommitHead } from './commit-record.js'
import { COMMIT_HEAD_BYTES } from './limits.js'
import { verifyInclusion } from './mountain-range.js'
import { ifWellFormed } from './record.js'

/** What the committee file says. */
export interface CheckpointCommittee {
  /** 32 bytes: `committeeDigest`. */
  readonly digest: Uint8Array
  /** By authority index: the place in the order of the raw public keys. */
  readonly stakes: readonly number[]
  /** Whether this is the signature of the authority with this index. */
  readonly verify: (authority: number, message: Uint8Array, signature: Uint8Array) => boolean
}

/** Why a checkpoint is refused, in the order in which it is looked for. */
export type CheckpointRefusal =
  /** It is no record of one. */
  | 'malformed'
  /** Its signers have less stake than a quorum. */
  | 'quorum'
  /** A signature is not its signer's: of another committee, for example. */
  | 'signature'

export type CheckpointCheck =
  | { readonly ok: true; readonly checkpoint: AttestedCheckpoint }
  | { readonly ok: false; readonly reason: CheckpointRefusal }

/**
 * Whether a quorum has signed this checkpoint. It may come from anybody: it is never thrown at, only refused.
 *
 * @param bytes the record (`narval checkpoint --json`)
 * @throws TypeError, RangeError if the bytes or the committee's digest are not what they should be
 */
export function verifyCheckpoint(bytes: Uint8Array, committee: CheckpointCommittee): CheckpointCheck {
  const { digest, stakes, verify } = committee
  bytesArgument('bytes', bytes)
  bytesArgument('committee.digest', digest, DIGEST_BYTES)
  const checkpoint = ifWellFormed(() => decodeAttestedCheckpoint(bytes, stakes.length))
  if (checkpoint === undefined) return { ok: false, reason: 'malformed' }
  const total = stakes.reduce((sum, stake) => sum + stake, 0)
  const signed = checkpoint.signatures.reduce((sum, { signer }) => sum + stakes[signer]!, 0)
  if (signed < quorumOf(total)) return { ok: false, reason: 'quorum' }
  const message = checkpointMessage(digest, checkpoint)
  const isValid = checkpoint.signatures.every(({ signature, signer }) => verify(signer, message, signature))
  return isValid ? { ok: true, checkpoint } : { ok: false, reason: 'signature' }
}

/**
 * Whether a record is that of a commit of the order that a checkpoint is of.
 *
 * @param checkpoint one that was verified
 * @param record all bytes of the record of the commit
 * @param proof the nodes that `narval checkpoint --prove` gives
 */
export function verifyCommit(
  checkpoint: Checkpoint,
  committee: Pick<CheckpointCommittee, 'digest'>,
  record: Uint8Array,
  proof: readonly Uint8Array[],
): boolean {
  bytesArgument('record', record)
  const index = indexOf(record)
  if (index === undefined || index > checkpoint.index) return false
  const digest = sha256(COMMIT_DOMAIN, committee.digest, record)
  return verifyInclusion(sha256, { record: index, digest, count: checkpoint.index, root: checkpoint.root, proof })
}

function indexOf(record: Uint8Array): number | undefined {
  return record.length < COMMIT_HEAD_BYTES ? undefined : ifWellFormed(() => decodeCommitHead(record).index)
}
