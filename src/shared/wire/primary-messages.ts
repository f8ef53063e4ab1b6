/**
 * The messages between a worker and its primary, byte for byte the reference's (asonnino/narwhal worker/src/worker.rs,
 * primary/src/primary.rs): `WorkerPrimaryMessage` and `PrimaryWorkerMessage` in bincode, one per frame.
 *
 * ```
 *  OurBatch, OthersBatch   u32 tag 0, 1 ‖ digest 32 ‖ worker id u32                              40 bytes
 *  Synchronize             u32 tag 0 ‖ u64 count ‖ digests 32 each ‖ target: a string of 44     64 bytes and 32 each
 *  Cleanup                 u32 tag 1 ‖ round u64                                                12 bytes
 * ```
 *
 * Decoding refuses what is malformed with `ERR_CODEC` and accepts bytes after the message, as the reference does.
 */

import { arrayArgument, bytesArgument, choiceArgument, objectArgument, u64Argument } from '../arguments.js'
import { DIGEST_BYTES, PUBLIC_KEY_BYTES, SYNC_PENDING_MAX } from '../constants.js'
import { decodePublicKey, encodeBase64 } from '../crypto/public-key.js'
import { NarvalError } from '../errors.js'
import { BincodeReader, BincodeWriter } from './bincode.js'

/** worker → primary: a batch of ours is certified, a batch of another authority is stored. */
export type WorkerPrimaryMessage = {
  readonly type: 'OurBatch' | 'OthersBatch'
  readonly digest: Uint8Array
  readonly workerId: number
}

/** The same to a primary in the worker's process: what else the worker knows of the batch, as the batch's own bytes say. */
export type BatchReport = WorkerPrimaryMessage & {
  /** Public key of the authority that made it. */
  readonly author: Uint8Array
  /** Its author's number of it: of a worker of an author each has another one. */
  readonly sequence: bigint
  /** Of an `OthersBatch`: its author's worker itself handed it over, by a connection that proves who it is. */
  readonly isDelivered?: boolean | undefined
}

/** primary → worker. */
export type PrimaryWorkerMessage =
  /** Get these batches, from the worker of `target` (32 raw bytes) with our id. */
  | { readonly type: 'Synchronize'; readonly digests: readonly Uint8Array[]; readonly target: Uint8Array }
  /** The primary has committed up to this round. */
  | { readonly type: 'Cleanup'; readonly round: bigint }

/** A message that a primary in this process hands in. Errors: `TypeError`, `RangeError`. */
export function primaryWorkerMessageArgument(name: string, value: unknown): PrimaryWorkerMessage {
  const { type, round, digests, target } = objectArgument(name, value)
  if (choiceArgument(`${name}.type`, type, ['Synchronize', 'Cleanup']) === 'Cleanup') {
    return { type: 'Cleanup', round: u64Argument(`${name}.round`, round) }
  }
  const list = arrayArgument(`${name}.digests`, digests, SYNC_PENDING_MAX)
  return {
    type: 'Synchronize',
    digests: list.map((digest, at) => bytesArgument(`${name}.digests[${at}]`, digest, DIGEST_BYTES)),
    target: bytesArgument(`${name}.target`, target, PUBLIC_KEY_BYTES),
  }
}

export function encodeWorkerPrimaryMessage(message: WorkerPrimaryMessage): Uint8Array {
  return new BincodeWriter(8 + DIGEST_BYTES)
    .u32(message.type === 'OurBatch' ? 0 : 1)
    .fixed(message.digest, DIGEST_BYTES)
    .u32(message.workerId)
    .finish()
}

export function decodeWorkerPrimaryMessage(bytes: Uint8Array): WorkerPrimaryMessage {
  return readWorkerPrimaryMessage(new BincodeReader(bytes))
}

export function readWorkerPrimaryMessage(reader: BincodeReader): WorkerPrimaryMessage {
  const type = reader.variant(2, 'WorkerPrimaryMessage') === 0 ? 'OurBatch' : 'OthersBatch'
  return { type, digest: reader.fixed(DIGEST_BYTES, 'digest'), workerId: reader.u32() }
}

export function encodePrimaryWorkerMessage(message: PrimaryWorkerMessage): Uint8Array {
  if (message.type === 'Cleanup') return new BincodeWriter(12).u32(1).u64(message.round).finish()
  const writer = new BincodeWriter(64 + message.digests.length * DIGEST_BYTES).u32(0)
  writeDigests(writer, message.digests)
  writePublicKey(writer, message.target)
  return writer.finish()
}

export function decodePrimaryWorkerMessage(bytes: Uint8Array): PrimaryWorkerMessage {
  return readPrimaryWorkerMessage(new BincodeReader(bytes))
}

export function readPrimaryWorkerMessage(reader: BincodeReader): PrimaryWorkerMessage {
  if (reader.variant(2, 'PrimaryWorkerMessage') === 1) return { type: 'Cleanup', round: reader.u64() }
  return { type: 'Synchronize', digests: readDigests(reader), target: readPublicKey(reader) }
}

/** A vector or a set of digests. */
export function writeDigests(writer: BincodeWriter, digests: readonly Uint8Array[]): void {
  writer.u64(digests.length)
  for (const digest of digests) writer.fixed(digest, DIGEST_BYTES)
}

export function readDigests(reader: BincodeReader): Uint8Array[] {
  return Array.from({ length: reader.count(DIGEST_BYTES, 'digests') }, () => reader.fixed(DIGEST_BYTES, 'digest'))
}

/** The reference serializes a public key as its base64. */
export function writePublicKey(writer: BincodeWriter, publicKey: Uint8Array): void {
  writer.ascii(encodeBase64(publicKey))
}

export function readPublicKey(reader: BincodeReader): Uint8Array {
  const text = reader.ascii('public key')
  const publicKey = decodePublicKey(text)
  if (publicKey === undefined) {
    throw new NarvalError('ERR_CODEC', `public key: ${text.length} characters, expected 44 of base64 for 32 bytes`)
  }
  return publicKey
}
