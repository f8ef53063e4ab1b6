/**
 * The proof of a receipt as JSON: the parts of the binary form in base64, for tools and people.
 *
 * ```json
 * { "version": 1, "id": "hex", "transaction": "base64",
 *   "availability": { "entry": 0, "certificate": "base64" },
 *   "order": { "position": 0, "commit": "base64", "range": ["base64"], "checkpoint": "base64" } }
 * ```
 *
 * `transaction` is the binary form of the proof in the batch (`proof-format.ts`), the others are records.
 */
import { arrayArgument, integerArgument, objectArgument, refuseUnknownKeys, textArgument } from '../../arguments.js'
import { DIGEST_BYTES } from '../../constants.js'
import { NarvalError } from '../../errors.js'
import { fromBase64, fromHex, toBase64, toHex } from '../base64.js'
import { decodeProof, encodeProof } from '../proof-format.js'
import { PROOF_RANGE_NODES_MAX } from './limits.js'
import { decodeReceiptProof, encodeReceiptProof, type ReceiptProof } from './receipt-proof.js'

export interface ReceiptProofJson {
  readonly version: 1
  readonly id: string
  readonly transaction: string
  readonly availability?: { readonly entry: number; readonly certificate: string }
  readonly order?: {
    readonly position: number
    readonly commit: string
    readonly range: readonly string[]
    readonly checkpoint: string
  }
}

export function receiptProofToJson({ availability, id, order, transaction }: ReceiptProof): ReceiptProofJson {
  return {
    version: 1,
    id: toHex(id),
    transaction: toBase64(encodeProof(transaction)),
    ...(availability && {
      availability: { entry: availability.entry, certificate: toBase64(availability.certificate) },
    }),
    ...(order && {
      order: {
        position: order.position,
        commit: toBase64(order.commit),
        range: order.range.map(toBase64),
        checkpoint: toBase64(order.checkpoint),
      },
    }),
  }
}

/** @param json what `JSON.parse` gave, from anybody. @throws NarvalError ERR_CODEC */
export function receiptProofFromJson(json: unknown): ReceiptProof {
  try {
    return parsed(json)
  } catch (error) {
    if (error instanceof TypeError || error instanceof RangeError) {
      throw new NarvalError('ERR_CODEC', error.message, { cause: error })
    }
    throw error
  }
}

function parsed(json: unknown): ReceiptProof {
  const fields = known('proof', json, ['version', 'id', 'transaction', 'availability', 'order'])
  integerArgument('proof.version', fields.version, 1, 1)
  const id = fromHex(textArgument('proof.id', fields.id), DIGEST_BYTES)
  if (id === undefined) throw new RangeError(`proof.id: expected ${DIGEST_BYTES} bytes in lower-case hex`)
  const transaction = decodeProof(base64('proof.transaction', fields.transaction))
  const availability = fields.availability === undefined ? undefined : parsedAvailability(fields.availability)
  const order = fields.order === undefined ? undefined : parsedOrder(fields.order)
  // The binary form has the limits of all parts.
  return decodeReceiptProof(
    encodeReceiptProof({ id, transaction, ...(availability && { availability }), ...(order && { order }) }),
  )
}

function parsedAvailability(value: unknown): NonNullable<ReceiptProof['availability']> {
  const { certificate, entry } = known('proof.availability', value, ['entry', 'certificate'])
  return { entry: entry as number, certificate: base64('proof.availability.certificate', certificate) }
}

function parsedOrder(value: unknown): NonNullable<ReceiptProof['order']> {
  const fields = known('proof.order', value, ['position', 'commit', 'range', 'checkpoint'])
  return {
    position: fields.position as number,
    commit: base64('proof.order.commit', fields.commit),
    range: arrayArgument('proof.order.range', fields.range, PROOF_RANGE_NODES_MAX).map((node, at) =>
      base64(`proof.order.range[${at}]`, node),
    ),
    checkpoint: base64('proof.order.checkpoint', fields.checkpoint),
  }
}

function known(name: string, value: unknown, keys: readonly string[]): Record<string, unknown> {
  const fields = objectArgument(name, value)
  refuseUnknownKeys(name, fields, keys)
  return fields
}

function base64(name: string, value: unknown): Uint8Array {
  const bytes = fromBase64(textArgument(name, value))
  if (bytes === undefined) throw new RangeError(`${name}: expected base64, with padding`)
  return bytes
}
