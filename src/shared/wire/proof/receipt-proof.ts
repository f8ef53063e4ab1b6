/**
 * The proof of a receipt: everything between a transaction and the committee file, so that nobody has to be believed.
 *
 * ```
 *  transaction ─▶ batch ─┬▶ header ─▶ votes of a quorum                                     it is available: certified
 *   frame, chunk, path   │   entry
 *                        └▶ record of a commit ─▶ mountain range ─▶ signatures of a quorum  its place in the order: attested
 *                            position              nodes to the root   of a checkpoint
 * ```
 *
 * Either way may be missing: certificates and commits are kept for different times, and a checkpoint comes a moment after
 * the commit. One of them is there always. If both are, the header is one of the commit's.
 *
 * The binary form. Integers are little-endian:
 *
 * ```
 *  0   1   2       4       6   8          12            16            20         24           28  32   64
 *  ├ 1 ┼ 0 ┼ entry ┼ nodes ┼ 0 ┼ position ┼ transaction ┼ certificate ┼ commit ──┼ checkpoint ┼ 0 ┼ id ┤
 *  u8  u8  u16     u16 n   u16 u32        u32 bytes t   u32 bytes c   u32 bytes r  u32 bytes k  u32  32
 *
 *  64
 *  ├ t: proof in the batch ┼ c: certificate ─┼ r: commit ────────┼ n nodes, 32 each ┼ k: attested checkpoint ─┤
 *    proof-format.ts         certificate.ts    commit-record.ts    mountain-range.ts   checkpoint.ts
 * ```
 *
 * `id` is SHA-256 of the transaction's bytes. `entry` is the place of the batch in the header, `position` that in the commit.
 * Without a certificate c and `entry` are 0; without a place in the order r, n, k and `position` are. One proof has one form.
 */
import { arrayArgument, bytesArgument, integerArgument, objectArgument } from '../../arguments.js'
import { DIGEST_BYTES } from '../../constants.js'
import { NarvalError } from '../../errors.js'
import {
  ATTESTED_CHECKPOINT_BYTES_MAX,
  CERTIFICATE_BYTES_MAX,
  COMMIT_ENTRY_BYTES,
  HEADER_PAYLOAD_MAX,
} from '../primary/limits.js'
import { decodeProof, encodeProof } from '../proof-format.js'
import type { TransactionProof } from '../verify.js'
import {
  PROOF_COMMIT_BYTES_MAX,
  PROOF_RANGE_NODES_MAX,
  RECEIPT_PROOF_BYTES_MAX,
  RECEIPT_PROOF_HEAD_BYTES,
  TRANSACTION_PROOF_BYTES_MAX,
} from './limits.js'

const VERSION = 1
const LENGTHS_AT = 12
const ID_AT = 32
/** Bytes that are zeros, as `from` to `to`. */
const RESERVED = [
  [1, 2],
  [6, 8],
  [28, ID_AT],
] as const

/** That a quorum has said that it has the batch. */
export interface AvailabilityProof {
  /** The place of the batch in the header, from 0. */
  readonly entry: number
  /** The record of the header's certificate. */
  readonly certificate: Uint8Array
}

/** That a quorum has signed the order in which the batch is. */
export interface OrderProof {
  /** The place of the batch in its commit, from 0. */
  readonly position: number
  /** The record of the commit. */
  readonly commit: Uint8Array
  /** From the commit to the root of the checkpoint: 32 bytes each. */
  readonly range: readonly Uint8Array[]
  /** The record of a checkpoint at or behind the commit, as a quorum signed it. */
  readonly checkpoint: Uint8Array
}

export interface ReceiptProof {
  /** SHA-256 of the transaction's bytes. */
  readonly id: Uint8Array
  /** That the transaction is in the batch. */
  readonly transaction: TransactionProof
  readonly availability?: AvailabilityProof
  readonly order?: OrderProof
}

/** Errors: `TypeError`, `RangeError`. */
export function encodeReceiptProof(proof: ReceiptProof): Uint8Array {
  const fields = objectArgument('proof', proof, 'a proof, as proveOrdered makes it')
  const id = bytesArgument('proof.id', fields.id, DIGEST_BYTES)
  const transaction = encodeProof(fields.transaction as TransactionProof)
  const { certificate, entry } = availabilityArgument(fields.availability)
  const { checkpoint, commit, position, range } = orderArgument(fields.order)
  if (certificate.length === 0 && commit.length === 0) {
    throw new RangeError('proof: expected availability or order, found neither')
  }
  const parts = [transaction, certificate, commit, ...range, checkpoint]
  const bytes = new Uint8Array(RECEIPT_PROOF_HEAD_BYTES + parts.reduce((sum, { length }) => sum + length, 0))
  const view = new DataView(bytes.buffer)
  view.setUint8(0, VERSION)
  view.setUint16(2, entry, true)
  view.setUint16(4, range.length, true)
  view.setUint32(8, position, true)
  for (const [at, { length }] of [transaction, certificate, commit, checkpoint].entries()) {
    view.setUint32(LENGTHS_AT + 4 * at, length, true)
  }
  bytes.set(id, ID_AT)
  let at = RECEIPT_PROOF_HEAD_BYTES
  for (const part of parts) {
    bytes.set(part, at)
    at += part.length
  }
  return bytes
}

