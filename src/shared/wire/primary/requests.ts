/**
 * What primaries of the dialect `narval` ask each other for. Answers are certificates, each a message of its own
 * (`certificate.ts`), but for kind 7; behind those of a range comes a record that ends the answer.
 *
 * ```
 *  0     1     2        4              16
 *  ├ 1 ──┼ 4 ──┼ count ─┼ zeros ───────┼ digests, 32 each, ascending        certificates by digest
 *
 *  0     1     2        8          16         24
 *  ├ 1 ──┼ 5 ──┼ zeros ─┼ from ────┼ to ──────┤   u64 each                  all of the rounds from … to
 *
 *  0     1     2        8          16
 *  ├ 1 ──┼ 6 ──┼ zeros ─┼ nonce ───┤              u64                       what is the highest you have?
 *
 *  0     1     2        8          16
 *  ├ 1 ──┼ 7 ──┼ zeros ─┼ nonce ───┼ a certificate, or nothing              the answer to it
 *
 *  0     1     2        8          16         24         32
 *  ├ 1 ──┼ 8 ──┼ zeros ─┼ from ────┼ to ──────┼ lowest ──┤   u64 each       the end of the answer by range
 *
 *  0     1     2        8          16
 *  ├ 1 ──┼ 11 ─┼ zeros ─┼ index ───┤              u64                       the checkpoint of this commit; 0: the latest
 * ```
 *
 * The answer to the last one is a checkpoint that a quorum has signed, or else our own signature (`checkpoint.ts`), or
 * nothing if we have neither.
 *
 * Who has lost its store asks the last question before it signs anything. The nonce, of 53 bits, keeps an old answer from
 * passing for a new one.
 */
import { assert } from '../../assert.js'
import { DIGEST_BYTES } from '../../constants.js'
import { CERTIFICATE_BYTES_MAX, CERTIFICATES_REQUEST_MAX, RANGE_ROUNDS_MAX, REQUEST_HEAD_BYTES } from './limits.js'
import * as record from './record.js'

const NUMBER_AT = 8
const RANGE_BYTES = 24
const RANGE_ANSWER_BYTES = 32

/** Rounds, both included. */
export interface RoundRange {
  readonly from: number
  readonly to: number
}

/** Behind the certificates of a range: how much of it was sent. */
export interface RangeAnswer {
  /** That of the request. */
  readonly from: number
  /** The last round of which all was sent that is there; `from` - 1 if there is none. */
  readonly to: number
  /** The lowest round of which certificates are kept. */
  readonly lowest: number
}

/** The highest certificate that a peer has; without one it has none at all. */
export interface Highest {
  readonly nonce: number
  /** The record. */
  readonly certificate?: Uint8Array
}

/** @param digests 32 bytes each, no two the same */
export function encodeCertificatesRequest(digests: readonly Uint8Array[]): Uint8Array {
  assert(digests.length >= 1 && digests.length <= CERTIFICATES_REQUEST_MAX, 'a request within its limits')
  const bytes = head('certificates-request', REQUEST_HEAD_BYTES + digests.length * DIGEST_BYTES)
  new DataView(bytes.buffer).setUint16(2, digests.length, true)
  for (const [at, digest] of [...digests].sort(record.compareBytes).entries()) {
    record.writeDigest(bytes, REQUEST_HEAD_BYTES + at * DIGEST_BYTES, digest)
  }
  return bytes
}

/** @throws NarvalError ERR_CODEC */
export function decodeCertificatesRequest(bytes: Uint8Array): Uint8Array[] {
  const kind = 'certificates-request'
  const bytesMax = REQUEST_HEAD_BYTES + CERTIFICATES_REQUEST_MAX * DIGEST_BYTES
  const view = record.open(kind, bytes, REQUEST_HEAD_BYTES + DIGEST_BYTES, bytesMax)
  record.readZeros(kind, bytes, 4, REQUEST_HEAD_BYTES - 4)
  const count = view.getUint16(2, true)
  if (bytes.length !== REQUEST_HEAD_BYTES + count * DIGEST_BYTES) {
    throw record.malformed(kind, `${bytes.length} bytes for ${count} digests`)
  }
  const digests = Array.from({ length: count }, (_, at) =>
    record.readBytes(bytes, REQUEST_HEAD_BYTES + at * DIGEST_BYTES, DIGEST_BYTES),
  )
  const wrong = digests.findIndex((digest, at) => at > 0 && record.compareBytes(digests[at - 1]!, digest) >= 0)
  if (wrong >= 0) throw record.malformed(kind, `digests ${wrong - 1} and ${wrong} are not in order, or the same`)
  return digests
}

export function encodeRangeRequest({ from, to }: RoundRange): Uint8Array {
  assert(from >= 1 && from <= to && to - from < RANGE_ROUNDS_MAX, 'a range within its limits')
  const bytes = head('range-request', RANGE_BYTES)
  const view = new DataView(bytes.buffer)
  record.writeWhole(view, NUMBER_AT, from)
  record.writeWhole(view, NUMBER_AT + 8, to)
  return bytes
}

