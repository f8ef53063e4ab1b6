/**
 * `narval-node/verify`: for whoever has a batch's digest and is shown a proof that a transaction is in it. It needs no
 * Node: a browser runs it.
 *
 * @packageDocumentation
 */
export { decodeProof, encodeProof } from './shared/wire/proof-format.js'
export {
  checkProof,
  type ProofCheck,
  type ProofRefusal,
  type TransactionProof,
  verifyTransaction,
} from './shared/wire/verify.js'
