/**
 * `narval-node/verify`: for whoever has a batch's digest and is shown a proof that a transaction is in it, or has the
 * committee file and is shown a checkpoint and a commit. It needs no Node: a browser runs it.
 *
 * @packageDocumentation
 */

export type { AttestedCheckpoint, Checkpoint, CheckpointSignature } from './shared/wire/primary/checkpoint.js'
export {
  type CheckpointCheck,
  type CheckpointCommittee,
  type CheckpointRefusal,
  verifyCheckpoint,
  verifyCommit,
} from './shared/wire/primary/verify-checkpoint.js'
export { decodeProof, encodeProof } from './shared/wire/proof-format.js'
export {
  checkProof,
  type ProofCheck,
  type ProofRefusal,
  type TransactionProof,
  verifyTransaction,
} from './shared/wire/verify.js'