/** @throws NarvalError ERR_CODEC */
export function decodeRangeRequest(bytes: Uint8Array): RoundRange {
  const { from, to } = readRange('range-request', bytes, RANGE_BYTES, 1)
  return { from, to }
}

export function encodeRangeAnswer({ from, lowest, to }: RangeAnswer): Uint8Array {
  assert(from >= 1 && to >= from - 1 && to - from < RANGE_ROUNDS_MAX && lowest >= 1, 'an answer within its limits')
  const bytes = head('range-answer', RANGE_ANSWER_BYTES)
  const view = new DataView(bytes.buffer)
  for (const [at, number] of [from, to, lowest].entries()) record.writeWhole(view, NUMBER_AT + 8 * at, number)
  return bytes
}

/** @throws NarvalError ERR_CODEC */
export function decodeRangeAnswer(bytes: Uint8Array): RangeAnswer {
  const kind = 'range-answer'
  // Of the first round there may be nothing.
  const { from, to, view } = readRange(kind, bytes, RANGE_ANSWER_BYTES, 0)
  return { from, to, lowest: record.readWhole(kind, view, NUMBER_AT + 16, 'lowest round', 1) }
}

/** What a request and its answer begin with. */
function readRange(
  kind: 'range-request' | 'range-answer',
  bytes: Uint8Array,
  byteLength: number,
  roundsMin: 0 | 1,
): RoundRange & { readonly view: DataView } {
  const view = record.open(kind, bytes, byteLength, byteLength)
  record.readZeros(kind, bytes, 2, NUMBER_AT - 2)
  const from = record.readWhole(kind, view, NUMBER_AT, 'from round', 1)
  const to = record.readWhole(kind, view, NUMBER_AT + 8, 'to round', from + roundsMin - 1)
  if (to - from >= RANGE_ROUNDS_MAX) {
    throw record.malformed(kind, `rounds ${from} to ${to}, at most ${RANGE_ROUNDS_MAX} of them`)
  }
  return { from, to, view }
}

export function encodeHighestRequest(nonce: number): Uint8Array {
  return encodeNumber('highest-request', nonce)
}

/** @throws NarvalError ERR_CODEC */
export function decodeHighestRequest(bytes: Uint8Array): number {
  return decodeNumber('highest-request', bytes, 'nonce')
}

export function encodeHighest({ nonce, certificate = new Uint8Array() }: Highest): Uint8Array {
  const bytes = head('highest', REQUEST_HEAD_BYTES + certificate.length)
  record.writeWhole(new DataView(bytes.buffer), NUMBER_AT, nonce)
  bytes.set(certificate, REQUEST_HEAD_BYTES)
  return bytes
}

/** @throws NarvalError ERR_CODEC */
export function decodeHighest(bytes: Uint8Array): Highest {
  const kind = 'highest'
  const view = record.open(kind, bytes, REQUEST_HEAD_BYTES, REQUEST_HEAD_BYTES + CERTIFICATE_BYTES_MAX)
  record.readZeros(kind, bytes, 2, NUMBER_AT - 2)
  const nonce = record.readWhole(kind, view, NUMBER_AT, 'nonce')
  if (bytes.length === REQUEST_HEAD_BYTES) return { nonce }
  const certificate = record.readBytes(bytes, REQUEST_HEAD_BYTES, bytes.length - REQUEST_HEAD_BYTES)
  return { nonce, certificate }
}

/** @param index of the commit; 0 for the latest checkpoint that a quorum has signed */
export function encodeCheckpointRequest(index: number): Uint8Array {
  return encodeNumber('checkpoint-request', index)
}

/** @throws NarvalError ERR_CODEC */
export function decodeCheckpointRequest(bytes: Uint8Array): number {
  return decodeNumber('checkpoint-request', bytes, 'index')
}

/** A record that is a number and nothing else. */
function encodeNumber(kind: record.RecordKind, value: number): Uint8Array {
  const bytes = head(kind, REQUEST_HEAD_BYTES)
  record.writeWhole(new DataView(bytes.buffer), NUMBER_AT, value)
  return bytes
}

function decodeNumber(kind: record.RecordKind, bytes: Uint8Array, what: string): number {
  const view = record.open(kind, bytes, REQUEST_HEAD_BYTES, REQUEST_HEAD_BYTES)
  record.readZeros(kind, bytes, 2, NUMBER_AT - 2)
  return record.readWhole(kind, view, NUMBER_AT, what)
}

function head(kind: record.RecordKind, length: number): Uint8Array {
  const bytes = new Uint8Array(length)
  bytes.set([record.RECORD_VERSION, record.RECORD_KINDS[kind]])
  return bytes
}