function availabilityArgument(value: unknown): AvailabilityProof {
  if (value === undefined) return { entry: 0, certificate: new Uint8Array(0) }
  const fields = objectArgument('proof.availability', value)
  return {
    entry: integerArgument('proof.availability.entry', fields.entry, 0, HEADER_PAYLOAD_MAX - 1),
    certificate: partArgument('proof.availability.certificate', fields.certificate, CERTIFICATE_BYTES_MAX),
  }
}

function orderArgument(value: unknown): OrderProof {
  if (value === undefined) return { position: 0, commit: new Uint8Array(0), range: [], checkpoint: new Uint8Array(0) }
  const fields = objectArgument('proof.order', value)
  const positionMax = Math.floor(PROOF_COMMIT_BYTES_MAX / COMMIT_ENTRY_BYTES)
  return {
    position: integerArgument('proof.order.position', fields.position, 0, positionMax),
    commit: partArgument('proof.order.commit', fields.commit, PROOF_COMMIT_BYTES_MAX),
    range: arrayArgument('proof.order.range', fields.range, PROOF_RANGE_NODES_MAX).map((node, at) =>
      bytesArgument(`proof.order.range[${at}]`, node, DIGEST_BYTES),
    ),
    checkpoint: partArgument('proof.order.checkpoint', fields.checkpoint, ATTESTED_CHECKPOINT_BYTES_MAX),
  }
}

function partArgument(name: string, value: unknown, bytesMax: number): Uint8Array {
  const bytes = bytesArgument(name, value)
  if (bytes.length === 0 || bytes.length > bytesMax) {
    throw new RangeError(`${name}: expected 1 to ${bytesMax} bytes, found ${bytes.length}`)
  }
  return bytes
}

/** Errors: `ERR_CODEC`. What it gives is well-formed, and says nothing yet: `verify` judges it. */
export function decodeReceiptProof(bytes: Uint8Array): ReceiptProof {
  const { length } = bytesArgument('bytes', bytes)
  if (length < RECEIPT_PROOF_HEAD_BYTES || length > RECEIPT_PROOF_BYTES_MAX) {
    throw malformed(`${length} bytes, expected ${RECEIPT_PROOF_HEAD_BYTES} to ${RECEIPT_PROOF_BYTES_MAX}`)
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset, length)
  if (view.getUint8(0) !== VERSION) throw malformed(`version ${view.getUint8(0)}, expected ${VERSION}`)
  for (const [from, to] of RESERVED) {
    if (bytes.subarray(from, to).some((byte) => byte !== 0)) throw malformed('a byte where zeros are reserved')
  }
  const [entry, nodes, position] = [view.getUint16(2, true), view.getUint16(4, true), view.getUint32(8, true)]
  const [t, c, r, k] = [0, 1, 2, 3].map((at) => view.getUint32(LENGTHS_AT + 4 * at, true)) as [
    number,
    number,
    number,
    number,
  ]
  refuseLengths({ entry, nodes, position, t, c, r, k })
  const expected = RECEIPT_PROOF_HEAD_BYTES + t + c + r + nodes * DIGEST_BYTES + k
  if (length !== expected) throw malformed(`${length} bytes, expected ${expected}`)
  let at = RECEIPT_PROOF_HEAD_BYTES
  const take = (count: number): Uint8Array => {
    at += count
    return Uint8Array.from(bytes.subarray(at - count, at))
  }
  const transaction = decodeProof(take(t))
  const certificate = take(c)
  const commit = take(r)
  const range = Array.from({ length: nodes }, () => take(DIGEST_BYTES))
  const checkpoint = take(k)
  return {
    id: Uint8Array.from(bytes.subarray(ID_AT, ID_AT + DIGEST_BYTES)),
    transaction,
    ...(c > 0 && { availability: { entry, certificate } }),
    ...(r > 0 && { order: { position, commit, range, checkpoint } }),
  }
}

/** What is absent has no number, and nothing is longer than it can be. */
function refuseLengths(head: Record<'entry' | 'nodes' | 'position' | 't' | 'c' | 'r' | 'k', number>): void {
  const { c, entry, k, nodes, position, r, t } = head
  if (t > TRANSACTION_PROOF_BYTES_MAX || c > CERTIFICATE_BYTES_MAX || r > PROOF_COMMIT_BYTES_MAX) {
    throw malformed(`parts of ${t}, ${c} and ${r} bytes`)
  }
  if (k > ATTESTED_CHECKPOINT_BYTES_MAX || nodes > PROOF_RANGE_NODES_MAX) {
    throw malformed(`a checkpoint of ${k} bytes, and ${nodes} nodes`)
  }
  if (c === 0 && r === 0) throw malformed('neither a certificate nor a commit')
  if (c === 0 ? entry !== 0 : entry >= HEADER_PAYLOAD_MAX) throw malformed(`batch ${entry} of a header`)
  if (r === 0 && (position !== 0 || nodes !== 0 || k !== 0)) throw malformed('an order without a commit')
  if (r > 0 && k === 0) throw malformed('a commit without a checkpoint')
}

function malformed(problem: string): NarvalError {
  return new NarvalError('ERR_CODEC', `receipt proof: ${problem}`)
}
