/**
 * `narval-node/verify`: for whoever has the committee file and is shown the proof of a receipt: `verify`. Its parts stand
 * alone too: that a transaction is in a batch, that a quorum signed a checkpoint, that a commit is under it. It needs no
 * Node: a browser runs it.
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
export { committeeOf } from './shared/wire/proof/committee-of.js'
export {
  type AvailabilityProof,
  decodeReceiptProof,
  encodeReceiptProof,
  type OrderProof,
  type ReceiptProof,
} from './shared/wire/proof/receipt-proof.js'
export {
  type ReceiptProofJson,
  receiptProofFromJson,
  receiptProofToJson,
} from './shared/wire/proof/receipt-proof-json.js'
export {
  type ProofCommittee,
  type ProvenReceipt,
  type ReceiptCheck,
  type ReceiptRefusal,
  verify,
} from './shared/wire/proof/verify-receipt.js'
export { decodeProof, encodeProof } from './shared/wire/proof-format.js'
export {
  checkProof,
  type ProofCheck,
  type ProofRefusal,
  type TransactionProof,
  verifyTransaction,
} from './shared/wire/verify.js'
